"""A reconciliation: what Stripe has against the books. After full delivery nothing is found and
nothing written; what no event told is found, healed and counted, once."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import StripeAway
from chalicelib.flows.job_desk import Desk
from chalicelib.flows.plan_jobs import NIGHTLY_DAYS, plan_jobs
from chalicelib.flows.reconcile import UNDER_WAY_MS, span_of, step
from chalicelib.flows.show_jobs import list_reconciliations
from chalicelib.storage import job_records, keys
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Put
from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.flows.live_kit import AS_WELL, INCLUDE, PAYMENT, Live, a_few_days, paid_by
from tests.flows.past_kit import DAY, KEY, MAY_1, PastWorld, booked, books, day
from tests.local.fake_stripe.conftest import control

HOUR = 3_600


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=lambda: float(MAY_1), seed=1) as running:
        yield running
        assert running.faults == []


@pytest.fixture
def world(tmp_path: Path, fake: FakeStripe) -> Live:
    return Live(tmp_path, fake)


class TestAfterFullDelivery:
    def test_nothing_is_found_and_nothing_written(self, world: Live) -> None:
        """But for what the job keeps of itself, and its report."""
        a_few_days(world)
        before, written = books(world), booked(world)
        report = world.compare(since=0)
        assert (report["found"], report["healed"], report["unexplained"]) == (0, 0, 0)
        assert report["seen"] >= 5 * 4
        assert report["amounts"].get("found", {}) == {}
        assert [key.pk for key in written] == [f"{world.scope}#reconciliations"]
        assert {k: i for k, i in books(world).items() if k not in written} == before

    def test_by_objects_alone_as_well(self, tmp_path: Path, fake: FakeStripe) -> None:
        """What a backfill brought in is what the webhooks would have told."""
        world = PastWorld(tmp_path, fake)
        world.a_past()
        world.work(world.backfill(preview=False))
        written = booked(world)
        report = world.work(world.reconciliation(since=-301)).result
        assert (report["seen"], report["found"], report["unexplained"]) == (84, 0, 0)
        assert len(written) == 1


class TestWhatNoEventTold:
    def test_a_payment_is_found_healed_and_counted_once(self, world: Live) -> None:
        a_few_days(world)
        plain = world.owed("ann")
        control(
            world.fake, "/faults", {"never": {"types": ["invoice.paid", "invoice_payment.paid"]}}
        )
        with world.losing("payment_intent.succeeded", "charge.succeeded", AS_WELL):
            invoice = world.buys(refledger_partner="ann")
        assert world.owed("ann") == plain
        world.to(4.5)
        report = world.compare(since=0)
        told = [example["id"] for example in report["examples"]]
        assert invoice.id in told
        assert (report["healed"], report["unexplained"]) == (report["found"], 0)
        assert report["amounts"]["found"] == report["amounts"]["healed"]
        assert world.owed("ann") == plain + 980
        assert world.compare(since=0)["found"] == 0

    def test_one_object_is_one(self, world: Live) -> None:
        a_few_days(world)
        refunded = next(iter(world.sales()))
        stood = world.owed("ann")
        world.lost = {
            "refund.created",
            "refund.updated",
            "charge.refunded",
            "charge.refund.updated",
        }
        intent = paid_by(world, refunded)
        refund = world.api.refunds.create({"payment_intent": intent, "amount": 1000})
        world.to(4.2)
        report = world.compare(since=4)
        assert (report["found"], report["healed"]) == (1, 1)
        assert report["amounts"] == {"found": {"eur": 1000}, "healed": {"eur": 1000}}
        assert report["examples"][0]["id"] == refund.id
        assert world.owed("ann") == stood - 200
        assert world.compare(since=4)["found"] == 0

    def test_an_invoice_of_long_before_that_was_paid_now(self, world: Live) -> None:
        """Lists go by when an object was made: its charge tells of it."""
        world.to(1)
        customer = world.api.customers.create({"email": "late@example.com"}).id
        world.api.invoice_items.create({"customer": customer, "amount": 4900, "currency": "eur"})
        metadata = {"refledger_partner": "ann"}
        told = {**INCLUDE, "customer": customer, "metadata": metadata}
        invoice = world.api.invoices.create(told).id
        world.api.invoices.finalize_invoice(invoice)
        world.to(20)
        card = world.api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        with world.losing(*PAYMENT):
            world.api.invoices.pay(invoice, {"payment_method": card})
        world.to(20.5)
        report = world.compare(since=18)
        assert (report["unexplained"], report["healed"]) == (0, report["found"])
        assert world.owed("ann") == 980
        assert invoice in world.sale(invoice).sale.ids

    def test_killed_in_between_it_reports_the_same(self, tmp_path: Path, fake: FakeStripe) -> None:
        world = PastWorld(tmp_path, fake)
        world.a_past()
        job = world.reconciliation(since=-301)
        deaths = 0
        while not world.job(job).over:
            left = 150

            def hook(call: str, writes: Any) -> None:
                nonlocal left
                left -= 1
                if left <= 0:
                    raise SystemExit

            world.memory.before = hook
            with suppress(SystemExit):
                world.work(job)
                deaths -= 1
            deaths += 1
            world.memory.before = None
            world.pass_time(400)
        found = world.job(job).result
        assert deaths > 1
        assert (found["seen"], found["healed"], found["unexplained"]) == (84, found["found"], 0)
        other = PastWorld(tmp_path, fake)
        assert other.work(other.reconciliation(since=-301)).result["found"] == found["found"]


class TestReports:
    def test_each_is_kept_the_newest_first(self, world: Live) -> None:
        world.to(1)
        world.buys(refledger_partner="ann")
        for on in (2, 3):
            world.to(on)
            world.compare(since=0)
        newest, older = world.reports()
        assert newest["at"] > older["at"]
        assert newest["connection"] == world.connection.id
        assert (newest["from"], newest["unexplained"]) == (day(0) * 1000, 0)
        assert newest["seen"] == older["seen"] > 0

    def test_what_is_unexplained_is_logged(
        self, world: Live, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What was told and handled, and is not in the books all the same: somebody looks."""
        world.to(1)
        with world.losing("invoice.paid", AS_WELL):
            invoice = world.buys(refledger_partner="ann")
        world.to(2)
        assert world.compare(since=0)["healed"] == 1
        forget(world, invoice.id)
        capsys.readouterr()
        report = world.compare(since=0)
        assert report["unexplained"] == 1
        assert report["amounts"]["unexplained"] == {"eur": 4900}
        assert report["examples"][0]["id"] == invoice.id
        logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (line,) = [line for line in logged if line["outcome"] == "unexplained"]
        assert (line["door"], line["count"]) == ("reconcile", 1)
        assert world.reports()[0]["unexplained"] == 1


