"""Back from Stripe: the state is claimed, then the code exchanged, then the connection stored.

A code that is used twice revokes what it gave, so the claim comes before the exchange, and a
claimed state never leads to a second one. Whatever ends between the two leaves an account that
Stripe calls authorised and that is stored nowhere: the whole way taken again leads to the same
connection, since a program has one for each account.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode, Program
from chalicelib.core.refusals import OAuthRefused, Refusal, Unavailable
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.disconnect import without_endpoint
from chalicelib.flows.keep_authorised import Claimed, keep_authorised, name_account
from chalicelib.flows.manage_programs import read_program
from chalicelib.flows.oauth_stopped import OAuthStopped, stopped
from chalicelib.flows.plan_jobs import plan_jobs
from chalicelib.flows.stripe_platform import open_uses, require_platform
from chalicelib.storage import keys, oauth_records, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.oauth_records import OAuthState, digest
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Item, Put, Stale, Store
from chalicelib.stripe_adapter.oauth import OAuthProvider, Platform, in_plain_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Stripe sent the browser back with."""

    state: str
    code: str = ""
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """``again``: it was connected by an answer before this one."""

    program: Program
    connection: Connection
    again: bool = False


def finish_oauth(
    answer: Answer,
    *,
    browser: str,
    provider: Callable[[Platform], OAuthProvider],
    store: Store,
    sealer: Sealer,
    now: Ms,
    api_base: str = "",
) -> Finished:
    """Connect the account of one answer, once. ``browser`` is the secret that the browser keeps, or
    empty. Raises ``OAuthStopped``, ``NotConfigured``, ``NotFound``, and ``Unavailable`` while
    nothing was exchanged."""
    item, state = _read_state(answer.state, browser, store=store)
    if state.connection:
        return _connected(state, store=store, now=now, again=True)
    if state.claimed_at:
        raise stopped(state.ended or "claimed")
    if now >= state.until:
        raise stopped("expired")
    platform = require_platform(state.mode, store=store, sealer=sealer)
    stripe = provider(platform)
    program = read_program(state.program, store=store)
    claimed = _claim(answer.state, state, item.version, store=store, now=now)
    if answer.error or not answer.code:
        word = "denied" if answer.error == "access_denied" else "error"
        raise _end(word, claimed, store, _in_words(answer))
    try:
        authorised = stripe.exchange(answer.code)
    except OAuthRefused as refused:
        raise _end("refused", claimed, store, refused.message) from None
    except Refusal:
        raise _end("away", claimed, store) from None
    if authorised.livemode != (state.mode == "live"):
        _undo(authorised.account, state.mode, stripe, store)
        raise _end("other mode", claimed, store)
    half = _half_made(Scope(program.id, state.mode), authorised.account, store=store)
    stored = keep_authorised(authorised, claimed, program, store=store, now=now)
    if stored is None:
        _undo(authorised.account, state.mode, stripe, store)
        raise _end("by key", claimed, store)
    finished = _connected(stored, store=store, now=now)
    named = name_account(finished.connection, platform, store=store, api_base=api_base)
    if half is not None:
        without_endpoint(half, [], store, sealer, api_base)
    return replace(finished, connection=named)


def _half_made(scope: Scope, account: str, *, store: Store) -> Connection | None:
    """What somebody began to connect by an API key: its endpoint may stand at Stripe already, and
    the key that can remove it is about to be forgotten."""
    with suppress(Unavailable):
        alias = keys.connected_account(scope, account)
        row = store.get([alias]).get(alias)
        key = keys.connection(str(row.body["of"])) if row else None
        item = store.get([key]).get(key) if key else None
        before = records.read_connection(item) if item else None
        if before is not None and before.how == "key" and before.state == "opening":
            return before
    return None


def _read_state(state: str, browser: str, *, store: Store) -> tuple[Item, OAuthState]:
    """The state's record, if this browser made it. Raises ``OAuthStopped``."""
    key = oauth_records.state_key(state)
    item = store.get([key]).get(key) if PLAIN_ID.fullmatch(state) else None
    if item is None:
        raise stopped("unknown")
    about = oauth_records.read_oauth_state(item)
    if not browser or not hmac.compare_digest(digest(browser), about.browser):
        raise stopped("other browser")
    return item, about


def _claim(state: str, about: OAuthState, version: int, *, store: Store, now: Ms) -> Claimed:
    """From here on nobody else takes an answer to this state. Raises ``OAuthStopped`` if somebody
    was first."""
    claimed = replace(about, claimed_at=now)
    try:
        store.commit([Put(oauth_records.oauth_state_item(state, claimed, version=version))])
    except Stale:
        raise stopped("claimed") from None
    return Claimed(state, claimed, version + 1)


def _end(word: str, claimed: Claimed, store: Store, said: str = "") -> OAuthStopped:
    """Put down why a claimed state ended, for whoever loads the page again."""
    state, about, version = claimed
    with suppress(Stale, Unavailable):  # it is claimed all the same
        ended = replace(about, ended=word)
        store.commit([Put(oauth_records.oauth_state_item(state, ended, version=version))])
    return stopped(word, said)


def _in_words(answer: Answer) -> str:
    """Stripe's own error, in plain words first."""
    words = "" if answer.error == "access_denied" else in_plain_words(answer.error)
    said = ": ".join(part for part in (answer.error, answer.description) if part)
    return f"{words} Stripe's words: {said}".strip() if said else words


def _connected(state: OAuthState, *, store: Store, now: Ms, again: bool = False) -> Finished:
    """What stands now, with its jobs planned: also where the answer before this one died between
    the two. Raises ``OAuthStopped`` if it was closed since."""
    key = keys.connection(state.connection)
    connection = records.read_connection(store.get([key])[key])
    if connection.state == "closed":
        raise stopped("ended since")
    plan_jobs(connection, store=store, now=now)
    return Finished(
        program=read_program(state.program, store=store), connection=connection, again=again
    )


def _undo(account: str, mode: Mode, stripe: OAuthProvider, store: Store) -> None:
    """Take an authorisation back that leads to nothing, unless a connection lives by it."""
    with suppress(Refusal):  # then the person is told to look at Stripe
        if not open_uses(account, mode, store=store):
            stripe.deauthorise(account)
