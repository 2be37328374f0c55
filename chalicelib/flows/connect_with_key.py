"""A merchant's Stripe account, connected by an API key: everything else is found or made.

A program has one connection per account and mode, found by a row of its own, so that the same call
again goes on where a crash left it, opens what was closed, or takes a new key for what stands.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.core.names import Ms
from chalicelib.core.program import Program
from chalicelib.core.refusals import Conflict, Invalid, Refusal, Unavailable
from chalicelib.flows.keep_endpoint import (
    AtStripe,
    keep_endpoint,
    new_attempt,
    read_stored,
    webhook_url,
)
from chalicelib.flows.manage_programs import new_connection_id, read_program
from chalicelib.flows.plan_jobs import plan_jobs
from chalicelib.flows.read_connection import secret_place
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Put, Remove, Stale, Store
from chalicelib.stripe_adapter import permissions
from chalicelib.stripe_adapter.client import Account, account_of
from chalicelib.stripe_adapter.credentials import Credentials, credentials_of
from chalicelib.stripe_adapter.permissions import Granted

NO_ENDPOINT = (
    "Stripe was given no address to tell: this place cannot be reached from outside. What happens"
    " is read from Stripe's list of events."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """``created``: it was not open before."""

    connection: Connection
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What Stripe told of a key."""

    credentials: Credentials
    account: Account
    granted: Sequence[Granted]
    warnings: tuple[str, ...]


def connect_with_key(
    scope: Scope,
    api_key: str,
    *,
    base_url: str,
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str = "",
) -> Connected:
    """Connect the account of a key to a program, in the mode of ``scope``. ``base_url``: where
    Stripe reaches this deployment; empty, and no endpoint is made. Raises ``Invalid`` (no key, of
    the other mode, without a vital permission), ``Conflict`` (connected by OAuth, sixteen
    endpoints), ``Unavailable``: the same call then goes on. What is refused leaves nothing."""
    program = read_program(scope.program, store=store)
    known = ask_about(
        api_key, program=program, scope=scope, with_endpoint=bool(base_url), api_base=api_base
    )
    before, connection = until_not_stale(
        lambda _: _begin(known, scope=scope, store=store, sealer=sealer, now=now)
    )
    try:
        opened = open_connection(
            connection,
            known,
            base_url=base_url,
            store=store,
            sealer=sealer,
            now=now,
            api_base=api_base,
        )
    except Unavailable:
        raise
    except Refusal:
        with suppress(Stale, Unavailable):
            _undo(before, connection, store=store)
        raise
    return Connected(connection=opened, created=before is None or before.state != "open")


def ask_about(
    api_key: str, *, program: Program, scope: Scope, with_endpoint: bool, api_base: str
) -> Known:
    """Whose key this is and what it may do. Raises ``Invalid`` where that does not do."""
    credentials = credentials_of(api_key)
    _check_mode(credentials, scope)
    account = account_of(credentials, api_base=api_base)
    granted = permissions.probe(credentials, api_base=api_base)
    link = permissions.creation_link(
        livemode=credentials.livemode, name=f"Refledger {program.name}"
    )
    missing = [one for one in granted if not one.granted]
    _check_vital(missing, link, with_endpoint=with_endpoint)
    warnings = [f"The key lacks {one.permission.name}: {one.because}." for one in missing]
    if not credentials.restricted:
        warnings.insert(
            0,
            "This is a secret key, which may do everything in the account. A restricted key"
            f" suffices: {link}",
        )
    return Known(
        credentials=credentials, account=account, granted=granted, warnings=tuple(warnings)
    )


def open_connection(
    connection: Connection,
    known: Known,
    *,
    base_url: str,
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str,
) -> Connection:
    """Give a stored connection its endpoint, and its jobs."""
    if base_url:
        at = AtStripe(
            credentials=known.credentials,
            url=webhook_url(connection.id, base_url),
            api_base=api_base,
        )
        opened = keep_endpoint(connection.id, at=at, store=store, sealer=sealer, now=now)
    else:
        opened = until_not_stale(lambda _: _open_without_endpoint(connection.id, store=store))
    plan_jobs(opened, store=store, now=now)
    return opened


