"""Empty resources: every nullable field of the SDK's class, set to null.

So an object made here always carries the fields of the real resource; what is never null must be
given by the maker, and the check of answers catches what was forgotten.
"""

from functools import cache
from typing import Any, get_args

from .sdk_hints import nullable_fields

# Stripe leaves these out, rather than null, unless they are expanded or set.
_ABSENT = {
    "account": {
        "company",
        "individual",
        "controller",
        "future_requirements",
        "groups",
        "external_accounts",
    },
    "charge": {"refunds", "level3", "presentment_details", "alternate_statement_descriptors"},
    "checkout.session": {"line_items", "presentment_details", "branding_settings"},
    "coupon": {"applies_to", "currency_options"},
    "credit_note": {"shipping_cost"},
    "customer": {"cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax"},
    "event": {"account", "context", "data"},
    "invoice": {"payments", "confirmation_secret"},
    "payment_intent": {"presentment_details", "allowed_payment_method_types"},
    "payment_link": {"line_items", "optional_items"},
    "price": {"currency_options", "tiers"},
    "refund": {"presentment_details", "next_action", "pending_reason", "instructions_email"},
    "webhook_endpoint": {"secret"},
}
_KEPT_METHODS = {"payment_method"}


@cache
def _nulls(object_name: str) -> tuple[str, ...]:
    absent = {"deleted"} | _ABSENT.get(object_name, set())
    names = [
        name
        for name, hint in nullable_fields(object_name).items()
        if name not in absent and "ListObject" not in str(get_args(hint))
    ]
    if object_name in _KEPT_METHODS:  # a payment method shows the details of its own kind alone
        names = [n for n in names if n in ("customer", "customer_account", "metadata")]
    return tuple(names)


def blank(object_name: str, **values: Any) -> dict[str, Any]:
    """A new object: its nullable fields as null, then `values` over them."""
    return {"object": object_name, **dict.fromkeys(_nulls(object_name)), **values}


def listing(data: list[dict[str, Any]], url: str, *, has_more: bool = False) -> dict[str, Any]:
    """Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
