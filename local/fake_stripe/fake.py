"""The fake Stripe itself: accounts, one clock, one lock, deliveries and the saved state."""

import json
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import check_object
from .connect import Connect
from .deliveries import Deliveries, Receiver
from .faults import Illness
from .jobs import run_due
from .keys import account_name_of_key
from .past import Batch
from .signing import secrets_of, signature_header
from .versions import NEWEST, render_event
from .world import ALPHABET, World, public

TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedEvent:
    """An event as one endpoint receives it: the exact bytes and the signed headers."""

    type: str
    id: str
    endpoint: str
    api_version: str
    body: bytes
    headers: dict[str, str]


class FakeStripe:
    """A stateful subset of Stripe's test mode.

    `clock` gives unix seconds; `offset_seconds` (see `move_clock`) is added to it. `seed` makes ids
    repeatable. `check` holds every answer and event against the SDK's types. `settle_seconds` is
    how long a delayed payment, an async refund or a dispute's evidence takes, in the fake's time.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        check: bool = True,
        api_version: str = NEWEST,
        settle_seconds: int = 1,
        state_file: Path | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.offset_seconds = 0
        self.check = check
        self.api_version = api_version
        self.settle_seconds = settle_seconds
        self.url = "http://127.0.0.1"
        self.worlds: dict[str, World] = {}
        self.embeds: dict[str, dict[str, Any]] = {}
        self.restricted: dict[str, list[str]] = {}
        self.ended_keys: dict[str, str] = {}
        self.faults: list[str] = []
        self.illness = Illness()
        self.deliveries = Deliveries(self)
        self.connect = Connect(self)
        self.random = random.Random(seed)
        self._state_file = state_file
        self._dirty = False
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        if state_file is not None and state_file.exists():
            self._load(json.loads(state_file.read_text()))

    # -- accounts and time -------------------------------------------------------------------

    def world(self, name: str) -> World:
        """The account of that name, made when first asked for."""
        with self.lock:
            if name not in self.worlds:
                self.worlds[name] = World(self, name, api_version=self.api_version)
            return self.worlds[name]

    def now(self) -> int:
        return int(self.clock()) + self.offset_seconds

    def move_clock(self, offset_seconds: int) -> int:
        """Sets the offset, runs all that became due on the way, returns the new time."""
        with self.lock:
            self.offset_seconds = offset_seconds
            self.run_due()
            self.deliveries.clock_moved()
            self.touched()
            return self.now()

    def run_due(self) -> None:
        """Runs what is due now in every account. A fault is kept for `/_control/health`."""
        with self.lock:
            for world in list(self.worlds.values()):
                try:
                    if run_due(world, self.now()):
                        self.touched()
                except Exception:  # a job's bug must not end the clock; it is shown, and loud
                    self.faults.append(traceback.format_exc(limit=20))
                    print(self.faults[-1], file=sys.stderr, flush=True)

    def random_text(self, length: int) -> str:
        return "".join(self.random.choices(ALPHABET, k=length))

    def make_past(self, key: str, *, count: int, begin: int, end: int, **story: Any) -> Batch:
        """`count` copies of a story (`stories`), begun and over between two seconds."""
        from .stories import make_past

        with self.lock:
            self.touched()
            return make_past(self, self.world(account_name_of_key(key)), story, count, begin, end)

    # -- events ------------------------------------------------------------------------------

    def check_event(self, event: dict[str, Any]) -> None:
        if self.check:
            check_object(public(event))

    def events(self, account: str, *, api_version: str | None = None) -> list[RenderedEvent]:
        """Every event of an account (its name, id or a key), oldest first, as each endpoint that
        wants it gets it; with `api_version`, once each in that version, signed with an own secret.
        """
        with self.lock:
            world = self._world_of(account)
            endpoints = world.rows("webhook_endpoint")[::-1]
            if api_version is not None:
                endpoints = [_any_endpoint(api_version)]
            return [
                self._rendered(world, event, endpoint)
                for event in world.table("event").values()
                for endpoint in endpoints
                if {"*", event["type"]} & set(endpoint["enabled_events"])
            ]

    def receive_with(self, name: str, receiver: Receiver) -> str:
        """Registers a Python function as an endpoint; use the returned `callable:` URL."""
        self.deliveries.callables[name] = receiver
        return f"callable:{name}"

    def _rendered(self, world: World, event: dict[str, Any], endpoint: dict[str, Any]) -> Any:
        version = endpoint["api_version"] or world.api_version
        body = render_event(event, version)
        header = signature_header(secrets_of(endpoint, self.now()), self.now(), body)
        return RenderedEvent(
            type=event["type"],
            id=event["id"],
            endpoint=endpoint["id"],
            api_version=version,
            body=body,
            headers={"Content-Type": "application/json", "Stripe-Signature": header},
        )

    def _world_of(self, account: str) -> World:
        for world in self.worlds.values():
            if account in (world.name, world.account_id):
                return world
        return self.world(account_name_of_key(account))

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the sender and the ticker."""
        self.deliveries.start()
        self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        self._stop.set()
        self.deliveries.stop()
        if self._ticker is not None:
            self._ticker.join(5)
        self.save()

    def touched(self) -> None:
        """The state changed: it is saved at one of the next ticks (a large state at most a tenth
        of the time), and when the fake stops."""
        self._dirty = True

    def save(self) -> None:
        """Writes the state beside its file and moves it there, so a crash leaves the old one."""
        if self._state_file is None or not self._dirty:
            return
        with self.lock:
            self._dirty = False
            text = json.dumps(self._dump())
        beside = self._state_file.with_suffix(".tmp")
        beside.write_text(text)
        beside.replace(self._state_file)

    def _tick(self) -> None:
        rest_until = 0.0
        while not self._stop.wait(TICK_SECONDS):
            self.run_due()
            if time.monotonic() >= rest_until:
                begun = time.monotonic()
                self.save()
                rest_until = begun + 10 * (time.monotonic() - begun)

    def _dump(self) -> dict[str, Any]:
        return {
            "offset_seconds": self.offset_seconds,
            "embeds": self.embeds,
            "restricted": self.restricted,
            "ended_keys": self.ended_keys,
            "connect": self.connect.dump(),
            "worlds": {name: world.dump() for name, world in self.worlds.items()},
            "deliveries": self.deliveries.dump(),
        }

    def _load(self, dumped: dict[str, Any]) -> None:
        self.offset_seconds = dumped["offset_seconds"]
        self.embeds = dumped["embeds"]
        self.restricted = dumped.get("restricted", {})
        self.ended_keys = dumped.get("ended_keys", {})
        if "connect" in dumped:
            self.connect.load(dumped["connect"])
        for name, world in dumped["worlds"].items():
            self.world(name).load(world)
        self.deliveries.load(dumped["deliveries"])


def _any_endpoint(api_version: str) -> dict[str, Any]:
    return {
        "id": "we_any",
        "api_version": api_version,
        "enabled_events": ["*"],
        "_secret": "whsec_" + "any",
    }