def with_key(connection: Connection, known: Known, *, sealer: Sealer) -> Connection:
    """The connection by this key, with what it may do."""
    place = secret_place(connection.program, connection.id, "api_key")
    return replace(
        connection,
        account=known.account.id,
        account_name=known.account.name or connection.account_name,
        currency=known.account.currency or connection.currency,
        how="key",
        sealed_api_key=sealer.seal(known.credentials.api_key, place=place),
        permissions={one.permission.name: one.granted for one in known.granted},
        warnings=known.warnings,
    )


def _check_mode(credentials: Credentials, scope: Scope) -> None:
    key = "live" if credentials.livemode else "test"
    if key == scope.mode:
        return
    sentence = (
        f"This is a key of Stripe's {key} mode, and {scope.mode} is wanted: money of one never"
        f" meets the other. Give a key that begins with rk_{scope.mode}_, or connect this one with"
        f" an API key of the program's {key} mode (rfl_{key}_…)."
    )
    raise Invalid({"api_key": [sentence]}, sentence)


def _check_vital(missing: Sequence[Granted], link: str, *, with_endpoint: bool) -> None:
    vital = [
        one.permission
        for one in missing
        if one.permission.vital and (with_endpoint or one.permission.feature != "webhook")
    ]
    if not vital:
        return
    names = ", ".join(one.name for one in vital)
    raise Invalid(
        {
            "api_key": [
                *(f"{one.name} ({one.shown}) is missing: {one.needed_for}." for one in vital),
                f"A key with everything that is needed: {link}",
            ]
        },
        f"This key lacks {names}. Nothing was connected.",
    )


def _begin(
    known: Known, *, scope: Scope, store: Store, sealer: Sealer, now: Ms
) -> tuple[Connection | None, Connection]:
    """Store what is about to be opened, and its name, before Stripe is asked to make anything: the
    connection as it was, and as it is. Raises ``Conflict``, and ``Stale`` if somebody else did."""
    alias = keys.connected_account(scope, known.account.id)
    row = store.get([alias]).get(alias)
    if row is None:
        connection = Connection(
            id=new_connection_id(),
            program=scope.program,
            livemode=scope.mode == "live",
            created_at=now,
            opening=True,
            attempt=new_attempt(),
        )
        connection = with_key(connection, known, sealer=sealer)
        named = records.alias_item(alias, connection.id)
        store.commit([Put(records.connection_item(connection)), Put(named)])
        return None, connection
    item, before = read_stored(str(row.body["of"]), store=store)
    if before.how == "oauth" and before.state == "open":
        raise Conflict(
            "This account is connected to this program by OAuth. Disconnect that first, or go on"
            " with it: an API key is not needed beside it."
        )
    after = with_key(before, known, sealer=sealer)
    if before.state == "closed":
        after = replace(after, opening=True, attempt=new_attempt())
    store.commit([Put(records.connection_item(after, version=item.version))])
    return before, after


def _open_without_endpoint(id: str, *, store: Store) -> Connection:
    item, connection = read_stored(id, store=store)
    warnings = connection.warnings
    if not connection.sealed_webhook_secrets and NO_ENDPOINT not in warnings:
        warnings = (*warnings, NO_ENDPOINT)
    opened = replace(connection.opened(), warnings=warnings)
    store.commit([Put(records.connection_item(opened, version=item.version))])
    return opened


def _undo(before: Connection | None, begun: Connection, *, store: Store) -> None:
    """Stripe refused what was begun: as if it had not been, unless somebody else has opened it.
    What was ever open is closed again: its history leads to it."""
    item, connection = read_stored(begun.id, store=store)
    if not connection.opening:
        return
    if connection.closed_at:
        closed = replace(connection, opening=False, attempt="", sealed_api_key="")
        if before is not None and before.state == "closed":
            closed = before
        store.commit([Put(records.connection_item(closed, version=item.version))])
        return
    alias = keys.connected_account(begun.scope, begun.account)
    row = store.get([alias])[alias]
    store.commit([Remove(item.key, item.version), Remove(row.key, row.version)])
