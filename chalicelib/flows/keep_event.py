"""The inbox: an event is put down once, with what became of it, and can be read again.

The packed body stands in the head's item, but for a large one that waits to be handled, since the
stamp rewrites its whole item (docs/decisions/0011-write-units.md).
"""

import gzip
from collections.abc import Sequence
from dataclasses import replace

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import NotFound, Unavailable
from chalicelib.storage import keys, records
from chalicelib.storage.records import InboxHead
from chalicelib.storage.store import BookStore, Item, Key, Put, Stale, Write

OVERDUE_MS = 120_000  # an event not handled by then is the sweeper's
BLOB_BYTES = 350_000  # of a gzipped body in one item
SMALL_BYTES = 1_700  # of one that stands in its head's item: with the head, two write units
MAX_BODY_BYTES = 5_000_000  # Lambda itself takes 6 MB


class AlreadyKept(Exception):
    """The event was received before, and is handled, ignored or marked as failed."""


class EventStamp:
    """Takes one event through the inbox, as the stamp of its booking.

    When the booking is about to write, the event is put down as received, and stamped ``handled``
    in the booking's transaction; when there is nothing to write, it is put down as handled at once.
    ``item`` is given where the event is there already (the sweeper's, a replay).
    """

    def __init__(
        self,
        head: InboxHead,
        raw_body: bytes,
        *,
        item: Item | None = None,
        store: BookStore,
        now: Ms,
    ) -> None:
        self._head, self._raw_body = head, raw_body
        self._item, self._given = item, item is not None
        self._store, self._now = store, now

    def __call__(self, attempt: int, changes: bool) -> Sequence[Write]:
        """The writes that belong into the booking's transaction. Raises ``AlreadyKept``."""
        if self._item is None:
            put = self._put(self._head if changes else _ended(self._head, "handled", ""))
            if put and not changes:
                return ()
        elif attempt:
            self._item = self._store.get([self._item.key]).get(self._item.key)
        if self._item is None or records.read_inbox(self._item).state == "handled":
            return ()
        return (records.stamped(self._item, state="handled", now=self._now),)

    def end(self, state: str, because: str) -> None:
        """Put the event down, or stamp it, as ignored or failed. Raises ``AlreadyKept``."""
        if self._item is None and self._put(_ended(self._head, state, because)):
            return
        assert self._item is not None
        try:
            stamp = records.stamped(self._item, state=state, now=self._now, because=because)
            self._store.commit([stamp])
        except Stale:
            raise AlreadyKept from None

    def _put(self, head: InboxHead) -> bool:
        """Whether it was not there; if it was, and still waits, or waited for its connection to be
        opened again, it is this one's to handle."""
        self._item, known = _keep(head, self._raw_body, store=self._store)
        there = records.read_inbox(self._item)
        if known and there.state != "received" and (head.kept_out or not there.kept_out):
            raise AlreadyKept
        return not known


def _ended(head: InboxHead, state: str, because: str) -> InboxHead:
    """The head of an event that is done with when it is put down."""
    return replace(head, state=state, because=because, handled_at=head.received_at, attempts=1)


def _keep(head: InboxHead, raw_body: bytes, *, store: BookStore) -> tuple[Item, bool]:
    """Put an event into the inbox if it is not there: its item, and whether it was there."""
    if len(raw_body) > MAX_BODY_BYTES:
        raise Unavailable("The event is larger than the inbox takes.")
    packed = gzip.compress(raw_body, mtime=0)
    waits = head.state == "received"
    apart = len(packed) > (SMALL_BYTES if waits else BLOB_BYTES)
    bodies = _body_items(head, packed) if apart else []
    for body in bodies[1:]:
        store.commit([Put(body, blind=True)])
    item = records.inbox_item(
        head,
        version=0,
        due_at=head.received_at + OVERDUE_MS if waits else None,
        blob=None if apart else packed,
    )
    try:
        store.commit([Put(item), *map(Put, bodies[:1])])
    except Stale:
        known = store.get([item.key]).get(item.key)
        if known is None:
            raise Unavailable from None
        return known, True
    return records.with_version(item, 1), False


def _body_items(head: InboxHead, packed: bytes) -> list[Item]:
    key = keys.inbox_body(head.connection, head.id)
    parts = [packed[i : i + BLOB_BYTES] for i in range(0, len(packed), BLOB_BYTES)]
    return [
        Item(
            key=Key(key.table, key.pk, key.sk if number == 0 else f"{key.sk}#{number}"),
            body={"parts": len(parts)} if number == 0 and len(parts) > 1 else {},
            blob=part,
            expires_at=head.received_at // 1000 + records.INBOX_TTL_S,
        )
        for number, part in enumerate(parts)
    ]


def stored_body(head: InboxHead, *, store: BookStore) -> bytes:
    """The raw body of an event of the inbox. Raises ``NotFound`` if it has expired."""
    key, body_key = keys.inbox(head.connection, head.id), keys.inbox_body(head.connection, head.id)
    found = store.get([key, body_key])
    if key in found and found[key].blob is not None:
        return gzip.decompress(found[key].blob or b"")
    first = found.get(body_key)
    if first is None or first.blob is None:
        raise NotFound("The body of this event is no longer there.")
    more = range(1, int(first.body.get("parts", 1)))
    rest = [Key(body_key.table, body_key.pk, f"{body_key.sk}#{n}") for n in more]
    items = store.get(rest) if rest else {}
    packed = first.blob + b"".join(items[k].blob or b"" for k in rest)
    return gzip.decompress(packed)
