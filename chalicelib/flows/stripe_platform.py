"""The operator's own Stripe platform, by which merchants' accounts are connected by OAuth: one for
each mode, set from the command line, its secrets sealed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode
from chalicelib.core.refusals import Conflict
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import keys, oauth_records, records
from chalicelib.storage.oauth_records import SealedSecret, StoredPlatform
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Put, Store

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.oauth import Platform

MODES: tuple[Mode, Mode] = ("live", "test")
KEEP_MS = 60_000  # that long a process goes on with the webhook secrets it has opened
READ_AGAIN_MS = 5_000
OLD_SECRET_MS = 86_400_000  # Stripe signs with a rolled secret for at most 24 hours
PAGE = 100  # of an account's connections


class NotConfigured(Conflict):
    def __init__(self, mode: Mode) -> None:
        super().__init__(
            f"OAuth is not configured for {mode} mode. The operator of this deployment registers a"
            f" Stripe Connect platform: refledger platform set --mode {mode} says how. Until then"
            " connect with an API key."
        )


def platform_place(mode: Mode, field: str) -> str:
    """What a platform's secret is sealed for."""
    return f"platform/{mode}/{field}"


def keep_platform(
    mode: Mode,
    *,
    client_id: str = "",
    secret_key: str = "",
    webhook_secret: str = "",
    store: Store,
    sealer: Sealer,
    now: Ms,
) -> StoredPlatform:
    """Store the platform of a mode; what is empty stays as it was. A webhook secret before this
    one holds for another day, as Stripe signs with both while one is rolled. Raises ``Conflict``
    while anything is missing."""
    key = keys.platform(mode)

    def sealed(secret: str, field: str) -> str:
        return sealer.seal(secret, place=platform_place(mode, field))

    sealed_key = sealed(secret_key, "secret_key") if secret_key else ""
    sealed_webhook = sealed(webhook_secret, "webhook_secret") if webhook_secret else ""

    def write(_: int) -> StoredPlatform:
        item = store.get([key]).get(key)
        before = oauth_records.read_platform(item) if item else None
        kept = before.webhook_secrets if before else ()
        if sealed_webhook:
            ends = now + OLD_SECRET_MS
            older = (replace(s, until=min(s.until or ends, ends)) for s in kept)
            kept = (SealedSecret(sealed=sealed_webhook), *(s for s in older if s.until > now))
        after = StoredPlatform(
            mode=mode,
            client_id=client_id or (before.client_id if before else ""),
            sealed_secret_key=sealed_key or (before.sealed_secret_key if before else ""),
            webhook_secrets=kept,
            set_at=now,
        )
        if not (after.client_id and after.sealed_secret_key and after.webhook_secrets):
            raise Conflict(
                "A platform is its client id, its secret key and the secret of its webhook:"
                " the first time all three are wanted. Nothing was stored."
            )
        version = item.version if item else 0
        store.commit([Put(oauth_records.platform_item(after, version=version))])
        return after

    return until_not_stale(write)


def platform_of(mode: Mode, *, store: Store, sealer: Sealer) -> "Platform | None":
    """The platform by which Stripe is called; None where none was set. Its webhook secrets only the
    webhook's door opens (``WebhookSecrets``)."""
    from chalicelib.stripe_adapter.oauth import Platform

    key = keys.platform(mode)
    item = store.get([key]).get(key)
    if item is None:
        return None
    stored = oauth_records.read_platform(item)
    return Platform(
        client_id=stored.client_id,
        secret_key=sealer.open(stored.sealed_secret_key, place=platform_place(mode, "secret_key")),
        livemode=mode == "live",
    )


def require_platform(mode: Mode, *, store: Store, sealer: Sealer) -> "Platform":
    """The same. Raises ``NotConfigured``."""
    platform = platform_of(mode, store=store, sealer=sealer)
    if platform is None:
        raise NotConfigured(mode)
    return platform


