"""A program beside an account that has a past at Stripe, and jobs that are worked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chalicelib.flows.ask_for_job import ask_for_backfill, ask_for_reconciliation
from chalicelib.flows.plan_jobs import read_job
from chalicelib.flows.read_connection import secret_place
from chalicelib.flows.run_jobs import run_job, run_jobs
from chalicelib.storage import keys
from chalicelib.storage.checks import key_of
from chalicelib.storage.connection_records import Connection, connection_item
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Key, Put, Write
from chalicelib.stripe_adapter.calls import StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.pace import Pacer
from local.fake_stripe import FakeStripe
from tests.builders.world import DAY as DAY
from tests.builders.world import MAY_1 as MAY_1
from tests.builders.world import World, day, token
from tests.fakes.memory_store import MemoryStore
from tests.local.fake_stripe.conftest import control

KEY = "sk_" + "test_acme_1"
START = -300  # days before 1 May 2026, on which the past begins


OF_A_JOB = ("#job#", "job-lease", "job-sales#", "what-if#", "#backfill-of#")
"""What a job keeps of its own; nothing in it is of the books."""


class _Hand:
    """A clock that moves when somebody sleeps: pauses cost no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class PastWorld(World):
    """``fake`` stands at ``now``. Stripe's pace is no matter here: the calls are counted."""

    def __init__(self, tmp_path: Path, fake: FakeStripe, **settings: Any) -> None:
        self.fake = fake
        self.asked: list[StripeCalls] = []
        self.stories = 0
        self.slow = 0.0
        super().__init__(tmp_path, MemoryStore(), **settings)
        self.connection = self.with_key(self.connection)

    @property
    def memory(self) -> MemoryStore:
        assert isinstance(self.store, MemoryStore)
        return self.store

    def with_key(self, connection: Connection, key: str = KEY) -> Connection:
        place = secret_place(connection.program, connection.id, "api_key")
        made = replace(connection, sealed_api_key=self.sealer.seal(key, place=place))
        stored = self.store.get([keys.connection(made.id)])[keys.connection(made.id)]
        self.store.commit([Put(connection_item(made, stored.version))])
        return made

    def stripe(self, credentials: Credentials) -> StripeCalls:
        hand = _Hand()
        pacer = Pacer(per_second=1_000_000, clock=hand, sleep=hand.sleep)
        calls = StripeCalls(credentials, api_base=self.fake.url, pacer=pacer)
        self.asked.append(calls)
        return calls

    # the past

    def past(
        self, story: str, count: int, *, since: float = START, until: float = -1, **about: Any
    ) -> None:
        """Each story has buyers of its own, unless they are named."""
        self.stories += 1
        buyer = f"buyer-{self.stories}-{{n}}@example.com"
        told: dict[str, Any] = {"customer": {"email": buyer}, "email": buyer, **about}
        told |= {"key": KEY, "story": story, "count": count}
        control(self.fake, "/past", {**told, "from": day(since), "to": day(until)})

    def a_past(self, size: int = 1) -> None:
        """Purchases by ann's and bob's links, subscriptions, refunds, strangers, notes of credit:
        22 sales in 84 objects, for each of ``size``."""
        self.past("payment", 3 * size, client_reference_id=token("ann"))
        self.past("payment", 2 * size, client_reference_id=token("bob"), refund=1900, customer=None)
        self.past("subscription", 2 * size, months=4, client_reference_id=token("ann", 2))
        self.past(
            "invoice",
            2 * size,
            months=3,
            metadata={"refledger_partner": "bob"},
            credit_note=900,
        )
        self.past("payment_intent", 2 * size)
        self.past("payment", size, client_reference_id=token("stranger"), currency="usd")

    # jobs

    def backfill(self, *, preview: bool, since: float = START - 1, **about: Any) -> Job:
        scope = about.pop("scope", self.scope)
        connection = about.pop("connection", self.connection)
        return ask_for_backfill(
            connection.id,
            since=day(since) * 1000,
            preview=preview,
            scope=scope,
            store=self.store,
            now=self.ms,
        )

    def reconciliation(self, *, since: float, until: float | None = None, **about: Any) -> Job:
        return ask_for_reconciliation(
            about.get("connection", self.connection).id,
            since=day(since) * 1000,
            until=None if until is None else day(until) * 1000,
            scope=about.get("scope", self.scope),
            store=self.store,
            now=self.ms,
        )

    def work(self, job: Job, say: Callable[[Job], None] = lambda job: None) -> Job:
        """Work on it to its end."""
        done = run_job(
            job.id,
            job.scope,
            store=self.store,
            connections=self.connections,
            stripe=self.stripe,
            now=self.tick,
            say=say,
            pause=lambda seconds: self.pass_time(60),
        )
        assert done.state == "done", done.because
        return done

    def run_due(self, until: Callable[[], bool] = lambda: False) -> Any:
        return run_jobs(
            store=self.store,
            connections=self.connections,
            stripe=self.stripe,
            now=self.tick,
            until=until,
        )

    def job(self, job: Job) -> Job:
        return read_job(job.scope, job.id, self.store)

    def tick(self) -> int:
        """The clock that a runner reads: each look is a millisecond later, or ``slow``
        seconds."""
        self.now += 0.001 + self.slow
        return self.ms

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    # what stands

    def books(self, scope: Scope | None = None) -> Mapping[str, Any]:
        """Sales with reasons and rewards, and balances."""
        from tests.conformance.at_rest import books_of

        return books_of(scope or self.scope, self.everything())

    @property
    def writes(self) -> int:
        return self.memory.calls["commit"]


def of_the_books(key: Key) -> bool:
    return not any(part in key.pk for part in OF_A_JOB)


def books(world: PastWorld) -> dict[Key, Any]:
    return {key: item for key, item in world.everything().items() if of_the_books(key)}


def booked(world: PastWorld) -> list[Key]:
    """What is written to the books from now on."""
    written: list[Key] = []

    def hook(call: str, writes: Sequence[Write]) -> None:
        written.extend(key for key in map(key_of, writes) if of_the_books(key))

    world.memory.before = hook
    return written
