"""What runs by the clock says what the alarms listen to."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app import app
from chalicelib.core.refusals import Unavailable
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.keep_base_url import keep_base_url, read_base_url
from chalicelib.flows.plan_jobs import plan_jobs
from chalicelib.settings import Settings
from chalicelib.storage import keys, records
from chalicelib.storage.store import Put, Remove, Write
from local.fake_stripe import running_fake_stripe
from local.schedules import Schedules
from tests.builders.stripe_bodies import a_session
from tests.doors_kit import Doors, token
from tests.fakes.memory_store import MemoryStore

MINUTE = 60


def leave_an_event(doors: Doors) -> None:
    """Kept; then the store went away, and Stripe never came again."""

    def dies(call: str, writes: Sequence[Write]) -> None:
        if call == "commit":
            doors.store.after = None
            raise Unavailable

    doors.store.after = dies
    event = doors.event("checkout.session.completed", a_session(client_reference_id=token("ann")))
    assert doors.deliver(event).status == 503


def run(doors: Doors, name: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines that a schedule logs."""
    capsys.readouterr()
    Schedules(app, clock=doors.clock).run(name)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_sweep_that_leaves_nothing(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    leave_an_event(doors)
    doors.clock.now += 30 * MINUTE
    (line,) = run(doors, "sweep", capsys)
    assert line == {
        "door": "sweep",
        "outcome": "ran",
        "count": 1,
        "failed": 0,
        "finished": True,
        "waiting_minutes": 0,
    }


def test_a_sweep_names_the_event_that_failed_and_how_long_it_waits(
    doors: Doors, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_an_event(doors)
    key = keys.connection(doors.connection.id)
    doors.store.commit([Remove(key, doors.store.get([key])[key].version)])
    doors.cold()
    doors.clock.now += 30 * MINUTE
    failed, ran = run(doors, "sweep", capsys)
    assert (failed["door"], failed["outcome"]) == ("sweep", "failed")
    assert (failed["connection"], failed["event"][:4]) == (doors.connection.id, "evt_")
    assert failed["because"] == "the connection is gone"
    assert (ran["outcome"], ran["waiting_minutes"]) == ("ran", 28)


def test_an_idle_look_for_jobs_says_so(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    doors.clock.now += 30 * MINUTE
    (line,) = run(doors, "run_jobs", capsys)
    assert line == {
        "door": "run_jobs",
        "outcome": "ran",
        "count": 0,
        "failed": 0,
        "finished": True,
    }


def test_a_job_is_run_and_counted(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    """On a Stripe that takes the key."""
    with running_fake_stripe(clock=lambda: float(doors.clock.now)) as fake:
        settings = replace(doors.house.settings, stripe_api_base=fake.url)
        wiring.set_house(House(settings, doors.store))
        program, connection = doors.connection.program, doors.connection
        place = f"connection/{program}/{connection.id}/api_key"
        sealed = doors.house.sealer.seal("sk_" + "test_acme_1", place=place)
        key = keys.connection(connection.id)
        version = doors.store.get([key])[key].version
        whole = replace(connection, sealed_api_key=sealed)
        doors.store.commit([Put(records.connection_item(whole, version))])
        doors.clock.now += 30 * MINUTE
        plan_jobs(whole, store=doors.store, now=int(doors.clock.now) * 1000)
        *lines, last = run(doors, "run_jobs", capsys)
    kinds = {line["type"]: line["outcome"] for line in lines if "job" in line}
    assert kinds == {"catch_up": "waiting", "resolve": "waiting"}, lines
    assert (last["outcome"], last["failed"]) == ("ran", 0)
    assert last["count"] >= 2


def test_what_matures_is_told(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = run(doors, "mature_rewards", capsys)
    assert (line["door"], line["released"], line["finished"]) == ("mature_rewards", 0, True)


class TestBaseUrl:
    """A schedule has no request from which to derive where it is reached."""

    def house(self, store: MemoryStore, **settings: str) -> House:
        return House(Settings(stage="test", tables={}, **settings), store)

    def test_it_is_what_the_deployment_stored(self) -> None:
        store = MemoryStore()
        assert self.house(store).base_url == ""
        assert keep_base_url("https://x.example/api", store=store)
        assert self.house(store).base_url == "https://x.example/api"

    def test_the_environment_goes_before(self) -> None:
        store = MemoryStore()
        keep_base_url("https://x.example/api", store=store)
        assert self.house(store, base_url="http://localhost:8000").base_url.endswith(":8000")

    def test_the_same_again_writes_nothing(self) -> None:
        store = MemoryStore()
        assert keep_base_url("https://x.example/api", store=store)
        commits = store.calls["commit"]
        assert not keep_base_url("https://x.example/api", store=store)
        assert store.calls["commit"] == commits
        assert keep_base_url("", store=store)
        assert read_base_url(store=store) == ""
