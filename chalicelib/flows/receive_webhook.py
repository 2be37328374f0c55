"""A webhook from Stripe: signature, inbox, facts, stamp.

Whatever Stripe signed is first put into the inbox, once. Then it is handled; the stamp that says
so is written in the last transaction of the handling. What cannot be read is stamped ``failed``
and can be replayed by a later version; what could not be written is owed to Stripe's retry.
"""

import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import NotFound, Refusal, Unavailable
from chalicelib.core.told import Ignored
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection, InboxHead
from chalicelib.storage.store import Item, Key, Put, Stale, Store, Write
from chalicelib.stripe_adapter.envelope import Envelope, Unreadable, read_envelope
from chalicelib.stripe_adapter.signature import verify
from chalicelib.stripe_adapter.translate import translate

OVERDUE_MS = 120_000  # an event not handled by then is the sweeper's
BLOB_BYTES = 350_000  # of a gzipped body in one item
MAX_BODY_BYTES = 5_000_000  # Lambda itself takes 6 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of an event: ``state`` as in the inbox, or ``duplicate``."""

    state: str
    type: str = ""
    event: str = ""
    because: str = ""
    program: str = ""
    mode: str = ""


def receive_webhook(
    connection_id: str,
    raw_body: bytes,
    signature: str,
    *,
    store: Store,
    connections: Connections,
    now: datetime,
    until: Callable[[], bool] = lambda: False,
) -> Received:
    """Take in one delivery. Raises ``NotFound``, ``BadSignature`` (nothing stored) or
    ``Unavailable`` (Stripe is to send it again)."""
    connection = connections.get(connection_id)
    if connection is None:
        raise NotFound("There is no such connection.")
    verify(raw_body, signature, connections.webhook_secrets(connection), now=now)
    at = int(now.timestamp() * 1000)
    try:
        envelope = read_envelope(raw_body)
    except Unreadable as unreadable:
        return _keep_unreadable(connection, raw_body, unreadable.because, store=store, now=at)
    out_of_place = _out_of_place(connection, envelope)
    head = InboxHead(
        connection=connection.id,
        id=envelope.id,
        type=envelope.type,
        state="ignored" if out_of_place else "received",
        because=out_of_place,
        received_at=at,
    )
    known = _keep(head, raw_body, store=store)
    if known is not None and records.read_inbox(known).state != "received":
        return _received(head, connection, state="duplicate")
    if out_of_place:
        return _received(head, connection, state="ignored", because=out_of_place)
    item = known or _as_stored(head)
    return handle_event(item, raw_body, connection=connection, store=store, now=at, until=until)


def handle_event(
    item: Item,
    raw_body: bytes,
    *,
    connection: Connection,
    store: Store,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
) -> Received:
    """Handle an event of the inbox; a repeat of what was handled changes nothing."""
    head = records.read_inbox(item)
    try:
        told = translate(raw_body)
    except Unreadable as unreadable:
        return _stamp(item, connection, "failed", unreadable.because, store=store, now=now)
    except Exception as error:  # a bug would repeat: keep the event, say so, let Stripe rest
        because = f"bug: {type(error).__name__} while reading"
        return _stamp(item, connection, "failed", because, store=store, now=now)
    if isinstance(told, Ignored):
        return _stamp(item, connection, "ignored", told.because, store=store, now=now)
    stamp = InboxStamp(item, store=store, now=now)
    try:
        book_and_settle(
            told, scope=connection.scope, store=store, now=now, stamp=stamp, until=until
        )
    except Unavailable:
        raise
    except Refusal as refusal:
        return _stamp(item, connection, "failed", refusal.message, store=store, now=now)
    except Exception as error:
        because = f"bug: {type(error).__name__} while booking"
        return _stamp(item, connection, "failed", because, store=store, now=now)
    return _received(head, connection, state="handled")


