"""Connections, kept for a minute while a process lives, with their opened secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import Conflict
from chalicelib.core.validation import PLAIN_ID
from chalicelib.log import log
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Store

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.credentials import Credentials

KEEP_MS = 60_000
READ_AGAIN_MS = 5_000
"""At most so often is a connection read again because something was not signed by its secrets: a
flood of bad signatures costs one read in that time, and a new secret waits no longer."""
MOST_KEPT = 1000


def secret_place(program_id: str, connection_id: str, field: str) -> str:
    """What a connection's secret is sealed for: moved to another record, or with its record to
    another program, it does not open."""
    return f"connection/{program_id}/{connection_id}/{field}"


def open_secret(sealed: str, field: str, *, of: Connection, sealer: Sealer) -> str:
    """A secret of a connection; raises ``ValueError`` if it is not sealed for it. Those of the
    first days name the connection alone."""
    try:
        return sealer.open(sealed, place=secret_place(of.program, of.id, field))
    except ValueError:
        return sealer.open(sealed, place=f"connection/{of.id}/{field}")


@dataclass(slots=True)
class _Kept:
    connection: Connection
    secrets: Mapping[str, str] = field(repr=False)  # as sealed -> opened
    until: Ms


class Connections:
    """Reads through a cache. ``clock`` gives unix milliseconds."""

    def __init__(self, store: Store, sealer: Sealer, clock: Callable[[], Ms]) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock
        self._kept: dict[str, _Kept] = {}
        self._read_again: dict[str, Ms] = {}

    def get(self, id: str) -> Connection | None:
        kept = self._kept.get(id)
        if kept and kept.until > self._clock() > kept.until - 2 * KEEP_MS:
            return kept.connection
        return self._read(id)

    def get_again(self, id: str) -> Connection | None:
        """As it stands now, for whoever doubts what ``get`` gave; None if it was read again for
        that a moment ago."""
        now = self._clock()
        if 0 <= now - self._read_again.get(id, -READ_AGAIN_MS) < READ_AGAIN_MS:
            return None
        if len(self._read_again) > MOST_KEPT:
            self._read_again.clear()
        self._read_again[id] = now
        return self._read(id)

    def _read(self, id: str) -> Connection | None:
        if not PLAIN_ID.fullmatch(id):
            return None
        item = self._store.get([keys.connection(id)]).get(keys.connection(id))
        if item is None:
            return None
        connection = records.read_connection(item)
        kept = self._kept.get(id)
        secrets = self._opened(connection, kept.secrets if kept else {})
        if len(self._kept) > MOST_KEPT:
            self._kept.clear()
        self._kept[id] = _Kept(connection, secrets, self._clock() + KEEP_MS)
        return connection

    def _opened(self, connection: Connection, known: Mapping[str, str]) -> Mapping[str, str]:
        """Each webhook secret by its ciphertext. One that does not open is no hindrance while
        another does; raises ``ValueError`` where none does."""
        opened: dict[str, str] = {}
        broken: ValueError | None = None
        for sealed in connection.sealed_webhook_secrets:
            try:
                opened[sealed] = known.get(sealed) or open_secret(
                    sealed, "webhook_secret", of=connection, sealer=self._sealer
                )
            except ValueError as error:
                broken = error
                log("connection", "a secret does not open", connection=connection.id)
        if broken and not opened:
            raise broken
        return opened

    def webhook_secrets(self, connection: Connection) -> tuple[str, ...]:
        """The secrets, valid now, of a connection that ``get`` just returned."""
        opened = self._kept[connection.id].secrets
        valid = connection.webhook_secrets(self._clock())
        return tuple(opened[sealed] for sealed, _ in valid if sealed in opened)

    def credentials(self, connection: Connection) -> "Credentials":
        """What calls to Stripe for this connection are made with. Raises ``Conflict`` where there
        is nothing to call with."""
        return credentials_of(connection, store=self._store, sealer=self._sealer)


def credentials_of(connection: Connection, *, store: Store, sealer: Sealer) -> "Credentials":
    """What calls to Stripe for this connection are made with: its own key, or for an account
    connected by OAuth the platform's. Raises ``Conflict`` where there is none, where it does not
    open, or the connection is closed."""
    if connection.state == "closed":
        raise Conflict(f"This connection is closed: {connection.closed_because}")
    try:
        return _opened(connection, store=store, sealer=sealer)
    except ValueError:
        raise Conflict(
            "What Stripe is called with for this connection does not open: it was sealed with"
            " another key, or for another record. Give the API key again (rotate); for OAuth, set"
            " the platform again."
        ) from None


def _opened(connection: Connection, *, store: Store, sealer: Sealer) -> "Credentials":
    from chalicelib.stripe_adapter.credentials import Credentials

    if connection.how == "oauth":
        from chalicelib.flows.stripe_platform import platform_of

        platform = platform_of(connection.scope.mode, store=store, sealer=sealer)
        if platform is None:
            raise Conflict("This account was connected by OAuth, which is not configured any more.")
        return Credentials(
            api_key=platform.secret_key, livemode=connection.livemode, account=connection.account
        )
    if not connection.sealed_api_key:
        raise Conflict("This connection has no API key of Stripe: it receives, and cannot ask.")
    key = open_secret(connection.sealed_api_key, "api_key", of=connection, sealer=sealer)
    return Credentials(api_key=key, livemode=connection.livemode)
