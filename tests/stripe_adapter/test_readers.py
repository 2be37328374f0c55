"""The tolerant readers: a line per place where a version keeps a thing."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.stripe_adapter import readers
from chalicelib.stripe_adapter.envelope import Unreadable
from chalicelib.stripe_adapter.fields import reference
from tests.builders.stripe_bodies import (
    VERSIONS,
    a_subscription,
    an_intent,
    an_invoice,
)

LINE = {"parent": {"subscription_item_details": {"subscription": "sub_line"}}}


@pytest.mark.parametrize(
    "told, id",
    [
        ("cus_1", "cus_1"),
        ({"id": "cus_1", "object": "customer", "email": "sam@example.com"}, "cus_1"),
        ({"id": "cus_1", "deleted": True}, "cus_1"),
        (None, ""),
    ],
)
def test_a_reference_is_an_id_an_object_a_stub_or_nothing(told: Any, id: str) -> None:
    assert reference({"customer": told}, "customer") == id


@pytest.mark.parametrize("told", [7, True, ["cus_1"], {}, {"id": 7}, "c" * 256])
def test_anything_else_is_no_reference(told: Any) -> None:
    with pytest.raises(Unreadable, match=r"^invoice\.customer is "):
        reference({"object": "invoice", "customer": told}, "customer")


@pytest.mark.parametrize(
    "reader, body, expected",
    [
        (readers.customer_of, {"customer": None, "customer_account": "acct_1"}, "acct_1"),
        (readers.customer_of, {"customer": "cus_1", "customer_account": "acct_1"}, "cus_1"),
        (
            readers.subscription_of_invoice,
            {"parent": {"subscription_details": {"subscription": "sub_p"}}, "subscription": "sub"},
            "sub_p",
        ),
        (readers.subscription_of_invoice, {"subscription": "sub", "lines": [LINE]}, "sub"),
        (readers.subscription_of_invoice, {"lines": {"data": [LINE]}}, "sub_line"),
        (readers.subscription_of_invoice, {"lines": [{"subscription": "sub_l"}]}, "sub_l"),
        (readers.subscription_of_invoice, {"parent": None}, ""),
        (
            readers.payments_of_invoice,
            {"payments": {"data": [{"status": "paid", "payment": {"payment_intent": "pi_p"}}]}},
            {"pi_p"},
        ),
        (
            readers.payments_of_invoice,
            {"payments": {"data": [{"status": "canceled", "payment": {"payment_intent": "pi"}}]}},
            set(),
        ),
        (
            readers.payments_of_invoice,
            {"payment_intent": {"id": "pi"}, "charge": "ch"},
            {"pi", "ch"},
        ),
        (readers.payments_of_invoice_payment, {"payment": {"charge": "py_1"}}, {"py_1"}),
        (readers.invoice_of_payment, {"invoice": {"id": "in_1"}}, "in_1"),
        (readers.invoice_of_payment, {}, ""),
        (readers.tax_of_invoice, {"total": 2990, "total_excluding_tax": 2513, "tax": 1}, 477),
        (readers.tax_of_invoice, {"total_taxes": [{"amount": 400}, {"amount": 77}]}, 477),
        (readers.tax_of_invoice, {"total": 2990, "total_taxes": [], "tax": 477}, 477),
        (readers.tax_of_invoice, {"tax": 0, "total_tax_amounts": [{"amount": 9}]}, 0),
        (readers.tax_of_invoice, {"tax": None, "total_tax_amounts": [{"amount": 477}]}, 477),
        (readers.tax_of_invoice, {"total": 2990}, 0),
        (readers.shipping_untaxed, {"amount_shipping": 500}, 500),
        (readers.shipping_untaxed, {"total_details": {"amount_shipping": 500}}, 500),
        (
            readers.shipping_untaxed,
            {"amount_shipping": 595, "shipping_cost": {"amount_total": 595, "amount_tax": 95}},
            500,
        ),
        (readers.shipping_untaxed, {"shipping_cost": None}, 0),
        (readers.charge_of_intent, {"latest_charge": {"id": "ch_l"}}, "ch_l"),
        (readers.charge_of_intent, {"charges": {"data": [{"id": "ch_0"}, {"id": "ch_1"}]}}, "ch_0"),
        (readers.charge_of_intent, {"charges": {"data": []}}, ""),
        (readers.coupon_of_promotion_code, {"promotion": {"coupon": "c_1"}, "coupon": "c"}, "c_1"),
        (readers.coupon_of_promotion_code, {"coupon": {"id": "c"}}, "c"),
        (readers.coupon_of_discount, {"source": {"type": "coupon", "coupon": "c_new"}}, "c_new"),
        (readers.coupon_of_discount, {"coupon": {"id": "c"}}, "c"),
        (readers.discounts_of, {"discounts": ["di_1"]}, [{"id": "di_1"}]),
        (readers.discounts_of, {"discounts": [{"id": "di_1"}]}, [{"id": "di_1"}]),
        (readers.discounts_of, {"discounts": [], "discount": {"id": "di_2"}}, [{"id": "di_2"}]),
        (readers.discounts_of, {"discount": None}, []),
        (
            readers.period_end_of_subscription,
            {"items": {"data": [{"current_period_end": 5}, {"current_period_end": 9}]}},
            9_000,
        ),
        (readers.period_end_of_subscription, {"current_period_end": 5}, 5_000),
    ],
)  # fmt: skip
def test_each_thing_is_found_where_its_version_keeps_it(
    reader: Callable[[Any], Any], body: dict[str, Any], expected: Any
) -> None:
    assert reader(body) == expected


@pytest.mark.parametrize(
    "invoice, expected",
    [
        ({}, (4900, 0)),
        ({"amount_paid_off_stripe": 900}, (4900, 900)),
        ({"amount_paid_off_stripe": 9900}, (4900, 4900)),
        ({"paid_out_of_band": True, "amount_due": 4900}, (4900, 4900)),
        ({"paid_out_of_band": False, "amount_due": 4900}, (4900, 0)),
        ({"payments": {"data": []}}, (4900, 0)),
    ],
)
def test_what_was_paid_outside(invoice: dict[str, Any], expected: tuple[int, int]) -> None:
    assert readers.paid_and_outside(invoice, 4900) == expected


def test_until_basil_an_invoice_paid_outside_says_that_nothing_was_paid() -> None:
    invoice = {"paid_out_of_band": True, "amount_due": 4900, "amount_remaining": 4900}
    assert readers.paid_and_outside(invoice, 0) == (4900, 4900)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_subscription_metadata_charge_and_period(version: str) -> None:
    invoice = an_invoice(version=version, subscription_metadata={"a": "b"})
    assert readers.subscription_of_invoice(invoice) == "sub_1"
    assert {"a": "b"} in readers.metadata_of_invoice(invoice)
    assert readers.charge_of_intent(an_intent(version=version)) == "ch_1"
    assert readers.period_end_of_subscription(a_subscription(version=version))
