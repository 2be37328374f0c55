"""The store in a file, for more items than memory should hold: what a process needs beside its
database can then be measured.

It keeps the store's contract for one process and one thread, and counts its calls.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib.storage.checks import (
    check_key,
    check_page,
    check_walk,
    checked,
    holds,
    key_of,
    left_by,
)
from chalicelib.storage.store import (
    Check,
    IndexName,
    Item,
    Key,
    Page,
    Put,
    Stale,
    TableName,
    Write,
)

CACHE_KB = 4_000
_INDEXES: tuple[IndexName, ...] = ("listing", "due", "partner")
_TABLES = """
create table items (t text, pk text, sk text, head text, body text, blob blob,
    primary key (t, pk, sk)) without rowid;
create table places (t text, i text, ipk text, isk text, pk text, sk text,
    primary key (t, i, ipk, isk, pk, sk)) without rowid;
"""


class DiskStore:
    """A ``store.Store``. ``calls`` counts by name; ``written`` are the items written."""

    def __init__(self, file: Path) -> None:
        self.calls: Counter[str] = Counter()
        self.written = 0
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=off", "synchronous=off", f"cache_size=-{CACHE_KB}"):
            self._db.execute(f"pragma {setting}")
        self._db.executescript(_TABLES)

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        distinct = list(dict.fromkeys(keys))
        for key in distinct:
            check_key(key)
        self.calls["get"] += len({key.table for key in distinct})
        items = ((key, self._item(key)) for key in distinct)
        return {key: item for key, item in items if item is not None}

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
        check_page(table, None, pk, after, until, limit)
        self.calls["query"] += 1
        where, told = _bounds("sk", after, until, backwards)
        rows = self._db.execute(
            f"select sk from items where t=? and pk=? {where} limit ?",
            (table, pk, *told, limit + 1),
        ).fetchall()
        found = [self._item(Key(table, pk, sk)) for (sk,) in rows[:limit]]
        return Page([item for item in found if item is not None], len(rows) > limit)

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
        check_page(table, index, pk, after, until, limit)
        self.calls["find"] += 1
        where, told = _bounds("isk", after, until, backwards)
        rows = self._db.execute(
            f"select pk, sk, isk from places where t=? and i=? and ipk=? {where} limit ?",
            (table, index, pk, *told, limit + 1),
        ).fetchall()
        items = [_in_index(Key(table, of, sk), index, (pk, isk)) for of, sk, isk in rows[:limit]]
        return Page(items, len(rows) > limit)

    def walk(self, table: TableName, *, after: Key | None = None, limit: int) -> Page:
        check_walk(table, after, limit)
        self.calls["walk"] += 1
        behind = (after.pk, after.sk) if after else ("", "")
        rows = self._db.execute(
            "select pk, sk from items where t=? and (pk, sk) > (?, ?) order by pk, sk limit ?",
            (table, *behind, limit + 1),
        ).fetchall()
        found = [self._item(Key(table, pk, sk)) for pk, sk in rows[:limit]]
        return Page([item for item in found if item is not None], len(rows) > limit)

    def commit(self, writes: Sequence[Write]) -> None:
        texts = checked(writes)
        self.calls["commit"] += 1
        stand = {key_of(write): self._item(key_of(write)) for write in writes}
        for write in writes:
            if not holds(write, stand[key_of(write)]):
                raise Stale(f"{key_of(write)} is no longer as {type(write).__name__} expects")
        for write, text in zip(writes, texts, strict=True):
            self._apply(write, text, stand[key_of(write)])

    def _item(self, key: Key) -> Item | None:
        row = self._db.execute(
            "select head, body, blob from items where t=? and pk=? and sk=?",
            (key.table, key.pk, key.sk),
        ).fetchone()
        if row is None:
            return None
        head = json.loads(row[0])
        pairs: dict[str, Any] = {i: tuple(head[i]) for i in _INDEXES if i in head}
        return Item(
            key=key,
            body=json.loads(row[1]),
            version=head["v"],
            numbers=head.get("n", {}),
            expires_at=head.get("ttl"),
            blob=row[2],
            **pairs,
        )

    def _apply(self, write: Write, text: str, stands: Item | None) -> None:
        if isinstance(write, Check):
            return
        self.written += 1
        item = left_by(write, stands)
        if item is not None:
            self._keep(item, text if isinstance(write, Put) else json.dumps(item.body), stands)
            return
        self._forget(stands)
        key = key_of(write)
        where = (key.table, key.pk, key.sk)
        self._db.execute("delete from items where t=? and pk=? and sk=?", where)

    def _keep(self, item: Item, text: str, stands: Item | None) -> None:
        self._forget(stands)
        key, head = item.key, {"v": item.version, "n": item.numbers, "ttl": item.expires_at}
        for index in _INDEXES:
            pair = getattr(item, index)
            if pair is not None:
                head[index] = pair
                place = (key.table, index, *pair, key.pk, key.sk)
                self._db.execute("insert into places values (?, ?, ?, ?, ?, ?)", place)
        row = (key.table, key.pk, key.sk, json.dumps(head), text, item.blob)
        self._db.execute("insert or replace into items values (?, ?, ?, ?, ?, ?)", row)

    def _forget(self, stands: Item | None) -> None:
        """It is in no index any more."""
        for index in _INDEXES if stands else ():
            pair = getattr(stands, index)
            if stands and pair:
                place = (stands.key.table, index, *pair, stands.key.pk, stands.key.sk)
                self._db.execute(
                    "delete from places where t=? and i=? and ipk=? and isk=? and pk=? and sk=?",
                    place,
                )


def _bounds(name: str, after: str, until: str, backwards: bool) -> tuple[str, list[str]]:
    beyond, within = ("<", ">=") if backwards else (">", "<=")
    bounds = [(f"and {name} {sign} ?", b) for sign, b in ((beyond, after), (within, until)) if b]
    order = f"order by {name} {'desc' if backwards else 'asc'}"
    return " ".join([*(clause for clause, _ in bounds), order]), [bound for _, bound in bounds]


def _in_index(key: Key, index: IndexName, pair: tuple[str, str]) -> Item:
    pairs: Mapping[str, Any] = {index: pair}
    return Item(key=key, **pairs)
