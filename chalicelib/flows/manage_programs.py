"""Making and changing programs, their API keys and their connections."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.core.facts import Ms
from chalicelib.core.program import DEFAULTS, Dated, Mode, Program, Rule, Website
from chalicelib.core.refusals import Conflict, NotFound, Unauthorised, Unavailable
from chalicelib.flows.read_connection import secret_place
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.settle_since import owe_since
from chalicelib.flows.sign_up import signing_key_place
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import ApiKey, Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Put, Stale, Store

TRIES = 5
KEY_PREFIX = "rfl"  # so that secret scanners know ours: rfl_live_…, rfl_test_…


def create_program(
    name: str,
    *,
    currency: str,
    mode: Mode,
    website: Website,
    settings: Mapping[str, Any] | None = None,
    store: Store,
    sealer: Sealer,
    now: Ms,
) -> tuple[Program, str]:
    """A new program, and the key with which the merchant's server signs sign-ups (shown this
    once). Settings given here hold from ever."""
    id = "prg_" + secrets.token_hex(8)
    signing_key = "rfl_sign_" + secrets.token_urlsafe(24)
    known = {n: (Dated(starts=0, value=v),) for n, v in {**DEFAULTS, **(settings or {})}.items()}
    program = Program(
        id=id,
        name=name,
        currency=currency,
        mode=mode,
        created_at=now,
        website=website,
        sealed_signing_key=sealer.seal(signing_key, place=signing_key_place(id)),
        settings=known,
    )
    store.commit([Put(records.program_item(program))])
    return program, signing_key


def read_program(program_id: str, *, store: Store) -> Program:
    """A program as stored; raises ``NotFound``."""
    item = store.get([keys.program(program_id)]).get(keys.program(program_id))
    if item is None:
        raise NotFound("There is no such program.")
    return records.read_program(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramChange:
    """What a call changes: ``settings`` by name to (value, start; None: from now on)."""

    name: str | None = None
    website: Mapping[str, Any] | None = None
    settings: Mapping[str, tuple[Any, Ms | None]] | None = None


def change_program(program_id: str, told: ProgramChange, *, store: Store, now: Ms) -> Program:
    """Change a program; a setting without a start holds from this second on. One that has begun
    leaves work: the sales paid since are settled again, also one of this very second, or one that
    was being booked by the old terms while they changed."""
    this_second = now - now % 1000
    for _ in range(TRIES):
        item = store.get([keys.program(program_id)]).get(keys.program(program_id))
        if item is None:
            raise NotFound("There is no such program.")
        before = records.read_program(item)
        values: dict[str, tuple[str | int | Rule, Ms]] = {}
        for name, (value, starts) in (told.settings or {}).items():
            begins = this_second if starts is None else starts
            if starts is None and getattr(before.terms(now), name) == value:
                continue
            values[name] = (value, begins)
        after = before.change(values)
        after = replace(
            after,
            name=told.name or before.name,
            website=replace(before.website, **(told.website or {})),
        )
        if after == before:
            return after
        begun = min((s for _, s in values.values() if s <= now), default=None)
        if after.settings == before.settings:
            begun = None
        owed = owe_since(program_id, begun, store=store, now=now)
        try:
            store.commit([Put(records.program_item(after, version=item.version)), *owed])
        except Stale:
            continue
        return after
    raise Unavailable


def create_api_key(program: Program, *, mode: Mode, name: str, store: Store, now: Ms) -> str:
    """A new API key, shown this once: only its hash is kept."""
    key = f"{KEY_PREFIX}_{mode}_{secrets.token_urlsafe(32)}"
    about = ApiKey(program=program.id, mode=mode, name=name, created_at=now)
    store.commit([Put(records.api_key_item(_digest(key), about))])
    return key


def authenticate(key: str, *, store: Store) -> Scope:
    """Whose key it is. Keys are 256 random bits and are found by their hash, so that the time of
    the look-up tells nothing about a key. Raises ``Unauthorised``."""
    if not key.startswith(f"{KEY_PREFIX}_") or len(key) > 200 or not key.isascii():
        raise Unauthorised("Send a program's API key: Authorization: Bearer rfl_…")
    place = keys.api_key(_digest(key))
    item = store.get([place]).get(place)
    if item is None:
        raise Unauthorised("This API key is not known.")
    known = records.read_api_key(item)
    return Scope(known.program, "live" if known.mode == "live" else "test")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def create_connection(
    program: Program,
    *,
    api_key: str,
    webhook_secret: str,
    livemode: bool,
    account: str = "",
    id: str = "",
    store: Store,
    sealer: Sealer,
    now: Ms,
) -> Connection:
    """A connection from a Stripe API key and a webhook secret; both are sealed before they are
    stored. ``id`` may be made beforehand (``new_connection_id``), since Stripe wants the address
    of the webhook before it gives the secret. Raises ``Conflict`` where the program has the account
    connected already."""
    id = id or new_connection_id()

    def sealed(secret: str, field: str) -> str:
        return sealer.seal(secret, place=secret_place(program.id, id, field))

    connection = Connection(
        id=id,
        program=program.id,
        livemode=livemode,
        account=account,
        created_at=now,
        sealed_api_key=sealed(api_key, "api_key") if api_key else "",
        sealed_webhook_secrets=(sealed(webhook_secret, "webhook_secret"),),
    )
    until_not_stale(lambda _: _store_connection(connection, store=store))
    return connection


def _store_connection(connection: Connection, *, store: Store) -> None:
    """Store a new connection as the one that its account has in this program and mode; the row of
    one that is closed, or gone, leads here from now on. Raises ``Conflict``, and ``Stale``."""
    writes = [Put(records.connection_item(connection))]
    if connection.account:
        alias = keys.connected_account(connection.scope, connection.account)
        row = store.get([alias]).get(alias)
        if row:
            place = keys.connection(str(row.body["of"]))
            known = store.get([place]).get(place)
            if known and (before := records.read_connection(known)).state != "closed":
                raise Conflict(
                    f"This account is connected to this program already, as {before.id}. Give that"
                    " one another key or secret (connection rotate), or close it first."
                )
        named = records.alias_item(alias, connection.id)
        writes.append(Put(replace(named, version=row.version if row else 0)))
    store.commit(writes)


def new_connection_id() -> str:
    return "con_" + secrets.token_hex(8)
