"""Payment Links: a lasting address whose every visit opens a Checkout Session.

Source: docs.stripe.com/payment-links/url-parameters for what the address may carry.
"""

from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving
from ..errors import invalid
from ..events import emit
from ..pricing import Line
from ..world import Object, World, copied
from . import checkout, coupons
from .session_making import invoice_creation, item_from, line_item, make_session, reference

_TEXT = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))


def visit(
    world: World,
    link: Object,
    *,
    client_reference_id: str | None = None,
    prefilled_email: str | None = None,
    prefilled_promo_code: str | None = None,
    customer_email: str | None = None,
) -> Object:
    """The session that a visit opens. `prefilled_email` can still be changed by the buyer;
    `customer_email` (a pricing table's attribute) can not."""
    mode = "subscription" if link["_recurring"] else "payment"
    redirect = (link["after_completion"]["redirect"] or {}).get("url")
    creation = link["invoice_creation"]
    given: Object = {"invoice_creation": copied(creation)} if mode == "payment" and creation else {}
    session = make_session(
        world,
        mode=mode,
        line_items=link["_items"],
        version=world.api_version,
        allow_promotion_codes=link["allow_promotion_codes"],
        client_reference_id=reference(client_reference_id),
        customer_creation=link["customer_creation"],
        customer_email=customer_email,
        metadata=dict(link["metadata"]),
        payment_link=link["id"],
        payment_method_collection=link["payment_method_collection"],
        shipping_options=[copied(o) for o in link["shipping_options"]],
        submit_type=link["submit_type"],
        success_url=redirect or f"{world.fake.url}/thanks/{{CHECKOUT_SESSION_ID}}",
        _payment_intent_data=copied(link["_payment_intent_data"]),
        _subscription_data=copied(link["_subscription_data"]),
        _prefilled_email=prefilled_email,
        **given,
    )
    code = coupons.find_code(world, prefilled_promo_code or "")
    if code is not None and link["allow_promotion_codes"]:
        from .paying import take_code

        take_code(world, session, code["code"])
    return session


def find_link(world: World, code: str) -> Object | None:
    """The link behind the last part of its address."""
    for link in world.rows("payment_link"):
        if link["url"].rsplit("/", 1)[-1] == code:
            return link
    return None


def make_link(world: World, params: Object) -> Object:
    """A stored link from create's parameters, with its event."""
    items = [item_from(world, i) for i in params["line_items"]]
    prices = [world.get("price", i["price"]) for i in items]
    recurring = any(p["recurring"] for p in prices)
    after = params.get("after_completion") or {"type": "hosted_confirmation"}
    if after["type"] == "redirect" and "redirect" not in after:
        raise invalid("Missing required param: after_completion[redirect].", "after_completion")
    confirmation = {"custom_message": None} if after["type"] == "hosted_confirmation" else None
    intent_data = params.get("payment_intent_data")
    made = world.new(
        "payment_link",
        active=True,
        after_completion={
            "hosted_confirmation": after.get("hosted_confirmation", confirmation),
            "redirect": after.get("redirect"),
            "type": after["type"],
        },
        allow_promotion_codes=params.get("allow_promotion_codes", False),
        automatic_tax={"enabled": False, "liability": None},
        billing_address_collection="auto",
        currency=prices[0]["currency"],
        custom_fields=[],
        custom_text=dict(_TEXT),
        customer_creation=params.get("customer_creation", "always" if recurring else "if_required"),
        invoice_creation=_creation(params, recurring),
        metadata={k: v for k, v in params.get("metadata", {}).items() if v != ""},
        payment_intent_data=_shown_intent_data(intent_data) if intent_data else None,
        payment_method_collection=params.get("payment_method_collection", "always"),
        payment_method_types=params.get("payment_method_types"),
        phone_number_collection={"enabled": False},
        shipping_options=checkout.shipping_options(world, params.get("shipping_options", [])),
        submit_type=params.get("submit_type", "auto"),
        subscription_data=_shown_subscription_data(params) if recurring else None,
        tax_id_collection={"enabled": False, "required": "never"},
        url=f"{world.fake.url}/pay/test_{world.fake.random_text(14)}",
        _items=[{k: i[k] for k in ("price", "quantity", "tax_rates")} for i in items],
        _line_items=_line_items(world, items, prices),
        _payment_intent_data=intent_data or {},
        _recurring=recurring,
        _subscription_data=params.get("subscription_data", {}),
    )
    emit(world, "payment_link.created", made)
    return made


def _line_items(world: World, items: list[Object], prices: list[Object]) -> list[Object]:
    """Priced as a session would price them, without a trial."""
    return [
        line_item(world, price, item, Line(amount=price["unit_amount"] * item["quantity"]))
        for price, item in zip(prices, items, strict=True)
    ]


def _creation(params: Object, recurring: bool) -> Object | None:
    if recurring:
        return None
    made = invoice_creation("payment")
    assert made is not None
    given = params.get("invoice_creation") or {"enabled": False}
    made["enabled"] = given["enabled"]
    made["invoice_data"] |= given.get("invoice_data", {})
    return made


def _shown_intent_data(data: Object) -> Object:
    names = (
        "capture_method", "description", "setup_future_usage", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_group",
    )  # fmt: skip
    return dict.fromkeys(names) | {"metadata": {}} | data


def _shown_subscription_data(params: Object) -> Object:
    data = params.get("subscription_data", {})
    return {
        "description": data.get("description"),
        "invoice_settings": {"issuer": {"type": "self"}},
        "metadata": data.get("metadata", {}),
        "trial_period_days": data.get("trial_period_days"),
        "trial_settings": None,
    }


def _create(call: Call) -> Object:
    return make_link(call.world, call.params)


def _update(call: Call) -> Object:
    link = call.world.get("payment_link", call.id)
    before = copied(link)
    lay_over(link, call.params, "active", "allow_promotion_codes", "customer_creation")
    merge_metadata(link, call.params.get("metadata"))
    if "after_completion" in call.params:
        after = call.params["after_completion"]
        link["after_completion"] = {"hosted_confirmation": None, "redirect": None} | after
    emit(call.world, "payment_link.updated", link, before=before)
    return link


def _items(call: Call) -> Rows:
    link = call.world.get("payment_link", call.id)
    return Rows(link["_line_items"], f"/v1/payment_links/{link['id']}/line_items")


_URL = "/v1/payment_links"
ROUTES = [
    Route("POST", _URL, _create, "PaymentLinkCreateParams"),
    Route("GET", _URL, listing_of("payment_link", _URL, "active"), "PaymentLinkListParams"),
    Route("GET", _URL + "/{}", retrieving("payment_link")),
    Route("POST", _URL + "/{}", _update, "PaymentLinkUpdateParams"),
    Route("GET", _URL + "/{}/line_items", _items, "PaymentLinkListLineItemsParams"),
]
