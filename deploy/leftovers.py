"""Tables and a key without their stack: what is left when somebody deleted the stack by hand."""

from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account
from deploy.place import TABLE_RESOURCES, StagePlace
from deploy.refusal import Refused

KEY_RESTS_DAYS = 30


def tables_there(account: Account, place: StagePlace) -> list[str]:
    """Those of the stage's tables that exist."""
    dynamodb = account.client("dynamodb")
    return [name for name in place.tables.values() if _table_is_there(dynamodb, name)]


def _table_is_there(dynamodb: Any, name: str) -> bool:
    try:
        dynamodb.describe_table(TableName=name)
    except dynamodb.exceptions.ResourceNotFoundException:
        return False
    return True


def key_there(account: Account, place: StagePlace) -> str:
    """The id of the key that the stage's alias names; empty if there is none."""
    try:
        told = account.client("kms").describe_key(KeyId=place.key_alias)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return ""
    return str(told["KeyMetadata"]["KeyId"])


def to_import(account: Account, place: StagePlace) -> list[dict[str, Any]]:
    """What a new stack of the stage must take over, in CloudFormation's words; empty if nothing of
    it is there. Raises ``Refused`` if only a part is."""
    tables, key = tables_there(account, place), key_there(account, place)
    if not tables and not key:
        return []
    missing = sorted(set(place.tables.values()) - set(tables))
    if missing or not key:
        missing += [] if key else [place.key_alias]
        raise Refused(
            f"There is no stack {place.stack}, but something of it was left: "
            f"{', '.join([*tables, *([place.key_alias] if key else [])])}. "
            f"It cannot be taken over, since {', '.join(missing)} is missing. Restore that (a table"
            " from its backup, under its name), or delete what is left:"
            f" `make destroy STAGE={place.stage} DATA=delete`."
        )
    found = [
        _entry("AWS::DynamoDB::Table", resource, TableName=place.tables[table])
        for resource, table in TABLE_RESOURCES.items()
    ]
    found.append(_entry("AWS::KMS::Key", "SecretsKey", KeyId=key))
    found.append(_entry("AWS::KMS::Alias", "SecretsKeyAlias", AliasName=place.key_alias))
    return found


def _entry(type: str, resource: str, **identifier: str) -> dict[str, Any]:
    return {"ResourceType": type, "LogicalResourceId": resource, "ResourceIdentifier": identifier}


def delete_data(account: Account, place: StagePlace) -> None:
    """Delete the stage's tables, and have its key deleted after thirty days. Safe to repeat."""
    dynamodb = account.client("dynamodb")
    tables = tables_there(account, place)
    for name in tables:
        told = dynamodb.describe_table(TableName=name)["Table"]
        if told.get("DeletionProtectionEnabled"):
            dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            dynamodb.get_waiter("table_exists").wait(TableName=name)
    for name in tables:
        dynamodb.delete_table(TableName=name)
    for name in tables:
        dynamodb.get_waiter("table_not_exists").wait(
            TableName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 300}
        )
    key = key_there(account, place)
    if key:
        kms = account.client("kms")
        with suppress(kms.exceptions.KMSInvalidStateException):  # an attempt that broke off did it
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_RESTS_DAYS)
        kms.delete_alias(AliasName=place.key_alias)