def configured(*, store: Store) -> tuple[Mode, ...]:
    """The modes in which OAuth is configured."""
    places = {mode: keys.platform(mode) for mode in MODES}
    found = store.get(list(places.values()))
    return tuple(mode for mode, key in places.items() if key in found)


class OpenUse(NamedTuple):
    """An open connection by OAuth as it stood, the version of that, and when its account was last
    authorised."""

    connection: Connection
    version: int
    authorised_at: Ms


def open_uses(account: str, mode: Mode, *, store: Store) -> tuple[OpenUse, ...]:
    """The open connections that an account has by OAuth, as they stand now."""
    found: list[OpenUse] = []
    after, more = "", True
    while more:
        pk = keys.account_connections(mode, account)
        page = store.query("records", pk, after=after, limit=PAGE)
        uses = [oauth_records.read_account_use(row) for row in page.items]
        places = {keys.connection(use.connection): use for use in uses}
        there = store.get(list(places)) if places else {}
        found += [
            OpenUse(records.read_connection(item), item.version, use.authorised_at)
            for place, use in places.items()
            if (item := there.get(place))
        ]
        more, after = page.more, page.items[-1].key.sk if page.items else ""
    return tuple(use for use in found if _by_oauth(use.connection))


def _by_oauth(connection: Connection) -> bool:
    return connection.how == "oauth" and connection.state == "open"


def deauthorise(
    connection: Connection, *, store: Store, sealer: Sealer, api_base: str = ""
) -> None:
    """Tell Stripe that a closed connection's account is connected no more; nothing while another
    open connection uses the account, or once no platform is set any more.

    To be called once the connection is stored as closed: so of two that are closed at once at
    least one sees that nobody is left. Told twice is fine. Raises ``Unavailable``.
    """
    from chalicelib.stripe_adapter.oauth import StripeConnect

    mode = connection.scope.mode
    others = open_uses(connection.account, mode, store=store)
    if any(other.connection.id != connection.id for other in others):
        return
    platform = platform_of(mode, store=store, sealer=sealer)
    if platform is not None:
        stripe = StripeConnect(platform, api_base=api_base, connect_base=api_base)
        stripe.deauthorise(connection.account)


class WebhookSecrets:
    """The secrets of the platforms' Connect webhooks, by mode, kept for a minute while a process
    lives. ``clock`` gives unix milliseconds."""

    def __init__(self, store: Store, sealer: Sealer, clock: Callable[[], Ms]) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock
        self._kept: Mapping[Mode, tuple[SealedSecret, ...]] = {}
        self._opened: dict[str, str] = {}
        self._read_at: Ms = -KEEP_MS

    def get(self) -> Mapping[Mode, tuple[str, ...]]:
        """Those that hold now; of a mode without a platform none."""
        now = self._clock()
        if not 0 <= now - self._read_at < KEEP_MS:
            self._read()
        return {
            mode: tuple(self._opened[s.sealed] for s in kept if not s.until or s.until > now)
            for mode, kept in self._kept.items()
        }

    def read_again(self) -> bool:
        """Read what stands now, for whoever doubts these; False if that was done a moment ago: a
        flood of bad signatures costs one read in five seconds."""
        if 0 <= self._clock() - self._read_at < READ_AGAIN_MS:
            return False
        self._read()
        return True

    def _read(self) -> None:
        places = {mode: keys.platform(mode) for mode in MODES}
        found = self._store.get(list(places.values()))
        kept: dict[Mode, tuple[SealedSecret, ...]] = {}
        opened: dict[str, str] = {}
        for mode, key in places.items():
            if key not in found:
                continue
            kept[mode] = oauth_records.read_platform(found[key]).webhook_secrets
            for secret in kept[mode]:
                opened[secret.sealed] = self._opened.get(secret.sealed) or self._sealer.open(
                    secret.sealed, place=platform_place(mode, "webhook_secret")
                )
        self._kept, self._opened, self._read_at = kept, opened, self._clock()
