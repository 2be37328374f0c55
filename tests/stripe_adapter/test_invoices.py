"""Invoices, invoice payments and credit notes into facts."""

from typing import Any

import pytest

from chalicelib.core.facts import Bond, CreditNote, View, ViewKind, Way, edge
from chalicelib.core.sale import summarise
from tests.builders.stripe_bodies import (
    BASIL,
    MAY_1,
    VERSIONS,
    a_credit_note,
    an_invoice_paid,
    an_invoice_payment,
    since,
)
from tests.stripe_adapter.telling import ignored, people_of, sale_of, told, told_of

AT = MAY_1 * 1_000
PAID_AT = (MAY_1 - 2) * 1_000


def view_of(**invoice: Any) -> View:
    return sale_of(told(an_invoice_paid(**invoice))).views["in_1"]


@pytest.mark.parametrize("type", ["invoice.paid", "invoice.payment_succeeded"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_paid_invoice_is_one_view_in_every_version(version: str, type: str) -> None:
    outcome = told(an_invoice_paid(version=version, type=type))
    sale = sale_of(outcome)
    assert sale.views == {
        "in_1": View(
            kind=ViewKind.INVOICE,
            id="in_1",
            paid=True,
            currency="eur",
            total=4900,
            net=4900,
            amount=4900,
            paid_at=PAID_AT,
            exact=True,
            told_at=AT,
        )
    }
    named = {"in_1"} if since(version, BASIL) else {"in_1", "pi_1", "ch_1"}
    assert sale.ids == named
    assert sale.identities == {"stripe:cus_1", "email:sam@example.com"}
    tie = edge("stripe:cus_1", "email:sam@example.com", Bond.STRIPE_EMAIL, AT)
    assert people_of(outcome).edges == {tie.id: tie}
    assert people_of(outcome).conversions == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_vat_inside_the_price_is_taken_out_in_every_version(version: str) -> None:
    view = view_of(version=version, total=2990, total_excluding_tax=2513, tax=477, amount_paid=2990)
    assert (view.total, view.net, view.amount) == (2990, 2513, 2990)


@pytest.mark.parametrize(
    "invoice, total, net, amount",
    [
        ({"amount_shipping": 400}, 4900, 4500, 4900),
        (
            {
                "total_excluding_tax": 4118,
                "amount_shipping": 595,
                "shipping_cost": {"amount_subtotal": 595, "amount_tax": 95, "amount_total": 595},
            },
            4900,
            3618,
            4900,
        ),
        ({"total_excluding_tax": None, "total_taxes": [{"amount": 900}]}, 4900, 4000, 4900),
        ({"version": "2020-08-27", "tax": 900}, 4900, 4000, 4900),
        ({"total_excluding_tax": None, "total_tax_amounts": [{"amount": 900}]}, 4900, 4000, 4900),
        ({"total": 2000, "total_excluding_tax": 2000, "amount_paid": 1000}, 2000, 2000, 1000),
        ({"total": 0, "total_excluding_tax": 0, "amount_paid": 0}, 0, 0, 0),
        ({"total": -500, "total_excluding_tax": -500, "amount_paid": 0}, 0, 0, 0),
        ({"amount_shipping": 9900}, 4900, 0, 4900),
    ],
)
def test_what_an_invoice_says_was_paid(
    invoice: dict[str, Any], total: int, net: int, amount: int
) -> None:
    view = view_of(**invoice)
    assert (view.paid, view.total, view.net, view.amount) == (True, total, net, amount)


def test_customer_credit_scales_the_net_once_joined() -> None:
    sale = sale_of(told(an_invoice_paid(total=2000, total_excluding_tax=2000, amount_paid=1000)))
    assert summarise(sale).net == 1000


@pytest.mark.parametrize(
    "version, invoice, amount, outside",
    [
        (
            "2020-08-27",
            {"paid_out_of_band": True, "amount_paid": 0, "amount_due": 4900},
            4900,
            4900,
        ),
        ("2022-11-15", {"paid_out_of_band": True}, 4900, 4900),
        ("2026-09-30.endive", {"amount_paid_off_stripe": 900}, 4900, 900),
        ("2026-09-30.endive", {}, 4900, 0),
    ],
)
def test_what_was_paid_outside_stripe(
    version: str, invoice: dict[str, Any], amount: int, outside: int
) -> None:
    view = view_of(version=version, **invoice)
    assert (view.amount, view.outside) == (amount, outside)


@pytest.mark.parametrize("missing", [{"paid_at": None}, {"status_transitions": None}])
def test_a_time_of_payment_not_said_is_the_events(missing: dict[str, Any]) -> None:
    view = view_of(**missing)
    assert (view.paid_at, view.exact) == (AT, False)


def test_a_voided_invoice_is_not_paid() -> None:
    view = view_of(type="invoice.voided", amount_paid=0, paid_at=None)
    assert (view.paid, view.amount, view.paid_at, view.exact) == (False, 0, 0, False)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("where", ["metadata", "subscription_metadata"])
def test_metadata_is_found_on_invoice_and_subscription(version: str, where: str) -> None:
    said = {"refledger_partner": "Ann", "refledger_customer": "42", "refledger": "false"}
    outcome = told(an_invoice_paid(version=version, **{where: said}))
    sale = sale_of(outcome)
    touch = sale.touches["metadata:in_1"]
    assert (touch.partner, touch.way, touch.at) == ("ann", Way.METADATA, PAID_AT)
    assert "key:42" in sale.identities
    assert sale.keep_out
    assert people_of(outcome).earliest("key:42", "metadata") == AT


def test_the_invoices_own_metadata_goes_before_the_subscriptions() -> None:
    sale = sale_of(
        told(
            an_invoice_paid(
                metadata={"partner_key": "bob", "refledger": "true"},
                subscription_metadata={"partner_key": "ann", "refledger": "false"},
            )
        )
    )
    assert sale.touches["metadata:in_1"].partner == "bob"
    assert not sale.keep_out


def test_a_deleted_customer_is_still_whose_invoice_it_was() -> None:
    outcome = told(an_invoice_paid(customer={"id": "cus_1", "deleted": True}))
    assert "stripe:cus_1" in sale_of(outcome).identities


@pytest.mark.parametrize(
    "payment, ids",
    [
        ({}, {"in_1", "pi_1"}),
        ({"payment_intent": {"id": "pi_2"}}, {"in_1", "pi_2"}),
        ({"charge": "ch_7"}, {"in_1", "ch_7"}),
        ({"invoice": {"id": "in_2"}}, {"in_2", "pi_1"}),
    ],
)
def test_an_invoice_payment_ties_its_two_ends(payment: dict[str, Any], ids: set[str]) -> None:
    sale = sale_of(told_of("invoice_payment.paid", an_invoice_payment(**payment)))
    assert sale.ids == ids
    assert sale.views == {}


def test_an_invoice_payment_outside_stripe_ties_nothing() -> None:
    outside = an_invoice_payment(payment={"type": "payment_record", "payment_record": "pr_1"})
    assert "no intent and no charge" in ignored("invoice_payment.paid", outside)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_credit_note_takes_back_what_refunds_do_not(version: str) -> None:
    sale = sale_of(told_of("credit_note.created", a_credit_note(version=version)))
    assert sale.ids == {"in_1"}
    assert sale.credit_notes == {"cn_1": CreditNote(id="cn_1", amount=1000)}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_credit_note_covered_by_its_refund_is_not_taken_twice(version: str) -> None:
    note = a_credit_note(version=version, refunded=1000)
    assert "its refunds cover" in ignored("credit_note.created", note)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_credit_note_before_payment_is_in_the_amount_already(version: str) -> None:
    note = a_credit_note(version=version, type="pre_payment")
    assert "before payment" in ignored("credit_note.created", note)


@pytest.mark.parametrize(
    "note, left",
    [
        ({"refunded": 400}, 600),
        ({"type": "mixed", "post_payment_amount": 300, "pre_payment_amount": 700}, 300),
        ({"version": "2022-11-15", "refund": {"id": "re_1", "amount": 400}}, 600),
        ({"version": "2022-11-15", "refund": "re_1", "out_of_band_amount": 250}, 250),
    ],
)
def test_a_credit_note_refunded_in_part_leaves_the_rest(note: dict[str, Any], left: int) -> None:
    sale = sale_of(told_of("credit_note.created", a_credit_note(**note)))
    assert sale.credit_notes["cn_1"].amount == left


def test_a_voided_credit_note_gives_back() -> None:
    first = sale_of(told_of("credit_note.created", a_credit_note()))
    then = sale_of(told_of("credit_note.voided", a_credit_note(status="void")))
    assert first.join(then).credit_notes["cn_1"].voided
    assert then.join(first).credit_notes["cn_1"].voided


def test_a_voided_credit_note_is_told_even_if_refunds_cover_it_by_now() -> None:
    note = a_credit_note(refunded=1000, status="void")
    sale = sale_of(told_of("credit_note.voided", note))
    assert sale.credit_notes == {"cn_1": CreditNote(id="cn_1", amount=0, voided=True)}
