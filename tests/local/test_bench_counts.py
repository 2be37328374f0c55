"""What the app costs, counted by the bench on MiniStack, and the bench's meter itself."""

import json
import subprocess
import sys
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.store import Add, Check, Item, Key, Put, Remove, Stale, TableName
from local.bench.count import middle
from local.bench.meter import Call, Meter, Tally, Write
from local.place import REPOSITORY
from local.tables import create_missing
from tests.storage.backends import LOGICAL_IDS

pytestmark = pytest.mark.ministack


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory):
    """What `python -m local.bench units` reports, in a process of its own."""
    file = tmp_path_factory.mktemp("bench") / "units.json"
    ran = subprocess.run(
        [sys.executable, "-m", "local.bench", "units", "tracker", "--report", str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "Every limit is kept." in ran.stdout
    return json.loads(file.read_text())


def test_a_click_is_one_call_and_one_unit(counted):
    assert counted["click"]["write_units"] == 1
    assert counted["click"]["calls"] == 1
    assert counted["click"]["cold_calls"] == 2


def test_a_reward_stays_within_its_units_and_trips(counted):
    assert counted["reward"]["write_units"] <= 24
    assert counted["reward"]["trips"] <= 5


def test_an_event_that_earns_nothing_costs_little(counted):
    assert counted["event"]["write_units"] <= counted["reward"]["write_units"] / 3


def test_all_events_of_a_sale_are_counted(counted):
    assert counted["sale"]["events"] == 7
    assert counted["sale"]["write_units"] > counted["reward"]["write_units"]


def test_nothing_scans_and_the_database_counts_the_same(counted):
    assert counted["scans"] == 0
    assert counted["counts_that_the_database_tells_otherwise"] == 0


def test_the_tracker_is_measured(counted):
    assert 1_000 < counted["tracker"]["brotli"] <= 1_500


@pytest.fixture
def metered(ministack_url: str, monkeypatch: pytest.MonkeyPatch):
    """A store behind a meter, on tables of its own."""
    tables: dict[TableName, str] = {table: f"{table}-{uuid.uuid4().hex}" for table in LOGICAL_IDS}
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    create_missing(boto3.client("dynamodb"), {LOGICAL_IDS[t]: name for t, name in tables.items()})
    with Meter(ministack_url) as meter:
        monkeypatch.setenv("AWS_ENDPOINT_URL", meter.url)
        yield meter, DynamoStore(tables)


A, B, C = (Key("records", name, "s") for name in "abc")


def test_the_middle_of_several_counts_is_taken():
    def way(calls: int, units: int) -> Tally:
        write = Write(table="records", key="k", bytes=1, units=units, indexes={})
        return Tally(
            [
                Call(operation="get", status=200, writes=[write] if n == 0 else [])
                for n in range(calls)
            ]
        )

    found = middle({"sale": way(calls, units)} for calls, units in ((1, 18), (1, 15), (2, 18)))
    assert (found["sale"].write_units, len(found["sale"].calls)) == (18, 1)


def test_the_meter_counts_as_the_database_does(metered):
    meter, store = metered
    listed = Item(key=A, body={"text": "x"}, listing=("l", "1"), due=("d", "1"))
    steps = [
        [Put(listed)],
        [Put(Item(key=A, version=1, body={"text": "y"}, listing=("l", "2")))],
        [Put(Item(key=B)), Put(Item(key=C, partner=("p", "1"))), Check(A, 2)],
        [Add(B, {"n": 3}), Remove(C, 1)],
        [Add(Key("records", "d", "s"), {"n": 1})],
    ]
    expected = [3, 4, 7, 5, 1]
    for writes, units in zip(steps, expected, strict=True):
        with meter.counting() as tally:
            store.commit(writes)
        assert tally.write_units == units
        assert tally.reported == units
        assert not any(call.told_otherwise for call in tally.calls)


def test_the_meter_counts_reads_by_their_size(metered):
    meter, store = metered
    store.commit([Put(Item(key=A, blob=b"\0" * 9_000))])
    store.commit([Put(Item(key=Key("records", "a", f"t{n}"))) for n in range(2, 9)])
    with meter.counting() as tally:
        store.get([A, B])
    assert (tally.read_units, tally.operations) == (3 + 1, ["BatchGetItem"])
    with meter.counting() as tally:
        store.query("records", "a", after="s", limit=50)
    assert (tally.read_units, tally.operations) == (1, ["Query"])


def test_a_refused_write_is_counted_too(metered):
    meter, store = metered
    store.commit([Put(Item(key=A))])
    with meter.counting() as tally, pytest.raises(Stale):
        store.commit([Put(Item(key=A))])
    assert (tally.write_units, tally.reported) == (1, 0)
    assert not any(call.told_otherwise for call in tally.calls)


def test_a_scan_shows(metered):
    meter, store = metered
    with meter.counting() as tally:
        store.walk("records", limit=1)
    assert tally.operations == ["Scan"]


def test_what_the_database_refuses_is_passed_on(metered):
    _, store = metered
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        store.warm().get_item(TableName="nowhere", Key={"pk": {"S": "a"}, "sk": {"S": "s"}})
