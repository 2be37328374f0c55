"""An account's past: what a preview says is what the run does, however often it is killed; twice is
once."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.program import Rule
from chalicelib.core.refusals import Unavailable
from chalicelib.flows.job_lease import LEASE_MS
from chalicelib.flows.job_sales import MOST_PARTNERS, added
from chalicelib.flows.show_jobs import list_job_sales, sale_cursor
from chalicelib.flows.walk_past import PAGE_MS
from chalicelib.storage import keys, noted, records, what_if
from chalicelib.storage.job_records import Job, job_item
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Put
from chalicelib.storage.what_if import WhatIf
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.objects import LISTED, event_of
from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.builders.stripe_bodies import a_session
from tests.flows.past_kit import DAY, KEY, MAY_1, PastWorld, booked, books, day, token
from tests.mishap_kit import Killed

NOBODY = "nobody brought this customer: no click, sign-up, reference or metadata"


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=lambda: float(MAY_1), seed=1) as running:
        yield running
        assert running.faults == []


@pytest.fixture
def world(tmp_path: Path, fake: FakeStripe) -> PastWorld:
    return PastWorld(tmp_path, fake)


def lines(job: Job, name: str) -> dict[tuple[str, str], tuple[int, int]]:
    of = "partner" if name == "partners" else "because"
    found = job.result["sums"][name]
    return {(line[of], line["currency"]): (line["sales"], line["minor"]) for line in found}


def rewards(job: Job) -> dict[tuple[str, str], int]:
    return {name: minor for name, (_, minor) in lines(job, "partners").items()}


def balances(world: PastWorld) -> dict[tuple[str, str], int]:
    found = {name: sum(world.balance(*name)) for name in world.balances()}
    return {name: minor for name, minor in found.items() if minor}


class TestThePreview:
    def test_it_says_who_gets_what_and_why(self, world: PastWorld) -> None:
        world.a_past()
        job = world.work(world.backfill(preview=True))
        assert job.result["read"]["seen"] == job.done == job.total == 84
        assert job.result["read"]["unexplained"] == 0
        assert job.result["sums"]["found"] == 22
        assert job.result["sums"]["changed"] == 0
        assert job.result["sums"]["amounts"] == {"usd": 4900, "eur": 21 * 4900}
        reference = "checkout reference, click not seen; 20 % of net, for ever"
        metadata = "metadata in Stripe; 20 % of net, for ever"
        assert lines(job, "partners") == {
            ("ann", "eur"): (3 + 8, 11 * 980),
            ("bob", "eur"): (2 + 6, 2 * 600 + 4 * 980 + 2 * 800),
        }
        assert lines(job, "reasons") == {
            (reference, "eur"): (11, 11 * 980),
            (f"{reference}; in part taken back", "eur"): (2, 2 * 600),
            (metadata, "eur"): (4, 4 * 980),
            (f"{metadata}; in part taken back", "eur"): (2, 2 * 800),
        }
        assert lines(job, "nobody") == {
            (NOBODY, "eur"): (2, 9800),
            ("no partner has the key stranger", "usd"): (1, 4900),
        }

    def test_nothing_is_written_to_the_books(self, world: PastWorld) -> None:
        world.a_past()
        before, written = books(world), booked(world)
        world.work(world.backfill(preview=True))
        assert written == []
        assert books(world) == before
        assert balances(world) == {}

    def test_what_it_keeps_goes_away_by_itself(self, world: PastWorld) -> None:
        world.a_past()
        world.work(world.backfill(preview=True))
        kept = [i for k, i in world.everything().items() if k.pk.startswith(keys.OF_JOBS)]
        ends = world.ms // 1000 + what_if.KEPT_DAYS * DAY
        assert len(kept) > 100
        assert all(i.key.table == "sessions" and i.expires_at == ends for i in kept)

    def test_its_balances_are_what_it_says(self, world: PastWorld) -> None:
        world.a_past()
        job = world.work(world.backfill(preview=True))
        tried = WhatIf(world.store, job.id, job.created_at)
        assert rewards(job)
        for (partner, currency), minor in rewards(job).items():
            key = keys.balance(world.scope, partner, currency)
            assert records.read_balance(tried.get([key])[key]).pending == minor


class TestTheRun:
    def test_it_comes_to_what_the_preview_said(self, world: PastWorld) -> None:
        world.a_past()
        preview = world.work(world.backfill(preview=True))
        run = world.work(world.backfill(preview=False))
        assert run.result == preview.result
        assert (run.done, run.total) == (preview.done, preview.total)
        assert balances(world) == rewards(run)
        assert world.works() == []
        shown = [sales(world, job) for job in (preview, run)]
        assert shown[0] == shown[1]

    def test_twice_is_once(self, world: PastWorld) -> None:
        world.a_past()
        world.work(world.backfill(preview=False))
        before, written = books(world), booked(world)
        again = world.work(world.backfill(preview=False))
        assert written == []
        assert books(world) == before
        assert again.result["read"]["seen"] == 84
        assert (again.result["read"]["found"], again.result["read"]["unexplained"]) == (0, 0)
        assert again.result["sums"] == {
            "found": 0,
            "changed": 0,
            "amounts": {},
            "partners": [],
            "reasons": [],
            "nobody": [],
        }

    def test_what_is_known_is_not_found(self, tmp_path: Path, fake: FakeStripe) -> None:
        """Only what lacks is found, whatever told of the rest."""
        world = PastWorld(tmp_path, fake)
        world.a_past()
        world.work(world.backfill(preview=False, since=-150))
        some = world.work(world.backfill(preview=True))
        assert 0 < some.result["sums"]["found"] < 22
        world.work(world.backfill(preview=False))
        other = PastWorld(tmp_path, fake)
        other.stories = 99
        other.work(other.backfill(preview=False))
        assert balances(world) == balances(other)

    def test_a_day_bounds_it(self, world: PastWorld) -> None:
        world.past("payment", 10, since=-100, until=-10, client_reference_id=token("ann"))
        job = world.work(world.backfill(preview=True, since=-50))
        assert 3 <= job.result["sums"]["found"] <= 6
        assert world.work(world.backfill(preview=True)).result["sums"]["found"] == 10

    def test_progress(self, world: PastWorld) -> None:
        world.a_past(2)
        said: list[Job] = []
        world.work(world.backfill(preview=False), said.append)
        done = [job.done for job in said]
        assert done == sorted(done)
        assert all(job.total == 0 or job.total >= job.done for job in said)
        assert 0 < next(job for job in said if job.total).total < 3000
        assert (said[-1].done, said[-1].total, said[-1].state) == (168, 168, "done")
        assert said[-1].rate > 0

    def test_lists_of_more_than_a_page(self, world: PastWorld) -> None:
        world.past("payment_intent", 230, since=-40, until=-20, customer=None)
        run = world.work(world.backfill(preview=False, since=-90))
        assert (run.done, run.result["sums"]["found"]) == (460, 230)

    def test_an_empty_account(self, world: PastWorld) -> None:
        job = world.work(world.backfill(preview=False))
        assert (job.done, job.total, job.result["sums"]["found"]) == (0, 0, 0)
        assert all(calls.made <= 110 for calls in world.asked)


def sales(world: PastWorld, job: Job, limit: int = 7) -> list[Any]:
    """All lines of a job, page by page."""
    found: list[Any] = []
    after, more = "", True
    while more:
        page, more = list_job_sales(
            job.id, scope=job.scope, store=world.store, limit=limit, after=after
        )
        assert len(page) <= limit
        found += page
        after = sale_cursor(page[-1]) if page else ""
    return found


@pytest.mark.parametrize("preview", [True, False])
def test_the_single_sales_add_up_to_the_sums(world: PastWorld, preview: bool) -> None:
    world.a_past(2)
    job = world.work(world.backfill(preview=preview))
    shown = sales(world, job)
    assert sum(sale.holds and sale.note.new for sale in shown) == job.result["sums"]["found"]
    earned: Counter[tuple[str, str]] = Counter()
    for sale in shown:
        for name, minor in sale.note.earned.items():
            partner, currency = name.split("|")
            earned[partner, currency] += minor
    assert earned == rewards(job)
    times = [sale.note.place for sale in shown]
    assert times == sorted(times)
    assert all(sale.settled.because and sale.settled.trace for sale in shown)


def test_with_more_partners_than_lines_each_line_is_whole(world: PastWorld) -> None:
    world.past("payment", 1, client_reference_id=token("ann"))
    job = world.work(world.backfill(preview=False))
    [sale] = sales(world, job)
    many = [
        replace(
            sale,
            note=replace(sale.note, earned={f"p{n}|eur": 1 + n}),
            settled=replace(sale.settled, credited=f"p{n}"),
        )
        for n in range(MOST_PARTNERS + 9)
    ]
    sums: dict[str, Any] = {}
    for _ in range(2):
        for start in range(0, len(many), 50):
            sums = added(sums, many[start : start + 50])
    lines = {line["partner"]: (line["sales"], line["minor"]) for line in sums["partners"]}
    assert len(lines) == MOST_PARTNERS + 1
    others = lines.pop("(others)")
    assert all(lines[name] == (2, 2 * (1 + int(name[1:]))) for name in lines)
    assert others[1] + sum(minor for _, minor in lines.values()) == sum(
        2 + 2 * n for n in range(509)
    )
    assert sums["partners"][-1]["partner"] == "(others)"


class Mortal:
    """Processes that die at any call to the store, again and again; then nothing more is heard."""

    def __init__(self, world: PastWorld, seed: int, *, every: int) -> None:
        self.world, self.rng, self.every = world, random.Random(seed), every
        self.deaths = 0

    def run(self, job: Job) -> Job:
        while not (known := self.world.job(job)).over:
            assert self.deaths < 400, "it never comes to an end"
            self._live()
            try:
                self.world.work(job)
            except Killed:
                self.deaths += 1
            self.world.memory.before = self.world.memory.after = None
            self.world.pass_time(LEASE_MS / 1000 + 1)
        assert known.state == "done", known.because
        return known

    def _live(self) -> None:
        hook = dies_after(self.rng.randrange(1, self.every))
        if self.rng.random() < 0.5:  # whether the last call is done before the end
            self.world.memory.after = hook
        else:
            self.world.memory.before = hook


def test_killed_at_random_it_equals_the_preview(tmp_path: Path, fake: FakeStripe) -> None:
    world = PastWorld(tmp_path, fake)
    world.a_past(2)
    preview = world.work(world.backfill(preview=True))
    mortal = Mortal(world, 1, every=1500)
    again = mortal.run(world.backfill(preview=True))
    assert again.result == preview.result
    run = mortal.run(world.backfill(preview=False))
    assert mortal.deaths > 4
    assert run.result == preview.result
    assert balances(world) == rewards(preview)
    assert world.works() == []
    before = books(world)
    assert mortal.run(world.backfill(preview=False)).result["read"]["found"] == 0
    assert books(world) == before


def test_a_run_that_meets_a_busy_store_goes_on_where_it_was(world: PastWorld) -> None:
    world.a_past()
    job = replace(world.backfill(preview=False), tries=2, because=Unavailable().message)
    world.store.commit([Put(job_item(job, version=1))])
    done = world.work(job)
    assert "again" not in done.cursor
    assert (done.done, done.result["read"]["seen"]) == (84, 84)


def test_a_preview_that_live_events_outrun_begins_anew(tmp_path: Path, fake: FakeStripe) -> None:
    """They change the books that it began with, until what it has tried contradicts them."""
    rule = Rule(kind="percentage", rate_basis_points=2000, lasts="payments", count=2)
    world = PastWorld(tmp_path, fake, reward=rule)
    sam = {"customer": None, "email": "sam@example.com"}
    world.past("payment", 2, client_reference_id=token("ann"), **sam)
    world.past("payment", 2, client_reference_id=token("bob"), refund=1900)
    world.past("subscription", 2, months=4, client_reference_id=token("ann", 2))
    world.past("invoice", 2, months=3, metadata={"refledger_partner": "bob"}, credit_note=900)
    world.past("payment_intent", 2)
    plain = world.work(world.backfill(preview=True))
    events = told_live(world)
    random.Random(0).shuffle(events)
    events = events[len(events) // 3 :]

    def live(job: Job) -> None:
        for event in [events.pop(), events.pop()] if len(events) > 1 else []:
            assert world.deliver(event).state != "failed"

    outrun = world.work(world.backfill(preview=True), say=live)
    assert outrun.cursor["again"] >= 1
    assert outrun.result["read"]["unexplained"] == 0
    assert outrun.done == outrun.result["read"]["seen"] == plain.done
    shown = sum(sale.holds and sale.note.new for sale in sales(world, outrun))
    assert shown == outrun.result["sums"]["found"] > 0
    run = world.work(world.backfill(preview=False))
    assert run.result["read"]["unexplained"] == 0
    assert balances(world) == rewards(plain)


def told_live(world: PastWorld) -> list[dict[str, Any]]:
    """The past as webhooks would tell it, had they come now."""
    calls = world.stripe(Credentials(api_key=KEY, livemode=False))
    told = []
    for listed in LISTED:
        for row in calls.page(listed.kind, params=listed.params).rows:
            body = event_of(listed.kind, row, livemode=False, account="")
            told += [{**json.loads(body), "id": f"evt_{row['id']}"}] if body else []
    return told


def test_slow_pages_are_cut_and_come_to_the_same(tmp_path: Path, fake: FakeStripe) -> None:
    """A page that is not done in its time goes on as the next one."""
    world = PastWorld(tmp_path, fake)
    world.a_past()
    preview = world.work(world.backfill(preview=True))
    plain = sum(calls.made for calls in world.asked)
    world.slow = PAGE_MS / 2_000
    run = world.work(world.backfill(preview=False))
    assert sum(calls.made for calls in world.asked) > 2 * plain
    assert run.result == preview.result
    assert run.done == preview.done


def test_swept_after_its_death_it_equals_the_preview(tmp_path: Path, fake: FakeStripe) -> None:
    """What a killed process left undone is not the sweeper's before the job goes on."""
    rule = Rule(kind="percentage", rate_basis_points=2000, lasts="payments", count=1)
    sam = {"customer": None, "email": "sam@example.com"}
    for calls in (3, 12, 13, 19, 20, 27, 40):
        (folder := tmp_path / str(calls)).mkdir()
        world = PastWorld(folder, fake, reward=rule)
        if calls == 3:
            told = {"client_reference_id": token("ann"), **sam}
            world.past("payment", 1, since=-20, until=-19, **told)
            world.past("payment", 1, since=-10, until=-9, **sam)
        preview = world.work(world.backfill(preview=True, since=-25))
        run = world.backfill(preview=False, since=-25)
        world.memory.after = dies_after(calls)
        with pytest.raises(Killed):
            world.work(run)
        world.memory.after = None
        world.pass_time(LEASE_MS / 1000 + 1)
        world.sweep()
        assert world.work(run).result["sums"] == preview.result["sums"]
        assert balances(world) == rewards(preview) == {("ann", "eur"): 980}
        assert world.works() == []