def forget(world: Live, sale: str) -> None:
    """Of the sale's facts that of the invoice is lost."""
    key = keys.sale(world.scope, sale)
    item = world.everything()[key]
    body = json.loads(json.dumps(item.body))
    body["sale"]["views"] = [v for v in body["sale"]["views"] if v["id"] != sale]
    assert body != item.body
    world.store.commit([Put(replace(item, body=body))])


class TestTheStandingOne:
    def night(self, world: Live) -> Job:
        plan_jobs(world.connection, store=world.store, now=world.ms)
        key = next(
            key
            for key, item in world.everything().items()
            if key.sk == "job" and item.body["kind"] == "reconcile"
        )
        return job_records.read_job(world.everything()[key])

    def test_it_looks_at_three_days_but_not_at_what_is_under_way(self, world: Live) -> None:
        world.to(1.5)
        job = self.night(world)
        span = span_of(job, world.ms)
        assert span.until == world.ms - UNDER_WAY_MS
        assert span.until - span.since == NIGHTLY_DAYS * DAY * 1000
        assert not span.people

    def test_a_month_looks_at_all_customers(self, world: Live) -> None:
        job = replace(self.night(world), params={"days": 31})
        assert span_of(job, world.ms).people

    def test_each_run_begins_anew_and_leaves_its_report(self, world: Live) -> None:
        a_few_days(world)
        job = self.night(world)
        for on in (5, 6, 7):
            world.to(on)
            world.now = max(world.now, world.job(job).due_at / 1000)
            world.run_due()
        runs = world.job(job)
        assert runs.runs == len(world.reports()) == 3
        assert runs.state == "waiting"
        seen = [report["seen"] for report in world.reports()]
        assert seen == sorted(seen)  # the newest sees the least of days 1 to 4
        assert seen[0] < seen[-1]


def test_a_cursor_whose_object_is_gone_begins_its_list_anew(world: Live, fake: FakeStripe) -> None:
    control(
        fake,
        "/past",
        {"key": KEY, "story": "payment", "count": 120, "from": day(-20), "to": day(-1)},
    )
    job = world.reconciliation(since=-30)
    calls = world.stripe(world.connections.credentials(world.connection))
    desk = Desk(
        store=world.store,
        connections=world.connections,
        connection=world.connection,
        calls=calls,
        now=world.tick,
        until=lambda: False,
        stripe=world.stripe,
    )
    first = step(job, desk)
    assert first.cursor["after"].startswith("cus_")
    gone = replace(job, cursor={**first.cursor, "after": "cus_gone"}, result=first.result)
    assert step(gone, desk).cursor["after"] == first.cursor["after"]


def test_stripe_away_leaves_the_job_where_it_was(world: Live) -> None:
    a_few_days(world)
    job = world.reconciliation(since=0)
    control(world.fake, "/faults", {"faults": [{"kind": "500", "calls": 9, "path": "/charges"}]})
    calls = world.stripe(world.connections.credentials(world.connection))
    assert calls
    with suppress(StripeAway):
        world.run_due()
    waiting = world.job(job)
    assert waiting.state == "waiting"
    assert waiting.done > 0
    control(world.fake, "/faults", {"clear": True})
    world.pass_time(3 * HOUR)
    assert world.work(job).result["found"] == 0


def test_reports_of_two_programs_are_apart(world: Live) -> None:
    world.compare(since=-1)
    other = world.a_program("Beta")
    assert list_reconciliations(scope=Scope(other.id, "test"), store=world.store, limit=9)[0] == []
