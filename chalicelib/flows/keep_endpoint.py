"""The webhook endpoint that a connection has at Stripe: one of ours, with a secret that is known.

Stripe tells a secret once, in the answer that makes the endpoint. So each attempt to make one has a
name, stored before Stripe is asked, and the name is the request's idempotency key: whoever comes
after a crash asks the same again and is told the same, and two at one instant are told of one
endpoint. What is not told again is found by its metadata, removed, and made anew. Nothing is
removed but under the version of the connection that was read before Stripe was asked what is there.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.core.names import Ms
from chalicelib.core.refusals import (
    Conflict,
    NotFound,
    Refusal,
    StripeAway,
    StripeRefused,
    TooManyEndpoints,
    Unavailable,
)
from chalicelib.flows.read_connection import credentials_of, secret_place
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Item, Put, Stale, Store
from chalicelib.stripe_adapter import webhook_endpoints
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.webhook_endpoints import EVENTS, Endpoint

DAY_MS = 86_400_000
OLD_SECRET_MS = DAY_MS  # as long as Stripe itself signs with a rolled one


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStripe:
    """Where a connection's endpoint is, and who asks. ``url`` empty: whatever it is."""

    credentials: Credentials
    url: str = ""
    api_base: str = ""


def webhook_url(connection_id: str, base_url: str) -> str:
    return f"{base_url}/stripe/webhooks/{connection_id}"


def new_attempt() -> str:
    return secrets.token_hex(8)


def keep_endpoint(
    connection_id: str,
    *,
    at: AtStripe,
    store: Store,
    sealer: Sealer,
    now: Ms,
    others_end: Ms = 0,
) -> Connection:
    """See to it that the connection is open, with one endpoint at Stripe that is told today's
    events. A new one is made where none stands, its secret is not known, or an ``attempt`` is under
    way; the secrets before it end ``others_end`` (0: as they are). Raises ``TooManyEndpoints`` and
    what else Stripe refuses, ``Unavailable``, and ``Conflict`` if the connection is closed."""
    try:
        return until_not_stale(
            lambda _: _keep(
                connection_id, at, store=store, sealer=sealer, now=now, others_end=others_end
            )
        )
    except Unavailable:
        raise  # the next call goes on with this attempt
    except Refusal:
        with suppress(Stale, Unavailable):
            _give_up(connection_id, store=store)
        raise


def keep_events(
    connection: Connection, *, store: Store, sealer: Sealer, api_base: str = ""
) -> bool:
    """Have Stripe tell a connection's endpoint what this version of ours reads: whether that was
    something else before. Asks nobody where nothing is to be changed, and makes nothing: an
    endpoint that is gone stands again when the key is given again. Raises ``Unavailable`` and what
    Stripe refuses."""
    if connection.state != "open" or not connection.endpoint:
        return False
    if frozenset(connection.endpoint_events) == EVENTS:
        return False
    credentials = credentials_of(connection, store=store, sealer=sealer)
    webhook_endpoints.change(credentials, connection.endpoint, events=EVENTS, api_base=api_base)

    def write(_: int) -> bool:
        item, known = read_stored(connection.id, store=store)
        if known.endpoint != connection.endpoint:
            return False
        _put(replace(known, endpoint_events=tuple(sorted(EVENTS))), item.version, store=store)
        return True

    return until_not_stale(write)


def read_stored(connection_id: str, *, store: Store) -> tuple[Item, Connection]:
    """A connection as stored now. Raises ``NotFound``."""
    key = keys.connection(connection_id)
    item = store.get([key]).get(key)
    if item is None:
        raise NotFound("There is no such connection.")
    return item, records.read_connection(item)


