"""The store as the house sees it: items by key, read in batches, written all or nothing.

Two implementations pass one contract suite: ``dynamo.DynamoStore`` (PynamoDB) and the tests'
``MemoryStore``. A third, ``dynamo_direct.DirectStore``, passes the part that a visit needs. What
stands in which table, under which key, is said in ``keys.py`` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

TableName = Literal["clicks", "inbox", "records", "sessions"]
IndexName = Literal["listing", "due", "partner"]

MAX_WRITES = 100  # of one transaction; DynamoDB's own limit
MAX_ITEM_BYTES = 380_000  # DynamoDB's limit is 400 KB, keys and names included


@dataclass(frozen=True, slots=True)
class Key:
    table: TableName
    pk: str
    sk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One stored thing. ``body`` is JSON (ints stay ints; floats are refused).

    ``version`` counts its puts, from 1; 0 means not stored yet. ``numbers`` are kept by ``Add``
    alone. The indexes are sparse: an item is in one only while it carries that pair.
    ``blob`` is raw bytes kept beside the body (gzipped webhook bodies). ``expires_at`` is in unix
    seconds; from then on the store may drop the item.
    """

    key: Key
    body: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    listing: tuple[str, str] | None = None
    due: tuple[str, str] | None = None
    partner: tuple[str, str] | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    blob: bytes | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write an item as its next version. Holds if the stored version is still ``item.version``
    (0: it was never put). ``blind`` writes whatever stands there, as version 1."""

    item: Item
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an item, if its stored version is still ``version``. Put there again, it begins at
    version 1: what others may hold meanwhile is emptied instead (``records.no_work_item``)."""

    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Check:
    """Holds if the stored version is ``version`` (0: it was never put)."""

    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Add:
    """Add to an item's numbers, making the item if absent. Holds if every number in ``when`` has
    that value; one never written is 0."""

    key: Key
    amounts: Mapping[str, int]
    when: Mapping[str, int] = field(default_factory=dict)


Write = Put | Remove | Check | Add


@dataclass(frozen=True, slots=True)
class Page:
    """Items in the order of the sort key; ``more`` is whether any stand behind the last one."""

    items: Sequence[Item]
    more: bool


class Stale(Exception):
    """A condition did not hold or another transaction was in the way: read again and retry.
    Nothing was written."""


class ItemStore(Protocol):
    """What a visit needs of a store. Every call may raise ``refusals.Unavailable`` (throttled,
    timed out, away): then a commit may or may not have been written, and a retry must find out by
    its conditions."""

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items that exist, strongly consistent; one trip per table and 100 keys."""
        ...

    def commit(self, writes: Sequence[Write]) -> None:
        """All of 1 to 100 writes, or none, in one trip. No two may name one key. One write alone
        is a plain conditional write, not a transaction. Raises ``Stale``."""
        ...


class BookStore(ItemStore, Protocol):
    """What booking and settling need: no index, so that they can be tried out over another store
    (``what_if``)."""

    def query(
        self,
        table: TableName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        """One partition by sort key, strongly consistent: keys > ``after`` and <= ``until``
        (where given). ``backwards`` starts at the end: ``after`` is then the key before which to
        go on, ``until`` the last one wanted. At most ``limit`` items."""
        ...


class Store(BookStore, Protocol):
    """The whole of it."""

    def find(
        self,
        table: TableName,
        index: IndexName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        """The same over a sparse index, by the index's own pair; eventually consistent. Only keys
        (``key``, the index pair) are filled: ``get`` them for the rest. Items tied on one index
        sort key are kept or skipped together."""
        ...

    def walk(self, table: TableName, *, after: Key | None = None, limit: int) -> Page:
        """A whole table, page by page and strongly consistent, for jobs that an operator starts: a
        door never walks. In no promised order; ``after`` is the last key of the page before. What
        stands there all the while is met exactly once. A page may be short, and ``more`` true with
        nothing behind. Raises ``NotFound`` where there is no such table."""
        ...
