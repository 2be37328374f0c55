"""A webhook from Stripe: signature, reading, booking, stamp.

Whatever Stripe signed is put into the inbox, once, before anything comes of it. What tells of
nothing, or nothing new, or cannot be read, is put down as ``ignored``, ``handled`` or ``failed`` at
once. The rest is put down as received, and stamped in the transaction that books it. What could not
be written is owed to Stripe's retry, and what was received to the sweeper.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import BadSignature, NotFound, Refusal, Unavailable
from chalicelib.core.told import Ignored, Told
from chalicelib.flows.keep_event import AlreadyKept, EventStamp
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.storage import records
from chalicelib.storage.records import Connection, InboxHead
from chalicelib.storage.store import BookStore, Item
from chalicelib.stripe_adapter.envelope import Envelope, Unreadable, read_envelope
from chalicelib.stripe_adapter.signature import verify
from chalicelib.stripe_adapter.translate import translate

BUG = "bug: "  # how the reason begins of what failed by a fault of ours


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
    store: BookStore,
    connections: Connections,
    now: datetime,
    until: Callable[[], bool] = lambda: False,
) -> Received:
    """Take in one delivery. Raises ``NotFound``, ``BadSignature`` (nothing stored) or
    ``Unavailable`` (Stripe is to send it again)."""
    connection = connections.get(connection_id)
    if connection is None:
        raise NotFound("There is no such connection.")
    connection = _signed_for(connection, raw_body, signature, connections=connections, now=now)
    at = int(now.timestamp() * 1000)
    return receive_verified(raw_body, connection=connection, store=store, now=at, until=until)


def _signed_for(
    connection: Connection,
    raw_body: bytes,
    signature: str,
    *,
    connections: Connections,
    now: datetime,
) -> Connection:
    """The connection, by one of whose secrets this is signed. A secret that was replaced since this
    process read it is read again, which a flood of bad signatures can ask for only now and then."""
    try:
        verify(raw_body, signature, connections.webhook_secrets(connection), now=now)
    except BadSignature:
        again = connections.get_again(connection.id)
        if again is None:
            raise
        if not connections.webhook_secrets(again) and again.state == "closed":
            raise NotFound("This connection is closed.") from None
        verify(raw_body, signature, connections.webhook_secrets(again), now=now)
        return again
    return connection


def receive_verified(
    raw_body: bytes,
    *,
    connection: Connection,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
    ours: bool = False,
) -> Received:
    """Take in, for one connection, a body that is known to be Stripe's; or (``ours``) one that was
    made here of what Stripe answered. Raises ``Unavailable``."""
    told: Told | Ignored | Unreadable
    try:
        envelope = read_envelope(raw_body)
    except Unreadable as unreadable:
        # Signed, and not to be read: kept under its hash, for a person to look at.
        id, type = f"unreadable-{hashlib.sha256(raw_body).hexdigest()[:32]}", ""
        told = unreadable
    else:
        id, type = envelope.id, envelope.type
        if envelope.ours and not ours:
            # Under an id that is not its own: ids that begin like ours are ours alone.
            id = f"foreign-{hashlib.sha256(raw_body).hexdigest()[:32]}"
        told = _told_to(connection, envelope, raw_body, kept_as=id)
    if connection.state == "closed":
        told = Ignored(because=f"{records.CLOSED}: {connection.closed_because}")
    head = InboxHead(connection=connection.id, id=id, type=type, state="received", received_at=now)
    stamp = EventStamp(head, raw_body, store=store, now=now)
    return _handle(told, head, stamp, connection=connection, store=store, now=now, until=until)


def handle_event(
    item: Item,
    raw_body: bytes,
    *,
    connection: Connection,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
) -> Received:
    """Handle an event of the inbox, by today's reading of it; a repeat of what was handled changes
    nothing, and what is not this connection's stays ignored."""
    head = records.read_inbox(item)
    try:
        told = _told_to(connection, read_envelope(raw_body), raw_body, kept_as=head.id)
    except Unreadable as unreadable:
        told = unreadable
    stamp = EventStamp(head, raw_body, item=item, store=store, now=now)
    return _handle(told, head, stamp, connection=connection, store=store, now=now, until=until)


def _handle(
    told: Told | Ignored | Unreadable,
    head: InboxHead,
    stamp: EventStamp,
    *,
    connection: Connection,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool],
) -> Received:
    try:
        state, because = _booked(told, stamp, connection, store=store, now=now, until=until)
        if state != "handled":
            stamp.end(state, because)
    except AlreadyKept:
        state, because = "duplicate", ""
    return Received(
        state=state,
        type=head.type,
        event=head.id,
        because=because,
        program=connection.program,
        mode=connection.scope.mode,
    )


def _booked(
    told: Told | Ignored | Unreadable,
    stamp: EventStamp,
    connection: Connection,
    *,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool],
) -> tuple[str, str]:
    """How the event ends, and why. A bug of ours would repeat: keep the event, say so, let Stripe
    rest."""
    if isinstance(told, Ignored):
        return "ignored", told.because
    if isinstance(told, Unreadable):
        return "failed", told.because
    try:
        book_and_settle(
            told,
            scope=connection.scope,
            store=store,
            now=now,
            stamp=stamp,
            journal=False,  # the inbox has it
            until=until,
        )
    except (Unavailable, AlreadyKept):
        raise
    except Refusal as refusal:
        return "failed", refusal.message
    except Exception as error:
        return "failed", f"{BUG}{type(error).__name__} while booking"
    return "handled", ""


def _told_to(
    connection: Connection, envelope: Envelope, raw_body: bytes, *, kept_as: str
) -> Told | Ignored | Unreadable:
    """What the event tells this connection: nothing, if it is another's, or says that we made it
    and is not kept as one of ours."""
    out_of_place = _out_of_place(connection, envelope)
    if envelope.ours and kept_as != envelope.id:
        out_of_place = "it says that it was made here, and came from outside"
    return Ignored(because=out_of_place) if out_of_place else read_told(raw_body)


def read_told(raw_body: bytes) -> Told | Ignored | Unreadable:
    """What the event tells. A bug of ours would repeat: it counts as unreadable."""
    try:
        return translate(raw_body)
    except Unreadable as unreadable:
        return unreadable
    except Exception as error:
        return Unreadable(f"{BUG}{type(error).__name__} while reading")


def _out_of_place(connection: Connection, envelope: Envelope) -> str:
    """Why an event that this connection was sent is not its own, or an empty string."""
    if envelope.livemode != connection.livemode:
        sent, ours = ("live", "test") if envelope.livemode else ("test", "live")
        return f"a {sent} event on a {ours} connection"
    if envelope.account and envelope.account != connection.account:
        return "the event belongs to another Stripe account"
    return ""
