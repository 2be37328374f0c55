"""The routes of subscriptions and their items, and prorations."""

from typing import Any

from ..calls import Call, Listed, Route, Rows, lay_over, merge_metadata, owner_in, retrieving
from ..errors import invalid, missing
from ..events import emit
from ..world import Object, World, copied
from . import catalog, coupons, invoice_items, payment_methods, subscribing
from .prorating import change_items, prorate, recurring_price, wanted_of
from .subscribing import end
from .subscription_lines import pending_lines
from .subscription_making import make_subscription

__all__ = ["ROUTES", "end"]
DAY = 86_400


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    if "customer" not in params:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = world.get("customer", params["customer"], "customer")
    items = [(recurring_price(world, i), wanted_of(i)) for i in params.get("items", [])]
    if not items:
        raise invalid("Missing required param: items.", "items", "parameter_missing")
    method = None
    if params.get("default_payment_method"):
        method = payment_methods.use(world, params["default_payment_method"])
        payment_methods.attach_to(world, method, customer)
    rates = catalog.tax_rates(world, params.get("default_tax_rates") or [])
    discounts = coupons.discounts_from(world, params.get("discounts"), customer=customer["id"])
    given = {k: params[k] for k in ("description", "days_until_due") if k in params}
    made = make_subscription(
        world,
        customer,
        items,
        cancel_at_period_end=params.get("cancel_at_period_end", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        default_payment_method=method["id"] if method else None,
        default_tax_rates=[copied(r) for r in rates],
        discounts=[d["id"] for d in discounts],
        metadata={k: v for k, v in (params.get("metadata") or {}).items() if v != ""},
        **given,
    )
    for discount in discounts:
        discount["subscription"] = made["id"]
    for extra in params.get("add_invoice_items", []):
        price = catalog.price_from(world, extra)
        amount = price["unit_amount"] * extra.get("quantity", 1)
        invoice_items.make_item(
            world, customer, amount, price["currency"], _price=price["id"], _tax_rates=None
        )
    behavior = params.get("payment_behavior", "allow_incomplete")
    made["_wait"] = behavior == "default_incomplete"
    try:
        subscribing.begin(
            world,
            made,
            trial_end=_trial_end(world, params),
            method=method,
            strict=behavior == "error_if_incomplete",
        )
    except Exception:
        world.table("subscription").pop(made["id"])
        raise
    return made


def _trial_end(world: World, params: Object) -> int | None:
    if params.get("trial_end") == "now":
        return None
    if "trial_period_days" in params:
        return world.now + params["trial_period_days"] * DAY
    return params.get("trial_end")


def _update(call: Call) -> Object:
    world, params = call.world, call.params
    subscription = world.get("subscription", call.id)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise invalid("A canceled subscription can only update its metadata.")
    before = copied(subscription)
    lay_over(subscription, params, "description", "days_until_due", "collection_method")
    merge_metadata(subscription, params.get("metadata"))
    if params.get("default_payment_method"):
        method = payment_methods.use(world, params["default_payment_method"])
        payment_methods.attach_to(world, method, world.get("customer", subscription["customer"]))
        subscription["default_payment_method"] = method["id"]
    if "default_tax_rates" in params:
        rates = catalog.tax_rates(world, params["default_tax_rates"] or [])
        subscription["default_tax_rates"] = [copied(r) for r in rates]
    if "discounts" in params:
        made = coupons.discounts_from(
            world,
            params["discounts"],
            customer=subscription["customer"],
            subscription=subscription["id"],
        )
        subscription["discounts"] = [d["id"] for d in made]
    if "cancel_at_period_end" in params:
        _cancel_later(world, subscription, params["cancel_at_period_end"])
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        subscribing.end_trial(world, subscription)
    if "items" in params:
        behavior = params.get("proration_behavior", "create_prorations")
        change_items(world, subscription, params["items"], behavior)
    emit(world, "customer.subscription.updated", subscription, before=before)
    return subscription


def _cancel_later(world: World, subscription: Object, wanted: bool) -> None:
    subscription.update(
        cancel_at_period_end=wanted,
        cancel_at=subscribing.period_of(subscription)[1] if wanted else None,
        canceled_at=world.now if wanted else None,
    )


def _cancel(call: Call) -> Object:
    world, subscription = call.world, call.world.get("subscription", call.id)
    if subscription["status"] == "canceled":
        raise missing("subscription", subscription["id"])
    details: Any = {"reason": "cancellation_requested"}
    subscription["cancellation_details"] = (
        subscription["cancellation_details"] | details | call.params.get("cancellation_details", {})
    )
    if call.params.get("prorate") and subscription["status"] == "active":
        for item in subscription["items"]["data"]:
            prorate(world, subscription, item, -1)
    if call.params.get("invoice_now"):
        lines = pending_lines(world, subscription)
        if lines:
            subscribing.bill_now(world, subscription, "manual", lines=lines)
    end(world, subscription)
    return subscription


def _list(call: Call) -> Listed:
    params, wanted = call.params, call.params.get("status")

    def keep(subscription: Object) -> bool:
        names = ("collection_method", "customer", "test_clock")
        if any(subscription[f] != params[f] for f in names if f in params):
            return False
        prices = [i["price"]["id"] for i in subscription["items"]["data"]]
        if "price" in params and params["price"] not in prices:
            return False
        ended = subscription["status"] in ("canceled", "incomplete_expired")
        if wanted is None and ended:
            return False
        if wanted == "ended" and not ended:
            return False
        return wanted in (None, "all", "ended") or subscription["status"] == wanted

    created, owner = params.get("created"), owner_in(params)
    return Listed("subscription", "/v1/subscriptions", keep, created, owner)


def _items(call: Call) -> Rows:
    subscription = call.world.get("subscription", call.params["subscription"], "subscription")
    return Rows(subscription["items"]["data"], "/v1/subscription_items")


def _update_item(call: Call) -> Object:
    world, item = call.world, call.world.get("subscription_item", call.id)
    subscription = world.get("subscription", item["subscription"])
    before = copied(subscription)
    change = {k: v for k, v in call.params.items() if k in ("price", "quantity", "metadata")}
    behavior = call.params.get("proration_behavior", "create_prorations")
    change_items(world, subscription, [change | {"id": item["id"]}], behavior)
    emit(world, "customer.subscription.updated", subscription, before=before)
    return item


ROUTES = [
    Route("POST", "/v1/subscriptions", _create, "SubscriptionCreateParams"),
    Route("GET", "/v1/subscriptions", _list, "SubscriptionListParams"),
    Route("GET", "/v1/subscriptions/{}", retrieving("subscription")),
    Route("POST", "/v1/subscriptions/{}", _update, "SubscriptionUpdateParams"),
    Route("DELETE", "/v1/subscriptions/{}", _cancel, "SubscriptionCancelParams"),
    Route("GET", "/v1/subscription_items", _items, "SubscriptionItemListParams"),
    Route("GET", "/v1/subscription_items/{}", retrieving("subscription_item")),
    Route("POST", "/v1/subscription_items/{}", _update_item, "SubscriptionItemUpdateParams"),
]
