"""Where Stripe keeps what, in every API version: one reader for each thing that moved.

The shape of a webhook's body follows the endpoint's ``api_version``, fixed when it was made, or
else the account's default. basil (2025-03-31) moved an invoice's subscription, charge, intent,
discount and tax, and took ``invoice`` from charges and intents; clover (2025-09-30) moved coupons
under ``promotion`` and ``source``; 2022-11-15 took ``charges`` from intents
(https://docs.stripe.com/changelog). Each reader looks at the newest place first.
"""

from collections.abc import Iterable

from chalicelib.core.facts import Ms
from chalicelib.stripe_adapter.fields import (
    Body,
    amount_or_none,
    flag,
    id_of,
    moment,
    part,
    reference,
    rows,
    whole,
)


def customer_of(body: Body) -> str:
    """``cus_…``, else the account that is the customer (``acct_…``), else empty."""
    return reference(body, "customer") or reference(body, "customer_account")


def first_line(invoice: Body) -> Body:
    """A webhook holds the first ten lines; the first says what the invoice is for."""
    lines = rows(invoice, "lines")
    return lines[0] if lines else {}


def subscription_of_invoice(invoice: Body) -> str:
    line = first_line(invoice)
    return (
        reference(part(part(invoice, "parent"), "subscription_details"), "subscription")
        or reference(invoice, "subscription")
        or reference(part(part(line, "parent"), "subscription_item_details"), "subscription")
        or reference(line, "subscription")
    )


def metadata_of_invoice(invoice: Body) -> list[Body]:
    """The invoice's own metadata, then its subscription's wherever it stands, nearest first."""
    return [
        part(invoice, "metadata"),
        part(part(part(invoice, "parent"), "subscription_details"), "metadata"),
        part(part(invoice, "subscription_details"), "metadata"),
        part(first_line(invoice), "metadata"),
    ]


def payments_of_invoice(invoice: Body) -> frozenset[str]:
    """Intents and charges that paid the invoice. From basil on a webhook seldom holds them:
    ``payments`` is there only when expanded, and ``invoice_payment.paid`` tells them apart."""
    paid_by = {reference(invoice, "payment_intent"), reference(invoice, "charge")}
    for row in rows(invoice, "payments"):
        if row.get("status") in (None, "paid"):
            paid_by |= payments_of_invoice_payment(row)
    return frozenset(paid_by - {""})


def payments_of_invoice_payment(invoice_payment: Body) -> frozenset[str]:
    """The intent of an invoice payment, or the charge of one without an intent."""
    payment = part(invoice_payment, "payment")
    return frozenset({reference(payment, "payment_intent"), reference(payment, "charge")} - {""})


def invoice_of_payment(charge_or_intent: Body) -> str:
    """Told until basil; later only ``invoice_payment.paid`` knows."""
    return reference(charge_or_intent, "invoice")


def tax_of_invoice(invoice: Body) -> int:
    total, untaxed = whole(invoice, "total"), whole(invoice, "total_excluding_tax")
    if total is not None and untaxed is not None:
        return total - untaxed
    if invoice.get("total_taxes"):
        return _summed(rows(invoice, "total_taxes"))
    tax = whole(invoice, "tax")
    return tax if tax is not None else _summed(rows(invoice, "total_tax_amounts"))


def shipping_untaxed(invoice_or_session: Body) -> int:
    """Shipping without its tax, of an invoice or a session.

    ``amount_shipping`` holds the tax where it is inclusive, and that tax is in the object's total
    tax too; ``shipping_cost`` tells the two apart, where there is one.
    """
    cost = part(invoice_or_session, "shipping_cost")
    taxed, tax = whole(cost, "amount_total"), whole(cost, "amount_tax")
    if taxed is not None and tax is not None:
        return taxed - tax
    details = part(invoice_or_session, "total_details")
    return whole(invoice_or_session, "amount_shipping") or whole(details, "amount_shipping") or 0


def paid_and_outside(invoice: Body, paid: int) -> tuple[int, int]:
    """What was paid, and what of it outside Stripe.

    Until basil ``amount_paid`` is 0 on an invoice marked as paid outside, which leaves
    ``amount_due``; from basil on ``amount_paid`` includes it, and ``paid_out_of_band`` is gone
    (https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices).
    ``amount_paid_off_stripe`` is in answers that expand it, not in event payloads
    (https://docs.stripe.com/changelog/dahlia/2026-05-27/invoice-object-amount-paid-off-stripe-property).
    """
    outside = amount_or_none(invoice, "amount_paid_off_stripe")
    if outside is not None:
        return paid, min(outside, paid)
    if flag(invoice, "paid_out_of_band"):
        paid = max(paid, amount_or_none(invoice, "amount_due") or 0)
        return paid, paid
    return paid, 0


def charge_of_intent(intent: Body) -> str:
    latest = reference(intent, "latest_charge")
    charges = rows(intent, "charges")
    return latest or (id_of(charges[0]) if charges else "")


def charges_in_intent(intent: Body) -> list[Body]:
    """Charges that stand in the intent itself, expanded or in the old list."""
    latest = intent.get("latest_charge")
    return [latest] if isinstance(latest, dict) else rows(intent, "charges")


def coupon_of_promotion_code(promotion_code: Body) -> str:
    return reference(part(promotion_code, "promotion"), "coupon") or reference(
        promotion_code, "coupon"
    )


def coupon_of_discount(discount: Body) -> str:
    return reference(part(discount, "source"), "coupon") or reference(discount, "coupon")


def discounts_of(body: Body) -> list[Body]:
    """The discounts that the body spells out; ids of unexpanded ones come as ``{"id": …}``."""
    listed = body.get("discounts")
    if isinstance(listed, list) and listed:
        return [row if isinstance(row, dict) else {"id": row} for row in listed]
    single = body.get("discount")
    return [single] if isinstance(single, dict) else []


def period_end_of_subscription(subscription: Body) -> Ms | None:
    """The latest of its items' ends: since basil a period belongs to the item."""
    ends = [moment(item, "current_period_end") for item in rows(subscription, "items")]
    told = [end for end in ends if end is not None]
    return max(told) if told else moment(subscription, "current_period_end")


def _summed(taxes: Iterable[Body]) -> int:
    return sum(whole(tax, "amount") or 0 for tax in taxes)
