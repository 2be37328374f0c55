"""A Stripe account with a business, and a program that is connected to it: deliveries go through
the webhook's door or are lost, and jobs ask the fake."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stripe

from chalicelib.flows.job_lease import LEASE_MS
from chalicelib.flows.job_shift import Ran
from chalicelib.flows.plan_jobs import STANDING, jobs_of, plan_jobs
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.read_program import Programs
from chalicelib.flows.receive_webhook import Received, receive_webhook
from chalicelib.flows.run_jobs import run_jobs
from chalicelib.storage import keys, records
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job, JobKind
from chalicelib.storage.store import Put, Remove
from chalicelib.stripe_adapter.calls import Rows, StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.pace import Pacer
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.fake_stripe import FakeStripe, RenderedEvent
from tests.builders.world import World
from tests.fakes.memory_store import MemoryStore
from tests.mishap_kit import Killed

KEY = "sk_" + "test_acme_1"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
START = 1_777_593_600 + 3 * DAY  # 4 May 2026


class Clock:
    """The one time of the fake and of the worlds beside it."""

    def __init__(self, start: float) -> None:
        self.time = start

    def __call__(self) -> float:
        return self.time


class Account:
    """One merchant's account and business; ``programs`` are connected to it."""

    def __init__(self, fake: FakeStripe, clock: Clock) -> None:
        self.fake, self.clock = fake, clock
        self.client = stripe.StripeClient(KEY, base_addresses={"api": fake.url})
        self.api: Any = self.client.v1
        self.customers: list[str] = []

    def pass_time(self, seconds: float) -> Account:
        self.clock.time += seconds
        self.fake.run_due()
        return self

    def a_customer(self) -> str:
        email = f"buyer{len(self.customers)}@example.com"
        made = self.api.customers.create({"email": email})
        method = self.api.payment_methods.attach("pm_card_visa", {"customer": made.id})
        settings = {"invoice_settings": {"default_payment_method": method.id}}
        self.api.customers.update(made.id, settings)
        self.customers.append(made.id)
        return str(made.id)

    def an_invoice(self, customer: str, amount: int = 2990) -> str:
        """Paid; its payment intent stands in ``invoice_payments``."""
        draft = self.api.invoices.create({"customer": customer, "currency": "eur"})
        line = {"customer": customer, "invoice": draft.id, "amount": amount, "currency": "eur"}
        self.api.invoice_items.create(line | {"description": "Work"})
        return str(self.api.invoices.pay(draft.id).id)

    def an_intent(self, customer: str, amount: int = 4900) -> Any:
        """A payment that nobody claims."""
        told = {"amount": amount, "currency": "eur", "customer": customer, "confirm": True}
        return self.api.payment_intents.create(told | {"payment_method": "pm_card_visa"})

    def a_refund(self, intent: str, amount: int) -> str:
        return str(self.api.refunds.create({"payment_intent": intent, "amount": amount}).id)

    def intent_of(self, invoice: str) -> str:
        (payment,) = self.api.invoice_payments.list({"invoice": invoice}).data
        return str(payment.payment.payment_intent)

    def events(self, version: str = stripe.api_version) -> list[RenderedEvent]:
        found = self.fake.events(KEY, api_version=version)
        return [event for event in found if event.type in ENABLED_EVENTS]


class WatchedCalls(StripeCalls):
    """Calls ``watch`` before each read, and after it."""

    watch: Callable[[], None]

    def retrieve(self, *about: Any, **more: Any) -> Any:
        self.watch()
        found = super().retrieve(*about, **more)
        self.watch()
        return found

    def page(self, *about: Any, **more: Any) -> Rows:
        self.watch()
        found = super().page(*about, **more)
        self.watch()
        return found


