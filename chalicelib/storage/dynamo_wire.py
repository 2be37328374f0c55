"""How an item lies in DynamoDB, and what is said of it on the wire. Pure, and shared by both stores
on DynamoDB: neither pynamodb nor botocore is needed to read it or to write it.

    pk, sk              the key
    v                   version, counted by puts; an item that only ``Add`` made has none
    b                   body, compact JSON text
    c                   the body deflated, instead of b, where the text is long (decision 0011)
    z                   blob
    ttl                 expires_at
    n_<name>            one number, a DynamoDB number of its own so that ADD works on it
    lpk lsk, dpk dsk, ppk psk    the pairs of the sparse indexes listing, due, partner

A put is an UpdateItem that sets or removes everything but the numbers: ``Add`` alone keeps those,
and an addition that falls between a read and a put must survive the put. It costs the same units
as PutItem.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..core.refusals import Unavailable
from .checks import INDEXES, check_key, exact_int
from .dynamo_tries import MAX_RETRIES, pause
from .store import IndexName, Item, Key, Put, TableName

PACKED_FROM_BYTES = 600
"""Of a body's text. A write costs by the kilobyte of the whole item; a short one stays readable."""

INDEX_KEYS: Mapping[IndexName, tuple[str, str]] = {
    "listing": ("lpk", "lsk"),
    "due": ("dpk", "dsk"),
    "partner": ("ppk", "psk"),
}

Raw = Mapping[str, Mapping[str, Any]]
"""An item as DynamoDB says it: ``{"pk": {"S": "…"}, "v": {"N": "3"}}``; ``B`` holds bytes."""

NUMBER_PREFIX = "n_"
_KEYS_PER_TRIP = 100  # DynamoDB's limit of BatchGetItem


def to_json(arguments: Mapping[str, Any]) -> bytes:
    """The arguments of an operation as the body of its request."""
    return json.dumps(arguments, default=lambda blob: b64encode(blob).decode()).encode()


def from_json(body: bytes) -> dict[str, Any]:
    """An answer's body. Raises ValueError for what is no JSON object."""
    told = json.loads(body, object_hook=_with_bytes)
    if not isinstance(told, dict):
        raise ValueError("an answer that is no JSON object")
    return told


def _with_bytes(part: dict[str, Any]) -> dict[str, Any]:
    return {"B": b64decode(part["B"])} if part.keys() == {"B"} else part


def raw_key(key: Key) -> dict[str, dict[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def item_of(table: TableName, raw: Raw) -> Item:
    """The item of a full read."""
    return Item(
        key=Key(table, raw["pk"]["S"], raw["sk"]["S"]),
        body=_body_of(raw),
        version=version_of(raw),
        listing=_pair(raw, "listing"),
        due=_pair(raw, "due"),
        partner=_pair(raw, "partner"),
        numbers={
            name.removeprefix(NUMBER_PREFIX): int(value["N"])
            for name, value in raw.items()
            if name.startswith(NUMBER_PREFIX)
        },
        blob=raw["z"]["B"] if "z" in raw else None,
        expires_at=int(raw["ttl"]["N"]) if "ttl" in raw else None,
    )


def _body_of(raw: Raw) -> Any:
    if "c" in raw:
        return json.loads(zlib.decompress(raw["c"]["B"]))
    return json.loads(raw["b"]["S"]) if "b" in raw else {}


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
    return int(raw["v"]["N"]) if "v" in raw else 0


def _pair(raw: Raw, index: IndexName) -> tuple[str, str] | None:
    partition, sort = INDEX_KEYS[index]
    return (raw[partition]["S"], raw[sort]["S"]) if partition in raw else None


def put_arguments(physical_name: str, put: Put, body_text: str) -> dict[str, Any]:
    """A put as the arguments of UpdateItem, the same alone and in a transaction. ``body_text`` is
    what ``checks.checked`` made of its body."""
    item = put.item
    attributes = _attributes(item, 1 if put.blind else item.version + 1, body_text.encode())
    told = {name: value for name, value in attributes.items() if value is not None}
    set_all = ", ".join(f"#{name} = :{name}" for name in told)
    remove = ", ".join(f"#{name}" for name in attributes if name not in told)
    values: dict[str, Any] = {f":{name}": value for name, value in told.items()}
    condition: dict[str, str] = {}
    if not put.blind:
        condition = {"ConditionExpression": "attribute_not_exists(#v)"}
        if item.version:
            condition = {"ConditionExpression": "#v = :was"}
            values[":was"] = {"N": str(exact_int(item.version, "version"))}
    return {
        "TableName": physical_name,
        "Key": raw_key(item.key),
        "UpdateExpression": f"SET {set_all} REMOVE {remove}",
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
        "ExpressionAttributeValues": values,
        **condition,
    }


def _attributes(item: Item, version: int, text: bytes) -> dict[str, dict[str, Any] | None]:
    """Every attribute that a put decides upon; None for what the item does not have."""
    packed = len(text) >= PACKED_FROM_BYTES
    decided: dict[str, dict[str, Any] | None] = {
        "v": {"N": str(exact_int(version, "version"))},
        "b": None if packed else {"S": text.decode()},
        "c": {"B": zlib.compress(text, 9)} if packed else None,
        "z": None if item.blob is None else {"B": item.blob},
        "ttl": None if item.expires_at is None else {"N": str(item.expires_at)},
    }
    pairs = {"listing": item.listing, "due": item.due, "partner": item.partner}
    for index in INDEXES[item.key.table]:
        for position, name in enumerate(INDEX_KEYS[index]):
            pair = pairs[index]
            decided[name] = {"S": pair[position]} if pair else None
    return decided


def read_batches(
    tables: Mapping[TableName, str],
    keys: Sequence[Key],
    *,
    ask: Callable[[dict[str, Any]], Mapping[str, Any]],
    sleep: Callable[[float], None],
) -> dict[Key, Item]:
    """The items that exist, read consistently by ``ask``, which sends one BatchGetItem: one trip
    per table and 100 keys, if nothing is left unprocessed."""
    wanted: dict[TableName, list[Key]] = {}
    for key in dict.fromkeys(keys):
        check_key(key)
        wanted.setdefault(key.table, []).append(key)
    items = [
        item_of(table, raw)
        for table, of_table in wanted.items()
        for start in range(0, len(of_table), _KEYS_PER_TRIP)
        for raw in _batch(tables[table], of_table[start : start + _KEYS_PER_TRIP], ask, sleep)
    ]
    return {item.key: item for item in items}


def _batch(
    name: str,
    keys: Sequence[Key],
    ask: Callable[[dict[str, Any]], Mapping[str, Any]],
    sleep: Callable[[float], None],
) -> Iterator[Raw]:
    """At most 100 keys in one trip, and more trips for what DynamoDB left unprocessed (an answer
    ends at 16 MB, or where the throughput does: API_BatchGetItem)."""
    waiting: list[Any] = [raw_key(key) for key in keys]
    idle = 0
    while waiting:
        asked = waiting
        answer = ask({"RequestItems": {name: {"Keys": asked, "ConsistentRead": True}}})
        yield from answer["Responses"].get(name, [])
        waiting = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
        idle = idle + 1 if len(waiting) == len(asked) else 0
        if idle > MAX_RETRIES:
            raise Unavailable()
        if waiting:
            pause(idle, sleep)
