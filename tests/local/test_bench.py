"""The bench's own arithmetic: units by DynamoDB's rules, prices, limits, and what it sends."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.stripe_adapter.signature import verify
from chalicelib.stripe_adapter.translate import translate
from local.bench.load import Loaded
from local.bench.load import show as show_load
from local.bench.prices import GB_PER_CPU, USD, Use, usd_per_million
from local.bench.purchases import buyer, event_of, invoice_paid, purchase
from local.bench.report import LIMITS, broken, unmeasured, whole
from local.bench.scene import SECRET, signed
from local.bench.units import item_bytes, read_units, write_of

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}  # 6 bytes


def an_item(size: int, **more: str) -> dict[str, Any]:
    """An item of that many bytes; ``more`` are strings beside."""
    item = {**KEY, **{name: {"S": text} for name, text in more.items()}}
    return {**item, "b": {"S": "x" * (size - item_bytes(item) - 1)}}


def units(before: Any, after: Any, *, transaction: bool = False) -> int:
    return write_of("t", KEY, before, after, transaction=transaction).total


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "äö"}, 4),
        ({"N": "7"}, 2),
        ({"N": "-1234"}, 4),
        ({"N": "1795371238548"}, 8),
        ({"B": "AAECAw=="}, 4),
        ({"B": b"1234"}, 4),
        ({"BOOL": True}, 1),
    ],
)
def test_a_value_is_as_large_as_dynamodb_counts_it(value, size):
    assert item_bytes({"ab": value}) == 2 + size


def test_a_value_that_the_house_does_not_write_is_loud():
    with pytest.raises(ValueError, match="SS"):
        item_bytes({"a": {"SS": ["x"]}})


@pytest.mark.parametrize(
    ("before", "after", "lone", "transacted"),
    [
        (None, 1024, 1, 2),
        (None, 1025, 2, 4),
        (1025, 100, 2, 4),
        (100, 1025, 2, 4),
        (2000, None, 2, 4),
        (None, None, 1, 2),  # refused, or a check of what is not there
    ],
)
def test_a_write_costs_the_larger_of_before_and_after(before, after, lone, transacted):
    old, new = (size and an_item(size) for size in (before, after))
    assert units(old, new) == lone
    assert units(old, new, transaction=True) == transacted


LISTED = {"lpk": "l", "lsk": "1"}
MOVED = {"lpk": "l", "lsk": "2"}
DUE = {"dpk": "d", "dsk": "1"}


@pytest.mark.parametrize(
    ("before", "after", "for_indexes"),
    [
        ({}, LISTED, 1),
        (LISTED, {}, 1),
        (LISTED, LISTED, 0),
        (LISTED, MOVED, 2),
        ({}, {**LISTED, **DUE}, 2),
        ({}, {"lpk": "only half of a pair"}, 0),
    ],
)
@pytest.mark.parametrize("transaction", [False, True])
def test_an_index_costs_where_its_entry_changes_and_never_double(
    before, after, for_indexes, transaction
):
    whole_write = units(an_item(90, **before), an_item(90, **after), transaction=transaction)
    assert whole_write == (2 if transaction else 1) + for_indexes


def test_an_index_entry_above_a_kilobyte_costs_its_own_size():
    long = {"lpk": "l" * 1_100, "lsk": "1"}
    write = write_of("t", KEY, None, an_item(1_300, **long), transaction=False)
    assert (write.units, write.indexes) == (2, {"listing": 2})


def test_reads_round_up_each_or_together():
    assert read_units([1, 4096, 4097], consistent=True) == 1 + 1 + 2
    assert read_units([1, 4096, 4097], consistent=True, together=True) == 3
    assert read_units([100] * 40, consistent=True, together=True) == 1
    assert read_units([0], consistent=False) == 0.5


def test_a_million_at_the_limits_of_units_leave_room_for_compute():
    clicks = usd_per_million(Use(write_units=1, read_units=0, cpu_ms=0))
    events = usd_per_million(Use(write_units=(3 * 24 + 7 * 3) / 10, read_units=0, cpu_ms=0))
    assert clicks["total"] == pytest.approx(3.50 + 0.20 + 0.625)
    assert events["total"] == pytest.approx(3.50 + 0.20 + 9.3 * 0.625)
    assert clicks["total"] < LIMITS["usd_per_million_clicks"]
    assert events["total"] < LIMITS["usd_per_million_events"]


def test_compute_is_the_price_of_a_whole_processor_for_its_time():
    usd = usd_per_million(Use(write_units=0, read_units=8, cpu_ms=10, log_bytes=700))
    assert usd["compute"] == pytest.approx(10_000 * GB_PER_CPU * USD["lambda, arm64, GB-second"])
    assert usd["read"] == pytest.approx(1.0)
    assert usd["logs"] == pytest.approx(0.5)
    assert usd["total"] == pytest.approx(3.70 + usd["compute"])  # reads and logs stand beside


def a_report(**numbers: float) -> dict[str, Any]:
    """Every number that has a limit, at it; ``numbers`` by name with ``__`` for the dot."""
    report: dict[str, Any] = {}
    told = dict(LIMITS) | {name.replace("__", "."): value for name, value in numbers.items()}
    for name, value in told.items():
        *rooms, last = name.split(".")
        room = report
        for each in rooms:
            room = room.setdefault(each, {})
        room[last] = value
    return report


def test_the_report_has_the_keys_that_others_read():
    report = whole(a_report())
    assert report["cold_start"].keys() >= {"ratio"}
    assert report["click"].keys() >= {"write_units", "calls"}
    assert report["reward"].keys() >= {"write_units", "trips"}
    assert report["memory"].keys() >= {"click_mb"}
    assert report["tracker"].keys() >= {"brotli"}
    assert {"usd_per_million_clicks", "usd_per_million_events", "date", "machine"} <= report.keys()


def test_a_limit_is_broken_by_more_and_kept_by_as_much():
    assert broken(a_report()) == []
    assert broken(a_report(reward__write_units=25)) == [
        "reward.write_units is 25, and may be 24 at most"
    ]
    assert len(broken(a_report(click__calls=2, load__wrong=1, scans=1))) == 3


def test_a_report_without_one_of_the_numbers_is_none():
    report = a_report()
    del report["reward"]["trips"]
    assert unmeasured(report) == ["reward.trips"]
    assert broken(report) == []
    with pytest.raises(ValueError, match=r"reward\.trips"):
        whole(report)


def test_every_purchase_is_one_of_its_own():
    first, second = purchase(1, partner="ann"), purchase(2, partner="ann")
    assert [event.type for event in first] == [event.type for event in second]
    assert {"invoice.paid", "checkout.session.completed"} <= {event.type for event in first}
    ids = [json.loads(event.body)["id"] for event in (*first, *second)]
    assert len(set(ids)) == len(ids)
    assert event_of("invoice.paid", 1) != event_of("invoice.paid", 2)
    for event in (*first, *second):
        translate(event.body)


def test_a_purchase_by_a_link_carries_the_visit_and_another_none():
    for partner, reference in (("ann", f"{7:022d}_ann"), ("", None)):
        events = {event.type: json.loads(event.body) for event in purchase(7, partner=partner)}
        session = events["checkout.session.completed"]["data"]["object"]
        assert session["client_reference_id"] == reference
        assert events["invoice.paid"]["data"]["object"]["customer_email"] == buyer(7)


def test_an_invoice_is_paid_now_and_signed_as_stripe_does():
    event = invoice_paid(3)
    paid_at = json.loads(event.body)["data"]["object"]["status_transitions"]["paid_at"]
    assert abs(paid_at - time.time()) < 5
    verify(event.body, signed(event.body), [SECRET], now=datetime.now(UTC))


def test_a_renewal_is_of_the_same_customer_and_another_invoice():
    first, again = (json.loads(invoice_paid(n, customer=4).body) for n in (4, 5))
    assert first["data"]["object"]["customer"] == again["data"]["object"]["customer"]
    assert first["data"]["object"]["id"] != again["data"]["object"]["id"]


def test_a_shortened_invoice_is_as_short_as_asked_and_tells_the_same():
    short, long = invoice_paid(6, bytes_at_most=2_048), invoice_paid(6)
    assert len(short.body) <= 2_048 < len(long.body)
    assert translate(short.body) == translate(long.body)


def test_a_load_says_what_is_wrong():
    loaded = Loaded(seconds=1.0, waits=[0.1, 0.2], wrong=["2 clicks are lost"])
    assert "2 clicks are lost" in show_load(loaded)
