"""How each write is said in DynamoDB's words, with PynamoDB's expressions. What needs none of them
stands in ``dynamo_wire``."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pynamodb.attributes import Attribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.constants import DELETE_ITEM, NUMBER, UPDATE_ITEM
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from .checks import INDEXES, exact_int, key_of
from .dynamo_wire import INDEX_KEYS, NUMBER_PREFIX, put_arguments
from .store import Add, Check, Put, Remove, TableName, Write

Verb = Literal["Update", "Delete", "ConditionCheck"]
"""What TransactWriteItems calls a write."""

LONE: Mapping[Verb, str] = {"Update": UPDATE_ITEM, "Delete": DELETE_ITEM}
"""The operation of a write that is alone; a lone check is a read."""


class IntAttribute(Attribute[int]):
    """A number that is an int and nothing else. PynamoDB's own NumberAttribute writes floats, and
    reads what it finds through JSON, without a word; this one raises TypeError or ValueError."""

    attr_type = NUMBER

    def serialize(self, value: object) -> str:
        return str(exact_int(value, f"attribute {self.attr_name}"))

    def deserialize(self, value: str) -> int:
        return int(value)


VERSION = IntAttribute(attr_name="v")


@cache
def text(name: str) -> UnicodeAttribute:
    """A key attribute of the table or an index."""
    return UnicodeAttribute(attr_name=name)


@cache
def _number(name: str) -> IntAttribute:
    return IntAttribute(attr_name=NUMBER_PREFIX + name)


def meta_table(table: TableName, physical_name: str) -> MetaTable:
    """What PynamoDB must know of a table. Given here, it never asks DescribeTable."""
    pairs = [("pk", "sk"), *(INDEX_KEYS[index] for index in sorted(INDEXES[table]))]
    return MetaTable(
        {
            "TableName": physical_name,
            "KeySchema": _key_schema(*pairs[0]),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": "S"} for pair in pairs for name in pair
            ],
            "GlobalSecondaryIndexes": [
                {"IndexName": index, "KeySchema": _key_schema(*INDEX_KEYS[index])}
                for index in sorted(INDEXES[table])
            ],
        }
    )


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def request(
    connection: Connection, physical_name: str, write: Write, body_text: str
) -> tuple[Verb, dict[str, Any]]:
    """A write as the arguments of its operation, the same alone and in a transaction.

    ``body_text`` is what ``checks.checked`` made of a put's body.
    """
    if isinstance(write, Put):
        return "Update", put_arguments(physical_name, write, body_text)
    key = key_of(write)
    verb, actions, condition = _said(write)
    return verb, connection.get_operation_kwargs(
        physical_name, key.pk, key.sk, actions=actions, condition=condition
    )


def _said(
    write: Remove | Check | Add,
) -> tuple[Verb, Sequence[Action] | None, Condition | None]:
    match write:
        case Remove():
            return "Delete", None, _version_is(write.version)
        case Check():
            return "ConditionCheck", None, _version_is(write.version)
        case Add():
            actions = [_number(name).add(amount) for name, amount in write.amounts.items()]
            return "Update", actions, _numbers_are(write.when)


def _version_is(version: int) -> Condition:
    if version == 0:
        return VERSION.does_not_exist()
    is_version: Condition = VERSION.__eq__(version)
    return is_version


def _numbers_are(when: Mapping[str, int]) -> Condition | None:
    condition: Condition | None = None
    for name, value in when.items():
        holds: Condition = _number(name) == value
        if value == 0:
            holds = _number(name).does_not_exist() | holds
        condition = holds if condition is None else condition & holds
    return condition
