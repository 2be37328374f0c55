"""`/v1/transactions`: sales that the merchant's server tells of, and all sales shown."""

import tracemalloc
from typing import Any
from urllib.parse import quote

import pytest

from tests.builders.stripe_bodies import a_session, an_intent, an_invoice
from tests.doors_kit import Doors, token


@pytest.fixture
def acme(doors: Doors) -> Doors:
    doors.a_customer(partner={"key": "ann"}, stripe_customer_id="cus_1")
    return doors


def test_a_sale_comes_out_with_every_field(acme: Doors) -> None:
    body = {
        "key": "s1",
        "customer": {"key": "c1"},
        "amount": 29.9,
        "amount_units": "EUR",
        "action": "sale",
        "created_at": "2026-04-30T22:00:00+02:00",
    }
    reply = acme.post("/v1/transactions", body)
    assert reply.status == 201
    made = reply.data
    assert [set(line) for line in made.pop("trace")] == [{"considered", "verdict", "because"}] * 2
    because = "told by the merchant, after the payment; 20 % of net, for ever"
    assert made == {
        "key": "s1",
        "ids": ["s1"],
        "amount": "29.90",
        "amount_minor": 2990,
        "amount_units": "eur",
        "net_minor": 2990,
        "currency": "eur",
        "refunded_minor": 0,
        "disputed": False,
        "paid_at": "2026-04-30T20:00:00Z",
        "customer": {"id": made["customer"]["id"], "key": "c1", "email": None},
        "partner": {"id": acme.ann["id"], "key": "ann", "email": "ann@example.com"},
        "rewards": [
            {
                "id": made["rewards"][0]["id"],
                "partner": {"id": acme.ann["id"], "key": "ann"},
                "transaction": "s1",
                "amount": "5.98",
                "amount_minor": 598,
                "currency": "eur",
                "status": "pending",
                "because": because,
                "paid_at": "2026-04-30T20:00:00Z",
            }
        ],
        "because": because,
        "held": None,
        "possible_duplicate": False,
    }


