"""Makes a Checkout Session and works out what it costs."""

from typing import Any

from ..blanks import blank
from ..errors import invalid
from ..pricing import Line, Sum, price_lines
from ..world import Object, World, copied
from . import catalog, coupons

OPEN_SECONDS = 86_400
MAX_REFERENCE = 200
BEFORE_GUESTS = "2022-08-01"
_TEXT = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))


def make_session(
    world: World, *, mode: str, line_items: list[Object], version: str, **given: Any
) -> Object:
    """A stored, open session. `line_items` hold price or price_data, quantity, tax_rates; `given`
    are fields of the object and the notes `_subscription_data`, `_payment_intent_data`."""
    if mode in ("payment", "subscription") and not line_items:
        raise invalid("Missing required param: line_items.", "line_items", "parameter_missing")
    id_ = world.new_id("checkout.session")
    items = [item_from(world, i) for i in line_items]
    _check_mode(mode, [world.get("price", i["price"]) for i in items])
    creation = None
    if mode == "payment" and not given.get("customer"):
        default = "if_required" if version >= BEFORE_GUESTS else "always"
        creation = given.pop("customer_creation", None) or default
    given.pop("customer_creation", None)
    made = world.new(
        "checkout.session",
        **{
            "id": id_,
            "adaptive_pricing": {"enabled": False},
            "automatic_tax": _no_automatic_tax(),
            "collected_information": {"shipping_details": None},
            "custom_fields": [],
            "custom_text": dict(_TEXT),
            "customer_creation": creation,
            "discounts": [],
            "expires_at": world.now + OPEN_SECONDS,
            "invoice_creation": invoice_creation(mode),
            "locale": "auto",
            "metadata": {},
            "mode": mode,
            "payment_method_collection": "always" if mode == "subscription" else "if_required",
            "payment_method_options": {},
            "payment_method_types": ["card", "sepa_debit"],
            "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
            "phone_number_collection": {"enabled": False},
            "shipping_options": [],
            "status": "open",
            "ui_mode": "hosted_page",
            "url": f"{world.fake.url}/c/pay/{id_}",
            "_items": items,
            "_line_items": [],
            "_payment_intent_data": {},
            "_subscription_data": {},
        }
        | given,
    )
    if mode != "setup":
        price_session(world, made)
    world.schedule("expire_session", made["expires_at"], id_)
    return made


def price_session(world: World, session: Object) -> None:
    """Writes line items and totals; called again when a promotion code is taken."""
    trial = _has_trial(session)
    prices = [world.get("price", i["price"]) for i in session["_items"]]
    lines = [
        Line(
            amount=0 if trial and p["recurring"] else p["unit_amount"] * i["quantity"],
            rates=catalog.tax_rates(world, i["tax_rates"]),
            product=p["product"],
        )
        for p, i in zip(prices, session["_items"], strict=True)
    ]
    coupons_of = [(d.get("_id", ""), _coupon(world, d)) for d in session["discounts"]]
    summed = price_lines(lines, coupons_of)
    session["_line_items"] = [
        line_item(world, p, i, line)
        for p, i, line in zip(prices, session["_items"], lines, strict=True)
    ]
    _write(session, prices[0]["currency"], summed)


def reference(text: str | None) -> str | None:
    """What Stripe keeps of a link's `client_reference_id`: letters, digits, `-` and `_`, at most
    200; anything else is dropped without a word (docs.stripe.com/payment-links/url-parameters)."""
    if not text or len(text) > MAX_REFERENCE or not text.isascii():
        return None
    return text if all(c.isalnum() or c in "-_" for c in text) else None


def _write(session: Object, currency: str, summed: Sum) -> None:
    shipping = 0
    if session["shipping_options"]:
        chosen = session["shipping_options"][0]
        shipping = chosen["shipping_amount"]
        session["shipping_cost"] = {
            "amount_subtotal": shipping,
            "amount_tax": 0,
            "amount_total": shipping,
            "shipping_rate": chosen["shipping_rate"],
        }
    session.update(
        amount_subtotal=summed.subtotal,
        amount_total=summed.total + shipping,
        currency=currency,
        total_details={
            "amount_discount": summed.discount,
            "amount_shipping": shipping,
            "amount_tax": summed.all_tax,
        },
    )


def line_item(world: World, price: Object, item: Object, line: Line) -> Object:
    product = world.get("product", price["product"])
    return blank(
        "item",
        id=item["id"],
        amount_discount=line.discount,
        amount_subtotal=line.amount,
        amount_tax=line.all_tax,
        amount_total=line.amount - line.discount + line.added_tax,
        currency=price["currency"],
        description=product["name"],
        metadata=item["metadata"],
        price=copied(price),
        quantity=item["quantity"],
    )


def item_from(world: World, given: Object) -> Object:
    price = catalog.price_from(world, given)
    return {
        "id": world.new_id("item"),
        "metadata": given.get("metadata", {}),
        "price": price["id"],
        "quantity": given.get("quantity", 1),
        "tax_rates": given.get("tax_rates", []),
    }


def _check_mode(mode: str, prices: list[Object]) -> None:
    recurring = [p for p in prices if p["recurring"]]
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
            "mode",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
            "mode",
        )


def _has_trial(session: Object) -> bool:
    data = session["_subscription_data"]
    return bool(data.get("trial_period_days") or data.get("trial_end"))


def _coupon(world: World, discount: Object) -> Object:
    if discount["coupon"]:
        return world.get("coupon", discount["coupon"], "discounts")
    code = world.get("promotion_code", discount["promotion_code"], "discounts")
    return coupons.world_coupon(world, code)


def invoice_creation(mode: str) -> Object | None:
    if mode != "payment":
        return None
    data = dict.fromkeys(
        ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    )
    return {"enabled": False, "invoice_data": data | {"metadata": {}}}


def _no_automatic_tax() -> Object:
    return {"enabled": False, "liability": None, "provider": None, "status": None}
