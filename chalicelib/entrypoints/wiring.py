"""The one file that wires real stores and clocks: made when first needed, kept while a process
lives."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property

from chalicelib.core.facts import Ms
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.read_program import Programs
from chalicelib.settings import Settings, read_settings
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.sealing import FileSealer, KmsSealer, Sealer
from chalicelib.storage.store import Store

_clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
_lock = threading.Lock()
_house: "House | None" = None


class House:
    """Everything a door needs. ``clock`` is read at each call, so that a test may move it."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self._store = store

    @cached_property
    def store(self) -> Store:
        return self._store or DynamoStore(self.settings.tables)

    @cached_property
    def sealer(self) -> Sealer:
        if self.settings.kms_key:
            return KmsSealer(self.settings.kms_key)
        if not self.settings.key_file:
            raise RuntimeError("Set REFLEDGER_KMS_KEY, or locally REFLEDGER_KEY_FILE.")
        return FileSealer(self.settings.key_file)

    @cached_property
    def programs(self) -> Programs:
        return Programs(self.store, now_ms)

    @cached_property
    def connections(self) -> Connections:
        return Connections(self.store, self.sealer, now_ms)


def stores() -> House:
    """The house of this process."""
    global _house
    with _lock:
        if _house is None:
            _house = House(read_settings())
        return _house


def set_house(house: House | None) -> None:
    """Put another house in place: tests and the local run do."""
    global _house
    _house = house


def set_clock(clock: Callable[[], datetime]) -> None:
    """Read the time from ``clock`` (aware, UTC) from now on."""
    global _clock
    _clock = clock


def now() -> datetime:
    return _clock()


def now_ms() -> Ms:
    return int(_clock().timestamp() * 1000)


def deadline(seconds: float) -> Callable[[], bool]:
    """Tells whether that many seconds have passed: the budget of a door or a job."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
