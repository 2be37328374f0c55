"""How an item lies in DynamoDB, and how each write is said in DynamoDB's words.

    pk, sk              the key
    v                   version, counted by puts; an item that only ``Add`` made has none
    b                   body, compact JSON text
    z                   blob
    ttl                 expires_at
    n_<name>            one number, a DynamoDB number of its own so that ADD works on it
    lpk lsk, dpk dsk, ppk psk    the pairs of the sparse indexes listing, due, partner

A put is an UpdateItem that sets or removes everything but the numbers: ``Add`` alone keeps those,
and an addition that falls between a read and a put must survive the put. It costs the same units
as PutItem.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pynamodb.attributes import Attribute, BinaryAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.constants import DELETE_ITEM, NUMBER, UPDATE_ITEM
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from .checks import INDEXES, exact_int, key_of
from .store import Add, Check, IndexName, Item, Key, Put, Remove, TableName, Write

INDEX_KEYS: Mapping[IndexName, tuple[str, str]] = {
    "listing": ("lpk", "lsk"),
    "due": ("dpk", "dsk"),
    "partner": ("ppk", "psk"),
}

Raw = Mapping[str, Mapping[str, Any]]
"""An item as DynamoDB says it: ``{"pk": {"S": "…"}, "v": {"N": "3"}}``."""

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
_BODY = UnicodeAttribute(attr_name="b")
_BLOB = BinaryAttribute(attr_name="z", legacy_encoding=False)
_EXPIRY = IntAttribute(attr_name="ttl")
_NUMBER_PREFIX = "n_"


@cache
def text(name: str) -> UnicodeAttribute:
    """A key attribute of the table or an index."""
    return UnicodeAttribute(attr_name=name)


@cache
def _number(name: str) -> IntAttribute:
    return IntAttribute(attr_name=_NUMBER_PREFIX + name)


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


def raw_key(key: Key) -> dict[str, dict[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def item_of(table: TableName, raw: Raw) -> Item:
    """The item of a full read."""
    return Item(
        key=Key(table, raw["pk"]["S"], raw["sk"]["S"]),
        body=json.loads(raw["b"]["S"]) if "b" in raw else {},
        version=version_of(raw),
        listing=_pair(raw, "listing"),
        due=_pair(raw, "due"),
        partner=_pair(raw, "partner"),
        numbers={
            name.removeprefix(_NUMBER_PREFIX): int(value["N"])
            for name, value in raw.items()
            if name.startswith(_NUMBER_PREFIX)
        },
        blob=raw["z"]["B"] if "z" in raw else None,
        expires_at=_EXPIRY.deserialize(raw["ttl"]["N"]) if "ttl" in raw else None,
    )


def found_item(table: TableName, index: IndexName, raw: Raw) -> Item:
    """The item of an index read, which projects keys alone: the rest is left empty."""
    key = Key(table, raw["pk"]["S"], raw["sk"]["S"])
    pair = _pair(raw, index)
    match index:
        case "listing":
            return Item(key=key, listing=pair)
        case "due":
            return Item(key=key, due=pair)
        case "partner":
            return Item(key=key, partner=pair)


def version_of(raw: Raw) -> int:
    """The stored version; 0 for an item that is absent (``{}``) or made by ``Add`` alone."""
    return VERSION.deserialize(raw["v"]["N"]) if "v" in raw else 0


def _pair(raw: Raw, index: IndexName) -> tuple[str, str] | None:
    partition, sort = INDEX_KEYS[index]
    return (raw[partition]["S"], raw[sort]["S"]) if partition in raw else None


def request(
    connection: Connection, physical_name: str, write: Write, body_text: str
) -> tuple[Verb, dict[str, Any]]:
    """A write as the arguments of its operation, the same alone and in a transaction.

    ``body_text`` is what ``checks.checked`` made of a put's body.
    """
    key = key_of(write)
    verb, actions, condition = _said(write, body_text)
    return verb, connection.get_operation_kwargs(
        physical_name, key.pk, key.sk, actions=actions, condition=condition
    )


def _said(write: Write, body_text: str) -> tuple[Verb, Sequence[Action] | None, Condition | None]:
    match write:
        case Put():
            condition = None if write.blind else _version_is(write.item.version)
            version = 1 if write.blind else write.item.version + 1
            return "Update", _put_actions(write.item, version, body_text), condition
        case Remove():
            return "Delete", None, _version_is(write.version)
        case Check():
            return "ConditionCheck", None, _version_is(write.version)
        case Add():
            actions = [_number(name).add(amount) for name, amount in write.amounts.items()]
            return "Update", actions, _numbers_are(write.when)


def _put_actions(item: Item, version: int, body_text: str) -> list[Action]:
    actions: list[Action] = [VERSION.set(version), _BODY.set(body_text)]
    actions.append(_BLOB.remove() if item.blob is None else _BLOB.set(item.blob))
    actions.append(_EXPIRY.remove() if item.expires_at is None else _EXPIRY.set(item.expires_at))
    for index, pair in _pairs(item).items():
        if index in INDEXES[item.key.table]:
            for position, name in enumerate(INDEX_KEYS[index]):
                actions.append(text(name).set(pair[position]) if pair else text(name).remove())
    return actions


def _pairs(item: Item) -> dict[IndexName, tuple[str, str] | None]:
    return {"listing": item.listing, "due": item.due, "partner": item.partner}


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
