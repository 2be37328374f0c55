"""Invoices: taxes, discounts, balances, ways of paying; their payments; credit notes."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import Inbox, a_customer, a_price, flushed, move


def a_draft(api: Any, customer: str, amount: int = 2990, **given: Any) -> Any:
    item = {k: given.pop(k) for k in ("tax_rates", "discountable") if k in given}
    invoice = api.invoices.create({"customer": customer, "currency": "eur"} | given)
    line = {"customer": customer, "invoice": invoice.id, "amount": amount, "currency": "eur"}
    api.invoice_items.create(line | {"description": "Work"} | item)
    return api.invoices.retrieve(invoice.id)


def a_tax_rate(api: Any, percentage: float = 19, *, inclusive: bool = True) -> str:
    rate = {"display_name": "VAT", "percentage": percentage, "inclusive": inclusive}
    return api.tax_rates.create(rate).id


def test_an_invoice_from_draft_to_paid(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    draft = a_draft(api, a_customer(api), metadata={"order": "7"})
    assert (draft.status, draft.total, draft.number) == ("draft", 2990, None)
    opened = api.invoices.finalize_invoice(draft.id)
    assert (opened.status, opened.amount_due) == ("open", 2990)
    assert opened.number is not None and opened.status_transitions.finalized_at is not None
    paid = api.invoices.pay(draft.id, {"expand": ["payments"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 2990, 0)
    [payment] = paid.payments.data
    assert (payment.id[:6], payment.status, payment.amount_paid) == ("inpay_", "paid", 2990)
    flushed(fake)
    told = [t for t in inbox.types if t.startswith("invoice")]
    assert told == [
        "invoice.created",
        "invoiceitem.created",
        "invoice.updated",
        "invoice.finalized",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_invoice_payments_are_found_from_either_side(api: Any) -> None:
    paid = api.invoices.pay(a_draft(api, a_customer(api)).id)
    [payment] = api.invoice_payments.list({"invoice": paid.id}).data
    intent = payment.payment.payment_intent
    wanted = {"type": "payment_intent", "payment_intent": intent}
    [same] = api.invoice_payments.list({"payment": wanted, "status": "paid"}).data
    assert (same.id, same.invoice) == (payment.id, paid.id)
    assert api.invoice_payments.retrieve(payment.id).payment.type == "payment_intent"
    assert api.payment_intents.retrieve(intent).status == "succeeded"
    assert api.invoice_payments.list({"status": "open"}).data == []


@pytest.mark.parametrize(
    ("inclusive", "total", "untaxed", "tax"),
    [(True, 2990, 2513, 477), (False, 3558, 2990, 568)],
)
def test_explicit_tax_rates(api: Any, inclusive: bool, total: int, untaxed: int, tax: int) -> None:
    rate = a_tax_rate(api, inclusive=inclusive)
    draft = a_draft(api, a_customer(api), default_tax_rates=[rate])
    assert (draft.total, draft.total_excluding_tax) == (total, untaxed)
    [taxed] = draft.total_taxes
    assert (taxed.amount, taxed.taxable_amount) == (tax, untaxed)
    assert taxed.tax_behavior == ("inclusive" if inclusive else "exclusive")
    assert draft.lines.data[0].taxes[0].tax_rate_details.tax_rate == rate
    assert draft.subtotal == 2990
    assert draft.subtotal_excluding_tax == (2513 if inclusive else 2990)


def test_taxes_follow_the_discount(api: Any) -> None:
    coupon = api.coupons.create({"percent_off": 10, "duration": "once"})
    draft = a_draft(
        api,
        a_customer(api),
        10_000,
        default_tax_rates=[a_tax_rate(api, 20, inclusive=False)],
        discounts=[{"coupon": coupon.id}],
    )
    assert (draft.subtotal, draft.total_excluding_tax, draft.total) == (10_000, 9_000, 10_800)
    [discount] = draft.total_discount_amounts
    assert discount.amount == 1_000
    assert draft.discounts == [discount.discount]
    shown = api.invoices.retrieve(draft.id, {"expand": ["discounts.source.coupon"]})
    assert shown.discounts[0].source.coupon.percent_off == 10


def test_an_amount_off_is_spread_over_the_lines(api: Any) -> None:
    coupon = api.coupons.create({"amount_off": 1000, "currency": "eur"})
    customer = a_customer(api)
    draft = a_draft(api, customer, 3333, discounts=[{"coupon": coupon.id}])
    line = {"customer": customer, "invoice": draft.id, "amount": 6667, "currency": "eur"}
    api.invoice_items.create(line)
    draft = api.invoices.retrieve(draft.id)
    parts = [line.discount_amounts[0].amount for line in draft.lines.data]
    assert sum(parts) == 1000 and draft.total == 9000


def test_customer_credit_lowers_what_is_paid(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api, balance=-1000)
    paid = api.invoices.pay(a_draft(api, customer, 2000).id)
    assert (paid.total, paid.amount_due, paid.amount_paid) == (2000, 1000, 1000)
    assert (paid.starting_balance, paid.ending_balance) == (-1000, 0)
    assert api.customers.retrieve(customer).balance == 0
    entries = api.customers.balance_transactions.list(customer).data
    assert [(e.type, e.amount) for e in entries] == [("applied_to_invoice", 1000)]


def test_credit_covers_all_and_nothing_is_charged(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    api.customers.balance_transactions.create(customer, {"amount": -5000, "currency": "eur"})
    paid = api.invoices.finalize_invoice(a_draft(api, customer, 2000).id)
    assert (paid.status, paid.amount_paid, paid.total) == ("paid", 0, 2000)
    assert api.customers.retrieve(customer).balance == -3000
    flushed(fake)
    assert "invoice.paid" in inbox.types and "charge.succeeded" not in inbox.types


def test_a_negative_total_becomes_credit(api: Any) -> None:
    customer = a_customer(api)
    paid = api.invoices.finalize_invoice(a_draft(api, customer, -700).id)
    assert (paid.status, paid.total, paid.amount_due) == ("paid", -700, 0)
    assert api.customers.retrieve(customer).balance == -700


def test_paid_outside_stripe(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    draft = a_draft(api, a_customer(api))
    api.invoices.finalize_invoice(draft.id)
    paid = api.invoices.pay(draft.id, {"paid_out_of_band": True})
    assert paid.status == "paid"
    assert paid.amount_paid_off_stripe is None
    read = api.invoices.retrieve(draft.id, {"expand": ["amount_paid_off_stripe"]})
    assert read.amount_paid_off_stripe == 2990
    assert [p.status for p in api.invoice_payments.list({"invoice": draft.id}).data] == ["canceled"]
    flushed(fake)
    assert "invoice.paid" in inbox.types and "invoice_payment.paid" not in inbox.types


def test_a_declined_invoice_is_tried_again(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = api.customers.create({"email": "sam@example.com"}).id
    draft = a_draft(api, customer, auto_advance=True)
    with pytest.raises(stripe.CardError):
        api.invoices.pay(draft.id, {"payment_method": "pm_card_chargeCustomerFail"})
    flushed(fake)
    assert inbox.types[-1] == "invoice.payment_failed"
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer})
    settings = {"invoice_settings": {"default_payment_method": method.id}}
    api.customers.update(customer, settings)
    move(fake, days=4)
    assert api.invoices.retrieve(draft.id).status == "paid"


def test_a_draft_advances_by_itself_after_an_hour(fake: FakeStripe, api: Any) -> None:
    draft = a_draft(api, a_customer(api), auto_advance=True)
    move(fake, seconds=3_500)
    assert api.invoices.retrieve(draft.id).status == "draft"
    move(fake, seconds=200)
    assert api.invoices.retrieve(draft.id).status == "paid"


def test_void_delete_and_send(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    deleted = api.invoices.delete(a_draft(api, customer).id)
    assert deleted.deleted is True
    sent = api.invoices.send_invoice(a_draft(api, customer, collection_method="send_invoice").id)
    assert sent.status == "open"
    voided = api.invoices.void_invoice(sent.id)
    assert voided.status == "void"
    flushed(fake)
    wanted = ("invoice.sent", "invoice.deleted", "invoice.voided", "payment_intent.canceled")
    assert set(wanted) <= set(inbox.types)


def test_pending_items_wait_for_the_next_invoice(api: Any) -> None:
    customer = a_customer(api)
    price = a_price(api, 1500)
    item = api.invoice_items.create(
        {"customer": customer, "pricing": {"price": price}, "quantity": 2}
    )
    assert (item.amount, item.invoice) == (3000, None)
    made = {"customer": customer, "pending_invoice_items_behavior": "include"}
    draft = api.invoices.create(made)
    assert draft.total == 3000
    assert draft.lines.data[0].pricing.price_details.price == price
    assert api.invoice_items.retrieve(item.id).invoice == draft.id


def test_shipping_is_told_apart(api: Any) -> None:
    rate = {
        "display_name": "Parcel",
        "type": "fixed_amount",
        "fixed_amount": {"amount": 490, "currency": "eur"},
    }
    draft = a_draft(api, a_customer(api), 2000, shipping_cost={"shipping_rate_data": rate})
    assert (draft.amount_shipping, draft.total, draft.total_excluding_tax) == (490, 2490, 2490)


def test_more_than_ten_lines_are_paged(api: Any) -> None:
    customer = a_customer(api)
    draft = a_draft(api, customer, 100)
    line = {"customer": customer, "invoice": draft.id, "amount": 100, "currency": "eur"}
    for _ in range(11):
        api.invoice_items.create(line)
    shown = api.invoices.retrieve(draft.id)
    assert (len(shown.lines.data), shown.lines.has_more, shown.total) == (10, True, 1200)
    assert len(list(shown.lines.auto_paging_iter())) == 12


def test_a_credit_note_before_payment_lowers_what_is_due(api: Any) -> None:
    draft = a_draft(api, a_customer(api), 2000)
    api.invoices.finalize_invoice(draft.id)
    note = api.credit_notes.create({"invoice": draft.id, "amount": 500})
    assert (note.type, note.pre_payment_amount) == ("pre_payment", 500)
    assert api.invoices.retrieve(draft.id).amount_remaining == 1500


def test_a_credit_note_after_payment_refunds(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    paid = api.invoices.pay(a_draft(api, a_customer(api), 2000).id)
    given = {"invoice": paid.id, "amount": 500, "refund_amount": 500}
    note = api.credit_notes.create(given)
    assert (note.type, note.post_payment_amount, note.total) == ("post_payment", 500, 500)
    assert api.refunds.retrieve(note.refunds[0].refund).amount == 500
    with pytest.raises(stripe.InvalidRequestError, match="must equal"):
        api.credit_notes.create({"invoice": paid.id, "amount": 500})
    flushed(fake)
    assert "credit_note.created" in inbox.types and "charge.refunded" in inbox.types


def test_a_voided_credit_note(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    paid = api.invoices.pay(a_draft(api, a_customer(api), 2000).id)
    line = paid.lines.data[0].id
    given = {
        "invoice": paid.id,
        "lines": [{"type": "invoice_line_item", "invoice_line_item": line, "amount": 300}],
        "out_of_band_amount": 300,
    }
    note = api.credit_notes.create(given)
    assert api.credit_notes.void_credit_note(note.id).status == "void"
    flushed(fake)
    assert "credit_note.voided" in inbox.types
    assert api.invoices.retrieve(paid.id).post_payment_credit_notes_amount == 0
