"""The one file that wires real stores and clocks: each is imported and made when first needed, and
kept while a process lives."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from chalicelib.core.names import Ms
from chalicelib.flows.read_program import Programs
from chalicelib.log import log
from chalicelib.settings import Settings, aws_credentials_stand_in, read_settings, tables_of
from chalicelib.storage.store import ItemStore, Store

if TYPE_CHECKING:
    from chalicelib.flows.read_connection import Connections
    from chalicelib.flows.stripe_platform import WebhookSecrets
    from chalicelib.storage.sealing import Sealer
    from chalicelib.stripe_adapter.calls import StripeCalls
    from chalicelib.stripe_adapter.credentials import Credentials
    from chalicelib.stripe_adapter.oauth import OAuthProvider, Platform
    from chalicelib.stripe_adapter.pace import Pacer

_clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
_lock = threading.Lock()
_house: "House | None" = None

LATE = {
    "website": "",
    "webhook": "flows.receive_webhook flows.receive_connect_webhook",
    "api": """
        entrypoints.api_bodies flows.enrol_customer flows.manage_partners flows.manage_programs
        flows.pay_out flows.read_partner flows.record_sale flows.show_people flows.show_sales
        flows.show_tracker
        """,
}
"""What these doors import late: a function that serves no others had better have it early. Of the
website's doors most serve clicks, which need nothing more."""


class House:
    """Everything a door needs. ``clock`` is read at each call, so that a test may move it."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self._store = store
        self._pacers: dict[tuple[str, str], Pacer] = {}

    @cached_property
    def store(self) -> Store:
        if self._store is not None:
            return self._store
        from chalicelib.storage.dynamo import DynamoStore

        return DynamoStore(self.settings.tables)

    @cached_property
    def visits(self) -> ItemStore:
        """What clicks and short links read and write by. Where credentials stand in a developer's
        profile, botocore is needed to read them."""
        if self._store is not None or not aws_credentials_stand_in():
            return self.store
        from chalicelib.storage.dynamo_direct import DirectStore

        return DirectStore(self.settings.tables)

    def store_of(self, stage: str) -> Store:
        """The store of another stage, on this shell's credentials."""
        from chalicelib.storage.dynamo import DynamoStore

        return DynamoStore(tables_of(stage))

    def sealer_of(self, stage: str) -> "Sealer":
        """That of another stage, on this shell's credentials; a local run has one key for all."""
        from chalicelib.storage.sealing import KmsSealer

        return KmsSealer(f"alias/refledger-{stage}") if self.settings.kms_key else self.sealer

    @cached_property
    def sealer(self) -> "Sealer":
        from chalicelib.storage.sealing import FileSealer, KmsSealer

        if self.settings.kms_key:
            return KmsSealer(self.settings.kms_key)
        if not self.settings.key_file:
            raise RuntimeError("Set REFLEDGER_KMS_KEY, or locally REFLEDGER_KEY_FILE.")
        return FileSealer(self.settings.key_file)

    @cached_property
    def base_url(self) -> str:
        """Where this deployment is reached, for whoever has no request to derive it from; empty if
        nobody said."""
        from chalicelib.flows.keep_base_url import read_base_url

        return self.settings.base_url or read_base_url(store=self.store)

    @cached_property
    def programs(self) -> Programs:
        return Programs(self.visits, now_ms)

    @cached_property
    def connections(self) -> "Connections":
        from chalicelib.flows.read_connection import Connections

        return Connections(self.store, self.sealer, now_ms)

    @cached_property
    def connect_secrets(self) -> "WebhookSecrets":
        """The secrets of the webhook that all accounts connected by OAuth share."""
        from chalicelib.flows.stripe_platform import WebhookSecrets

        return WebhookSecrets(self.store, self.sealer, now_ms)

    def stripe(self, credentials: "Credentials") -> "StripeCalls":
        """A job's reads of an account. All that read one account keep its pace together."""
        from chalicelib.stripe_adapter.calls import StripeCalls
        from chalicelib.stripe_adapter.pace import Pacer

        whose = (credentials.api_key, credentials.account)
        pacer = self._pacers.setdefault(whose, Pacer())
        return StripeCalls(credentials, api_base=self.settings.stripe_api_base, pacer=pacer)

    def oauth_provider(self, platform: "Platform") -> "OAuthProvider":
        """By which accounts are authorised."""
        from chalicelib.stripe_adapter.oauth import StripeConnect

        base = self.settings.stripe_api_base
        return StripeConnect(platform, api_base=base, connect_base=base)

    def warm(self, doors: str) -> None:
        """Make what these doors need, during the start of a process and not within the time of its
        first request. Needs no network."""
        for module in LATE[doors].split():
            import_module(f"chalicelib.{module}")
        parts: list[object] = [self.visits if doors == "website" else self.store]
        if doors == "webhook":
            parts.append(self.sealer)
        for part in parts:
            getattr(part, "warm", lambda: None)()  # those that make a client have it


def stores() -> House:
    """The house of this process."""
    global _house
    with _lock:
        if _house is None:
            _house = House(read_settings())
        return _house


def warm() -> None:
    """What the environment says that this process serves is made ready."""
    if doors := read_settings().warm:
        try:
            stores().warm(doors)
        except Exception as error:  # made when first needed, then; a start that fails serves nobody
            log("warm", "bug", error=type(error).__name__)


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
