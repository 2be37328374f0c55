"""The runner of jobs: turns, leases, pauses, and whatever may die in between. The kinds of work
here are small ones of the tests' own; those of the house have tests of their own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import (
    Conflict,
    KeyRefused,
    NotFound,
    PermissionMissing,
    StripeAway,
    Unavailable,
)
from chalicelib.flows.job_desk import Desk, Step
from chalicelib.flows.job_shift import (
    A_DAY_MS,
    LEASE_MS,
    MOST_TRIES,
    PAUSES_MS,
    SLICE_MS,
    Ran,
)
from chalicelib.flows.plan_jobs import jobs_of, make_job, plan_jobs, read_job
from chalicelib.flows.run_jobs import run_job, run_jobs
from chalicelib.storage import job_records, keys
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job
from chalicelib.storage.store import Item, Put, Stale
from chalicelib.stripe_adapter.calls import StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from tests.builders.world import World
from tests.fakes.memory_store import MemoryStore
from tests.mishap_kit import Killed

MINUTE = 60_000


class House:
    """A world with connections that can be asked, a clock that work moves, and kinds of work."""

    def __init__(self, tmp_path: Path) -> None:
        self.store = MemoryStore()
        self.world = World(tmp_path, self.store)
        self.world.now += 30 * 60  # not the first minute of an hour, when jobs are planned
        self.pages: list[tuple[str, int]] = []  # job, and the page that was worked on
        self.seconds_a_page = 1.0
        self.trouble: Callable[[Job, int], None] = lambda job, page: None

    def a_connection(self, **about: Any) -> Connection:
        made = self.world.a_connection(self.world.program)
        place = f"connection/{made.program}/{made.id}/api_key"
        sealed = self.world.sealer.seal("rk_test_1234567890", place=place)
        return self.keep(replace(made, sealed_api_key=sealed, **about))

    def keep(self, connection: Connection) -> Connection:
        item = self.store.get([keys.connection(connection.id)])[keys.connection(connection.id)]
        kept = job_records.dump(connection)
        self.store.commit([Put(replace(item, body=kept))])
        return connection

    def connection(self, id: str) -> Connection:
        found = self.store.get([keys.connection(id)])[keys.connection(id)]
        return job_records.load(Connection, found.body)

    def a_job(self, connection: Connection, pages: int = 3, **about: Any) -> Job:
        told = {"kind": "backfill", "params": {"pages": pages}} | about
        return make_job(**told, connection=connection, store=self.store, now=self.world.ms)

    def job(self, job: Job) -> Job:
        return read_job(job.scope, job.id, self.store)

    def step(self, job: Job, desk: Desk) -> Step:
        page = int(job.cursor.get("page", 0)) + 1
        self.trouble(job, page)
        self.pages.append((job.id, page))
        self.world.now += self.seconds_a_page
        seen = int(job.result.get("seen", 0)) if page > 1 else 0
        ended = page >= job.params.get("pages", 1)
        return Step(
            cursor={} if ended else {"page": page},
            done=100,
            total=300,
            result={"seen": seen + 100},
            ended=ended,
        )

    def run(self, seconds: float = 240, store: MemoryStore | None = None) -> Ran:
        end = self.world.now + seconds
        return run_jobs(**self.desk(), until=lambda: self.world.now >= end)

    def desk(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "connections": self.world.connections,
            "stripe": calls_of,
            "now": lambda: self.world.ms,
            "work": lambda kind: self.step,
        }

    def later(self, ms: int) -> None:
        self.world.now += ms / 1000


def calls_of(credentials: Credentials) -> StripeCalls:
    return StripeCalls(credentials, api_base="http://127.0.0.1:9")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def standing(connection: Connection, house: House) -> Mapping[str, Job]:
    kinds = ("catch_up", "resolve", "reconcile")
    found = [
        job
        for kind in kinds
        for job in jobs_of(connection.scope, kind, store=house.store, limit=100)[0]
    ]
    return {job.kind: job for job in found if job.connection == connection.id}


class TestRuns:
    def test_an_idle_minute_costs_one_query(self, house: House) -> None:
        house.store.calls.clear()
        assert house.run() == Ran()
        assert house.store.calls == {"find": 1}

    def test_a_job_runs_page_by_page_to_its_end(self, house: House) -> None:
        job = house.a_job(house.a_connection())
        ran = house.run()
        assert (ran.pages, ran.ended, ran.finished) == (3, 1, True)
        done = house.job(job)
        assert (done.state, done.done, done.total, done.result) == ("done", 300, 300, {"seen": 300})
        assert (done.rate, done.runs, done.over) == (100.0, 1, True)
        assert done.ended_at > done.started_at > 0
        assert house.run() == Ran()

    def test_it_stops_when_time_is_up_and_goes_on_in_the_next_run(self, house: House) -> None:
        job = house.a_job(house.a_connection(), pages=30)
        first = house.run(seconds=20)
        assert not first.finished
        assert (house.job(job).state, house.job(job).done) == ("waiting", 2000)
        began = house.job(job).started_at
        house.later(MINUTE)
        assert house.run().finished
        assert [page for _, page in house.pages] == list(range(1, 31))
        assert (house.job(job).state, house.job(job).started_at) == ("done", began)
        assert house.job(job).rate == 100.0, "the pause between two runs is no time worked"

    def test_a_long_one_does_not_keep_others_waiting(self, house: House) -> None:
        long = house.a_job(house.a_connection(), pages=200)
        others = [house.a_job(house.a_connection(), pages=1) for _ in range(3)]
        house.run(seconds=200)
        first = [id for id, _ in house.pages[: 2 * SLICE_MS // 1000]]
        assert {job.id for job in others} <= set(first)
        assert house.job(long).done == 100 * (200 - 3), "and it gets all the time that is left"

    def test_two_long_ones_share(self, house: House) -> None:
        one, two = (house.a_job(house.a_connection(), pages=500) for _ in range(2))
        house.run(seconds=240)
        assert abs(house.job(one).done - house.job(two).done) <= 100 * (SLICE_MS // 1000 + 1)

    def test_a_job_that_somebody_stopped_is_left_at_once(self, house: House) -> None:
        job = house.a_job(house.a_connection(), pages=9)

        def stop(job: Job, page: int) -> None:
            if page == 3:
                item = house.store.get([job.key])[job.key]
                stopped = replace(job, state="stopped", due_at=0)
                house.store.commit([Put(job_records.job_item(stopped, version=item.version))])

        house.trouble = stop
        house.run()
        assert [page for _, page in house.pages] == [1, 2, 3]
        assert (house.job(job).state, house.job(job).done) == ("stopped", 200)

    def test_one_that_was_stopped_while_it_waited_for_its_turn_is_left_alone(
        self, house: House
    ) -> None:
        first, second = (house.a_job(house.a_connection()) for _ in range(2))

        def stop_the_other(job: Job, page: int) -> None:
            (other,) = {first.id, second.id} - {job.id}
            known = read_job(job.scope, other, house.store)
            if known.state == "waiting":
                item = house.store.get([known.key])[known.key]
                stopped = replace(known, state="stopped", due_at=0)
                house.store.commit([Put(job_records.job_item(stopped, version=item.version))])

        house.trouble = stop_the_other
        house.run()
        assert sorted([house.job(first).state, house.job(second).state]) == ["done", "stopped"]
        assert len(house.pages) == 3


class TestTwoRunners:
    def test_never_work_at_once(self, house: House) -> None:
        connection = house.a_connection()
        one, two = house.a_job(connection), house.a_job(connection)
        inside: list[Ran] = []
        house.trouble = lambda job, page: inside.append(house.run())
        assert not house.run().busy
        assert inside == [Ran(busy=True)] * 3 + [Ran()] * 3  # then no other one is due
        assert sorted(house.pages) == sorted((job.id, n) for job in (one, two) for n in (1, 2, 3))

    def test_a_long_run_keeps_its_lease(self, house: House) -> None:
        connection = house.a_connection()
        house.a_job(connection, pages=30)
        house.a_job(connection, pages=31)
        house.seconds_a_page = 30
        inside: list[Ran] = []
        house.trouble = lambda job, page: inside.append(house.run())
        house.run(seconds=3600)
        assert all(ran.pages == 0 for ran in inside)
        assert sum(ran.busy for ran in inside) >= 58, "while another job was due"

    def test_one_that_lost_its_lease_goes_home(self, house: House) -> None:
        job = house.a_job(house.a_connection(), pages=9)

        def sleep(job: Job, page: int) -> None:
            if page == 2 and job.tries == 0:
                house.later(2 * LEASE_MS)
                house.trouble = lambda job, page: None
                house.run()

        house.trouble = sleep
        house.run()
        assert house.job(job).state == "done"
        assert house.job(job).done == 900, "a page that both did is counted once"


class TestKilled:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_at_any_call_of_the_store(self, tmp_path: Path, when: str) -> None:
        at = died = 0
        while True:
            at += 1
            house = House(tmp_path / f"{when}{at}")
            job = house.a_job(house.a_connection())
            left = at

            def dies(call: str, writes: Any) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed

            setattr(house.store, when, dies)
            try:
                house.run()
            except Killed:
                died += 1
            setattr(house.store, when, None)
            house.later(LEASE_MS + 1)
            house.run()
            done = house.job(job)
            assert (done.state, done.done, done.result) == ("done", 300, {"seen": 300}), at
            assert set(house.pages) == {(job.id, page) for page in (1, 2, 3)}
            if left > 0:
                break
        assert died > 8

    def test_again_and_again_on_one_page_it_fails(self, house: House) -> None:
        job = house.a_job(house.a_connection())

        def dies(job: Job, page: int) -> None:
            if page == 2:
                raise Killed

        house.trouble = dies
        for _ in range(MOST_TRIES):
            with pytest.raises(Killed):
                house.run()
            assert house.run() == Ran()
            house.later(LEASE_MS + 1)
        house.run()
        assert (house.job(job).state, house.job(job).done) == ("failed", 100)
        assert "the process ended each time" in house.job(job).because

    def test_while_waiting_nobody_else_takes_it(self, house: House) -> None:
        job = house.a_job(house.a_connection())

        def dies(job: Job, page: int) -> None:
            raise Killed

        house.trouble = dies
        with pytest.raises(Killed):
            house.run()
        assert house.job(job).due_at == house.world.ms + LEASE_MS


class TestTrouble:
    @pytest.mark.parametrize("error", [StripeAway("Stripe is away."), Unavailable(), Stale()])
    def test_that_may_pass_is_waited_for_longer_and_longer(
        self, house: House, error: Exception
    ) -> None:
        job = house.a_job(house.a_connection())
        away = True

        def trouble(job: Job, page: int) -> None:
            if page == 2 and away:
                raise error

        house.trouble = trouble
        for number in range(6):
            assert house.run().ended == 0
            waits = house.job(job).due_at - house.world.ms
            assert waits == PAUSES_MS[min(number, len(PAUSES_MS) - 1)]
            assert (house.job(job).state, house.job(job).tries) == ("waiting", number + 1)
            house.later(waits)
        away = False
        house.run()
        assert (house.job(job).state, house.job(job).tries) == ("done", 0)
        assert house.job(job).because == ""

    def test_of_one_does_not_stop_the_others(self, house: House) -> None:
        connection = house.a_connection()
        sick, well = house.a_job(connection), house.a_job(connection)

        def trouble(job: Job, page: int) -> None:
            if job.id == sick.id:
                raise ZeroDivisionError

        house.trouble = trouble
        house.run()
        assert house.job(well).state == "done"
        assert house.job(sick).because == "bug: ZeroDivisionError"

    def test_of_one_whose_key_does_not_open_neither(self, house: House) -> None:
        """It was moved from another record: the others of that very run are served."""
        connection, other = house.a_connection(), house.a_connection()
        house.keep(replace(connection, sealed_api_key=other.sealed_api_key))
        sick = house.a_job(connection)
        house.later(1)
        well = house.a_job(other)
        ran = house.run()
        assert (ran.ended, ran.stopped, house.job(well).state) == (1, 1, "done")
        assert "does not open" in house.job(sick).because

    def test_a_bug_is_tried_five_times(self, house: House, capsys: Any) -> None:
        job = house.a_job(house.a_connection())

        def trouble(job: Job, page: int) -> None:
            raise ZeroDivisionError("cus_secret")

        house.trouble = trouble
        for _ in range(MOST_TRIES):
            assert house.job(job).state == "waiting"
            house.run()
            house.later(A_DAY_MS)
        assert (house.job(job).state, house.job(job).over) == ("failed", True)
        said = capsys.readouterr().out
        assert said.count('"outcome": "bug"') == MOST_TRIES
        assert "cus_secret" not in said

    def test_a_permission_that_lacks_is_named(self, house: House) -> None:
        job = house.a_job(house.a_connection())
        lacks = PermissionMissing("It lacks rak_invoice_read.", permission="rak_invoice_read")

        def trouble(job: Job, page: int) -> None:
            raise lacks

        house.trouble = trouble
        house.run()
        assert (house.job(job).state, house.job(job).over) == ("failed", True)
        assert "rak_invoice_read" in house.job(job).because
        assert house.run() == Ran()

    def test_a_standing_one_that_failed_is_tried_again_in_a_day(self, house: House) -> None:
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        house.run()
        house.later(15 * MINUTE)

        def trouble(job: Job, page: int) -> None:
            raise Conflict("No.")

        house.trouble = trouble
        house.run()
        failed = standing(connection, house)["catch_up"]
        assert (failed.state, failed.because, failed.over) == ("failed", "No.", False)
        house.trouble = lambda job, page: None
        house.later(A_DAY_MS)
        house.run()
        assert standing(connection, house)["catch_up"].state == "waiting"
        assert standing(connection, house)["catch_up"].because == ""


class TestConnections:
    def refused(self, house: House, only: str) -> None:
        def trouble(job: Job, page: int) -> None:
            if job.connection == only:
                raise KeyRefused("Stripe does not know this key.")

        house.trouble = trouble

    def test_a_key_that_is_refused_leaves_webhooks_alone(self, house: House) -> None:
        connection, other = house.a_connection(), house.a_connection()
        job, second = house.a_job(connection), house.a_job(connection)
        alright = house.a_job(other)
        self.refused(house, connection.id)
        house.run()
        noted = house.connection(connection.id)
        assert (noted.state, noted.sealed_webhook_secrets) == (
            "open",
            connection.sealed_webhook_secrets,
        )
        (warning,) = noted.warnings
        assert "does not know this key" in warning and "rotate" in warning
        assert house.job(job).state == house.job(second).state == "stopped"
        assert house.job(job).ended_at and house.job(second).ended_at
        assert "does not know this key" in house.job(second).because
        assert house.job(alright).state == "done"
        assert not house.connection(other.id).warnings

    def test_it_is_tried_again_each_hour_and_the_warning_goes(self, house: House) -> None:
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        self.refused(house, connection.id)
        for _ in range(2):
            house.run()
            assert not standing(connection, house)["catch_up"].ended_at
            house.later(60 * MINUTE)
        assert len(house.connection(connection.id).warnings) == 1
        house.trouble = lambda job, page: None
        house.later(30 * MINUTE)  # the first minute of an hour
        house.run()
        assert standing(connection, house)["catch_up"].runs == 1
        assert house.connection(connection.id).warnings == ()

    def test_but_not_if_it_has_another_key_by_now(self, house: House) -> None:
        connection = house.a_connection()
        job = house.a_job(connection)

        def trouble(job: Job, page: int) -> None:
            if page == 1 and not job.tries:
                place = f"connection/{connection.program}/{connection.id}/api_key"
                sealed = house.world.sealer.seal("rk_test_another", place=place)
                house.keep(replace(connection, sealed_api_key=sealed))
                raise KeyRefused("Stripe does not know this key.")

        house.trouble = trouble
        house.run()
        assert house.connection(connection.id).state == "open"
        assert house.job(job).state == "waiting"
        house.later(MINUTE)
        house.run()
        assert house.job(job).state == "done"

    def test_standing_jobs_stop_with_it_and_start_again(self, house: House) -> None:
        connection = house.a_connection()
        assert plan_jobs(connection, store=house.store, now=house.world.ms) == 3
        house.keep(replace(connection, closed_at=house.world.ms, closed_because="deauthorised"))
        house.later(A_DAY_MS)
        assert house.run().stopped == 3
        assert house.pages == []
        for job in standing(connection, house).values():
            assert (job.state, "deauthorised" in job.because) == ("stopped", True)
        assert house.run() == Ran()
        house.keep(connection)
        assert plan_jobs(connection, store=house.store, now=house.world.ms) == 3
        house.run()
        assert standing(connection, house)["catch_up"].runs == 1
        assert len(standing(connection, house)) == 3

    def test_started_again_on_the_last_of_a_month_the_whole_month_is_reconciled(
        self, house: House
    ) -> None:
        house.later(24 * A_DAY_MS)
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        house.keep(replace(connection, closed_at=house.world.ms, closed_because="deauthorised"))
        house.later(A_DAY_MS)
        assert house.run().stopped == 3
        assert standing(connection, house)["reconcile"].params["days"] == 3
        house.keep(connection)
        house.later(5.5 * A_DAY_MS)  # 31 May, noon
        plan_jobs(connection, store=house.store, now=house.world.ms)
        assert standing(connection, house)["reconcile"].params["days"] == 31

    def test_one_whose_key_may_not_read_events_does_not_catch_up(self, house: House) -> None:
        connection = house.a_connection(permissions={"rak_event_read": False})
        plan_jobs(connection, store=house.store, now=house.world.ms)
        assert set(standing(connection, house)) == {"resolve", "reconcile"}
        again = house.keep(replace(connection, permissions={"rak_event_read": True}))
        plan_jobs(again, store=house.store, now=house.world.ms)
        assert set(standing(connection, house)) == {"catch_up", "resolve", "reconcile"}

    def test_one_that_cannot_ask_has_no_jobs(self, house: House) -> None:
        assert plan_jobs(house.world.connection, store=house.store, now=house.world.ms) == 0
        job = house.a_job(house.world.connection)
        house.run()
        assert (house.job(job).state, house.pages) == ("stopped", [])
        assert "cannot ask" in house.job(job).because


class TestStanding:
    def test_each_runs_at_its_own_pace(self, house: House) -> None:
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        assert plan_jobs(connection, store=house.store, now=house.world.ms) == 0
        for _ in range(24 * 60):
            house.run()
            house.later(MINUTE)
        runs = {kind: job.runs for kind, job in standing(connection, house).items()}
        assert 90 <= runs["catch_up"] <= 96
        assert 23 <= runs["resolve"] <= 24
        assert runs["reconcile"] == 1

    def test_a_run_begins_with_nothing_done(self, house: House) -> None:
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        house.run()
        first = standing(connection, house)["catch_up"]
        assert (first.done, first.state, first.result) == (100, "waiting", {"seen": 100})
        house.later(15 * MINUTE)
        house.run()
        second = standing(connection, house)["catch_up"]
        assert (second.done, second.runs) == (100, 2)
        assert second.started_at > first.started_at

    def test_reconciliation_is_nightly_and_monthly_a_month(self, house: House) -> None:
        connection = house.a_connection()
        plan_jobs(connection, store=house.store, now=house.world.ms)
        days: list[Any] = []

        def note(job: Job, page: int) -> None:
            if job.kind == "reconcile":
                days.append(job.params["days"])
                assert 3 * 3600 <= house.world.now % 86_400 < 4.5 * 3600  # a quarter later, at most

        house.trouble = note
        for _ in range(32 * 24 * 4):
            house.run()
            house.later(15 * MINUTE)
        assert days == [31] + [3] * 30 + [31]  # from the night of 1 May on

    def test_jobs_that_lack_are_made_in_the_first_minute_of_an_hour(self, house: House) -> None:
        connection = house.a_connection()
        house.run()
        assert standing(connection, house) == {}
        house.later(30 * MINUTE)
        house.run()
        assert standing(connection, house)["catch_up"].runs == 1

    def test_but_not_in_tables_that_a_rebuild_made(self, house: House) -> None:
        connection = house.a_connection()
        house.store.commit([Put(Item(key=keys.rebuild_mark(), body={"of": {}, "begun_at": 1}))])
        house.later(30 * MINUTE)
        house.run()
        assert standing(connection, house) == {}
        plan_jobs(connection, store=house.store, now=house.world.ms)
        house.run()
        assert standing(connection, house)["catch_up"].runs == 1


class TestLists:
    def test_ten_thousand_jobs_are_listed_page_by_page(self, house: House) -> None:
        connection = house.a_connection()
        for _ in range(10_000):
            house.world.now += 1
            house.a_job(connection)
        house.a_job(connection, kind="reconcile")
        seen: list[str] = []
        after = ""
        while True:
            house.store.calls.clear()
            page, after = jobs_of(
                connection.scope, "backfill", store=house.store, limit=100, after=after
            )
            assert house.store.calls == {"find": 1, "get": 1}
            times = [job.created_at for job in page]
            assert times == sorted(times, reverse=True)
            seen += [job.id for job in page]
            if not after:
                break
        assert len(set(seen)) == len(seen) == 10_000

    def test_a_backlog_of_more_than_a_page_is_worked_off(self, house: House) -> None:
        connection = house.a_connection()
        jobs = [house.a_job(connection, pages=1) for _ in range(170)]
        house.seconds_a_page = 0.1
        house.run()
        assert {house.job(job).state for job in jobs} == {"done"}

    def test_a_job_is_its_program_and_mode_s(self, house: House) -> None:
        job = house.a_job(house.a_connection())
        for scope in (
            keys.Scope(job.program, "live"),
            keys.Scope(house.world.a_program("Other").id, "test"),
        ):
            with pytest.raises(NotFound):
                read_job(scope, job.id, house.store)
            assert jobs_of(scope, "backfill", store=house.store, limit=9) == ([], "")


class TestDrivenByHand:
    def test_to_its_end_with_its_progress(self, house: House) -> None:
        job = house.a_job(house.a_connection(), pages=40)
        other = house.a_job(house.a_connection(), pages=1)
        told: list[tuple[str, int]] = []
        done = run_job(
            job.id, job.scope, **house.desk(), say=lambda job: told.append((job.state, job.done))
        )
        assert (done.state, done.done) == ("done", 4000)
        assert list(dict.fromkeys(count for _, count in told)) == [100 * n for n in range(41)]
        assert told[-1] == ("done", 4000)
        assert house.job(other).state == "done"

    def test_while_another_runner_is_at_it_it_looks_on(self, house: House) -> None:
        job = house.a_job(house.a_connection(), pages=3)
        pauses: list[float] = []
        told: list[int] = []

        def drive(seen: Job, page: int) -> None:
            if page == 2 and not pauses:
                ended = False

                def pause(seconds: float) -> None:
                    nonlocal ended
                    pauses.append(seconds)
                    ended = True

                looked = run_job(
                    job.id,
                    job.scope,
                    **house.desk(),
                    say=lambda job: told.append(job.done),
                    until=lambda: ended,
                    pause=pause,
                )
                assert (looked.state, looked.done) == ("running", 100)

        house.trouble = drive
        house.run()
        assert (pauses, told) == ([2.0], [100])
        assert house.job(job).done == 300

    def test_it_ends_with_a_job_that_fails(self, house: House) -> None:
        job = house.a_job(house.a_connection())

        def trouble(job: Job, page: int) -> None:
            raise Conflict("No such day.")

        house.trouble = trouble
        done = run_job(job.id, job.scope, **house.desk(), say=lambda job: None)
        assert (done.state, done.because) == ("failed", "No such day.")

    def test_one_that_is_not_there(self, house: House) -> None:
        with pytest.raises(NotFound):
            run_job("job_none", house.world.scope, **house.desk(), say=lambda job: None)
