"""Credit notes: money given back in every way after payment, less to pay before it."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import Inbox, a_customer, flushed


def _invoice(api: Any, customer: str, amount: int = 2000) -> Any:
    api.invoice_items.create({"customer": customer, "amount": amount, "currency": "eur"})
    given = {"customer": customer, "pending_invoice_items_behavior": "include"}
    return api.invoices.finalize_invoice(api.invoices.create(given).id)


def _paid(api: Any, customer: str, amount: int = 2000) -> Any:
    return api.invoices.pay(_invoice(api, customer, amount).id)


def test_before_payment_the_rest_alone_is_charged(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    invoice = _invoice(api, a_customer(api))
    note = api.credit_notes.create({"invoice": invoice.id, "amount": 500})
    assert (note.type, note.pre_payment_amount, note.post_payment_amount) == ("pre_payment", 500, 0)
    paid = api.invoices.pay(invoice.id)
    assert (paid.amount_paid, paid.pre_payment_credit_notes_amount) == (1500, 500)
    [payment] = api.invoice_payments.list({"invoice": invoice.id}).data
    assert (payment.amount_requested, payment.amount_paid) == (1500, 1500)
    assert [c.amount for c in api.charges.list().data] == [1500]
    flushed(fake)
    assert [i["amount_paid"] for i in inbox.objects("invoice.paid")] == [1500]


def test_a_note_of_all_that_is_due_pays_the_invoice(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    invoice = _invoice(api, a_customer(api))
    api.credit_notes.create({"invoice": invoice.id, "amount": 2000})
    shown = api.invoices.retrieve(invoice.id)
    assert (shown.status, shown.amount_paid, shown.amount_remaining) == ("paid", 0, 0)
    assert api.charges.list().data == []
    flushed(fake)
    assert inbox.types.index("credit_note.created") < inbox.types.index("invoice.paid")


def test_a_voided_note_before_payment_is_due_again(api: Any) -> None:
    invoice = _invoice(api, a_customer(api))
    note = api.credit_notes.create({"invoice": invoice.id, "amount": 500})
    assert api.credit_notes.void_credit_note(note.id).status == "void"
    assert api.invoices.pay(invoice.id).amount_paid == 2000


@pytest.mark.parametrize(
    ("split", "refunds", "balance"),
    [
        ({"refund_amount": 700}, [700], 0),
        ({"credit_amount": 700}, [], -700),
        ({"out_of_band_amount": 700}, [], 0),
        ({"refund_amount": 300, "credit_amount": 400}, [300], -400),
    ],
)
def test_after_payment_it_goes_back_in_one_way_or_another(
    fake: FakeStripe, api: Any, inbox: Inbox, split: Any, refunds: list[int], balance: int
) -> None:
    customer = a_customer(api)
    invoice = _paid(api, customer)
    note = api.credit_notes.create({"invoice": invoice.id, "amount": 700} | split)
    assert (note.type, note.post_payment_amount, note.pre_payment_amount) == (
        "post_payment", 700, 0,
    )  # fmt: skip
    assert [r.amount_refunded for r in note.refunds] == refunds
    assert api.customers.retrieve(customer).balance == balance
    assert sum(c.amount_refunded for c in api.charges.list().data) == sum(refunds)
    assert api.invoices.retrieve(invoice.id).post_payment_credit_notes_amount == 700
    flushed(fake)
    assert ("charge.refunded" in inbox.types) == bool(refunds)


def test_a_refund_that_is_there_is_named(api: Any) -> None:
    invoice = _paid(api, a_customer(api))
    [payment] = api.invoice_payments.list({"invoice": invoice.id}).data
    refund = api.refunds.create({"payment_intent": payment.payment.payment_intent, "amount": 600})
    named = [{"refund": refund.id, "amount_refunded": 600}]
    note = api.credit_notes.create({"invoice": invoice.id, "amount": 600, "refunds": named})
    assert [r.refund for r in note.refunds] == [refund.id]
    assert len(api.refunds.list().data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="cannot void"):
        api.credit_notes.void_credit_note(note.id)


def test_a_voided_note_takes_its_credit_back(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    invoice = _paid(api, customer)
    given = {"invoice": invoice.id, "amount": 700, "credit_amount": 700}
    note = api.credit_notes.create(given)
    api.credit_notes.void_credit_note(note.id)
    assert api.customers.retrieve(customer).balance == 0
    assert api.invoices.retrieve(invoice.id).post_payment_credit_notes_amount == 0
    flushed(fake)
    [voided] = inbox.objects("credit_note.voided")
    assert (voided["status"], voided["post_payment_amount"]) == ("void", 700)


def test_notes_are_listed_by_invoice_and_customer(fake: FakeStripe, api: Any) -> None:
    customers = [a_customer(api), a_customer(api)]
    invoices = [_paid(api, c) for c in customers]
    notes = [
        api.credit_notes.create({"invoice": i.id, "amount": 100, "out_of_band_amount": 100})
        for i in invoices
    ]
    assert [n.id for n in api.credit_notes.list({"invoice": invoices[0].id}).data] == [notes[0].id]
    assert [n.id for n in api.credit_notes.list({"customer": customers[1]}).data] == [notes[1].id]
    [first] = api.credit_notes.list({"limit": 1, "expand": ["data.invoice"]}).data
    assert first.invoice.id == invoices[1].id


def test_no_more_than_was_paid(api: Any) -> None:
    invoice = _paid(api, a_customer(api))
    given = {"invoice": invoice.id, "amount": 1500, "out_of_band_amount": 1500}
    api.credit_notes.create(given)
    with pytest.raises(stripe.InvalidRequestError, match="above what can be credited"):
        api.credit_notes.create(given)
