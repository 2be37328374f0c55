"""Each version's rendering: a line per break, told by one story of everything."""

import json
from typing import Any

import pytest

from local.fake_stripe import NEWEST, SUPPORTED, FakeStripe, running_fake_stripe

from .conftest import KEY, Clock, a_customer, a_monthly_price, a_price, client_of, pay

ACACIA, BASIL = "2024-09-30.acacia", "2025-03-31.basil"
CLOVER, DAHLIA = "2025-09-30.clover", "2026-03-25.dahlia"
OLDEST, NOVEMBER = "2020-08-27", "2022-11-15"


@pytest.fixture(scope="module")
def told() -> Any:
    """The events of one story by version and type: {(version, type): object}."""
    with running_fake_stripe(clock=Clock(), seed=1) as fake:
        _story(fake)
        shown = {}
        for version in SUPPORTED:
            for event in fake.events(KEY, api_version=version):
                body = json.loads(event.body)
                shown[version, event.type] = body["data"]["object"]
        assert fake.faults == []
        yield shown


def _story(fake: FakeStripe) -> None:
    api = client_of(fake).v1
    tax = {"display_name": "VAT", "percentage": 19, "inclusive": True}
    rate = api.tax_rates.create(tax).id
    coupon = api.coupons.create({"percent_off": 10, "duration": "forever"}).id
    promotion = {"promotion": {"type": "coupon", "coupon": coupon}, "code": "ANN10"}
    code = api.promotion_codes.create(promotion).id
    subscription = api.subscriptions.create(
        {
            "customer": a_customer(api),
            "items": [{"price": a_monthly_price(api)}],
            "discounts": [{"promotion_code": code}],
            "default_tax_rates": [rate],
            "metadata": {"plan": "pro"},
        }
    )
    invoice = subscription.latest_invoice
    api.credit_notes.create({"invoice": invoice, "amount": 100, "refund_amount": 100})
    session = api.checkout.sessions.create(
        {
            "line_items": [{"price": a_price(api), "quantity": 1}],
            "mode": "payment",
            "success_url": "https://shop.example",
        }
    )
    pay(fake, session.id)
    item = {"customer": subscription.customer, "pricing": {"price": a_price(api, 700)}}
    api.invoice_items.create(item)