@pytest.mark.parametrize(
    ("raw", "currency", "minor"),
    [
        ("29.90", "eur", 2990),
        ('"29.90"', "EUR", 2990),
        ('"29.9"', "Eur", 2990),
        ("29.900", "eur", 2990),
        ("1e2", "eur", 10_000),
        ("1.5E1", "eur", 1500),
        ("8.2", "usd", 820),
        ("0.29", "eur", 29),
        ("1.15", "eur", 115),
        ("1003.33", "eur", 100_333),
        ("4503599627.37", "eur", 450_359_962_737),
        ("9999999999.99", "eur", 999_999_999_999),
        ("0", "eur", 0),
        ('" 5 "', "eur", 500),
        ("5000", "jpy", 5000),
        ("5000.0", "JPY", 5000),
        ('"10.000"', "kwd", 10_000),
        ("10.5", "kwd", 10_500),
        ("100", "isk", 10_000),
    ],
)
def test_amounts_are_exact(acme: Doors, raw: str, currency: str, minor: int) -> None:
    body = (
        f'{{"key": "s1", "customer": {{"key": "c1"}}, "amount": {raw}, "currency": "{currency}"}}'
    )
    made = acme.post("/v1/transactions", body.encode())
    assert made.status == 201, made.json
    assert made.data["amount_minor"] == minor
    assert made.data["currency"] == currency.lower()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ('"amount_minor": 10.0', "amount_minor"),
        ('"amount_minor": 1e3', "amount_minor"),
        ('"amount_minor": "1000"', "amount_minor"),
        ('"amount_minor": true', "amount_minor"),
        ('"amount_minor": -1', "amount_minor"),
        ('"amount_minor": 1000000000000', "amount_minor"),
        ('"amount_minor": 1' + "0" * 4000, "amount_minor"),
        ('"amount_minor": NaN', "body"),
        ('"amount": NaN', "body"),
        ('"amount": Infinity', "body"),
        ('"amount": -Infinity', "body"),
        ('"amount": "NaN"', "amount"),
        ('"amount": "Infinity"', "amount"),
        ('"amount": "1e2"', "amount"),
        ('"amount": "1_000"', "amount"),
        ('"amount": "1,000.00"', "amount"),
        ('"amount": "29,90"', "amount"),
        ('"amount": "٣"', "amount"),
        ('"amount": "²"', "amount"),
        ('"amount": ""', "amount"),
        ('"amount": "+1"', "amount"),
        ('"amount": ".5"', "amount"),
        ('"amount": "1\\n"', None),
        ('"amount": "1\\u0000"', "amount"),
        ('"amount": "\\ud800"', "amount"),
        ('"amount": -5', "amount"),
        ('"amount": -0.01', "amount"),
        ('"amount": true', "amount"),
        ('"amount": [5]', "amount"),
        ('"amount": {"minor": 5}', "amount"),
        ('"amount": 0.30000000000000004', "amount"),
        ('"amount": 29.901', "amount"),
        ('"amount": 10000000000', "amount"),
        ('"amount": 1e20', "amount"),
        ('"amount": 1e999999999', "amount"),
        ('"amount": 1e-999999999', "amount"),
        ('"amount": 1e99999999999999999999', "body"),
        ('"amount": 10.5, "currency": "jpy"', "amount"),
        ('"amount": 10.0001, "currency": "kwd"', "amount"),
        ('"amount": 5, "currency": "xyz"', "currency"),
        ('"amount": 5, "currency": ""', "currency"),
        ('"amount": 5, "currency": 978', "currency"),
        ('"amount": 5, "currency": "eu\\u0000r"', "currency"),
        ('"amount": 5, "amount_units": "\\udc00"', "amount_units"),
        ('"amount": 5, "amount_units": "eur", "currency": "usd"', "body"),
        ('"amount": 5, "amount_minor": 500', "body"),
        ('"action": "sale"', "body"),
    ],
)
def test_a_wrong_amount_is_422(acme: Doors, fields: str, field: str | None) -> None:
    before = acme.writes()
    body = f'{{"key": "s1", "customer": {{"key": "c1"}}, {fields}}}'
    reply = acme.post("/v1/transactions", body.encode())
    if field is None:
        assert reply.status == 201
        return
    assert reply.status == 422, reply.json
    assert list(reply.errors) == [field]
    assert acme.writes() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": "x" * 256}, "key"),
        ({"key": "é" * 128}, "key"),
        ({"key": "👩" * 64}, "key"),
        ({"key": "x" * 10_000}, "key"),
        ({"key": "a\u0000"}, "key"),
        ({"key": "\ud800"}, "key"),
        ({"customer": None}, "customer"),
        ({"customer": "c1"}, "customer"),
        ({"customer": {}}, "customer.key"),
        ({"customer": {"key": "nobody"}}, "customer.key"),
        ({"customer": {"key": "\ud800"}}, "customer.key"),
        ({"action": "x" * 101}, "action"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": 1_777_593_600_000}, "created_at"),
        ({"created_at": -1}, "created_at"),
        ({"created_at": True}, "created_at"),
        ({"created_at": "9999-12-31T23:59:59Z"}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        ({"created_at": "2026-05-03"}, "created_at"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_wrong_field_is_named(acme: Doors, body: dict[str, Any], field: str) -> None:
    before = acme.writes()
    whole = {"key": "s1", "customer": {"key": "c1"}, "amount": 5, **body}
    reply = acme.post("/v1/transactions", whole)
    assert reply.status == 422
    assert field in reply.errors
    assert acme.writes() == before


@pytest.mark.parametrize(
    ("told", "paid_at"),
    [
        (None, "2026-05-01T00:00:00Z"),
        ("2026-04-30", "2026-04-30T00:00:00Z"),
        ("2026-04-30 13:00:01", "2026-04-30T13:00:01Z"),
        ("2026-04-30T13:00:01.999Z", "2026-04-30T13:00:01Z"),
        (1_777_550_400, "2026-04-30T12:00:00Z"),
    ],
)
def test_created_at_is_the_time_of_payment(acme: Doors, told: Any, paid_at: str) -> None:
    assert acme.a_sale(**({"created_at": told} if told else {}))["paid_at"] == paid_at


def test_no_currency_is_the_programs(acme: Doors) -> None:
    assert acme.a_sale(amount=5)["currency"] == "eur"


@pytest.mark.parametrize(
    "key",
    ["a/b", "a#b", "a%b", "a?b", "reward:tx:x", "tx:a", "é", "👩" * 63, "x" * 255, "in_5", "|"],
)
def test_any_key_is_counted_once_and_found_again(acme: Doors, key: str) -> None:
    made = acme.a_sale(key)
    before = acme.store.everything()
    again = acme.days(1).post(
        "/v1/transactions", {"key": key, "customer": {"key": "c1"}, "amount_minor": 4900}
    )
    assert again.status == 200
    assert again.data == made
    assert made["key"] == key
    assert acme.store.everything() == before
    assert acme.balance() == (980, 0, 0)
    assert acme.get(f"/v1/transactions/{quote(key, safe='')}").data == made
    assert acme.get("/v1/transactions").data == [made]
    assert len(acme.get("/v1/partners/ann/ledger").data) == 1
    after = quote(acme.get("/v1/partners/ann/ledger").data[0]["id"], safe="")
    assert acme.get(f"/v1/partners/ann/ledger?starting_after={after}").data == []
    reward = quote(made["rewards"][0]["id"], safe="")
    assert acme.get(f"/v1/rewards?starting_after={reward}").data == []
    refunded = acme.post(
        f"/v1/transactions/{quote(key, safe='')}/refund", {"key": "r", "amount": 49}
    )
    assert refunded.data["refunded_minor"] == 4900
    assert acme.balance() == (0, 0, 0)


@pytest.mark.parametrize("change", [{"amount": 50}, {"currency": "usd"}, {"customer": "c2"}])
def test_the_key_again_with_something_else_is_409(acme: Doors, change: dict[str, Any]) -> None:
    acme.a_customer("c2")
    made = acme.a_sale()
    body = {"key": "s1", "customer": {"key": change.pop("customer", "c1")}, "amount": 49, **change}
    before = acme.writes()
    assert acme.post("/v1/transactions", body).status == 409
    assert acme.writes() == before
    assert acme.get("/v1/transactions/s1").data == made


class TestRefunds:
    def test_by_key_each_once(self, acme: Doors) -> None:
        acme.a_sale()
        for _ in range(2):
            told = {"key": "r1", "amount": "10.00"}
            reply = acme.post("/v1/transactions/s1/refund", told)
            assert reply.status == 200
            assert reply.data["refunded_minor"] == 1000
            assert reply.data["rewards"][0]["amount_minor"] == 780
        before = acme.writes()
        acme.post("/v1/transactions/s1/refund", {"key": "r1", "amount_minor": 1000})
        assert acme.writes() == before
        acme.post("/v1/transactions/s1/refund", {"key": "r2", "amount_minor": 3900})
        shown = acme.get("/v1/transactions/s1").data
        assert (shown["refunded_minor"], shown["rewards"][0]["status"]) == (4900, "reversed")
        assert acme.balance() == (0, 0, 0)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"key": "r1", "amount": 11}, 409),
            ({"key": "r2", "amount": "39.01"}, 422),
            ({"key": "r2", "amount": 0}, 422),
            ({"key": "r2", "amount_minor": 0}, 422),
            ({"key": "r2", "amount_minor": 1.5}, 422),
            ({"key": "r2", "amount": -1}, 422),
            ({"key": "r2"}, 422),
            ({"amount": 1}, 422),
            ({"key": "👩" * 64, "amount": 1}, 422),
            ({"key": "r2", "amount": 1, "amount_minor": 100}, 422),
        ],
        ids=str,
    )
    def test_what_cannot_be(self, acme: Doors, body: Any, status: int) -> None:
        acme.a_sale()
        acme.post("/v1/transactions/s1/refund", {"key": "r1", "amount": 10})
        before = acme.writes()
        assert acme.post("/v1/transactions/s1/refund", body).status == status
        assert acme.writes() == before

    def test_of_a_sale_that_stripe_tells_is_409(self, acme: Doors) -> None:
        acme.deliver(acme.event("invoice.paid", an_invoice()))
        reply = acme.post("/v1/transactions/in_1/refund", {"key": "r1", "amount": 10})
        assert reply.status == 409
        assert "Stripe" in reply.json["message"]

    def test_of_an_unknown_one_is_404(self, acme: Doors) -> None:
        told = {"key": "r1", "amount": 10}
        assert acme.post("/v1/transactions/nothing/refund", told).status == 404


