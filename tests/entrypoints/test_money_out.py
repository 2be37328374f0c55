"""`/v1/rewards`, the ledger, `/v1/payouts`: what was earned, why, and what was paid."""

from typing import Any

import pytest

from tests.builders.stripe_bodies import a_refund, an_invoice
from tests.doors_kit import Doors


@pytest.fixture
def acme(doors: Doors) -> Doors:
    """Ann has earned 980 by s1 (payable) and 200 by s2 (pending), Bob 400 by s3 (reversed)."""
    doors.a_customer("c1", partner={"key": "ann"})
    doors.a_customer("c2", partner={"key": "Bob"})
    doors.a_sale("s1")
    doors.days(31).mature()
    doors.a_sale("s2", amount=10)
    doors.a_sale("s3", customer="c2", amount=20)
    doors.post("/v1/transactions/s3/refund", {"key": "r1", "amount": 20})
    return doors


def payout(doors: Doors, key: str, expected: Any, **about: Any) -> Any:
    about.setdefault("partner", {"key": "ann"})
    about.setdefault("currency", "EUR")
    return doors.post("/v1/payouts", {"key": key, "expected_minor": expected, **about})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["s3", "s2", "s1"]),
        ("partner=ann", ["s2", "s1"]),
        ("partner=BOB", ["s3"]),
        ("status=pending", ["s2"]),
        ("status=payable", ["s1"]),
        ("status=paid", []),
        ("status=reversed", ["s3"]),
        ("partner=ann&status=payable", ["s1"]),
        ("transaction=s2", ["s2"]),
        ("transaction=s2&partner=Bob", []),
        ("transaction=s2&status=payable", []),
    ],
)
def test_rewards_are_filtered(acme: Doors, query: str, found: list[str]) -> None:
    assert sorted(r["transaction"] for r in acme.get(f"/v1/rewards?{query}").data) == sorted(found)


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_partner_is_named_by_id_or_key(acme: Doors, by: str) -> None:
    assert len(acme.get(f"/v1/rewards?partner={acme.ann[by]}").data) == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [("partner=nobody", 404), ("transaction=nothing", 404), ("status=late", 422)],
)
def test_what_nobody_has_is_refused(acme: Doors, query: str, status: int) -> None:
    assert acme.get(f"/v1/rewards?{query}").status == status


def test_filtered_rewards_page_too(doors: Doors) -> None:
    for number in range(12):
        partner = "ann" if number % 3 else "Bob"
        doors.a_customer(f"c{number}", partner={"key": partner})
        doors.days(1).a_sale(f"s{number}", customer=f"c{number}")
    whole = [r["transaction"] for r in doors.get("/v1/rewards?partner=ann").data]
    assert whole == ["s11", "s10", "s8", "s7", "s5", "s4", "s2", "s1"]
    page, seen = doors.get("/v1/rewards?partner=ann&limit=3"), []
    while True:
        seen += [r["transaction"] for r in page.data]
        if not page.json["meta"]["has_more"]:
            break
        page = doors.get(f"/v1/rewards?partner=ann&limit=3&starting_after={page.data[-1]['id']}")
    assert seen == whole


def test_the_ledger_tells_every_movement_with_its_reason(acme: Doors) -> None:
    assert payout(acme, "p1", 980).status == 201
    lines = acme.get("/v1/partners/ann/ledger").data
    assert {(line["kind"], line["transaction"], line["payout"]) for line in lines} == {
        ("reward", "s1", None),
        ("released", "s1", None),
        ("reward", "s2", None),
        ("payout", None, "p1"),
    }
    for line in lines:
        assert line["because"]
        assert sum(posting["amount_minor"] for posting in line["postings"]) == 0
        assert set(line) == {
            "id",
            "at",
            "kind",
            "currency",
            "because",
            "transaction",
            "payout",
            "postings",
        }
    assert acme.get("/v1/partners/nobody/ledger").status == 404


@pytest.mark.parametrize(
    "after", ["x", "~", "1~", "1~x", "²~x", "9" * 5000 + "~x", "1~" + "x" * 3000, "1~%00"]
)
def test_a_ledger_cursor_of_nothing_is_422(acme: Doors, after: str) -> None:
    reply = acme.get(f"/v1/partners/ann/ledger?starting_after={after}")
    assert (reply.status, list(reply.errors)) == (422, ["starting_after"])


