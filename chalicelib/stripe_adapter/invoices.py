"""Invoices, what paid them, and credit notes on them (https://docs.stripe.com/api/invoices)."""

from chalicelib.core.facts import CreditNote, View, ViewKind
from chalicelib.core.sale import Sale
from chalicelib.core.told import Ignored, Told
from chalicelib.stripe_adapter.buyers import buyer, keeps_out, partner_touch, people_of
from chalicelib.stripe_adapter.envelope import Event, Unreadable
from chalicelib.stripe_adapter.fields import (
    Body,
    amount,
    amount_or_none,
    currency,
    id_of,
    moment,
    part,
    reference,
    rows,
    text,
    whole,
)
from chalicelib.stripe_adapter.readers import (
    customer_of,
    metadata_of_invoice,
    paid_and_outside,
    payments_of_invoice,
    payments_of_invoice_payment,
    shipping_untaxed,
    tax_of_invoice,
)


def told_by_invoice(event: Event) -> Told:
    """``invoice.paid``, ``invoice.payment_succeeded`` (the same fact) and ``invoice.voided``."""
    invoice = event.object
    id = id_of(invoice)
    view = _view(invoice, event)
    metadata = metadata_of_invoice(invoice)
    who = buyer(
        metadata=metadata, customer=customer_of(invoice), email=text(invoice, "customer_email")
    )
    touches = partner_touch(metadata, of=id, at=view.paid_at or event.at)
    sale = Sale(
        ids=frozenset({id}) | payments_of_invoice(invoice),
        views={id: view},
        touches={touch.id: touch for touch in touches},
        identities=who.identities,
        keep_out=bool(keeps_out(metadata)),
    )
    return Told(sale=sale, people=people_of(who, event.at))


def _view(invoice: Body, event: Event) -> View:
    """The invoice's account of its payment. A negative total has become customer balance, with
    nothing paid: it counts as 0."""
    total = whole(invoice, "total")
    if total is None:
        raise Unreadable("invoice.total is missing")
    paid = event.type != "invoice.voided"
    paid_amount, outside = paid_and_outside(invoice, amount(invoice, "amount_paid"))
    net = total - tax_of_invoice(invoice) - shipping_untaxed(invoice)
    exactly = moment(part(invoice, "status_transitions"), "paid_at")
    return View(
        kind=ViewKind.INVOICE,
        id=id_of(invoice),
        paid=paid,
        currency=currency(invoice),
        total=max(total, 0),
        net=max(net, 0),
        amount=paid_amount if paid else 0,
        outside=outside if paid else 0,
        paid_at=(exactly or event.at) if paid else 0,
        exact=paid and bool(exactly),
        told_at=event.at,
    )


def told_by_invoice_payment(event: Event) -> Told | Ignored:
    """Which intent or charge paid which invoice: since basil nothing else says so."""
    invoice = reference(event.object, "invoice")
    if not invoice:
        raise Unreadable("invoice_payment.invoice is missing")
    payments = payments_of_invoice_payment(event.object)
    if not payments:
        return Ignored(because="the invoice was paid by no intent and no charge of Stripe's")
    return Told(sale=Sale(ids=frozenset({invoice}) | payments))


def told_by_credit_note(event: Event) -> Told | Ignored:
    """What a credit note takes back beyond its refunds, which tell of themselves. What it took off
    before the payment is in ``amount_paid`` already."""
    note = event.object
    id = id_of(note)
    invoice = reference(note, "invoice")
    if not invoice:
        raise Unreadable("credit_note.invoice is missing")
    left = max(_after_payment(note) - _refunded_by(note), 0)
    voided = event.type == "credit_note.voided" or text(note, "status") == "void"
    if text(note, "type") == "pre_payment":
        return Ignored(because="a credit note before payment: the invoice's amount says it already")
    if not left and not voided:
        return Ignored(because="a credit note that its refunds cover: they are told by themselves")
    fact = CreditNote(id=id, amount=left, voided=voided)
    return Told(sale=Sale(ids=frozenset({invoice}), credit_notes={id: fact}))


def _after_payment(note: Body) -> int:
    """``post_payment_amount`` since 2025-05-28; before that a note was all of one type."""
    told = amount_or_none(note, "post_payment_amount")
    if told is not None:
        return told
    return 0 if text(note, "type") == "pre_payment" else amount(note, "amount")


def _refunded_by(note: Body) -> int:
    """The part of a note that refunds cover: ``refunds[]`` since basil, before that ``refund``,
    whose amount is known only if expanded; what is credited outside Stripe is certainly not it."""
    refunds = rows(note, "refunds")
    if refunds:
        return sum(amount(refund, "amount_refunded") for refund in refunds)
    if not reference(note, "refund"):
        return 0
    refund = note.get("refund")
    if isinstance(refund, dict):
        return amount(refund, "amount")
    return max(amount(note, "amount") - (amount_or_none(note, "out_of_band_amount") or 0), 0)