class TestBesideStripe:
    @pytest.mark.parametrize("first", ["api", "stripe"])
    def test_an_alias_is_one_sale_and_stripes_view_outranks(self, acme: Doors, first: str) -> None:
        def tell() -> None:
            acme.a_sale("pi_1", amount="50.00")

        if first == "api":
            tell()
        acme.deliver(acme.event("invoice.paid", an_invoice(total=4900)))
        acme.deliver(
            acme.event(
                "invoice_payment.paid",
                {
                    "id": "inpay_1",
                    "object": "invoice_payment",
                    "invoice": "in_1",
                    "status": "paid",
                    "amount_paid": 4900,
                    "currency": "eur",
                    "livemode": False,
                    "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
                },
            )
        )
        if first == "stripe":
            tell()
        listed = acme.get("/v1/transactions").data
        assert len(listed) == 1
        assert listed[0]["amount_minor"] == 4900
        assert {"in_1", "pi_1"} <= set(listed[0]["ids"])
        assert acme.balance() == (980, 0, 0)
        for id in listed[0]["ids"]:
            assert acme.get(f"/v1/transactions/{id}").data == listed[0]

    @pytest.mark.parametrize("first", ["api", "stripe"])
    def test_the_same_amount_within_the_hour_is_a_possible_duplicate(
        self, acme: Doors, first: str
    ) -> None:
        acme.clock.now += 43_200

        def tell() -> None:
            acme.a_sale("order-7", amount="49.00")

        if first == "api":
            tell()
        assert acme.deliver(acme.event("invoice.paid", an_invoice())).data["state"] == "handled"
        if first == "stripe":
            tell()
        shown = acme.get("/v1/transactions/order-7").data
        assert shown["possible_duplicate"] is True
        assert "confirm" in shown["held"]
        assert acme.get("/v1/transactions/in_1").data["possible_duplicate"] is False
        acme.days(31).mature()
        assert acme.balance() == (980, 980, 0)
        confirmed = acme.post("/v1/transactions/order-7/confirm")
        assert confirmed.status == 200
        assert (confirmed.data["possible_duplicate"], confirmed.data["held"]) == (False, None)
        before = acme.writes()
        assert acme.post("/v1/transactions/order-7/confirm").status == 200
        assert acme.writes() == before
        acme.mature()
        assert acme.balance() == (0, 1960, 0)

    @pytest.mark.parametrize(
        "change", [{"amount": "49.01"}, {"currency": "usd"}, {"created_at": "2026-05-01T10:00:00Z"}]
    )
    def test_anything_else_is_none(self, acme: Doors, change: dict[str, str]) -> None:
        acme.clock.now += 43_200
        acme.deliver(acme.event("invoice.paid", an_invoice()))
        assert acme.a_sale("order-7", **change)["possible_duplicate"] is False

    def test_confirming_what_is_unknown_is_404(self, acme: Doors) -> None:
        assert acme.post("/v1/transactions/nothing/confirm").status == 404


