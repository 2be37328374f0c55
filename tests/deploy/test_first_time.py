"""A first deployment that goes wrong in ways that MiniStack does not know, and one in a small
account: CloudFormation's answers are changed on their way into botocore, all else is as it is.

The stacks are of tables and a key alone, which take a second to make.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from deploy.account import Account, account_of_shell
from deploy.down import down
from deploy.package import Package
from deploy.refusal import Refused
from deploy.template import Template, data_alone
from deploy.up import Wishes, up
from tests.deploy.conftest import REGION, ROOT, an_account
from tests.deploy.conftest import Account as Shell

pytestmark = [pytest.mark.ministack, pytest.mark.slow, pytest.mark.xdist_group("deployment")]

BASE_URL = "https://refer.example.com"


@pytest.fixture(scope="module")
def new_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with Lambda's limit of a new account; its address."""
    with an_account(tmp_path_factory.mktemp("new_account"), concurrency=10) as account:
        yield account.url


@pytest.fixture
def account(new_account: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("AWS_ENDPOINT_URL", new_account)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ROOT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ROOT)
    monkeypatch.setenv("AWS_REGION", REGION)
    return account_of_shell()


def test_the_region_of_aws_region_wins(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the one that boto3 reads."""
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    found = account_of_shell()
    assert (found.region, found.client("sqs").meta.region_name) == ("eu-west-3", "eu-west-3")


@pytest.fixture
def small(template: Template, tmp_path: Path) -> Callable[[Path], Package]:
    """Packs the part of the template that holds data."""
    told = data_alone(template) | {"Outputs": {"BaseUrl": {"Value": BASE_URL}}}

    def packed(folder: Path) -> Package:
        made = Package.at(folder)
        made.zip.write_bytes(b"no code")
        made.template.write_text(json.dumps(told))
        return made

    return packed


class Said(list[str]):
    """What the command told the operator."""

    def __str__(self) -> str:
        return "\n".join(self)


def deploy(
    stage: str, account: Account, small: Callable[[Path], Package], **told: str
) -> tuple[Said, Any]:
    said = Said()
    done = up(
        Wishes(stage=stage, parameters=told),
        account=account,
        package=small,
        agreed=lambda question: True,
        say=said.append,
        pause_seconds=0.05,
    )
    return said, done


def destroy(stage: str, account: Account, *, delete: bool) -> Said:
    said = Said()
    words = f"delete {stage}" if delete else stage
    down(
        stage,
        delete=delete,
        account=account,
        typed=lambda question: words,
        say=said.append,
        pause_seconds=0.05,
    )
    return said


def tables(account: Account) -> list[str]:
    found: list[str] = account.client("dynamodb").list_tables()["TableNames"]
    return found


def aliases(account: Account) -> list[str]:
    return [one["AliasName"] for one in account.client("kms").list_aliases()["Aliases"]]


def answering(session: boto3.Session, operation: str, change: Callable[[Any], None]) -> None:
    """Every answer to an operation is changed before botocore's caller sees it."""

    def changed(parsed: Any, **rest: Any) -> None:
        change(parsed)

    session.events.register(f"after-call.{operation}", changed)


def a_rollback_that_fails(account: Account) -> None:
    """From now on CloudFormation says of each stack that stands what AWS says of a first one whose
    protected tables its rollback could not delete."""

    def failed(answer: Any) -> None:
        for stack in answer.get("Stacks", []):
            if stack["StackStatus"] == "CREATE_COMPLETE":
                stack["StackStatus"] = "ROLLBACK_FAILED"

    answering(account.session, "cloudformation.DescribeStacks", failed)


class TestARollbackThatFails:
    def test_leaves_nothing_after_all(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        a_rollback_that_fails(account)
        with pytest.raises(Refused, match="ROLLBACK_FAILED"):
            deploy("prod-a", account, small)
        assert tables(account) == []
        assert aliases(account) == []

    def test_so_that_the_same_command_can_be_given_again(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        a_rollback_that_fails(account)
        with pytest.raises(Refused):
            deploy("prod-b", account, small)
        _, done = deploy("prod-b", account_of_shell(), small)
        assert (done.first, done.changed, done.base_url) == (True, True, BASE_URL)
        assert len(tables(account)) == 4
        destroy("prod-b", account_of_shell(), delete=True)
        assert tables(account) == []

    def test_that_was_left_alone_is_named_and_can_be_removed(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        deploy("prod-c", account_of_shell(), small)
        a_rollback_that_fails(account)
        with pytest.raises(Refused, match="make destroy STAGE=prod-c DATA=delete"):
            deploy("prod-c", account, small)
        with pytest.raises(Refused, match="make destroy STAGE=prod-c DATA=delete"):
            destroy("prod-c", account, delete=False)
        assert len(tables(account)) == 4
        destroy("prod-c", account, delete=True)
        assert (tables(account), aliases(account)) == ([], [])

    def test_of_an_update_takes_nothing_away(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        deploy("prod-d", account_of_shell(), small)

        def failed(answer: Any) -> None:
            for stack in answer.get("Stacks", []):
                if stack["StackStatus"] == "UPDATE_COMPLETE":
                    stack["StackStatus"] = "UPDATE_ROLLBACK_FAILED"

        answering(account.session, "cloudformation.DescribeStacks", failed)
        with pytest.raises(Refused, match="UPDATE_ROLLBACK_FAILED"):
            deploy("prod-d", account, small, DeletionProtection="false")
        assert len(tables(account)) == 4
        destroy("prod-d", account_of_shell(), delete=True)


class TestAnAccountWithASmallLimit:
    def test_is_told_that_no_concurrency_is_kept(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        said, _ = deploy("dev", account, small)
        (told,) = [line for line in said if "concurrency" in line]
        assert "the account's limit is too small" in told
        assert "Service Quotas" in told
        assert "`make deploy STAGE=dev SET=WebhookConcurrency=20`" in told

    def test_and_when_it_was_raised_what_to_do(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        deploy("dev", account, small)

        def raised(answer: Any) -> None:
            answer["AccountLimit"]["UnreservedConcurrentExecutions"] = 1000

        answering(account.session, "lambda.GetAccountSettings", raised)
        said, _ = deploy("dev", account, small)
        (told,) = [line for line in said if "concurrency" in line]
        assert told.endswith(
            "there is room for it: `make deploy STAGE=dev SET=WebhookConcurrency=20`."
        )
        said, _ = deploy("dev", account, small, WebhookConcurrency="20")
        assert "concurrency" not in str(said)
        destroy("dev", account, delete=True)

    def test_a_zero_that_was_said_is_not_argued_with(
        self, account: Account, small: Callable[[Path], Package]
    ) -> None:
        said, _ = deploy("dev", account, small, WebhookConcurrency="0")
        assert "No concurrency is kept for Stripe's webhooks, as you said." in said
        destroy("dev", account, delete=True)


def test_deleting_the_data_goes_on_where_it_broke_off(
    account: Account, small: Callable[[Path], Package]
) -> None:
    """The key is on its way already, which KMS refuses to begin twice (MiniStack does not)."""
    deploy("dev", account, small)
    kms = account.client("kms")
    key = kms.describe_key(KeyId="alias/refledger-dev")["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30)

    def already(**call: Any) -> Any:
        refusal = {"Error": {"Code": "KMSInvalidStateException", "Message": "is pending deletion"}}
        return AWSResponse("", 400, {}, None), refusal

    account.session.events.register("before-call.kms.ScheduleKeyDeletion", already)
    destroy("dev", account, delete=True)
    assert (tables(account), aliases(account)) == ([], [])
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_refusal_of_the_store_is_a_sentence(
    account: Account, small: Callable[[Path], Package], tmp_path: Path
) -> None:
    """The base URL goes by the house's own store, which refuses in its own words."""
    small(tmp_path)
    deploy("dev", account, small)
    words = ("-m", "deploy", "up", "--stage", "dev", "--package", str(tmp_path))
    url = account.client("sts").meta.endpoint_url
    ran = Shell(url).run(*words, YES="1", AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    destroy("dev", account, delete=True)
    assert ran.returncode == 1
    assert ran.stderr == "The store is busy. Nothing was written; try again.\n"
