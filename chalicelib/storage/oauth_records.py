"""What connecting by OAuth keeps: the operator's platform, one-time codes, states, and who uses an
account. Codes, states and browsers are kept by their hash alone."""

import hashlib
from dataclasses import dataclass

from chalicelib.core.names import Ms
from chalicelib.core.program import Mode
from chalicelib.storage import keys
from chalicelib.storage.codec import dump, load
from chalicelib.storage.store import Item, Key

KEPT_MS = 86_400_000  # that long after its end a code or a state still says what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A webhook secret, and until when it holds; 0 for no end."""

    sealed: str
    until: Ms = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlatform:
    """The operator's Stripe platform of one mode, its secrets sealed; the newest webhook secret
    first."""

    mode: Mode
    client_id: str
    sealed_secret_key: str
    webhook_secrets: tuple[SealedSecret, ...]
    set_at: Ms


def platform_item(platform: StoredPlatform, *, version: int) -> Item:
    return Item(key=keys.platform(platform.mode), body=dump(platform), version=version)


def read_platform(item: Item) -> StoredPlatform:
    return load(StoredPlatform, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCode:
    """Opens the page from which an account is connected to a program, and is spent there once."""

    program: str
    mode: Mode
    until: Ms
    spent: bool = False


def start_code_item(code: str, about: StartCode, *, version: int) -> Item:
    expires_at = (about.until + KEPT_MS) // 1000
    return Item(key=code_key(code), body=dump(about), version=version, expires_at=expires_at)


def read_start_code(item: Item) -> StartCode:
    return load(StartCode, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthState:
    """One way to Stripe and back, of one browser. ``claimed_at``: its answer was taken, and none
    will be again; ``ended`` names why it went no further, ``connection`` what it made."""

    program: str
    mode: Mode
    browser: str
    until: Ms
    claimed_at: Ms = 0
    ended: str = ""
    connection: str = ""


def oauth_state_item(state: str, about: OAuthState, *, version: int) -> Item:
    expires_at = (about.until + KEPT_MS) // 1000
    return Item(key=state_key(state), body=dump(about), version=version, expires_at=expires_at)


def read_oauth_state(item: Item) -> OAuthState:
    return load(OAuthState, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUse:
    """A connection of a Stripe account, and when that was last authorised."""

    connection: str
    authorised_at: Ms


def account_use_item(mode: Mode, account: str, use: AccountUse, *, version: int) -> Item:
    key = keys.account_connection(mode, account, use.connection)
    return Item(key=key, body=dump(use), version=version)


def read_account_use(item: Item) -> AccountUse:
    return load(AccountUse, item.body)


def code_key(code: str) -> Key:
    return keys.oauth_code(digest(code))


def state_key(state: str) -> Key:
    return keys.oauth_state(digest(state))


def digest(secret: str) -> str:
    """The hash by which a random secret is kept."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
