"""Connections, kept for a minute while a process lives, with their opened secrets."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.core.facts import Ms
from chalicelib.core.validation import PLAIN_ID
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Store

KEEP_MS = 60_000


def secret_place(connection_id: str, field: str) -> str:
    """What a connection's secret is sealed for."""
    return f"connection/{connection_id}/{field}"


@dataclass(slots=True)
class _Kept:
    connection: Connection
    secrets: tuple[str, ...] = field(repr=False)
    until: Ms


class Connections:
    """Reads through a cache. ``clock`` gives unix milliseconds."""

    def __init__(self, store: Store, sealer: Sealer, clock: Callable[[], Ms]) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock
        self._kept: dict[str, _Kept] = {}

    def get(self, id: str) -> Connection | None:
        kept = self._kept.get(id)
        if kept and kept.until > self._clock() > kept.until - 2 * KEEP_MS:
            return kept.connection
        if not PLAIN_ID.fullmatch(id):
            return None
        item = self._store.get([keys.connection(id)]).get(keys.connection(id))
        if item is None:
            return None
        connection = records.read_connection(item)
        place = secret_place(id, "webhook_secret")
        secrets = tuple(
            self._sealer.open(sealed, place=place) for sealed in connection.sealed_webhook_secrets
        )
        if len(self._kept) > 1000:
            self._kept.clear()
        self._kept[id] = _Kept(connection, secrets, self._clock() + KEEP_MS)
        return connection

    def webhook_secrets(self, connection: Connection) -> tuple[str, ...]:
        """The secrets of a connection that ``get`` just returned."""
        return self._kept[connection.id].secrets
