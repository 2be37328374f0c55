"""`backfill` and `reconcile` on the command line, and what their jobs then say by the API: the
whole way, on the fake Stripe."""

import io
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from app import app
from chalicelib.entrypoints.cli_jobs import (
    Progress,
    log_beside,
    progress_line,
    until_interrupted,
)
from chalicelib.log import log
from chalicelib.storage.checks import key_of
from chalicelib.storage.job_records import Job
from local.fake_stripe import FakeStripe, running_fake_stripe
from local.schedules import Schedules
from tests.builders.world import DAY, MAY_1, day
from tests.doors_kit import Doors, Run, token
from tests.entrypoints.test_jobs import backfill, with_key
from tests.flows.past_kit import KEY
from tests.local.fake_stripe.conftest import control


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=lambda: float(MAY_1), seed=1) as running:
        told = {"key": KEY, "from": day(-100), "to": day(-1), "story": "payment"}
        for partner, count in (("ann", 3), ("Bob", 1), ("", 2)):
            about = {"email": f"{partner or 'sam'}-{{n}}@buyers.example.com", "customer": None}
            if partner:
                about["client_reference_id"] = token(partner)
            control(running, "/past", {**told, **about, "count": count})
        yield running
        assert running.faults == []


@pytest.fixture
def acme(doors: Doors, fake: FakeStripe) -> Doors:
    doors.connection = with_key(doors.with_stripe(fake.url), key=KEY)
    return doors


def answer(out: str) -> Any:
    """Standard output holds nothing else, so that another program can read it."""
    return json.loads(out)


def test_a_preview_then_the_run(acme: Doors, run: Run) -> None:
    id = acme.connection.id
    code, out, err = run("backfill", id, "--from", "2026-01-15", "--preview")
    assert code == 0, err
    preview = answer(out)
    assert (preview["state"], preview["preview"]) == ("done", True)
    assert preview["result"]["partners"] == [
        {"partner": "ann", "currency": "eur", "transactions": 3, "reward_minor": 2940},
        {"partner": "bob", "currency": "eur", "transactions": 1, "reward_minor": 980},
    ]
    assert preview["result"]["amounts_minor"] == {"eur": 6 * 4900}
    (nobody,) = preview["result"]["nobody"]
    assert (nobody["transactions"], nobody["amount_minor"]) == (2, 9800)
    assert acme.balance() == (0, 0, 0)
    code, out, err = run("backfill", id, "--from", "2026-01-15")
    assert code == 0, err
    done = answer(out)
    assert done["result"] == preview["result"]
    assert acme.balance() == (2940, 0, 0)
    assert "18 of 18" in err
    acme.clock.now += 1
    code, out, _ = run("reconcile", id, "--from", "2026-01-01", "--to", "2026-04-30")
    assert (code, answer(out)["result"]["found"]) == (0, 0)


def test_the_api_shows_each_sale(acme: Doors, run: Run) -> None:
    """Every answer is held to the description by the watch over all tests."""
    _, out, _ = run("backfill", acme.connection.id, "--from", "2026-01-15", "--preview")
    id = answer(out)["id"]
    job = acme.get(f"/v1/jobs/{id}").data
    assert job == answer(out)
    assert (job["done"], job["total"]) == (18, 18)
    reply = acme.get(f"/v1/jobs/{id}/transactions?limit=4")
    rest = acme.get(f"/v1/jobs/{id}/transactions?starting_after={reply.json['meta']['next']}")
    shown = [*reply.data, *rest.data]
    assert len(shown) == 6
    assert [s["paid_at"] for s in shown] == sorted(s["paid_at"] for s in shown)
    earned = sum(r["amount_minor"] for s in shown for r in s["rewards"] if r["partner"] == "ann")
    assert earned == 2940
    assert all(s["new"] and s["now_part_of"] is None and s["trace"] for s in shown)
    first = next(s for s in shown if s["partner"] == "ann")
    assert first["because"] == "checkout reference, click not seen; 20 % of net, for ever"
    assert first["rewards"] == [
        {"partner": "ann", "amount": "9.80", "amount_minor": 980, "currency": "eur"}
    ]
    assert acme.get("/v1/transactions").data == []


def test_a_report_by_the_api(acme: Doors, run: Run) -> None:
    code, out, _ = run("reconcile", acme.connection.id, "--from", "2026-01-01")
    told = answer(out)
    assert (code, told["result"]["unexplained"]) == (0, 0)
    assert told["result"]["healed"] == told["result"]["found"] > 0
    (report,) = acme.get("/v1/reconciliations").data
    assert report["job"] == told["id"]
    assert {name: report[name] for name in told["result"]} == told["result"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backfill", "con_nowhere", "--from", "2025-01-01"], "There is no such connection"),
        (["backfill", "a/b", "--from", "2025-01-01"], "There is no such connection"),
        (["backfill", "{}", "--from", "2030-01-01"], "from: This lies in the future."),
        (["backfill", "{}", "--from", "soon"], "from: "),
        (["reconcile", "{}", "--from", "2026-02-02", "--to", "2026-02-02"], "its UTC midnight"),
    ],
)
def test_what_cannot_be(acme: Doors, run: Run, words: list[str], said: str) -> None:
    code, _, err = run(*(word.format(acme.connection.id) for word in words))
    assert code == 1
    assert said in err