class TestPayouts:
    def test_a_payout_and_its_repeat(self, acme: Doors) -> None:
        first = payout(acme, "p1", 980)
        assert first.status == 201
        assert first.data == {
            "key": "p1",
            "partner": {"id": acme.ann["id"], "key": "ann", "email": "ann@example.com"},
            "currency": "eur",
            "amount": "9.80",
            "amount_minor": 980,
            "paid_at": "2026-06-01T00:00:00Z",
        }
        assert acme.balance() == (200, 0, 980)
        before = acme.writes()
        again = payout(acme.days(2), "p1", 980)
        assert (again.status, again.data) == (200, first.data)
        assert acme.writes() == before
        assert [r["transaction"] for r in acme.get("/v1/rewards?status=paid").data] == ["s1"]

    @pytest.mark.parametrize(
        ("expected", "about", "status"),
        [
            (979, {}, 409),
            (1180, {}, 409),
            (0, {}, 409),
            (-980, {}, 409),
            (980, {"partner": {"key": "Bob"}}, 409),
            (980, {"currency": "usd"}, 409),
            (0, {"partner": {"key": "Bob"}}, 422),
            (0, {"currency": "usd"}, 422),
            (980.0, {}, 422),
            ("980", {}, 422),
            (True, {}, 422),
            (None, {}, 422),
            (10**12, {}, 422),
            (980, {"currency": "xyz"}, 422),
            (980, {"currency": None}, 422),
            (980, {"partner": {"key": "nobody"}}, 422),
            (980, {"partner": {}}, 422),
            (980, {"key": ""}, 422),
            (980, {"key": "👩" * 64}, 422),
        ],
        ids=str,
    )
    def test_anything_but_what_is_payable_is_refused(
        self, acme: Doors, expected: Any, about: Any, status: int
    ) -> None:
        before = acme.writes()
        reply = payout(acme, about.pop("key", "p1"), expected, **about)
        assert reply.status == status
        assert acme.writes() == before
        assert acme.balance() == (200, 980, 0)

    @pytest.mark.parametrize("change", [{"expected": 981}, {"partner": {"key": "Bob"}}])
    def test_the_key_again_for_something_else_is_409(self, acme: Doors, change: Any) -> None:
        payout(acme, "p1", 980)
        assert payout(acme, "p1", change.pop("expected", 980), **change).status == 409

    def test_a_refund_after_it_leaves_a_debt_that_the_next_absorbs(self, acme: Doors) -> None:
        payout(acme, "p1", 980)
        acme.post("/v1/transactions/s1/refund", {"key": "r2", "amount": 49})
        assert acme.balance() == (200, -980, 980)
        reply = payout(acme, "p2", -980)
        assert (reply.status, "nothing to pay" in str(reply.errors)) == (422, True)
        acme.a_sale("s4", amount="100.00")
        acme.days(31).mature()
        assert acme.balance() == (0, 200 + 2000 - 980, 980)
        assert payout(acme, "p2", 1220).status == 201
        assert acme.balance() == (0, 0, 2200)
        statuses = {r["transaction"]: r["status"] for r in acme.get("/v1/rewards").data}
        assert statuses == {"s1": "reversed", "s2": "paid", "s3": "reversed", "s4": "paid"}

    def test_two_currencies_are_two_balances(self, acme: Doors) -> None:
        acme.a_sale("s4", amount=5000, currency="JPY")
        acme.days(31).mature()
        assert payout(acme, "p1", 1000, currency="jpy").status == 201
        assert acme.balance(currency="jpy") == (0, 0, 1000)
        assert acme.balance() == (0, 1180, 0)


def test_test_money_never_meets_live_money(acme: Doors) -> None:
    live = acme.a_connection(livemode=True)
    invoice = an_invoice(metadata={"refledger_partner": "ann"}, id="in_live")
    event = acme.event("invoice.paid", invoice, livemode=True)
    assert acme.deliver(event, connection=live).data["state"] == "handled"
    refund = acme.event("refund.created", a_refund(amount=4900))
    assert acme.deliver(refund).data["state"] == "handled"
    assert acme.balance() == (200, 980, 0)
    held = acme.get("/v1/partners/ann", acme.live_key).data["balances"]
    assert held["eur"]["pending_minor"] == 980
    assert [r["key"] for r in acme.get("/v1/transactions", acme.live_key).data] == ["in_live"]
    assert acme.get("/v1/transactions/in_live").status == 404
    assert acme.get("/v1/transactions/s1", acme.live_key).status == 404
    assert acme.get("/v1/customers/c1", acme.live_key).status == 404
