"""Tables from the template's resources, on moto."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.tables import RESOURCES, create_missing, creation_request, table_definitions

TINY = Path(__file__).parent / "tiny" / "resources.json"


@pytest.fixture
def dynamo(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


def test_a_table_has_its_keys_index_stream_and_expiry(dynamo: Any) -> None:
    made = create_missing(dynamo, {"ClicksTable": "clicks"}, resources=TINY)
    table = dynamo.describe_table(TableName="clicks")["Table"]
    expiry = dynamo.describe_time_to_live(TableName="clicks")["TimeToLiveDescription"]
    assert made == ["clicks"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by_day"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_a_second_time_makes_nothing_and_keeps_the_data(dynamo: Any) -> None:
    names = {"ClicksTable": "clicks", "RecordsTable": "records"}
    create_missing(dynamo, names, resources=TINY)
    dynamo.put_item(TableName="records", Item={"pk": {"S": "kept"}})
    assert create_missing(dynamo, names, resources=TINY) == []
    assert dynamo.scan(TableName="records")["Count"] == 1


def test_only_what_a_local_table_can_act_on_is_asked_for() -> None:
    request = creation_request(table_definitions(TINY)["ClicksTable"], "clicks")
    assert request["TableName"] == "clicks"
    assert "ContributorInsightsSpecification" not in request["GlobalSecondaryIndexes"][0]
    assert "PointInTimeRecoverySpecification" not in request


def test_an_unknown_logical_id_is_a_mistake(dynamo: Any) -> None:
    with pytest.raises(KeyError, match="NoTable"):
        create_missing(dynamo, {"NoTable": "x"}, resources=TINY)


@pytest.mark.skipif(not RESOURCES.exists(), reason="the template's resources are not there yet")
def test_the_deployed_tables_can_be_made(dynamo: Any) -> None:
    ids = ("ClicksTable", "InboxTable", "RecordsTable", "SessionsTable")
    assert len(create_missing(dynamo, {one: one.lower() for one in ids})) == 4
