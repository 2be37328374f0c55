"""What was authorised at Stripe becomes a connection: new, or opened again with its history."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from chalicelib.core.facts import Ms
from chalicelib.core.program import Program
from chalicelib.core.refusals import Refusal, Unavailable
from chalicelib.flows.oauth_stopped import stopped
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import keys, oauth_records, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.oauth_records import AccountUse, OAuthState
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Item, Key, Put, Stale, Store
from chalicelib.stripe_adapter.client import account_of
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.oauth import Authorised, Platform
from chalicelib.stripe_adapter.permissions import PERMISSIONS

TRIES = 3


class Claimed(NamedTuple):
    """A state whose answer is ours alone to take, its record, and that record's version."""

    state: str
    about: OAuthState
    version: int


def keep_authorised(
    authorised: Authorised,
    claimed: Claimed,
    program: Program,
    *,
    store: Store,
    now: Ms,
) -> OAuthState | None:
    """The connection, whose account it is, and the state's end, in one transaction. None if the
    account is connected to the program with an API key, and nothing is written then. Tried again
    where the store is away for a moment: nothing but this process knows the account. Raises
    ``OAuthStopped``."""

    def store_it(_: int) -> OAuthState | None:
        return _store(authorised, claimed, program, store=store, now=now)

    for _ in range(TRIES):
        with suppress(Unavailable):
            return until_not_stale(store_it)
    raise stopped("not stored")


def _store(
    authorised: Authorised,
    claimed: Claimed,
    program: Program,
    *,
    store: Store,
    now: Ms,
) -> OAuthState | None:
    state, about, version = claimed
    scope = Scope(program.id, about.mode)
    alias = keys.connected_account(scope, authorised.account)
    known = store.get([alias]).get(alias)
    id = str(known.body["of"]) if known else connection_id(scope, authorised.account)
    use_key = keys.account_connection(about.mode, authorised.account, id)
    end_key = oauth_records.state_key(state)
    found = store.get([keys.connection(id), use_key, end_key])
    done = found.get(end_key)
    if done and oauth_records.read_oauth_state(done).connection:  # an answer of the store was lost
        return oauth_records.read_oauth_state(done)
    item = found.get(keys.connection(id))
    before = records.read_connection(item) if item else None
    if before and before.how == "key" and before.state == "open":
        return None
    connection = _opened(before, id, scope, authorised, now)
    after = replace(about, connection=id)
    use = AccountUse(connection=id, authorised_at=about.claimed_at)
    writes = [
        Put(records.connection_item(connection, item.version if item else 0)),
        Put(
            oauth_records.account_use_item(
                about.mode, authorised.account, use, version=_version(found, use_key)
            )
        ),
        Put(oauth_records.oauth_state_item(state, after, version=version)),
    ]
    if known is None:
        writes.append(Put(records.alias_item(alias, id)))
    store.commit(writes)
    return after


def _opened(
    before: Connection | None, id: str, scope: Scope, authorised: Authorised, now: Ms
) -> Connection:
    """The connection as it is once authorised: new, or opened again with its history."""
    known = before or Connection(
        id=id, program=scope.program, livemode=authorised.livemode, created_at=now
    )
    writes = authorised.scope != "read_only"
    return replace(
        known.opened(),
        account=authorised.account,
        how="oauth",
        sealed_api_key="",
        permissions={one.name: writes or not one.write for one in PERMISSIONS},
        warnings=(),
        endpoint="",
        endpoint_events=(),
        sealed_webhook_secrets=(),
        secret_ends=(),
    )


def _version(found: Mapping[Key, Item], key: Key) -> int:
    return found[key].version if key in found else 0


def connection_id(scope: Scope, account: str) -> str:
    """Made from its cause, so that however often one account is authorised it is one connection."""
    return "con_" + hashlib.sha256(f"oauth/{scope}/{account}".encode()).hexdigest()[:16]


def name_account(
    connection: Connection, platform: Platform, *, store: Store, api_base: str = ""
) -> Connection:
    """The connection with what its account is called, for people to read; Stripe is asked.
    Whatever goes wrong, it is connected, and known by its id."""
    credentials = Credentials(
        api_key=platform.secret_key, livemode=connection.livemode, account=connection.account
    )
    key = keys.connection(connection.id)
    with suppress(Refusal, Stale):
        found = account_of(credentials, api_base=api_base)
        item = store.get([key])[key]
        named = replace(
            records.read_connection(item), account_name=found.name, currency=found.currency
        )
        store.commit([Put(records.connection_item(named, item.version))])
        return named
    return connection
