"""Makes the DynamoDB tables that the deployed template would make, in a local DynamoDB.

    python -m local.tables NAME [--local STATE_DIR]    # empty ones beside a local run's, to rebuild

The single truth is `.chalice/resources.json`, which is merged into the deployed template. Only
what a local DynamoDB can act on is read: keys, indexes, billing mode, stream and TTL. A
`TableName` may be an intrinsic there, so names are given by the caller.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from chalicelib.settings import tables_of
from local.place import Place

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RESOURCES = Path(__file__).parent.parent / ".chalice" / "resources.json"

_TAKEN_AS_THEY_ARE = ("AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput")
_INDEX_FIELDS = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")
_ACTIVE_WITHIN_SECONDS = 30


def create_missing(
    client: "DynamoDBClient", names: Mapping[str, str], *, resources: Path = RESOURCES
) -> list[str]:
    """Create each table of `names` (logical id -> table name) that is not there yet.

    Returns the names of the tables made now. Safe to repeat and to race: a table that somebody
    else makes at the same moment counts as there. Raises KeyError for a logical id that the
    resources do not define.
    """
    definitions = table_definitions(resources)
    made = []
    for logical_id, table_name in names.items():
        properties = definitions[logical_id]
        if _create_unless_there(client, creation_request(properties, table_name)):
            made.append(table_name)
        _await_active(client, table_name)
        _enable_expiry(client, table_name, properties.get("TimeToLiveSpecification"))
    return made


def table_definitions(resources: Path = RESOURCES) -> dict[str, dict[str, Any]]:
    """The properties of every `AWS::DynamoDB::Table`, by logical id."""
    template = json.loads(resources.read_text())
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource.get("Type") == "AWS::DynamoDB::Table"
    }


def creation_request(properties: Mapping[str, Any], table_name: str) -> dict[str, Any]:
    """CloudFormation's properties as the arguments of `create_table`."""
    request: dict[str, Any] = {
        "TableName": table_name,
        **{key: properties[key] for key in _TAKEN_AS_THEY_ARE if key in properties},
    }
    request.setdefault("BillingMode", "PAY_PER_REQUEST")
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if properties.get(kind):
            request[kind] = [
                {key: index[key] for key in _INDEX_FIELDS if key in index}
                for index in properties[kind]
            ]
    if "StreamSpecification" in properties:
        view = properties["StreamSpecification"]["StreamViewType"]
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    return request


def _create_unless_there(client: "DynamoDBClient", request: dict[str, Any]) -> bool:
    try:
        client.create_table(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise
        return False
    return True


def _await_active(client: "DynamoDBClient", table_name: str) -> None:
    deadline = time.monotonic() + _ACTIVE_WITHIN_SECONDS
    while client.describe_table(TableName=table_name)["Table"]["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise TimeoutError(f"table {table_name} did not become active")
        time.sleep(0.1)


def _enable_expiry(
    client: "DynamoDBClient", table_name: str, wanted: Mapping[str, Any] | None
) -> None:
    """Switch TTL on where the template asks for it; asking twice is an error in DynamoDB."""
    if not wanted or not wanted.get("Enabled"):
        return
    found = client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        return
    client.update_time_to_live(
        TableName=table_name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": wanted["AttributeName"]},
    )


def names_of(stage: str) -> dict[str, str]:
    """The tables of a stage by their logical ids."""
    return {f"{table.capitalize()}Table": name for table, name in tables_of(stage).items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Make empty tables of a name in a local run that is up."""
    parser = argparse.ArgumentParser(prog="local.tables")
    parser.add_argument("name")
    parser.add_argument("--local", default=".local", metavar="STATE_DIR")
    asked = parser.parse_args(argv)
    state_dir = Path(asked.local).resolve()
    demo = state_dir / "demo.json"
    if not demo.exists():
        raise SystemExit(f"Nothing runs in {asked.local}: start it with `make run` first.")
    port = urlsplit(json.loads(demo.read_text())["base_url"]).port or 0
    client = boto3.client(
        "dynamodb",
        endpoint_url=Place(port=port, state_dir=state_dir).aws_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    for name in create_missing(client, names_of(asked.name)):
        print(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
