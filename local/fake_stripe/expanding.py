"""`expand[]`: turns an id into the object it names, down to four levels, also inside lists.

Source: docs.stripe.com/expand. A path that names nothing expandable is Stripe's 400.
"""

from typing import Any

from .blanks import listing
from .errors import StripeRefusal
from .events import pictured
from .world import Object, World

MAX_LEVELS = 4


def expand(world: World, shown: Object, paths: list[str]) -> None:
    """Expands in place. Raises `StripeRefusal` for an unknown path."""
    for path in paths:
        parts = path.split(".")
        if len([p for p in parts if p != "data"]) > MAX_LEVELS:
            raise StripeRefusal("You cannot expand more than 4 levels of a property.")
        if shown.get("object") == "list" and parts[0] != "data":
            raise _refused(path)
        _walk(world, shown, parts, path)


def _walk(world: World, node: Any, parts: list[str], path: str) -> None:
    if not parts or node is None:
        return
    if isinstance(node, list):
        for item in node:
            _walk(world, item, parts, path)
        return
    if not isinstance(node, dict):
        raise _refused(path)
    name = parts[0]
    if node.get("object") == "invoice" and name == "amount_paid_off_stripe":
        node[name] = node["amount_paid"] if node.get("_paid_out_of_band") else 0
        return
    includable = _includable(world, node, name)
    if includable is not None:
        node[name] = pictured(world, includable)
    elif name not in node:
        raise _refused(path)
    else:
        node[name] = _opened(world, node[name])
    _walk(world, node[name], parts[1:], path)


def _opened(world: World, value: Any) -> Any:
    if isinstance(value, list):
        return [_opened(world, v) for v in value]
    if isinstance(value, str):
        found = world.find(value)
        return pictured(world, found) if found is not None else value
    return value


def _includable(world: World, node: Object, name: str) -> Object | None:
    """Lists that Stripe shows only when asked."""
    id_ = node.get("id")
    match node.get("object"), name:
        case "checkout.session", "line_items":
            session = world.peek("checkout.session", id_) or node
            return listing(session["_line_items"][:10], f"/v1/checkout/sessions/{id_}/line_items")
        case "payment_link", "line_items":
            link = world.table("payment_link")[id_]
            return listing(link["_line_items"], f"/v1/payment_links/{id_}/line_items")
        case "invoice", "payments":
            rows = world.related("invoice_payment", id_)
            return listing(rows, f"/v1/invoice_payments?invoice={id_}")
        case "charge", "refunds":
            rows = world.related("refund", id_)
            return listing(rows, f"/v1/charges/{id_}/refunds")
        case "customer", "subscriptions":
            rows = [s for s in world.related("subscription", id_) if s["status"] != "canceled"]
            return listing(rows, f"/v1/customers/{id_}/subscriptions")
        case "coupon", "applies_to":
            return {"products": node.get("_products") or []}
    return None


def _refused(path: str) -> StripeRefusal:
    return StripeRefusal(
        f"This property cannot be expanded ({path.split('.')[-1]}). You may want to try expanding "
        "something else.",
        param="expand",
    )
