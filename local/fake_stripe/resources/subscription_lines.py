"""What a subscription's invoice is made of: lines of its items, waiting items, discounts."""

from ..world import Object, World, copied
from . import coupons
from .invoice_lines import line_of_item, make_line


def subscription_lines(world: World, subscription: Object) -> list[Object]:
    """One line per item for its current period; nothing but a notice during a trial."""
    return [_line(world, subscription, item) for item in subscription["items"]["data"]]


def due_date(world: World, subscription: Object) -> int | None:
    days = subscription["days_until_due"]
    return None if days is None else world.now + days * 86_400


def pending_lines(world: World, subscription: Object) -> list[Object]:
    """Lines of what waits for this customer's next invoice; the items are marked as taken."""
    waiting = world.rows(
        "invoiceitem",
        lambda i: (
            i["customer"] == subscription["customer"]
            and i["invoice"] is None
            and i.get("_subscription") in (None, subscription["id"])
        ),
    )
    for item in waiting:
        item["_taken"] = subscription["id"]
    return [line_of_item(world, item) for item in waiting]


def _line(world: World, subscription: Object, item: Object) -> Object:
    price, trial = item["price"], subscription["status"] == "trialing"
    name = world.get("product", price["product"])["name"]
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    amount = 0 if trial else price["unit_amount"] * item["quantity"]
    start, finish = item["current_period_start"], item["current_period_end"]
    rates = [r["id"] for r in item["tax_rates"]]
    return make_line(
        world,
        amount=amount,
        currency=price["currency"],
        description=f"Trial period for {name}" if trial else f"{item['quantity']} × {name}",
        metadata=copied(subscription["metadata"]),
        parent={
            "type": "subscription_item_details",
            "subscription_item_details": details,
        },
        period={"start": start, "end": finish},
        quantity=item["quantity"],
        subscription=subscription["id"],
        _price=price["id"],
        _tax_rates=rates or None,
    )


def discounts_for(world: World, subscription: Object) -> list[str]:
    """The discounts that still count; one of duration `once` leaves with its first invoice."""
    kept, used = [], []
    for id_ in subscription["discounts"]:
        discount = world.get("discount", id_)
        coupon = coupons.coupon_of(world, discount)
        if discount["end"] is not None and discount["end"] <= world.now:
            continue
        used.append(id_)
        if coupon["duration"] != "once" or subscription["status"] == "trialing":
            kept.append(id_)
    subscription["discounts"] = kept
    return used
