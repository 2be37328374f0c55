"""A program whose merchant connects Stripe accounts, with the fake Stripe beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.core.refusals import Invalid
from chalicelib.flows import connect_with_key, disconnect, rotate_connection
from chalicelib.flows.connect_with_key import Connected
from chalicelib.flows.read_connection import Connections, open_secret
from chalicelib.flows.receive_webhook import Received, receive_webhook
from chalicelib.flows.rotate_connection import Rotated
from chalicelib.flows.show_connections import connections_of
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Put, Write
from chalicelib.stripe_adapter.permissions import PERMISSIONS
from local.fake_stripe import FakeStripe
from tests.builders.stripe_bodies import as_body, signed
from tests.builders.world import World
from tests.fakes.memory_store import MemoryStore
from tests.local.fake_stripe.conftest import control
from tests.mishap_kit import Killed

BASE_URL = "https://refer.example.com/api"
ALL = tuple(each.name for each in PERMISSIONS)


def secret_key(name: str, mode: str = "test") -> str:
    """May do everything; it is not asked what, which costs no time."""
    return f"sk_{mode}_{name}_1"


def restricted_key(name: str) -> str:
    return f"rk_test_{name}_2"


class Merchant:
    def __init__(self, tmp_path: Path, fake: FakeStripe) -> None:
        self.fake = fake
        self.world = World(tmp_path)
        self.scope = self.world.scope

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.world.store, MemoryStore)
        return self.world.store

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "sealer": self.world.sealer,
            "now": self.world.ms,
            "api_base": self.fake.url,
        }

    def connect(self, key: str, scope: Scope | None = None, base_url: str = BASE_URL) -> Connected:
        return connect_with_key.connect_with_key(
            scope or self.scope, key, base_url=base_url, **self._about
        )

    def rotate_key(self, id: str, key: str) -> Rotated:
        return rotate_connection.rotate_key(
            id, key, scope=self.scope, base_url=BASE_URL, **self._about
        )

    def rotate_secret(self, id: str) -> Rotated:
        return rotate_connection.rotate_webhook_secret(
            id, scope=self.scope, base_url=BASE_URL, **self._about
        )

    def take_secret(self, id: str, secret: str) -> Rotated:
        about = {name: self._about[name] for name in ("store", "sealer", "now")}
        return rotate_connection.take_webhook_secret(id, secret, scope=self.scope, **about)

    def disconnect(self, id: str, **about: Any) -> disconnect.Disconnected:
        return disconnect.disconnect(id, scope=self.scope, **self._about, **about)

    # what stands

    def stored(self, id: str) -> Connection:
        return records.read_connection(self.store.get([keys.connection(id)])[keys.connection(id)])

    def change_stored(self, connection: Connection) -> None:
        item = self.store.get([keys.connection(connection.id)])[keys.connection(connection.id)]
        self.store.commit([Put(records.connection_item(connection, version=item.version))])

    def secrets(self, id: str) -> list[str]:
        """The webhook secrets that are valid now, newest first."""
        connection = self.stored(id)
        return [
            open_secret(sealed, "webhook_secret", of=connection, sealer=self.world.sealer)
            for sealed, _ in connection.webhook_secrets(self.world.ms)
        ]

    def key(self, id: str) -> str:
        connection = self.stored(id)
        return open_secret(
            connection.sealed_api_key, "api_key", of=connection, sealer=self.world.sealer
        )

    def connections(self, scope: Scope | None = None) -> list[Connection]:
        """Those of Stripe accounts: the world's own has none."""
        found = connections_of(scope or self.scope, store=self.store)
        return [one for one in found if one.account]

    def endpoints(self, name: str) -> list[dict[str, Any]]:
        """What stands at Stripe, secrets and all."""
        with self.fake.lock:
            return list(self.fake.world(name).rows("webhook_endpoint"))

    def deliver(self, id: str, secret: str, connections: Connections | None = None) -> Received:
        """Something that nobody counts, signed with this secret."""
        event = self.world.event(
            "balance.available", {"object": "balance"}, created=int(self.world.now)
        )
        body = as_body(event)
        return receive_webhook(
            id,
            body,
            signed(body, secret, int(self.world.now)),
            store=self.store,
            connections=connections or self.world.connections,
            now=datetime.fromtimestamp(self.world.now, tz=UTC),
        )

    # what Stripe is made to do

    def control(self, path: str, **given: Any) -> Any:
        return control(self.fake, f"/{path}", given)

    def restrict(self, key: str, *lacking: str) -> None:
        self.control("keys", key=key, permissions=[name for name in ALL if name not in lacking])


def fill_endpoints(fake: FakeStripe, name: str, count: int = 16) -> None:
    """Others' endpoints in the account of that name."""
    with fake.lock:
        world = fake.world(name)
        for number in range(count):
            world.new(
                "webhook_endpoint",
                api_version=None,
                description=None,
                enabled_events=["*"],
                metadata={},
                status="enabled",
                url=f"https://other.example.com/{number}",
                _secret="whsec_" + "o" * 32,
            )


def refused(call: Callable[[], Any]) -> Invalid:
    try:
        call()
    except Invalid as refusal:
        return refusal
    raise AssertionError("it was not refused")


class DiesAt:
    """The nth call of the store is the process's last. ``met`` once there was such a call."""

    def __init__(self, at: int) -> None:
        self.left, self.met = at, False

    def __call__(self, call: str, writes: Sequence[Write]) -> None:
        self.left -= 1
        if self.left == 0:
            self.met = True
            raise Killed
