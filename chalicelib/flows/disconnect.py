"""A connection ends: its history stays, its secrets go, and nothing calls Stripe by it any more."""

from dataclasses import dataclass, replace

from chalicelib.core.names import Ms
from chalicelib.core.refusals import NotFound, Refusal, Unavailable
from chalicelib.flows.keep_endpoint import read_stored
from chalicelib.flows.read_connection import credentials_of
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.show_connections import find_connection
from chalicelib.storage import records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Item, Put, Store

DISCONNECTED = "the merchant disconnected it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """``warnings``: what Stripe was to be told, and was not."""

    connection: Connection
    warnings: tuple[str, ...]


def disconnect(
    connection_id: str,
    *,
    scope: Scope,
    remove_endpoint: bool = True,
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str = "",
) -> Disconnected:
    """Close a connection, and take back what it has at Stripe: the endpoint, which goes first,
    since the key that removes it is forgotten, or the authorisation. Whoever connects meanwhile has
    made another, which goes, too. Stripe's refusal keeps nothing open. A repeat of a closed one
    changes nothing. Raises ``NotFound``, ``Unavailable``."""
    find_connection(connection_id, scope=scope, store=store)
    warnings: list[str] = []

    def end(_: int) -> Connection:
        item, connection = read_stored(connection_id, store=store)
        warnings.clear()
        removed = False
        if connection.how == "key" and connection.state != "closed" and remove_endpoint:
            removed = without_endpoint(connection, warnings, store, sealer, api_base)
        return _closed(item, connection, DISCONNECTED, store=store, now=now, endpoint_gone=removed)

    closed = until_not_stale(end)
    if closed.how == "oauth":
        _deauthorised(closed, warnings, store, sealer, api_base)
    return Disconnected(connection=closed, warnings=tuple(warnings))


def close(
    connection_id: str, because: str, *, store: Store, now: Ms, version: int | None = None
) -> Connection | None:
    """Close a connection and forget its secrets; one that is closed stays as it is, with its first
    reason. None if there is none. Raises ``Unavailable``, also where it has another ``version`` by
    now than the one that is to be closed."""

    def write(_: int) -> Connection:
        item, connection = read_stored(connection_id, store=store)
        if version not in (None, item.version) and connection.state != "closed":
            raise Unavailable
        return _closed(item, connection, because, store=store, now=now)

    try:
        return until_not_stale(write)
    except NotFound:
        return None


def _closed(
    item: Item,
    connection: Connection,
    because: str,
    *,
    store: Store,
    now: Ms,
    endpoint_gone: bool = False,
) -> Connection:
    """Raises ``Stale`` if it is another by now."""
    if connection.state == "closed":
        return connection
    closed = replace(
        connection,
        sealed_api_key="",
        sealed_webhook_secrets=(),
        secret_ends=(),
        opening=False,
        attempt="",
        closed_at=now,
        closed_because=because,
    )
    if endpoint_gone:
        closed = replace(closed, endpoint="", endpoint_events=())
    store.commit([Put(records.connection_item(closed, version=item.version))])
    return closed


REFUSED = "Stripe does not take the API key any more"


def note_refusal(connection_id: str, because: str, *, store: Store) -> None:
    """A connection whose key Stripe refuses stays open, since what Stripe tells needs no key of
    ours: it says so, until another key is given or this one is taken again (``because`` empty)."""
    said = (
        f"{REFUSED}: {because} What Stripe tells still comes in; what it could not deliver is not"
        " fetched, and nothing is compared, until you give another key (rotate)."
    )

    def write(_: int) -> None:
        item, connection = read_stored(connection_id, store=store)
        others = tuple(one for one in connection.warnings if not one.startswith(REFUSED))
        after = replace(connection, warnings=(*others, said) if because else others)
        if after != connection:
            store.commit([Put(records.connection_item(after, version=item.version))])

    until_not_stale(write)


def without_endpoint(
    connection: Connection, warnings: list[str], store: Store, sealer: Sealer, api_base: str
) -> bool:
    """Remove what this connection has at Stripe, by its key: whether there is no endpoint of it any
    more. What hinders that is a warning."""
    from chalicelib.stripe_adapter.webhook_endpoints import find_ours, remove

    if not connection.sealed_api_key:
        if connection.sealed_webhook_secrets:
            warnings.append(_BY_HAND)
        return False
    try:
        credentials = credentials_of(connection, store=store, sealer=sealer)
        ours = find_ours(credentials, connection=connection.id, api_base=api_base)
        for one in ours:
            remove(credentials, one.id, api_base=api_base)
    except Refusal as refusal:
        warnings.append(
            f"Stripe's webhook endpoint could not be removed ({refusal.message}) Delete it in"
            f" Stripe's Dashboard: {connection.endpoint or 'the one of this address'}."
        )
        return False
    if not connection.endpoint and connection.sealed_webhook_secrets:
        warnings.append(_BY_HAND)
    return True


_BY_HAND = (
    "The webhook endpoint was made by hand, and is not ours to remove: delete it in Stripe's"
    " Dashboard."
)


def _deauthorised(
    connection: Connection, warnings: list[str], store: Store, sealer: Sealer, api_base: str
) -> None:
    from chalicelib.flows.stripe_platform import deauthorise

    try:
        deauthorise(connection, store=store, sealer=sealer, api_base=api_base)
    except Refusal as refusal:
        warnings.append(
            f"Stripe could not be told ({refusal.message}) Disconnect again, or remove the platform"
            " from the account's connected apps in Stripe's Dashboard."
        )