def test_a_sale_of_nobody_is_listed_with_its_trace(doors: Doors) -> None:
    doors.clock.now += 50_000
    session = a_session(client_reference_id=token("ghost"), customer=None, id="cs_1")
    doors.deliver(doors.event("checkout.session.completed", session))
    doors.deliver(doors.event("payment_intent.succeeded", an_intent(id="pi_9", customer=None)))
    listed = {row["key"]: row for row in doors.get("/v1/transactions").data}
    assert set(listed) == {"cs_1", "pi_9"}
    assert listed["cs_1"]["partner"] is None
    assert listed["cs_1"]["rewards"] == []
    assert "ghost" in str(listed["cs_1"]["trace"])
    for row in listed.values():
        assert row["because"]
        assert row["trace"]
        assert doors.get(f"/v1/transactions/{row['key']}").data == row


def test_of_one_partner(acme: Doors) -> None:
    acme.a_customer("c2", partner={"key": "Bob"})
    acme.a_sale("s1")
    acme.a_sale("s2", customer="c2")
    assert [r["key"] for r in acme.get("/v1/transactions?partner=BOB").data] == ["s2"]
    assert acme.get("/v1/transactions?partner=nobody").status == 404


@pytest.mark.parametrize(
    "name", ["nothing", "%00", "x" * 10_000, "%ed%a0%80", "a%2Fb", "%23", "tx:"]
)
def test_an_unknown_one_is_404(doors: Doors, name: str) -> None:
    assert doors.get(f"/v1/transactions/{name}").status == 404


@pytest.mark.parametrize("raw", ["1e9999999", "1e-9999999", "-1e9999999"])
def test_a_huge_exponent_is_not_written_out(acme: Doors, raw: str) -> None:
    tracemalloc.start()
    body = f'{{"key": "s1", "customer": {{"key": "c1"}}, "amount": {raw}}}'
    assert acme.post("/v1/transactions", body.encode()).status == 422
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
