"""What every store refuses before anything is written. Pure, and shared by all stores, so that a
test on the in-memory store meets the same refusals as the cloud. And what a write asks and leaves,
for stores that are no database of their own.

A refusal here is a bug of the caller, hence TypeError or ValueError and never a ``Refusal``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .store import (
    MAX_ITEM_BYTES,
    MAX_WRITES,
    Add,
    Check,
    IndexName,
    Item,
    Key,
    Put,
    Remove,
    TableName,
    Write,
)

INDEXES: Mapping[TableName, frozenset[IndexName]] = {
    "clicks": frozenset(),
    "inbox": frozenset({"due"}),
    "records": frozenset({"listing", "due", "partner"}),
    "sessions": frozenset(),
}
"""The indexes of each table; ``.chalice/resources.json`` makes them."""

MAX_COMMIT_BYTES = 4_000_000
"""DynamoDB refuses a transaction whose items pass 4 MB together (API_TransactWriteItems)."""

_MAX_PK_BYTES = 2_048  # DynamoDB, "Service, account, and table quotas": partition key
_MAX_SK_BYTES = 1_024  # and sort key
_MAX_DIGITS = 38  # of a DynamoDB number
_NUMBER_NAME = re.compile(r"[A-Za-z0-9_:-]{1,64}")
_NUMBER_BYTES = 24  # at most: 38 digits, packed two by two, a sign, an exponent and some room


def checked(writes: Sequence[Write]) -> list[str]:
    """The body texts of a commit's puts, by position ('' for other writes).

    Raises ValueError for no write, more than MAX_WRITES, two on one key, an item above
    MAX_ITEM_BYTES, a commit above MAX_COMMIT_BYTES, a key or index the table cannot hold;
    TypeError for a float, or anything else that JSON would change, in a body, and for a number
    that is no int.
    """
    if not 1 <= len(writes) <= MAX_WRITES:
        raise ValueError(f"a commit takes 1 to {MAX_WRITES} writes, not {len(writes)}")
    keys = [key_of(write) for write in writes]
    for key in keys:
        check_key(key)
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"two writes of one commit name {twice}")
    texts = [_check_write(write) for write in writes]
    total = sum(
        _item_bytes(write.item, text)
        for write, text in zip(writes, texts, strict=True)
        if isinstance(write, Put)
    )
    if total > MAX_COMMIT_BYTES:
        raise ValueError(f"a commit of {total} bytes; at most {MAX_COMMIT_BYTES}")
    return texts


def holds(write: Write, stands: Item | None) -> bool:
    """Whether a write's condition holds where ``stands`` does (None: no item does)."""
    stands = stands or Item(key=key_of(write))
    match write:
        case Put():
            return write.blind or stands.version == write.item.version
        case Remove() | Check():
            return stands.version == write.version
        case Add():
            return all(stands.numbers.get(name, 0) == value for name, value in write.when.items())


def left_by(write: Put | Remove | Add, stands: Item | None) -> Item | None:
    """What then stands in its place; None once nothing does. A put leaves the numbers."""
    match write:
        case Put():
            version = 1 if write.blind else write.item.version + 1
            return replace(write.item, version=version, numbers=stands.numbers if stands else {})
        case Add():
            stands = stands or Item(key=write.key)
            added = {n: stands.numbers.get(n, 0) + amount for n, amount in write.amounts.items()}
            return replace(stands, numbers={**stands.numbers, **added})
        case Remove():
            return None


def key_of(write: Write) -> Key:
    return write.item.key if isinstance(write, Put) else write.key


def check_key(key: Key) -> None:
    """Raises ValueError for a key that DynamoDB would refuse: empty, too long, or not UTF-8."""
    _check_pair(key.pk, key.sk, f"key {key}")


def check_page(
    table: TableName, index: IndexName | None, pk: str, after: str, until: str, limit: int
) -> None:
    """Raises ValueError for what no page can be read by."""
    if index is not None and index not in INDEXES[table]:
        raise ValueError(f"table {table} has no index {index}")
    if exact_int(limit, "limit") < 1:
        raise ValueError(f"limit {limit}; at least 1")
    for bound in (after, until):
        _check_pair(pk, bound or "-", "page bounds")


def check_walk(table: TableName, after: Key | None, limit: int) -> None:
    """Raises ValueError for where no walk can go on from."""
    if exact_int(limit, "limit") < 1:
        raise ValueError(f"limit {limit}; at least 1")
    if after is not None:
        check_key(after)
        if after.table != table:
            raise ValueError(f"{after} is not of table {table}")