class Connected:
    """A program of its own world, connected to the account by key since the world began."""

    def __init__(
        self, tmp_path: Path, account: Account, name: str, store: MemoryStore | None = None
    ) -> None:
        self.account, self.name = account, name
        self.store = store or MemoryStore()
        self.world = World(tmp_path / name, self.store)
        self.world.now = account.clock.time
        self.store.commit([Remove(keys.connection(self.world.connection.id), 1)])  # cannot ask
        self.failing = False
        self.clock_of_calls = 0.0
        self.made: list[StripeCalls] = []
        self.watch: Callable[[], None] = lambda: None
        url = account.fake.receive_with(name, self._receive)
        told = {"url": url, "enabled_events": list(ENABLED_EVENTS)}
        endpoint = account.api.webhook_endpoints.create(told)
        self.endpoint = str(endpoint.id)
        self.connection = self.world.connection = self._connect(str(endpoint.secret))

    def _connect(self, secret: str) -> Connection:
        world, account = self.world, self.account
        made = world.a_connection(world.program)
        place = f"connection/{made.program}/{made.id}/"

        def seal(text: str, field: str) -> str:
            return world.sealer.seal(text, place=place + field)

        whole = replace(
            made,
            account=account.fake.world("acme").account_id,
            created_at=world.ms,
            sealed_api_key=seal(KEY, "api_key"),
            sealed_webhook_secrets=(seal(secret, "webhook_secret"),),
        )
        return self.keep(whole)

    def keep(self, connection: Connection) -> Connection:
        key = keys.connection(connection.id)
        version = self.store.get([key])[key].version
        self.store.commit([Put(records.connection_item(connection, version))])
        self.connection = connection
        self.use(self.store)
        return connection

    def use(self, store: MemoryStore) -> None:
        """Another store in place of this one, and a process that has read nothing yet."""
        world = self.world
        self.store = world.store = store
        world.programs = Programs(store, lambda: world.ms)
        world.connections = Connections(store, world.sealer, lambda: world.ms)

    def _receive(self, body: bytes, headers: Mapping[str, str]) -> int:
        if self.failing:
            return 500
        self.deliver(body, headers["Stripe-Signature"])
        return 200

    def deliver(self, body: bytes, signature: str) -> Received:
        """At the moment when it was signed: the clock may have been moved on meanwhile."""
        at = int(signature.partition(",")[0].removeprefix("t="))
        self.world.at(at)
        return receive_webhook(
            self.connection.id,
            body,
            signature,
            store=self.store,
            connections=self.world.connections,
            now=datetime.fromtimestamp(at, tz=UTC),
        )

    def enrol_all(self) -> None:
        """Everybody who bought came by ann's link; told on the first day."""
        for number, customer in enumerate(self.account.customers):
            self.world.enrol(f"c{number}", partner="ann", stripe_customer_id=customer)

    def plan(self, *kinds: JobKind) -> None:
        """The standing jobs; with ``kinds`` no others."""
        plan_jobs(self.connection, store=self.store, now=self.ms())
        for kind in set(STANDING) - set(kinds or STANDING):
            key = self.job(kind).key
            self.store.commit([Remove(key, self.store.get([key])[key].version)])

    def ms(self) -> int:
        return int(self.account.clock.time * 1000)

    def calls_of(self, credentials: Credentials) -> StripeCalls:
        """Paced on a clock of their own, on which waiting takes no time."""

        def sleep(seconds: float) -> None:
            self.clock_of_calls += seconds

        pacer = Pacer(clock=lambda: self.clock_of_calls, sleep=sleep)
        calls = WatchedCalls(credentials, api_base=self.account.fake.url, pacer=pacer)
        calls.watch = lambda: self.watch()
        self.made.append(calls)
        return calls

    def run(self, until: Callable[[], bool] = lambda: False) -> Ran:
        self.world.at(self.account.clock.time)
        return run_jobs(
            store=self.store,
            connections=self.world.connections,
            stripe=self.calls_of,
            now=self.ms,
            until=until,
        )

    def job(self, kind: JobKind) -> Job:
        (job,) = jobs_of(self.connection.scope, kind, store=self.store, limit=10)[0]
        return job

    def inbox(self) -> dict[str, records.InboxHead]:
        heads = [
            records.read_inbox(item)
            for key, item in self.store.everything().items()
            if (key.table, key.sk) == ("inbox", "head")
        ]
        return {head.id: head for head in heads}

    @property
    def requests(self) -> int:
        return sum(calls.made for calls in self.made)


def killed_at_each_call(
    ours: Connected, *, when: str, every: int, check: Callable[[int], None]
) -> int:
    """Run what is due, and die at every n-th call of the store or of Stripe; run again when the
    lease is over, and ``check``. Each time from where it stands now. Returns the first call at
    which nobody died any more."""
    snapshot, began = ours.store.copy(), ours.account.clock.time
    for at in itertools.count(1, every):
        ours.account.clock.time = began
        ours.use(snapshot.copy())
        left = itertools.count(at - 1, -1)

        def dies(*told: Any, left: Iterator[int] = left) -> None:
            if next(left) == 0:
                raise Killed

        setattr(ours.store, when, dies)
        ours.watch = dies
        try:
            ours.run()
        except Killed:
            pass
        else:
            return at
        setattr(ours.store, when, None)
        ours.watch = lambda: None
        ours.account.pass_time(LEASE_MS / 1000 + 1)
        ours.run()
        check(at)
    raise AssertionError("there is always a call at which nobody dies")