def _keep(
    id: str, at: AtStripe, *, store: Store, sealer: Sealer, now: Ms, others_end: Ms
) -> Connection:
    """Raises ``Stale`` where it is to be looked at again from the start."""
    item, connection = read_stored(id, store=store)
    if connection.state == "closed":
        raise Conflict(f"This connection is closed: {connection.closed_because}")
    if connection.how == "oauth":
        raise Conflict("This account was connected by OAuth meanwhile: it needs no key.")
    version = item.version
    ours = _ours(id, at)
    standing = next((one for one in ours if one.id == connection.endpoint), None)
    if not connection.attempt:
        if standing and connection.sealed_webhook_secrets:
            return _as_it_should_be(standing, ours, connection, version, at, store=store)
        connection = replace(connection, attempt=new_attempt())
        version = _put(connection, version, store=store)
    made = _made(connection, version, ours, at, store=store)
    ours = _ours(id, at)
    if not made.secret or made.id not in {one.id for one in ours}:
        _put(replace(connection, attempt=new_attempt()), version, store=store)
        raise Stale  # an answer from Stripe's memory, of an endpoint that is gone
    sealed = sealer.seal(made.secret, place=secret_place(connection.program, id, "webhook_secret"))
    if connection.endpoint and not others_end:
        others_end = now + OLD_SECRET_MS
    after = replace(
        connection.opened().with_webhook_secret(sealed, now=now, others_end=others_end),
        endpoint=made.id,
        endpoint_events=tuple(sorted(EVENTS)),
    )
    try:
        _put(after, version, store=store)
    except Stale:
        if not _wanted(id, store=store):
            _remove([made], at)  # nobody else would: its key is forgotten
        raise
    _remove([one for one in ours if one.id != made.id], at)
    return after


def _wanted(id: str, *, store: Store) -> bool:
    """Whether the connection is still one that has an endpoint of its own."""
    try:
        _, connection = read_stored(id, store=store)
    except NotFound:
        return False
    return connection.state != "closed" and connection.how == "key"


def _as_it_should_be(
    standing: Endpoint,
    ours: Sequence[Endpoint],
    connection: Connection,
    version: int,
    at: AtStripe,
    *,
    store: Store,
) -> Connection:
    """The endpoint that stands, with today's events and address, switched on, and alone."""
    url = at.url or standing.url
    if (standing.events, standing.url, standing.enabled) != (EVENTS, url, True):
        try:
            webhook_endpoints.change(
                at.credentials,
                standing.id,
                events=EVENTS,
                url=url,
                enabled=True,
                api_base=at.api_base,
            )
        except StripeRefused as refused:
            if refused.stripe_code == "resource_missing":
                raise Stale from None  # removed since it was found
            raise
    after = replace(connection.opened(), endpoint_events=tuple(sorted(EVENTS)))
    others = [one for one in ours if one.id != standing.id]
    if after != connection:
        _put(after, version, store=store)
    elif others and read_stored(connection.id, store=store)[0].version != version:
        raise Stale
    _remove(others, at)
    return after


def _made(
    connection: Connection, version: int, ours: Sequence[Endpoint], at: AtStripe, *, store: Store
) -> Endpoint:
    """The endpoint of the connection's attempt, made now or by whoever began it."""
    try:
        return webhook_endpoints.make(
            at.credentials,
            url=at.url,
            events=EVENTS,
            connection=connection.id,
            attempt=connection.attempt,
            api_base=at.api_base,
        )
    except TooManyEndpoints:
        lost = [one for one in ours if one.id != connection.endpoint]
        if not lost:
            raise
        _put(replace(connection, attempt=new_attempt()), version, store=store)
        _remove(lost, at)
        raise Stale from None
    except StripeAway as away:
        if away.answered:  # and answers the same to this name for a day
            _put(replace(connection, attempt=new_attempt()), version, store=store)
        raise


def _ours(id: str, at: AtStripe) -> tuple[Endpoint, ...]:
    return webhook_endpoints.find_ours(at.credentials, connection=id, api_base=at.api_base)


def _remove(endpoints: Sequence[Endpoint], at: AtStripe) -> None:
    for one in endpoints:
        webhook_endpoints.remove(at.credentials, one.id, api_base=at.api_base)


def _put(connection: Connection, version: int, *, store: Store) -> int:
    """Store it over that version: the version that it is then. Raises ``Stale``."""
    store.commit([Put(records.connection_item(connection, version=version))])
    return version + 1


def _give_up(connection_id: str, *, store: Store) -> None:
    """Stripe said no: the attempt is over, and another will be another. Of a connection that is
    still being opened whoever opens it decides."""
    item, connection = read_stored(connection_id, store=store)
    if connection.attempt and not connection.opening:
        _put(replace(connection, attempt=""), item.version, store=store)