def exact_int(value: object, what: str) -> int:
    """The value, if it is an int and nothing else: no bool, no float, no Decimal (TypeError), and
    not more digits than DynamoDB keeps (ValueError)."""
    if type(value) is not int:
        raise TypeError(f"{what} takes an int, not {type(value).__name__}")
    if abs(value) >= 10**_MAX_DIGITS:
        raise ValueError(f"{what} has more than {_MAX_DIGITS} digits")
    return value


def body_text(body: Mapping[str, Any]) -> str:
    """The body as compact JSON. Raises TypeError for what would not come back as it went in.

    Text is kept as it is, which is half as long as escapes; half a surrogate pair, which JSON from
    outside can carry and UTF-8 cannot, puts the whole body into escapes.
    """
    _refuse_inexact(body)
    text = _compact(body, escaped=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _compact(body, escaped=True)
    return text


def _compact(body: Mapping[str, Any], *, escaped: bool) -> str:
    return json.dumps(body, ensure_ascii=escaped, separators=(",", ":"), default=dict)


def _refuse_inexact(value: object) -> None:
    match value:
        case None | bool() | str() | int():
            return
        case Mapping():
            for name, part in value.items():
                if not isinstance(name, str):
                    raise TypeError(f"a body names its fields by str, not {name!r}")
                _refuse_inexact(part)
        case list() | tuple():
            for part in value:
                _refuse_inexact(part)
        case _:
            raise TypeError(f"a body takes no {type(value).__name__}")


def _check_write(write: Write) -> str:
    match write:
        case Put():
            return _check_item(write.item)
        case Remove() | Check():
            _check_version(write.version)
        case Add():
            if not write.amounts:
                raise ValueError("an Add of nothing")
            for name, amount in (*write.amounts.items(), *write.when.items()):
                _check_number(name, amount)
    return ""


def _check_item(item: Item) -> str:
    _check_version(item.version)
    pairs: Mapping[IndexName, tuple[str, str] | None] = {
        "listing": item.listing,
        "due": item.due,
        "partner": item.partner,
    }
    for index, pair in pairs.items():
        if pair is not None:
            if index not in INDEXES[item.key.table]:
                raise ValueError(f"table {item.key.table} has no index {index}")
            _check_pair(*pair, f"index {index}")
    for name, number in item.numbers.items():
        _check_number(name, number)
    if item.expires_at is not None:
        exact_int(item.expires_at, "expires_at")
    if item.blob is not None and not isinstance(item.blob, bytes):
        raise TypeError(f"a blob is bytes, not {type(item.blob).__name__}")
    text = body_text(item.body)
    size = _item_bytes(item, text)
    if size > MAX_ITEM_BYTES:
        raise ValueError(f"{item.key} has {size} bytes; at most {MAX_ITEM_BYTES}")
    return text


def _check_version(version: int) -> None:
    if exact_int(version, "version") < 0:
        raise ValueError(f"version {version} is below 0")


def _check_number(name: str, number: int) -> None:
    if not _NUMBER_NAME.fullmatch(name):
        raise ValueError(f"number name {name!r}: 1 to 64 letters, digits, _ : -")
    exact_int(number, f"number {name}")


def _check_pair(pk: str, sk: str, what: str) -> None:
    if not 1 <= len(pk.encode()) <= _MAX_PK_BYTES or not 1 <= len(sk.encode()) <= _MAX_SK_BYTES:
        raise ValueError(f"{what}: 1 to {_MAX_PK_BYTES} and 1 to {_MAX_SK_BYTES} bytes")


def _item_bytes(item: Item, text: str) -> int:
    """The size as DynamoDB counts it, rounded up: names and values in UTF-8 ("DynamoDB item sizes
    and formats")."""
    pairs = [(item.key.pk, item.key.sk), item.listing, item.due, item.partner]
    names_and_small = 32 + 2 * _NUMBER_BYTES  # pk sk v b z ttl lpk lsk dpk dsk ppk psk
    return (
        names_and_small
        + sum(len(part.encode()) for pair in pairs if pair for part in pair)
        + sum(len(name) + 2 + _NUMBER_BYTES for name in item.numbers)
        + len(text.encode())
        + len(item.blob or b"")
    )