class InboxStamp:
    """The stamp ``handled``, for the transaction that handles an event. When that transaction is
    tried again, somebody else may have stamped it meanwhile: then there is nothing to stamp."""

    def __init__(self, item: Item, *, store: Store, now: Ms) -> None:
        self._item: Item | None = item
        self._key, self._store, self._now = item.key, store, now

    def __call__(self, attempt: int) -> Sequence[Write]:
        if attempt:
            self._item = self._store.get([self._key]).get(self._key)
        if self._item is None or records.read_inbox(self._item).state == "handled":
            return ()
        return (records.stamped(self._item, state="handled", now=self._now),)


def _out_of_place(connection: Connection, envelope: Envelope) -> str:
    """Why an event that this connection was sent is not its own, or an empty string."""
    if envelope.livemode != connection.livemode:
        sent, ours = ("live", "test") if envelope.livemode else ("test", "live")
        return f"a {sent} event on a {ours} connection"
    if envelope.account and envelope.account != connection.account:
        return "the event belongs to another Stripe account"
    return ""


def _keep(head: InboxHead, raw_body: bytes, *, store: Store) -> Item | None:
    """Put an event into the inbox if it is not there; returns the item that was there."""
    due_at = head.received_at + OVERDUE_MS if head.state == "received" else None
    key = keys.inbox(head.connection, head.id)
    bodies = _body_items(head, raw_body)
    for body in bodies[1:]:
        store.commit([Put(body, blind=True)])
    try:
        store.commit([Put(records.inbox_item(head, version=0, due_at=due_at)), Put(bodies[0])])
    except Stale:
        known = store.get([key]).get(key)
        if known is None:
            raise Unavailable from None
        return known
    return None


def _as_stored(head: InboxHead) -> Item:
    item = records.inbox_item(head, version=0, due_at=head.received_at + OVERDUE_MS)
    return records.with_version(item, 1)


def _body_items(head: InboxHead, raw_body: bytes) -> list[Item]:
    if len(raw_body) > MAX_BODY_BYTES:
        raise Unavailable("The event is larger than the inbox takes.")
    packed = gzip.compress(raw_body, mtime=0)
    key = keys.inbox_body(head.connection, head.id)
    parts = [packed[i : i + BLOB_BYTES] for i in range(0, len(packed), BLOB_BYTES)]
    return [
        Item(
            key=Key(key.table, key.pk, key.sk if number == 0 else f"{key.sk}#{number}"),
            body={"parts": len(parts)} if number == 0 else {},
            blob=part,
            expires_at=head.received_at // 1000 + records.INBOX_TTL_S,
        )
        for number, part in enumerate(parts)
    ]


def stored_body(head: InboxHead, *, store: Store) -> bytes:
    """The raw body of an event of the inbox. Raises ``NotFound`` if it has expired."""
    key = keys.inbox_body(head.connection, head.id)
    first = store.get([key]).get(key)
    if first is None or first.blob is None:
        raise NotFound("The body of this event is no longer there.")
    rest = [Key(key.table, key.pk, f"{key.sk}#{n}") for n in range(1, int(first.body["parts"]))]
    items = store.get(rest) if rest else {}
    packed = first.blob + b"".join(items[k].blob or b"" for k in rest)
    return gzip.decompress(packed)


def _keep_unreadable(
    connection: Connection, raw_body: bytes, because: str, *, store: Store, now: Ms
) -> Received:
    """Stripe signed it, we cannot read it: kept under its hash, for a person to look at."""
    digest = hashlib.sha256(raw_body).hexdigest()
    head = InboxHead(
        connection=connection.id,
        id=f"unreadable-{digest[:32]}",
        type="",
        state="failed",
        because=because,
        received_at=now,
    )
    known = _keep(head, raw_body, store=store)
    return _received(head, connection, state="duplicate" if known else "failed", because=because)


def _stamp(
    item: Item, connection: Connection, state: str, because: str, *, store: Store, now: Ms
) -> Received:
    head = records.read_inbox(item)
    try:
        store.commit([records.stamped(item, state=state, now=now, because=because)])
    except Stale:
        return _received(head, connection, state="duplicate")
    return _received(head, connection, state=state, because=because)


def _received(
    head: InboxHead, connection: Connection, *, state: str, because: str = ""
) -> Received:
    return Received(
        state=state,
        type=head.type,
        event=head.id,
        because=because,
        program=connection.program,
        mode=connection.scope.mode,
    )
