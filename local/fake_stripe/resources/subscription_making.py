"""Makes a subscription and its items; its first period and invoice are `subscribing`'s work."""

from typing import Any

from ..blanks import listing
from ..versions.basil import plan_of
from ..world import Object, World, copied
from . import catalog


def make_item(world: World, subscription_id: str, price: Object, **given: Any) -> Object:
    rates = given.pop("tax_rates", None)
    return world.new(
        "subscription_item",
        **{
            "current_period_end": 0,
            "current_period_start": 0,
            "discounts": [],
            "metadata": {},
            "plan": plan_of(price),
            "price": copied(price),
            "quantity": 1,
            "subscription": subscription_id,
            "tax_rates": [copied(r) for r in catalog.tax_rates(world, rates)],
        }
        | given,
    )


def make_subscription(
    world: World, customer: Object, items: list[tuple[Object, Object]], **given: Any
) -> Object:
    """A stored subscription in `incomplete`, without invoice or event. `items`: (price, more)."""
    id_ = world.new_id("subscription")
    made_items = [make_item(world, id_, price, **more) for price, more in items]
    url = f"/v1/subscription_items?subscription={id_}"
    return world.new(
        "subscription",
        **{
            "id": id_,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": world.now,
            "billing_mode": {"type": "flexible", "flexible": None, "updated_at": None},
            "billing_schedules": [],
            "cancel_at_period_end": False,
            "cancellation_details": {"comment": None, "feedback": None, "reason": None},
            "collection_method": "charge_automatically",
            "currency": items[0][0]["currency"],
            "customer": customer["id"],
            "default_tax_rates": [],
            "discounts": [],
            "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
            "items": listing(made_items, url),
            "metadata": {},
            "payment_settings": {
                "payment_method_options": None,
                "payment_method_types": None,
                "save_default_payment_method": "off",
            },
            "start_date": world.now,
            "status": "incomplete",
            "test_clock": customer["test_clock"],
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        }
        | given,
    )
