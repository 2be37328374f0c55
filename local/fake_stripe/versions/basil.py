"""What 2025-03-31.basil broke: invoices, their lines, subscriptions, and who names whom.

Source: docs.stripe.com/changelog/basil/2025-03-31 (invoicing `parent` field, several payments on an
invoice, deprecated subscription periods, stackable discounts, taxes) and the lists of removed
fields in the release notes of stripe-python 12.0.0 and stripe-node 18.0.0.
"""

from typing import Any

Shape = dict[str, Any]


def invoice(shown: Shape) -> None:
    """Before: one payment at most, named on the invoice itself, and the tax as one number."""
    details = (shown.pop("parent", None) or {}).get("subscription_details") or {}
    taxes = shown.pop("total_taxes", None) or []
    discounts = shown.get("_discounts") or []
    shown.pop("payments", None)
    shown.pop("amount_overpaid", None)
    shown.update(
        subscription=details.get("subscription"),
        subscription_details={"metadata": details.get("metadata")},
        charge=shown.get("_charge"),
        payment_intent=shown.get("_payment_intent"),
        discount=discounts[0] if discounts else None,
        tax=sum(t["amount"] for t in taxes) if taxes else None,
        total_tax_amounts=[_tax_amount(t) for t in taxes],
        paid=shown["status"] == "paid",
        paid_out_of_band=bool(shown.get("_paid_out_of_band")),
        application_fee_amount=None,
        quote=None,
        transfer_data=None,
    )


def line_item(shown: Shape) -> None:
    """Before: what made the line, its price and its taxes stood on the line."""
    parent = shown.pop("parent", None) or {}
    of_item = parent.get("invoice_item_details") or {}
    of_subscription = parent.get("subscription_item_details") or {}
    taxes = shown.pop("taxes", None) or []
    shown.pop("pricing", None)
    price = shown.get("_price_object")
    untaxed = _untaxed(shown["amount"], taxes)
    quantity = shown.get("quantity") or 1
    shown.update(
        type="subscription" if of_subscription else "invoiceitem",
        invoice_item=of_item.get("invoice_item") or of_subscription.get("invoice_item"),
        subscription=of_subscription.get("subscription") or of_item.get("subscription"),
        subscription_item=of_subscription.get("subscription_item"),
        proration=bool((of_item or of_subscription).get("proration")),
        proration_details=(of_item or of_subscription).get("proration_details")
        or {"credited_items": None},
        price=price,
        plan=plan_of(price) if price and price["recurring"] else None,
        tax_amounts=[_tax_amount(t) for t in taxes],
        tax_rates=shown.get("_tax_rate_objects") or [],
        amount_excluding_tax=untaxed,
        unit_amount_excluding_tax=str(untaxed // quantity),
    )


def invoiceitem(shown: Shape) -> None:
    """Before: `price`, `plan`, `unit_amount` and `subscription` stood on the item."""
    details = (shown.pop("parent", None) or {}).get("subscription_details") or {}
    pricing = shown.pop("pricing", None) or {}
    price = shown.get("_price_object")
    shown.update(
        subscription=details.get("subscription"),
        subscription_item=details.get("subscription_item"),
        price=price,
        plan=plan_of(price) if price and price["recurring"] else None,
        unit_amount=shown["amount"] // (shown["quantity"] or 1),
        unit_amount_decimal=pricing.get("unit_amount_decimal"),
    )


def names_its_invoice(shown: Shape) -> None:
    """Before: `charge.invoice` and `payment_intent.invoice`."""
    shown["invoice"] = shown.get("_invoice")


def subscription(shown: Shape) -> None:
    """Before: one period and one discount for the whole subscription."""
    items = shown["items"]["data"]
    discounts = shown.get("_discounts") or []
    first = items[0] if items else {}
    shown.update(
        current_period_start=first.get("_period", [None, None])[0],
        current_period_end=first.get("_period", [None, None])[1],
        discount=discounts[0] if discounts else None,
        plan=first.get("plan") if len(items) == 1 else None,
        quantity=first.get("quantity") if len(items) == 1 else None,
    )


def subscription_item(shown: Shape) -> None:
    """The period moved here in basil. It is kept as a note for `subscription`, applied later."""
    shown["_period"] = [shown.pop("current_period_start"), shown.pop("current_period_end")]


def credit_note(shown: Shape) -> None:
    """Before: one refund at most, and taxes under their old name."""
    refunds = shown.pop("refunds", None) or []
    shown["refund"] = refunds[0]["refund"] if refunds else None
    shown["tax_amounts"] = [_tax_amount(t) for t in shown.pop("total_taxes", None) or []]


def credit_note_line_item(shown: Shape) -> None:
    taxes = shown.pop("taxes", None) or []
    shown["tax_amounts"] = [_tax_amount(t) for t in taxes]
    shown["amount_excluding_tax"] = _untaxed(shown["amount"], taxes)


def session(shown: Shape) -> None:
    """Before: `shipping_details` stood on the session."""
    shown["shipping_details"] = (shown.get("collected_information") or {}).get("shipping_details")


def plan_of(price: Shape) -> Shape:
    """The old name of a recurring price, same id: docs.stripe.com/billing/migration/prices."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring["usage_type"],
    }


def _tax_amount(tax: Shape) -> Shape:
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": (tax.get("tax_rate_details") or {}).get("tax_rate"),
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }


def _untaxed(amount: int, taxes: list[Shape]) -> int:
    return amount - sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive")


BASIL = "2025-03-31.basil"
STEPS = (
    (BASIL, "invoice", invoice),
    (BASIL, "line_item", line_item),
    (BASIL, "invoiceitem", invoiceitem),
    (BASIL, "charge", names_its_invoice),
    (BASIL, "payment_intent", names_its_invoice),
    (BASIL, "subscription_item", subscription_item),
    (BASIL, "subscription", subscription),
    (BASIL, "credit_note", credit_note),
    (BASIL, "credit_note_line_item", credit_note_line_item),
    (BASIL, "checkout.session", session),
)
