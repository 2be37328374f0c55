"""A new key, or a new webhook secret, for a connection that goes on without a gap."""

from dataclasses import dataclass, replace

from chalicelib.core.names import Ms
from chalicelib.core.refusals import Conflict
from chalicelib.flows.connect_with_key import Known, ask_about, open_connection, with_key
from chalicelib.flows.keep_endpoint import (
    OLD_SECRET_MS,
    AtStripe,
    keep_endpoint,
    new_attempt,
    read_stored,
    webhook_url,
)
from chalicelib.flows.manage_programs import read_program
from chalicelib.flows.read_connection import credentials_of, open_secret, secret_place
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.show_connections import find_connection
from chalicelib.storage import records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Put, Store
from chalicelib.stripe_adapter.credentials import check_webhook_secret

BY_HAND_STAYS = (
    "The endpoint that was made by hand is not ours to remove: its secret is valid for another day;"
    " delete it in Stripe's Dashboard."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    connection: Connection
    warnings: tuple[str, ...] = ()


def rotate_key(
    connection_id: str,
    api_key: str,
    *,
    scope: Scope,
    base_url: str,
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str = "",
) -> Rotated:
    """A new key of the same account takes the place of the old one, which works until this one is
    stored. Raises ``Conflict`` for a key of another account, ``Invalid`` for one that does not
    do."""
    connection = _open_by_key(connection_id, scope=scope, store=store)
    program = read_program(scope.program, store=store)
    if not connection.endpoint:  # made by hand, or where nothing reaches us: it stays so
        base_url = ""
    known = ask_about(
        api_key, program=program, scope=scope, with_endpoint=bool(base_url), api_base=api_base
    )
    if connection.account and known.account.id != connection.account:
        raise Conflict(
            f"This key belongs to another Stripe account ({known.account.id}); this connection is"
            f" of {connection.account}, and stays as it is. Connect the other account on its own."
        )
    stored = until_not_stale(lambda _: _with_key(connection_id, known, store=store, sealer=sealer))
    rotated = open_connection(
        stored,
        known,
        base_url=base_url,
        store=store,
        sealer=sealer,
        now=now,
        api_base=api_base,
    )
    return Rotated(connection=rotated)


def rotate_webhook_secret(
    connection_id: str,
    *,
    scope: Scope,
    base_url: str,
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str = "",
) -> Rotated:
    """A new endpoint with a new secret; the old one is removed once the new one is stored, and its
    secret is good for another day, for what is on its way. Raises ``TooManyEndpoints`` where
    Stripe has no room for the second."""
    connection = _open_by_key(connection_id, scope=scope, store=store)
    credentials = credentials_of(connection, store=store, sealer=sealer)
    until_not_stale(lambda _: _begin_another(connection_id, store=store))
    at = AtStripe(
        credentials=credentials, url=webhook_url(connection.id, base_url), api_base=api_base
    )
    rotated = keep_endpoint(
        connection_id, at=at, store=store, sealer=sealer, now=now, others_end=now + OLD_SECRET_MS
    )
    by_hand = not connection.endpoint and connection.sealed_webhook_secrets
    return Rotated(connection=rotated, warnings=(BY_HAND_STAYS,) if by_hand else ())


def take_webhook_secret(
    connection_id: str, secret: str, *, scope: Scope, store: Store, sealer: Sealer, now: Ms
) -> Rotated:
    """A secret that the merchant rolled in Stripe's Dashboard: valid at once, and those before it
    for another day, which is as long as Stripe signs with both."""
    check_webhook_secret(secret)
    connection = _open_by_key(connection_id, scope=scope, store=store)
    place = secret_place(connection.program, connection.id, "webhook_secret")
    sealed = sealer.seal(secret, place=place)

    def write(_: int) -> Connection:
        item, known = read_stored(connection_id, store=store)
        _check_open(known)
        for other in known.sealed_webhook_secrets[:1]:
            if open_secret(other, "webhook_secret", of=known, sealer=sealer) == secret:
                return known  # told before
        after = known.with_webhook_secret(sealed, now=now, others_end=now + OLD_SECRET_MS)
        store.commit([Put(records.connection_item(after, version=item.version))])
        return after

    return Rotated(connection=until_not_stale(write))


def _open_by_key(connection_id: str, *, scope: Scope, store: Store) -> Connection:
    connection = find_connection(connection_id, scope=scope, store=store)
    _check_open(connection)
    return connection


def _check_open(connection: Connection) -> None:
    if connection.state == "closed":
        raise Conflict(f"This connection is closed: {connection.closed_because}. Connect it again.")
    if connection.state == "opening":
        raise Conflict("This connection is not open yet: connect it again with the same key.")
    if connection.how == "oauth":
        raise Conflict(
            "This account is connected by OAuth: it has no key and no secret of its own. Authorise"
            " it again in Stripe if it has to be renewed."
        )


def _with_key(id: str, known: Known, *, store: Store, sealer: Sealer) -> Connection:
    item, connection = read_stored(id, store=store)
    _check_open(connection)
    after = with_key(connection, known, sealer=sealer)
    store.commit([Put(records.connection_item(after, version=item.version))])
    return after


def _begin_another(id: str, *, store: Store) -> None:
    """An attempt that is under way already is this one, too: it was broken off, or is somebody
    else's at this very moment."""
    item, connection = read_stored(id, store=store)
    _check_open(connection)
    if connection.attempt:
        return
    after = replace(connection, attempt=new_attempt())
    store.commit([Put(records.connection_item(after, version=item.version))])