def test_one_under_way_is_named(acme: Doors, run: Run) -> None:
    id = backfill(acme).data["id"]
    code, _, err = run("backfill", acme.connection.id, "--from", "2026-01-15")
    assert code == 1
    assert id in err


def test_a_key_that_stripe_refuses(acme: Doors, fake: FakeStripe, run: Run) -> None:
    control(fake, "/keys", {"key": KEY, "state": "unknown"})
    code, out, err = run("backfill", acme.connection.id, "--from", "2026-01-15")
    assert (code, out) == (1, "")
    assert "was stopped: Stripe does not know this key" in err
    assert KEY not in out + err


def test_the_log_stands_apart_from_the_answer(acme: Doors, run: Run) -> None:
    _, out, err = run("reconcile", acme.connection.id, "--from", "2026-01-01")
    assert answer(out)["state"] == "done"
    assert '"door": "reconcile"' in err


def test_ctrl_c_leaves_the_rest_to_the_schedule(acme: Doors, run: Run) -> None:
    """It is pressed while a page is booked; that page is finished, and kept."""

    def press(call: str, writes: Any) -> None:
        if any("#sale#" in key_of(write).pk for write in writes):
            acme.store.before = None
            os.kill(os.getpid(), signal.SIGINT)

    acme.store.before = press
    code, out, err = run("backfill", acme.connection.id, "--from", "2026-01-15")
    left = answer(out)
    assert (code, left["state"]) == (0, "waiting")
    assert left["result"]["transactions_found"] is None
    assert 0 < left["done"] < 18
    assert "Left to the schedule" in err
    assert left["id"] in err
    acme.clock.now += 60
    Schedules(app, clock=acme.clock).run("run_jobs")
    assert acme.get(f"/v1/jobs/{left['id']}").data["state"] == "done"
    assert acme.balance() == (2940, 0, 0)


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    stood = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    with pytest.raises(KeyboardInterrupt), until_interrupted() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, stood) is signal.default_int_handler


def a_job(**about: Any) -> Job:
    return Job(
        id="job_1",
        program="prg_1",
        livemode=False,
        connection="con_1",
        kind="backfill",
        created_at=0,
        **{"state": "running", "due_at": 1, **about},
    )


@pytest.mark.parametrize(
    ("about", "line"),
    [
        ({}, "0 read"),
        ({"done": 1200}, "1,200 read"),
        ({"done": 1200, "total": 4800}, "[##------] 1,200 of about 4,800"),
        (
            {"done": 1200, "total": 4800, "busy_ms": 60_000},
            "[##------] 1,200 of about 4,800, 20 a second, 3 min left",
        ),
        (
            {"done": 100, "total": 1000, "busy_ms": 10_000},
            "[--------] 100 of about 1,000, 10 a second, 2 min left",
        ),
        (
            {"done": 100, "total": 1_000_000, "busy_ms": 10_000},
            "[--------] 100 of about 1,000,000, 10 a second, 28 h left",
        ),
        (
            {"done": 10, "total": 10, "busy_ms": 1_000, "state": "done", "due_at": 0},
            "[########] 10 of 10, 10 a second",
        ),
        ({"because": "Stripe is away."}, "0 read, Stripe is away."),
    ],
)
def test_lines_of_progress(about: dict[str, Any], line: str) -> None:
    assert progress_line(a_job(**about), width=8) == line
    assert progress_line(a_job(**about), width=0) == line.split("] ")[-1]


class TestWhereItIsSaid:
    def test_a_terminal_has_a_bar_on_one_line(self) -> None:
        out = io.StringIO()
        progress = Progress(out, bar=True)
        for done in (0, 100, 100, 200):
            progress.say(a_job(done=done, total=200))
        progress.end(a_job(done=200, total=200, state="done", due_at=0))
        told = out.getvalue()
        assert told.count("\r") == 4
        assert told.endswith("200 of 200\n")
        assert told.count("\n") == 1

    @pytest.mark.parametrize("bar", [True, False])
    def test_the_log_does_not_tear_a_bar_apart(
        self, bar: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with log_beside(Progress(io.StringIO(), bar=bar)):
            log("run_jobs", "waiting")
        assert ("waiting" in capsys.readouterr().out) is not bar

    def test_elsewhere_a_line_now_and_then(self) -> None:
        out, seconds = io.StringIO(), iter(range(0, 1000, 4))
        progress = Progress(out, bar=False, clock=lambda: next(seconds))
        for done in range(10):
            progress.say(a_job(done=done))
        progress.end(a_job(done=10, total=10, state="done", due_at=0))
        lines = out.getvalue().splitlines()
        assert 3 <= len(lines) <= 6
        assert (lines[0], lines[-1]) == ("0 read", "10 of 10")
        assert "\r" not in out.getvalue()


def test_a_job_of_a_connection_that_was_closed_says_why(acme: Doors, run: Run) -> None:
    with_key(acme, closed_at=DAY, closed_because="deauthorised at Stripe")
    code, _, err = run("reconcile", acme.connection.id)
    assert code == 1
    assert "deauthorised at Stripe" in err
