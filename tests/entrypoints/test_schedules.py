"""What runs by the clock says what the alarms listen to."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app import app
from chalicelib.core.refusals import Unavailable
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.keep_base_url import keep_base_url, read_base_url
from chalicelib.settings import Settings
from chalicelib.storage import keys
from chalicelib.storage.store import Remove, Write
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
