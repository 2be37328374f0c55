"""The one webhook of all accounts that were connected by OAuth: signature, whose event it is, and
then each of the account's connections apart."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode
from chalicelib.core.refusals import BadSignature, NotFound
from chalicelib.flows.keep_event import AlreadyKept, EventStamp
from chalicelib.flows.receive_webhook import Received, receive_verified
from chalicelib.flows.stripe_platform import MODES, OpenUse, WebhookSecrets, open_uses
from chalicelib.storage.records import InboxHead
from chalicelib.storage.store import Store
from chalicelib.stripe_adapter.envelope import Envelope, Unreadable, read_envelope
from chalicelib.stripe_adapter.signature import verify

CONNECT = "connect"
"""What stands in the webhook's address where others have a connection's id."""
DEAUTHORISED = "account.application.deauthorized"
BECAUSE_DEAUTHORISED = "the account took its authorisation back at Stripe"


def receive_connect_webhook(
    raw_body: bytes,
    signature: str,
    *,
    store: Store,
    secrets: WebhookSecrets,
    now: datetime,
    until: Callable[[], bool] = lambda: False,
    say: Callable[[Received], None] = lambda received: None,
) -> Sequence[Received]:
    """Take in one delivery for every open connection of its account; ``say`` is told of each at
    once. Where one cannot be served the others are all the same, and then this raises, so that
    Stripe sends it again: they know it by then.

    Raises ``NotFound`` while OAuth is not configured, ``BadSignature``, ``Unavailable``.
    """
    envelope = _verified(raw_body, signature, secrets=secrets, now=now)
    if isinstance(envelope, Unreadable):
        return _told(say, Received(state="failed", because=envelope.because))
    about = Received(state="ignored", type=envelope.type, event=envelope.id)
    if not envelope.account:
        because = "the event is of the platform's own account"
        return _told(say, replace(about, because=because))
    mode: Mode = "live" if envelope.livemode else "test"
    uses = open_uses(envelope.account, mode, store=store)
    if not uses:
        return _told(say, replace(about, because="the account has no open connection here"))
    at = int(now.timestamp() * 1000)
    received: list[Received] = []
    trouble: Exception | None = None
    for use in uses:
        try:
            took = _take(raw_body, envelope, use, store=store, now=at, until=until)
        except Exception as error:  # one program's trouble is not the others'
            trouble = trouble or error
            continue
        received.append(took)
        say(took)
    if trouble:
        raise trouble
    return received


def _verified(
    raw_body: bytes, signature: str, *, secrets: WebhookSecrets, now: datetime
) -> Envelope | Unreadable:
    """What Stripe signed. A live endpoint is sent test events too; a test endpoint is never sent a
    live one, so its secret vouches for none."""
    known = secrets.get()
    if not any(known.values()):
        raise NotFound("OAuth is not configured here, so nothing is expected at this address.")
    try:
        vouches = _vouches(raw_body, signature, known, now=now)
    except BadSignature:
        if not secrets.read_again():
            raise
        vouches = _vouches(raw_body, signature, secrets.get(), now=now)
    try:
        envelope = read_envelope(raw_body)
    except Unreadable as unreadable:
        return unreadable
    if envelope.livemode and vouches == "test":
        raise BadSignature("A test endpoint's secret signs no live event.")
    return envelope


def _vouches(
    raw_body: bytes, signature: str, secrets: Mapping[Mode, Sequence[str]], *, now: datetime
) -> Mode:
    """The mode of the endpoint that signed this. Raises ``BadSignature``."""
    for mode in MODES:
        with suppress(BadSignature):
            verify(raw_body, signature, secrets.get(mode, ()), now=now)
            return mode
    verify(raw_body, signature, [one for each in secrets.values() for one in each], now=now)
    raise BadSignature("No endpoint of this deployment signed this.")


def _take(
    raw_body: bytes,
    envelope: Envelope,
    use: OpenUse,
    *,
    store: Store,
    now: Ms,
    until: Callable[[], bool],
) -> Received:
    if envelope.type == DEAUTHORISED:
        return _deauthorised(raw_body, envelope, use, store=store, now=now)
    return receive_verified(raw_body, connection=use.connection, store=store, now=now, until=until)


def _deauthorised(
    raw_body: bytes, envelope: Envelope, use: OpenUse, *, store: Store, now: Ms
) -> Received:
    """Close the connection, then put the event down. One that comes late, once the account was
    authorised anew, closes nothing; times are compared in whole seconds, as Stripe tells them."""
    from chalicelib.flows.disconnect import close

    connection = use.connection
    state, because = "handled", BECAUSE_DEAUTHORISED
    if envelope.created // 1000 < use.authorised_at // 1000:
        state, because = "ignored", "the account was authorised again since"
    else:
        close(connection.id, because, store=store, now=now, version=use.version)
    head = InboxHead(
        connection=connection.id,
        id=envelope.id,
        type=envelope.type,
        state="received",
        received_at=now,
    )
    try:
        EventStamp(head, raw_body, store=store, now=now).end(state, because)
    except AlreadyKept:
        state = "duplicate"
    return Received(
        state=state,
        type=envelope.type,
        event=envelope.id,
        because=because,
        program=connection.program,
        mode=connection.scope.mode,
    )


def _told(say: Callable[[Received], None], received: Received) -> Sequence[Received]:
    say(received)
    return (received,)
