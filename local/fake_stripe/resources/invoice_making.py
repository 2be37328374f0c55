"""Makes a draft invoice; what becomes of it is told in `invoicing`."""

from typing import Any

from ..events import emit
from ..keys import base_name
from ..world import Object, World
from .invoice_lines import compute

_NO_TAX = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None}


def make_invoice(world: World, customer: Object, currency: str, **given: Any) -> Object:
    """A stored draft with its lines priced, and `invoice.created`. `_lines` are line items."""
    id_ = given.pop("id", None) or world.new_id("invoice")
    for line in given.get("_lines", []):
        line["invoice"] = id_
    values = _defaults(world, currency) | _of_customer(customer) | given | {"id": id_}
    made = world.new("invoice", **values)
    compute(world, made)
    emit(world, "invoice.created", made)
    return made


def _of_customer(customer: Object) -> Object:
    return {
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "test_clock": customer["test_clock"],
    }


def _defaults(world: World, currency: str) -> Object:
    settings = {"default_mandate": None, "payment_method_options": None}
    return {
        "account_country": "DE",
        "account_name": base_name(world.name),
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": _NO_TAX | {"status": None},
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "currency": currency,
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "payment_settings": settings | {"payment_method_types": None},
        "period_end": world.now,
        "period_start": world.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": dict.fromkeys(
            ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
        ),
        "_lines": [],
    }
