"""`/v1/reconciliations`, `/v1/backfills`, `/v1/jobs`: asking, following, stopping. What they do is
the matter of ``tests/flows``."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.flows.read_connection import secret_place
from chalicelib.storage import job_records, keys
from chalicelib.storage.connection_records import Connection, connection_item
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Put
from tests.builders.world import DAY, MAY_1
from tests.doors_kit import BASE_URL, Doors

SINCE = "2026-01-01"


def with_key(
    doors: Doors,
    connection: Connection | None = None,
    key: str = "rk_" + "test_" + "x" * 24,
    **about: Any,
) -> Connection:
    """The connection as Stripe can be asked by it."""
    made = connection or doors.connection
    place = secret_place(made.program, made.id, "api_key")
    sealed = doors.house.sealer.seal(key, place=place)
    return kept(doors, replace(made, **{"sealed_api_key": sealed, **about}))


def kept(doors: Doors, connection: Connection) -> Connection:
    stored = doors.store.get([keys.connection(connection.id)])[keys.connection(connection.id)]
    doors.store.commit([Put(connection_item(connection, stored.version))])
    return connection


def backfill(doors: Doors, key: str | None = None, **about: Any) -> Any:
    told = {"connection": doors.connection.id, "from": SINCE, "preview": True, **about}
    return doors.post("/v1/backfills", {n: v for n, v in told.items() if v is not None}, key)


def reconciliation(doors: Doors, **about: Any) -> Any:
    return doors.post("/v1/reconciliations", {"connection": doors.connection.id, **about})


def change(doors: Doors, id: str, **about: Any) -> Job:
    """The job as the runner left it."""
    key = keys.job(Scope(doors.program.id, "test"), id)
    item = doors.store.get([key])[key]
    job = replace(job_records.read_job(item), **about)
    doors.store.commit([Put(job_records.job_item(job, version=item.version))])
    return job


def test_a_backfill_is_taken_on(doors: Doors) -> None:
    with_key(doors)
    reply = backfill(doors)
    assert reply.status == 202, reply.json
    assert reply.headers["location"] == f"{BASE_URL}/v1/jobs/{reply.data['id']}"
    assert reply.data == {
        "id": reply.data["id"],
        "kind": "backfill",
        "connection": doors.connection.id,
        "state": "waiting",
        "because": None,
        "done": 0,
        "total": 0,
        "rate": 0.0,
        "result": None,
        "created_at": "2026-05-01T00:00:00Z",
        "started_at": None,
        "ended_at": None,
        "preview": True,
        "from": "2026-01-01T00:00:00Z",
        "transactions_until": "2026-05-08T00:00:00Z",
    }
    assert doors.get(f"/v1/jobs/{reply.data['id']}").data == reply.data
    assert doors.get(f"/v1/jobs/{reply.data['id']}/transactions").data == []


def test_a_run_is_asked_for_where_no_preview_is(doors: Doors) -> None:
    with_key(doors)
    assert backfill(doors, preview=None).data["preview"] is False


def test_a_reconciliation_looks_at_three_days_where_nothing_is_said(doors: Doors) -> None:
    with_key(doors)
    job = read_job(doors, reconciliation(doors).data["id"])
    assert job.params == {"from": (MAY_1 - 3 * DAY) * 1000, "to": MAY_1 * 1000}
    job = read_job(doors, reconciliation(doors, to="2026-04-20").data["id"])
    assert job.params["to"] - job.params["from"] == 3 * DAY * 1000
    job = read_job(doors, reconciliation(doors, **{"from": MAY_1 - 60, "to": MAY_1}).data["id"])
    assert job.params == {"from": (MAY_1 - 60) * 1000, "to": MAY_1 * 1000}


def read_job(doors: Doors, id: str) -> Job:
    key = keys.job(Scope(doors.program.id, "test"), id)
    return job_records.read_job(doors.store.get([key])[key])


@pytest.mark.parametrize(
    ("path", "about", "field"),
    [
        ("backfills", {"from": None}, "from"),
        ("backfills", {"from": "2026-13-01"}, "from"),
        ("backfills", {"from": "0001-01-01"}, "from"),
        ("backfills", {"from": "yesterday"}, "from"),
        ("backfills", {"from": "2026-05-02"}, "from"),
        ("backfills", {"from": MAY_1}, "from"),
        ("backfills", {"from": True}, "from"),
        ("backfills", {"preview": "yes"}, "preview"),
        ("backfills", {"connection": None}, "connection"),
        ("backfills", {"to": "2026-02-01"}, "to"),
        ("reconciliations", {"from": "2026-05-02"}, "from"),
        ("reconciliations", {"to": "2026-05-02"}, "to"),
        ("reconciliations", {"from": "2026-04-02", "to": "2026-04-02"}, "from"),
        ("reconciliations", {"from": "2026-04-03", "to": "2026-04-02"}, "from"),
        ("reconciliations", {"to": 1000}, "from"),
        ("reconciliations", {"from": "1969-12-31"}, "from"),
        ("reconciliations", {"preview": True}, "preview"),
    ],
)
def test_what_cannot_be_is_refused(
    doors: Doors, path: str, about: dict[str, Any], field: str
) -> None:
    with_key(doors)
    told = {"connection": doors.connection.id, "from": SINCE, **about}
    before = doors.writes()
    reply = doors.post(f"/v1/{path}", {n: v for n, v in told.items() if v is not None})
    assert (reply.status, list(reply.errors)) == (422, [field])
    assert doors.writes() == before


@pytest.mark.parametrize("path", ["backfills", "reconciliations"])
class TestTheConnection:
    def ask(self, doors: Doors, path: str, key: str | None = None, id: str = "") -> Any:
        told = {"connection": id or doors.connection.id, "from": SINCE}
        return doors.post(f"/v1/{path}", told, key)

    @pytest.mark.parametrize("id", ["con_nowhere", "a/b", "ü"])
    def test_that_is_not_there(self, doors: Doors, path: str, id: str) -> None:
        assert self.ask(doors, path, id=id).status == 422

    def test_of_another_program_or_mode(self, doors: Doors, path: str) -> None:
        with_key(doors)
        assert self.ask(doors, path, doors.other_key).status == 422
        assert self.ask(doors, path, doors.live_key).status == 422

    def test_that_has_no_key(self, doors: Doors, path: str) -> None:
        reply = self.ask(doors, path)
        assert (reply.status, reply.json["code"]) == (409, "conflict")
        assert "no API key" in reply.json["message"]

    def test_that_is_closed(self, doors: Doors, path: str) -> None:
        with_key(doors, closed_at=1, closed_because="deauthorised at Stripe")
        reply = self.ask(doors, path)
        assert reply.status == 409
        assert "deauthorised at Stripe" in reply.json["message"]


class TestOneBackfillAtATime:
    def test_the_second_is_told_which(self, doors: Doors) -> None:
        with_key(doors)
        first = backfill(doors).data["id"]
        reply = backfill(doors, preview=False)
        assert reply.status == 409
        assert first in reply.json["message"]
        change(doors, first, state="running")
        assert backfill(doors).status == 409
        change(doors, first, state="done", due_at=0)
        assert backfill(doors, preview=False).status == 202

    @pytest.mark.parametrize("state", ["failed", "stopped"])
    def test_one_that_broke_off_is_over(self, doors: Doors, state: str) -> None:
        with_key(doors)
        change(doors, backfill(doors).data["id"], state=state, due_at=0)
        assert backfill(doors).status == 202

    def test_another_connection_has_its_own(self, doors: Doors) -> None:
        with_key(doors)
        other = with_key(doors, doors.a_connection(account="acct_2"))
        assert backfill(doors).status == 202
        assert backfill(doors, connection=other.id).status == 202
        assert reconciliation(doors).status == 202

    def test_two_at_one_instant(self, doors: Doors) -> None:
        with_key(doors)
        start, answers = threading.Barrier(2), list[int]()
        asked = threading.local()

        def together(call: str, writes: Any) -> None:
            if call == "commit" and not getattr(asked, "once", False):
                asked.once = True
                start.wait(10)

        doors.store.before = together
        threads = [
            threading.Thread(target=lambda: answers.append(backfill(doors).status))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        doors.store.before = None
        assert sorted(answers) == [202, 409]
        jobs = [i for i in doors.store.everything().values() if i.key.sk == "job" and i.listing]
        assert len(jobs) == 1


class TestStopping:
    def test_it_stays_stopped(self, doors: Doors) -> None:
        with_key(doors)
        id = backfill(doors).data["id"]
        reply = doors.call("DELETE", f"/v1/jobs/{id}")
        assert (reply.status, reply.data["state"]) == (200, "stopped")
        assert read_job(doors, id).over
        assert doors.call("DELETE", f"/v1/jobs/{id}").data == reply.data
        assert doors.store.find("records", "due", keys.DUE_JOB, limit=9).items == []

    def test_a_page_that_ends_meanwhile_does_not_keep_it(self, doors: Doors) -> None:
        with_key(doors)
        id = backfill(doors).data["id"]

        def meanwhile(call: str, writes: Any) -> None:
            if call == "commit":
                doors.store.before = None
                change(doors, id, state="running", done=100)

        doors.store.before = meanwhile
        reply = doors.call("DELETE", f"/v1/jobs/{id}")
        assert (reply.data["state"], reply.data["done"]) == ("stopped", 100)

    def test_what_is_done_stays_done(self, doors: Doors) -> None:
        with_key(doors)
        id = backfill(doors).data["id"]
        change(doors, id, state="done", due_at=0)
        assert doors.call("DELETE", f"/v1/jobs/{id}").data["state"] == "done"

    def test_a_standing_job_is_its_connections(self, doors: Doors) -> None:
        with_key(doors)
        id = reconciliation(doors).data["id"]
        change(doors, id, every_ms=DAY * 1000)
        assert doors.call("DELETE", f"/v1/jobs/{id}").status == 409


@pytest.mark.parametrize("id", ["job_nowhere", "%C3%BC", "a%2Fb", "x" * 300, "%ED%A0%80"])
def test_a_job_that_is_not_there(doors: Doors, id: str) -> None:
    assert doors.get(f"/v1/jobs/{id}").status == 404
    assert doors.get(f"/v1/jobs/{id}/transactions").status == 404
    assert doors.call("DELETE", f"/v1/jobs/{id}").status == 404


def test_jobs_are_of_one_program_and_mode(doors: Doors) -> None:
    with_key(doors)
    id = backfill(doors).data["id"]
    for key in (doors.other_key, doors.live_key):
        assert doors.get(f"/v1/jobs/{id}", key).status == 404
        assert doors.get(f"/v1/jobs/{id}/transactions", key).status == 404
        assert doors.call("DELETE", f"/v1/jobs/{id}", key=key).status == 404
    assert doors.get(f"/v1/jobs/{id}", "").status == 401


def test_only_a_backfill_lists_transactions(doors: Doors) -> None:
    with_key(doors)
    id = reconciliation(doors).data["id"]
    assert doors.get(f"/v1/jobs/{id}/transactions").status == 409


@pytest.mark.parametrize("after", ["x", "1~in_1", "0000000000001~in_1", "%00", "%ED%A0%80~x"])
def test_cursors_that_are_none(doors: Doors, after: str) -> None:
    with_key(doors)
    id = backfill(doors).data["id"]
    for target in (f"/v1/jobs/{id}/transactions", "/v1/reconciliations"):
        reply = doors.get(f"{target}?starting_after={after}")
        assert (reply.status, list(reply.errors)) == (422, ["starting_after"])


class TestReports:
    def put(self, doors: Doors, number: int, **about: Any) -> None:
        at = (MAY_1 + number * DAY) * 1000
        told = {
            "job": f"job_{number}",
            "connection": doors.connection.id,
            "at": at,
            "ended_at": at + 60_000,
            "from": at - 3 * DAY * 1000,
            "to": at,
            "seen": 10,
            "found": 1,
            "healed": 1,
            "explained": {"a draft: not paid": 2},
            "unexplained": 0,
            "amounts": {"found": {"eur": 4900}, "healed": {"eur": 4900}},
            "examples": [{"id": "in_1", "because": "missing"}],
        }
        key = keys.reconciliation(Scope(doors.program.id, "test"), at, f"job_{number}")
        doors.store.commit([Put(Item(key=key, body=told))])

    def test_none_yet(self, doors: Doors) -> None:
        assert doors.get("/v1/reconciliations").data == []

    def test_the_newest_comes_first(self, doors: Doors) -> None:
        for number in range(3):
            self.put(doors, number)
        reply = doors.get("/v1/reconciliations?limit=2")
        assert [report["job"] for report in reply.data] == ["job_2", "job_1"]
        assert reply.data[0] == {
            "job": "job_2",
            "connection": doors.connection.id,
            "started_at": "2026-05-03T00:00:00Z",
            "ended_at": "2026-05-03T00:01:00Z",
            "from": "2026-04-30T00:00:00Z",
            "to": "2026-05-03T00:00:00Z",
            "seen": 10,
            "found": 1,
            "healed": 1,
            "explained": {"a draft: not paid": 2},
            "unexplained": 0,
            "amounts_minor": {
                "found": {"eur": 4900},
                "healed": {"eur": 4900},
                "explained": {},
                "unexplained": {},
            },
            "examples": [{"id": "in_1", "because": "missing"}],
        }
        rest = doors.get(f"/v1/reconciliations?starting_after={reply.json['meta']['next']}")
        assert [report["job"] for report in rest.data] == ["job_0"]
        again = doors.get("/v1/reconciliations?limit=2&page=2")
        assert again.data == rest.data

    def test_they_are_of_one_program_and_mode(self, doors: Doors) -> None:
        self.put(doors, 1)
        assert doors.get("/v1/reconciliations", doors.live_key).data == []
        assert doors.get("/v1/reconciliations", doors.other_key).data == []