def dig(value: Any, path: str) -> Any:
    """`a.b.0.c` down into dicts and lists; `...` if it is not there."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else ...
        elif isinstance(value, dict):
            value = value.get(part, ...)
        else:
            return ...
    return value


PAID, SUBSCRIBED = "invoice.paid", "customer.subscription.created"
# type, where it stood before, where it stands since, the version that moved it
MOVED = [
    (PAID, "subscription", "parent.subscription_details.subscription", BASIL),
    (
        PAID,
        "subscription_details.metadata.plan",
        "parent.subscription_details.metadata.plan",
        BASIL,
    ),
    (PAID, "tax", "total_taxes.0.amount", BASIL),
    (PAID, "total_tax_amounts.0.amount", "total_taxes.0.amount", BASIL),
    (PAID, "total_tax_amounts.0.tax_rate", "total_taxes.0.tax_rate_details.tax_rate", BASIL),
    (
        PAID,
        "lines.data.0.subscription_item",
        "lines.data.0.parent.subscription_item_details.subscription_item",
        BASIL,
    ),
    (
        PAID,
        "lines.data.0.proration",
        "lines.data.0.parent.subscription_item_details.proration",
        BASIL,
    ),
    (PAID, "lines.data.0.price.id", "lines.data.0.pricing.price_details.price", BASIL),
    (PAID, "lines.data.0.tax_amounts.0.amount", "lines.data.0.taxes.0.amount", BASIL),
    (SUBSCRIBED, "current_period_end", "items.data.0.current_period_end", BASIL),
    (SUBSCRIBED, "current_period_start", "items.data.0.current_period_start", BASIL),
    ("credit_note.created", "refund", "refunds.0.refund", BASIL),
    ("invoiceitem.created", "price.id", "pricing.price_details.price", BASIL),
    ("promotion_code.created", "coupon.id", "promotion.coupon", CLOVER),
    ("customer.discount.created", "coupon.id", "source.coupon", CLOVER),
]


@pytest.mark.parametrize(("type_", "old", "new", "since"), MOVED)
def test_a_field_stands_in_its_versions_place(
    told: Any, type_: str, old: str, new: str, since: str
) -> None:
    known = dig(told[NEWEST, type_], new)
    assert known not in (..., None)
    for version in SUPPORTED:
        shown = told[version, type_]
        here, gone = (new, old) if version >= since else (old, new)
        assert dig(shown, here) == known, version
        assert dig(shown, gone) is ..., version


# type, the field, the version from which it is gone
GONE = [
    (PAID, "charge", BASIL),
    (PAID, "payment_intent", BASIL),
    (PAID, "discount.coupon.id", BASIL),
    (PAID, "paid", BASIL),
    (PAID, "paid_out_of_band", BASIL),
    (PAID, "lines.data.0.type", BASIL),
    (PAID, "lines.data.0.plan.id", BASIL),
    (SUBSCRIBED, "discount.coupon.id", BASIL),
    (SUBSCRIBED, "plan.id", BASIL),
    ("charge.refunded", "invoice", BASIL),
    ("charge.refunded", "refunds.data.0.id", NOVEMBER),
    ("payment_intent.succeeded", "charges.data.0.id", NOVEMBER),
]


@pytest.mark.parametrize(("type_", "field", "gone"), GONE)
def test_a_field_that_is_gone(told: Any, type_: str, field: str, gone: str) -> None:
    for version in SUPPORTED:
        found = dig(told[version, type_], field)
        assert (found is ...) == (version >= gone), version
        assert found is not None


def test_a_discount_is_an_object_below_basil_and_its_id_stays(told: Any) -> None:
    for version in SUPPORTED:
        [id_] = told[version, PAID]["discounts"]
        if version < BASIL:
            assert told[version, PAID]["discount"]["id"] == id_


def test_an_intent_and_charge_name_their_invoice_below_basil(told: Any) -> None:
    invoice = told[NEWEST, PAID]
    for version in (OLDEST, NOVEMBER, ACACIA):
        shown = told[version, PAID]
        assert dig(told[version, "charge.refunded"], "invoice") == invoice["id"]
        assert shown["charge"].startswith("ch_") and shown["payment_intent"].startswith("pi_")
        assert shown["paid"] is True and shown["paid_out_of_band"] is False


def test_checkouts_ui_mode_was_renamed_in_dahlia(told: Any) -> None:
    modes = {v: told[v, "checkout.session.completed"]["ui_mode"] for v in SUPPORTED}
    assert [v for v, m in modes.items() if m == "hosted_page"] == [DAHLIA, NEWEST]
    assert {m for v, m in modes.items() if v < DAHLIA} == {"hosted"}


def test_the_sums_are_the_same_in_every_version(told: Any) -> None:
    for version in SUPPORTED:
        shown = told[version, PAID]
        assert (shown["total"], shown["total_excluding_tax"]) == (1800, 1513)
        assert shown["amount_paid"] == 1800
        session = told[version, "checkout.session.completed"]
        assert (session["amount_total"], session["currency"]) == (4900, "eur")


def test_no_note_of_the_fake_leaves_it(told: Any) -> None:
    for shown in told.values():
        assert not [name for name in _names(shown) if name.startswith("_")]


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(n for inner in value.values() for n in _names(inner))]
    if isinstance(value, list):
        return [n for inner in value for n in _names(inner)]
    return []


def test_answers_follow_the_stripe_version_header(fake: FakeStripe, api: Any) -> None:
    price = a_monthly_price(api)
    given = {"customer": a_customer(api), "items": [{"price": price}]}
    made = api.subscriptions.create(given, options={"stripe_version": ACACIA}).to_dict()
    assert "current_period_end" in made
    assert "current_period_end" not in api.subscriptions.retrieve(made["id"]).to_dict()


def test_previous_attributes_are_of_the_same_version(fake: FakeStripe, api: Any) -> None:
    made = api.subscriptions.create(
        {"customer": a_customer(api), "items": [{"price": a_monthly_price(api)}]}
    )
    fake.move_clock(32 * 86_400)
    kept = {}
    for version in (ACACIA, BASIL):
        for event in fake.events(KEY, api_version=version):
            if event.type == "customer.subscription.updated":
                kept[version] = json.loads(event.body)["data"]["previous_attributes"]
    assert kept[ACACIA]["current_period_end"] == made["items"].data[0].current_period_end
    assert "current_period_end" not in kept[BASIL] and "items" in kept[BASIL]