def dies_after(calls: int) -> Callable[[str, Any], None]:
    left = calls

    def hook(call: str, writes: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed

    return hook


@pytest.mark.slow
def test_many_invoices_twice_and_killed_at_random(tmp_path: Path, fake: FakeStripe) -> None:
    """``PAST_INVOICES`` says how many: 10,000 take a quarter of an hour."""
    copies = int(os.environ.get("PAST_INVOICES", "500")) // 10
    world = PastWorld(tmp_path, fake)
    world.past("invoice", copies, months=6, metadata={"refledger_partner": "ann"})
    world.past("invoice", copies, months=4, credit_note=900)
    preview = world.work(world.backfill(preview=True))
    assert preview.result["sums"]["found"] == 10 * copies
    mortal = Mortal(world, 2, every=100 * copies)
    run = mortal.run(world.backfill(preview=False))
    assert mortal.deaths > 1
    assert run.result == preview.result
    assert balances(world) == rewards(run) == {("ann", "eur"): 6 * copies * 980}
    before = books(world)
    again = mortal.run(world.backfill(preview=False))
    assert (again.result["read"]["found"], again.result["sums"]["found"]) == (0, 0)
    assert books(world) == before


class TestExistingCustomers:
    """Sam paid 200 days ago, before there was a program; 100 days ago he came by ann's link."""

    def past(self, world: PastWorld) -> None:
        sam = {"customer": None, "email": "sam@example.com"}
        world.past("payment", 1, since=-200, until=-199, **sam)
        world.past("payment", 1, since=-100, until=-99, client_reference_id=token("ann"), **sam)

    def test_who_had_paid_before_earns_nobody_anything(self, world: PastWorld) -> None:
        self.past(world)
        job = world.work(world.backfill(preview=False))
        assert rewards(job) == {}
        assert job.result["sums"]["found"] == 2
        assert lines(job, "nobody") == {
            ("existing customer: paid before the first touch", "eur"): (1, 4900),
            (NOBODY, "eur"): (1, 4900),  # what was paid then
        }

    def test_unless_the_program_accepts_them(self, tmp_path: Path, fake: FakeStripe) -> None:
        world = PastWorld(tmp_path, fake, existing_customers="accept")
        self.past(world)
        assert rewards(world.work(world.backfill(preview=False))) == {("ann", "eur"): 980}

    def test_the_past_takes_back_what_was_given_without_it(self, world: PastWorld) -> None:
        """Of ann's purchase alone was known; the preview says what the rest of the past changes."""
        self.past(world)
        world.work(world.backfill(preview=False, since=-150))
        assert balances(world) == {("ann", "eur"): 980}
        preview = world.work(world.backfill(preview=True))
        sums = preview.result["sums"]
        assert (sums["found"], sums["changed"]) == (1, 1)
        assert sums["amounts"] == {"eur": 4900}
        assert lines(preview, "partners") == {("ann", "eur"): (0, -980)}
        assert balances(world) == {("ann", "eur"): 980}
        assert world.work(world.backfill(preview=False)).result == preview.result
        assert balances(world) == {}

    @pytest.mark.parametrize(("filled", "owed"), [(True, 0), (False, 980)])
    def test_it_is_known_of_whoever_comes_later(
        self, world: PastWorld, filled: bool, owed: int
    ) -> None:
        world.past("payment", 1, since=-200, until=-199, customer=None, email="sam@example.com")
        if filled:
            world.work(world.backfill(preview=False))
        details = {"email": "sam@example.com"}
        bought = a_session(client_reference_id=token("ann"), customer_details=details)
        world.tell("checkout.session.completed", bought, created=day(3))
        assert world.owed("ann") == owed


def test_limits_of_a_rule_count_the_past(tmp_path: Path, fake: FakeStripe) -> None:
    """Three payments are rewarded, and two of them lie in the past."""
    rule = Rule(kind="percentage", rate_basis_points=2000, lasts="payments", count=3)
    world = PastWorld(tmp_path, fake, reward=rule)
    world.past("invoice", 1, months=5, metadata={"refledger_partner": "ann"})
    job = world.work(world.backfill(preview=True))
    assert rewards(job) == {("ann", "eur"): 3 * 980}
    assert world.work(world.backfill(preview=False)).result == job.result


class TestTwoProgramsOnOneAccount:
    def test_each_has_its_own(self, world: PastWorld) -> None:
        world.a_past()
        first = world.program
        other = world.a_program("Beta", reward=Rule(kind="percentage", rate_basis_points=1000))
        world.program = other
        world.a_partner("bob")
        connection = world.with_key(world.a_connection(other))
        world.program, scope = first, Scope(other.id, "test")
        before = books(world)
        job = world.work(world.backfill(preview=False, connection=connection, scope=scope))
        assert rewards(job) == {("bob", "eur"): (2 * 600 + 4 * 980 + 2 * 800) // 2}
        new = {key: item for key, item in books(world).items() if before.get(key) != item}
        assert new
        assert not any(str(world.scope) in key.pk for key in new)
        assert balances(world) == {}
        run = world.work(world.backfill(preview=False))
        assert balances(world) == rewards(run) == {("ann", "eur"): 10780, ("bob", "eur"): 6720}
        again = world.work(world.backfill(preview=True, connection=connection, scope=scope))
        assert again.result["sums"]["found"] == 0


def test_sales_of_a_run_are_shown_longer_than_of_a_preview(world: PastWorld) -> None:
    world.past("payment", 1, client_reference_id=token("ann"))
    job = world.work(world.backfill(preview=False))
    kept = [i for k, i in world.everything().items() if k.pk == f"job-sales#{job.id}"]
    assert [i.expires_at for i in kept] == [job.created_at // 1000 + noted.KEPT_DAYS * DAY]
