"""Changes a subscription's items and settles the rest of the period, to the second.

Source: docs.stripe.com/billing/subscriptions/prorations.
"""

from fractions import Fraction

from ..calls import merge_metadata
from ..errors import invalid, missing
from ..money import rounded
from ..versions.basil import plan_of
from ..world import Object, World, copied
from . import catalog, invoice_items, subscribing
from .subscription_lines import pending_lines
from .subscription_making import make_item


def change_items(world: World, subscription: Object, changes: list[Object], behavior: str) -> None:
    """New prices, quantities, items. What is left of the period is credited at the old price and
    charged at the new; a new interval begins a new period at once."""
    items = subscription["items"]["data"]
    interval = items[0]["price"]["recurring"]["interval"]
    settles = behavior != "none" and subscription["status"] == "active"
    for change in changes:
        old = _item(items, change)
        if old is not None and settles:
            prorate(world, subscription, old, -1)
        if change.get("deleted"):
            items.remove(old)
            continue
        new = _changed(world, subscription, old, change)
        if old is None:
            items.append(new)
        if settles and new["price"]["recurring"]["interval"] == interval:
            prorate(world, subscription, new, 1)
    if items[0]["price"]["recurring"]["interval"] != interval:
        subscribing.restart(world, subscription, "subscription_update")
    elif behavior == "always_invoice":
        lines = pending_lines(world, subscription)
        if lines:
            subscribing.bill_now(world, subscription, "subscription_update", lines=lines)


def _item(items: list[Object], change: Object) -> Object | None:
    if "id" not in change:
        return None
    for item in items:
        if item["id"] == change["id"]:
            return item
    raise missing("subscription item", change["id"], "items[0][id]", 400)


def _changed(world: World, subscription: Object, old: Object | None, change: Object) -> Object:
    if old is None:
        start, finish = subscribing.period_of(subscription)
        price = recurring_price(world, change)
        period = {"current_period_start": start, "current_period_end": finish}
        return make_item(world, subscription["id"], price, **wanted_of(change) | period)
    if "price" in change or "price_data" in change:
        price = recurring_price(world, change)
        old.update(price=copied(price), plan=plan_of(price))
    old["quantity"] = change.get("quantity", old["quantity"])
    merge_metadata(old, change.get("metadata"))
    return old


def prorate(world: World, subscription: Object, item: Object, sign: int) -> None:
    """A pending invoice item for the unused (-1) or remaining (1) time, to the second."""
    start, finish = subscribing.period_of(subscription)
    left = Fraction(max(finish - world.now, 0), finish - start)
    price = item["price"]
    amount = sign * rounded(price["unit_amount"] * item["quantity"] * left)
    name = world.get("product", price["product"])["name"]
    rates = [r["id"] for r in item["tax_rates"]]
    invoice_items.make_item(
        world,
        world.get("customer", subscription["customer"]),
        amount,
        price["currency"],
        description=f"{'Unused' if sign < 0 else 'Remaining'} time on {name}",
        discountable=False,
        period={"start": world.now, "end": finish},
        proration=True,
        quantity=item["quantity"],
        _price=price["id"],
        _subscription=subscription["id"],
        _subscription_item=item["id"],
        _tax_rates=rates or None,
    )


def recurring_price(world: World, item: Object) -> Object:
    price = catalog.price_from(world, item)
    if price["recurring"] is None:
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`.",
            "items[0][price]",
        )
    return price


def wanted_of(item: Object) -> Object:
    more: Object = {"quantity": item.get("quantity", 1)}
    if item.get("metadata"):
        more["metadata"] = item["metadata"]
    if item.get("tax_rates"):
        more["tax_rates"] = item["tax_rates"]
    return more
