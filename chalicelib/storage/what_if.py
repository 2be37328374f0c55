"""A store for trying out: reads see what was tried, else what stands; nothing that stands changes.

All writes go to items of their own in ``sessions``, under the job's own partitions, and expire
after seven days. What a flow then reads is what it would read had it run in earnest, so the same
flows make a preview and the run.

It keeps the whole contract, but for the trips: each call takes up to two per table, and a commit
reads what its conditions name. What is tried stands in no index: what is listed or falls due by one
is not for a preview. One job writes at a time: a second one meets ``Stale``. What others write to
the real store meanwhile is seen until the preview has written the same item.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Any

from chalicelib.core.names import Ms
from chalicelib.storage import keys
from chalicelib.storage.checks import check_key, check_page, checked, holds, key_of, left_by
from chalicelib.storage.store import (
    Add,
    BookStore,
    Check,
    Item,
    Key,
    Page,
    Put,
    Remove,
    Stale,
    TableName,
    Write,
)
from chalicelib.storage.visit_records import DAY_S

KEPT_DAYS = 7
_GONE = "gone"


@dataclass(frozen=True, slots=True)
class _Stands:
    """An item as it stands here (None: it does not), and the version of what says so: 0 where the
    real store does."""

    item: Item | None
    tried: int


class WhatIf:
    """A ``store.BookStore`` over another, for the preview of one job, made at ``now``."""

    def __init__(self, store: BookStore, job_id: str, now: Ms) -> None:
        self._store, self._job_id = store, job_id
        self.expires_at = now // 1000 + KEPT_DAYS * DAY_S

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        distinct = list(dict.fromkeys(keys))
        for key in distinct:
            check_key(key)
        return {key: s.item for key, s in self._stand(distinct).items() if s.item is not None}

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
        tried = keys.what_if(self._job_id, Key(table, pk, "-"))

        def rows(at: TableName, partition: str) -> Iterator[Item]:
            return _rows(
                self._store,
                at,
                partition,
                after=after,
                until=until,
                limit=limit + 1,
                backwards=backwards,
            )

        # of two with one sort key the tried one comes first: merge keeps the order of its sources
        both = merge(rows(tried.table, tried.pk), rows(table, pk), key=_sk, reverse=backwards)
        found: list[Item] = []
        for sk, same in groupby(both, key=_sk):
            first = next(same)
            here = first.key.pk == tried.pk and first.key.table == tried.table
            item = _untried(first, Key(table, pk, sk)) if here else first
            if item is not None:
                found.append(item)
            if len(found) > limit:
                break
        return Page(found[:limit], len(found) > limit)

    def commit(self, writes: Sequence[Write]) -> None:
        checked(writes)
        stand = self._stand([key_of(write) for write in writes])
        for write in writes:
            if not holds(write, stand[key_of(write)].item):
                raise Stale(f"{key_of(write)} is no longer as {type(write).__name__} expects")
        tries = [
            Put(self._tried(write, stand[key_of(write)]))
            for write in writes
            if not isinstance(write, Check)
        ]
        if tries:
            self._store.commit(tries)

    def _stand(self, wanted: Sequence[Key]) -> dict[Key, _Stands]:
        places = {keys.what_if(self._job_id, key): key for key in wanted}
        tried = self._store.get(list(places))
        stand = {
            places[place]: _Stands(_untried(item, places[place]), item.version)
            for place, item in tried.items()
        }
        real = self._store.get([key for key in wanted if key not in stand])
        return {key: stand.get(key) or _Stands(real.get(key), 0) for key in wanted}

    def _tried(self, write: Put | Remove | Add, stands: _Stands) -> Item:
        """What is put down for a write that holds."""
        item = left_by(write, stands.item)
        return Item(
            key=keys.what_if(self._job_id, key_of(write)),
            body=_body(item),
            version=stands.tried,
            blob=item.blob if item else None,
            expires_at=self.expires_at,
        )


def _body(item: Item | None) -> dict[str, Any]:
    if item is None:
        return {_GONE: True}
    pairs = {"listing": item.listing, "due": item.due, "partner": item.partner}
    told = {
        "version": item.version,
        "body": item.body,
        "numbers": item.numbers,
        "expires_at": item.expires_at,
        **{name: pair and list(pair) for name, pair in pairs.items()},
    }
    return {name: value for name, value in told.items() if value not in (None, {})}


def _untried(item: Item, key: Key) -> Item | None:
    """The item that was put down, under its own key; None for one that was removed."""
    told = item.body
    if _GONE in told:
        return None
    pairs = {name: tuple(told[name]) for name in ("listing", "due", "partner") if name in told}
    return Item(
        key=key,
        body=told.get("body", {}),
        version=told.get("version", 0),
        numbers=told.get("numbers", {}),
        blob=item.blob,
        expires_at=told.get("expires_at"),
        **pairs,
    )


def _rows(
    store: BookStore, table: TableName, pk: str, *, after: str, **asked: Any
) -> Iterator[Item]:
    """One partition's items, as far as they are taken, page after page."""
    more = True
    while more:
        page = store.query(table, pk, after=after, **asked)
        yield from page.items
        more = page.more and bool(page.items)
        after = page.items[-1].key.sk if page.items else after


def _sk(item: Item) -> str:
    return item.key.sk
