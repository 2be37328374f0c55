"""A minute of mixed traffic, as fast as this machine holds; then the books are checked.

The whole local server runs: doors, schedules, the stream that counts clicks. Visitors click, sign
up and buy; Stripe tells each purchase in any order, part of it twice, and again whatever was not
answered with a 2xx. What clients were promised is remembered, and held against what is stored.
"""

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.bench.books import Promised, check_books
from local.bench.client import Client, Reply, request_bytes
from local.bench.purchases import Event, buyer, purchase
from local.bench.running import free_port, running
from local.bench.scene import Scene, click_body, sign_up_body, signed
from local.bench.starting import percentile
from local.place import HOST
from local.processes import Recipe

SECONDS = 60
WORKERS = 6
TWICE = 0.2  # of all deliveries
HELD = 40  # deliveries under way, so that those of several purchases mix
READ, ONLY_LOOKS, BUYS_BY_LINK = 0.2, 0.88, 0.94  # bounds of a draw; above the last: signs up
SEED = 20_261_122
PARTNERS = ("ann", "bob")
READS = (
    "/v1/partners/ann",
    "/v1/partners/bob/ledger?limit=15",
    "/v1/transactions?limit=15",
)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """What was asked in the minute, and what the books said after it. ``wrong`` is empty when
    nothing was lost and nothing doubled."""

    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    promised: Promised = field(default_factory=Promised)
    wrong: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.waits) / self.seconds


def measure_load(
    scene: Scene, environment: Mapping[str, str], folder: Path, *, seconds: float = SECONDS
) -> Loaded:
    """``scene`` speaks to the same database as ``environment`` says."""
    port = free_port()
    recipe = Recipe(
        name="app",
        module="local.serve",
        arguments=("--port", str(port), "--state-dir", str(folder)),
        environment=environment,
        ready_url=f"http://{HOST}:{port}/_local/health",
    )
    with running(recipe, folder):
        traffic = Traffic(scene, port)
        loaded = traffic.run(seconds)
        for name in ("sweep", "count_clicks", "sweep", "count_clicks"):
            _run(port, name)
    loaded.wrong = check_books(loaded.promised, ids=scene.ids, store=scene.house.store)
    return loaded


def _run(port: int, name: str) -> None:
    with Client(port) as client:
        reply = client.ask(request_bytes("POST", f"/_local/run/{name}"))
    if reply.status != 200:
        raise RuntimeError(f"{name} was answered {reply.status}: {reply.body[:300]!r}")


class Traffic:
    """Visitors, customers and Stripe, by as many workers."""

    def __init__(self, scene: Scene, port: int) -> None:
        self._ids, self._port = scene.ids, port
        self._rng = random.Random(SEED)
        self._lock = threading.Lock()
        self._mail: deque[Event] = deque()
        self._number = 80_000_000
        self._loaded = Loaded()
        self._errors: list[Exception] = []
        self._end = 0.0

    def run(self, seconds: float) -> Loaded:
        """Until the time is over; then what Stripe still owes is delivered as well."""
        begun = time.perf_counter()
        self._end, self._loaded.seconds = begun + seconds, seconds
        threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self._loaded

    def _work(self) -> None:
        try:
            with Client(self._port) as client:
                while time.perf_counter() < self._end and not self._errors:
                    self._one(client)
                while self._mail and not self._errors:
                    self._deliver(client)
        except Exception as error:  # it is raised in ``run``
            self._errors.append(error)

    def _one(self, client: Client) -> None:
        with self._lock:
            waiting = len(self._mail)
            self._number += 1
            number, chance, partner = self._number, self._rng.random(), self._rng.choice(PARTNERS)
        if waiting > HELD:
            self._deliver(client)
        elif chance < READ:
            self._ask(client, "read", request_bytes("GET", READS[number % 3], b"", self._key()))
        else:
            self._visit(client, number, partner, chance)

    def _visit(self, client: Client, number: int, partner: str, chance: float) -> None:
        """A click; of some a sign-up and a purchase, of others a purchase by the link."""
        body = click_body(self._ids.program, number, partner)
        reply = self._ask(client, "click", request_bytes("POST", "/t/click", body))
        if reply.header("X-Refledger") != "recorded":
            return
        with self._lock:
            self._loaded.promised.clicks.append((number, partner))
        if chance < ONLY_LOOKS:
            return
        by_link = chance < BUYS_BY_LINK
        if not by_link:
            told = sign_up_body(self._ids.program, number, buyer(number), partner)
            if self._ask(client, "sign-up", request_bytes("POST", "/t/signup", told)).status != 200:
                return
        events = purchase(number, partner=partner if by_link else "")
        with self._lock:
            self._loaded.promised.purchases.append((number, partner))
            for event in events:
                for _ in range(2 if self._rng.random() < TWICE else 1):
                    self._mail.insert(self._rng.randint(0, len(self._mail)), event)

    def _deliver(self, client: Client) -> None:
        with self._lock:
            if not self._mail:
                return
            event = self._mail.popleft()
        headers = {"Content-Type": "application/json", "Stripe-Signature": signed(event.body)}
        target = f"/stripe/webhooks/{self._ids.connection}"
        reply = self._ask(
            client, "webhook", request_bytes("POST", target, event.body, headers.items())
        )
        with self._lock:
            if reply.status == 200:
                self._loaded.promised.events.add(json.loads(event.body)["id"])
            else:
                self._mail.append(event)

    def _ask(self, client: Client, kind: str, raw: bytes) -> Reply:
        begun = time.perf_counter()
        reply = client.ask(raw)
        took = time.perf_counter() - begun
        with self._lock:
            self._loaded.answers[f"{kind} {reply.status}"] += 1
            if begun < self._end:
                self._loaded.waits.append(took)
        return reply

    def _key(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {self._ids.api_key}")]


def show(loaded: Loaded) -> str:
    promised = loaded.promised
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(loaded.answers.items()))
    waits = [percentile(loaded.waits, percent) * 1000 for percent in (50, 99)]
    lines = [
        f"{loaded.per_second:.0f} requests a second for {loaded.seconds:.0f} s"
        f" (p50 {waits[0]:.0f} ms, p99 {waits[1]:.0f} ms): {told}",
        f"{len(promised.clicks)} clicks, {len(promised.purchases)} purchases told by"
        f" {len(promised.events)} events: {'; '.join(loaded.wrong) or 'the books are right'}",
    ]
    return "\n".join(lines)
