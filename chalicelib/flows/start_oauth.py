"""Towards Stripe: a one-time link, the page that it opens, and a state that is bound to the browser
in which the page was seen."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode, Program
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.manage_programs import read_program
from chalicelib.flows.oauth_stopped import stopped
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.stripe_platform import NotConfigured, configured, require_platform
from chalicelib.storage import oauth_records
from chalicelib.storage.oauth_records import OAuthState, StartCode, digest
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Put, Store
from chalicelib.stripe_adapter.oauth import OAuthProvider, Platform

CODE_MS = 600_000
STATE_MS = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a link opens: whose program it is, and where its money is."""

    program: Program
    mode: Mode


def make_start_code(program_id: str, *, mode: Mode, store: Store, now: Ms) -> str:
    """A code that opens the start page for ten minutes and is spent there once. Raises ``NotFound``
    without such a program, ``NotConfigured`` without a platform of that mode."""
    read_program(program_id, store=store)
    if mode not in configured(store=store):
        raise NotConfigured(mode)
    code = secrets.token_urlsafe(32)
    about = StartCode(program=program_id, mode=mode, until=now + CODE_MS)
    store.commit([Put(oauth_records.start_code_item(code, about, version=0))])
    return code


def start_link(base_url: str, program_id: str, code: str) -> str:
    return f"{base_url}/stripe/oauth/start?" + urlencode({"program": program_id, "code": code})


def look_at_start(program_id: str, code: str, *, browser: str, store: Store, now: Ms) -> Start:
    """What the start page shows; to the browser that spent the code also when it comes back from
    Stripe without an answer. Spends nothing. Raises ``OAuthStopped`` or ``NotConfigured``."""
    known, _ = _read_code(program_id, code, store=store, now=now)
    if known.spent and not _still_open(_state_of(browser, code), store=store, now=now):
        raise stopped("used link")
    return Start(program=read_program(program_id, store=store), mode=known.mode)


def begin_oauth(
    program_id: str,
    code: str,
    *,
    browser: str,
    redirect_uri: str,
    provider: Callable[[Platform], OAuthProvider],
    store: Store,
    sealer: Sealer,
    now: Ms,
) -> str:
    """Spend the code on a state of this browser; the address at Stripe to go on to.

    ``browser`` is the secret that this browser keeps as a cookie. The state is made from it and
    from the code, so that a button pressed twice leads to one state. Raises ``OAuthStopped`` or
    ``NotConfigured``, and spends nothing then.
    """
    mode = _read_code(program_id, code, store=store, now=now)[0].mode
    stripe = provider(require_platform(mode, store=store, sealer=sealer))
    state = _state_of(browser, code)

    def spend(_: int) -> None:
        known, version = _read_code(program_id, code, store=store, now=now)
        if known.spent:
            if not _still_open(state, store=store, now=now):  # another browser has no such state
                raise stopped("used link")
            return
        about = OAuthState(
            program=program_id, mode=known.mode, browser=digest(browser), until=now + STATE_MS
        )
        spent = replace(known, spent=True)
        store.commit(
            [
                Put(oauth_records.start_code_item(code, spent, version=version)),
                Put(oauth_records.oauth_state_item(state, about, version=0)),
            ]
        )

    until_not_stale(spend)
    return stripe.authorize_url(state=state, redirect_uri=redirect_uri)


def check_page(browser: str, code: str, token: str) -> None:
    """Only the page itself, seen in this browser, goes on. Raises ``OAuthStopped``."""
    if not browser or not hmac.compare_digest(
        page_token(browser, code).encode(), token.encode(errors="replace")
    ):
        raise stopped("no page")


def page_token(browser: str, code: str) -> str:
    """What the page's form carries: nobody who did not see the page in this browser can make it."""
    return _signed(browser, f"page:{code}")


def _state_of(browser: str, code: str) -> str:
    return _signed(browser, f"state:{code}")


def _signed(browser: str, what: str) -> str:
    made = hmac.new(browser.encode(), what.encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(made).decode().rstrip("=")


def _read_code(program_id: str, code: str, *, store: Store, now: Ms) -> tuple[StartCode, int]:
    """A code of this program, within its time, and its version. Raises ``OAuthStopped``."""
    item = None
    if PLAIN_ID.fullmatch(code) and PLAIN_ID.fullmatch(program_id):
        key = oauth_records.code_key(code)
        item = store.get([key]).get(key)
    known = oauth_records.read_start_code(item) if item else None
    if item is None or known is None or known.program != program_id:
        if not configured(store=store):
            raise NotConfigured("live")
        raise stopped("unknown link")
    if now >= known.until:
        raise stopped("expired link")
    return known, item.version


def _still_open(state: str, *, store: Store, now: Ms) -> bool:
    key = oauth_records.state_key(state)
    item = store.get([key]).get(key)
    about = oauth_records.read_oauth_state(item) if item else None
    return about is not None and not about.claimed_at and now < about.until
