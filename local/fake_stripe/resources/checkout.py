"""The routes of Checkout Sessions."""

from ..calls import Call, Listed, Route, Rows, merge_metadata, owner_in, retrieving
from ..errors import StripeRefusal, invalid
from ..world import Object, World, copied
from . import catalog, paying
from .session_making import MAX_REFERENCE, make_session, price_session

_PLAIN = (
    "allow_promotion_codes", "billing_address_collection", "cancel_url", "client_reference_id",
    "customer", "customer_creation", "customer_email", "expires_at", "locale",
    "payment_method_collection", "return_url", "submit_type", "success_url", "ui_mode",
)  # fmt: skip


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    given = {k: params[k] for k in _PLAIN if k in params}
    if "customer" in given:
        world.get("customer", given["customer"], "customer")
    if len(given.get("client_reference_id", "")) > MAX_REFERENCE:
        raise invalid("Invalid string: must be at most 200 characters", "client_reference_id")
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    if hosted and "success_url" not in params:
        raise invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    if "currency" in params:
        given["currency"] = params["currency"].lower()
    if params.get("mode") == "setup" and "currency" not in params:
        given["currency"] = "eur"
    if "invoice_creation" in params:
        given["invoice_creation"] = _invoice_creation(params["invoice_creation"])
    made = make_session(
        world,
        mode=params.get("mode", "payment"),
        line_items=params.get("line_items", []),
        version=call.version,
        discounts=_discounts(world, params.get("discounts", [])),
        metadata=dict(params.get("metadata", {})),
        shipping_options=shipping_options(world, params.get("shipping_options", [])),
        _payment_intent_data=params.get("payment_intent_data", {}),
        _subscription_data=params.get("subscription_data", {}),
        **given,
    )
    if not hosted:
        made.update(url=None, client_secret=f"{made['id']}_secret_{world.fake.random_text(24)}")
    return made


def _invoice_creation(given: Object) -> Object:
    names = ("account_tax_ids", "custom_fields", "description", "footer", "issuer")
    data = dict.fromkeys((*names, "rendering_options")) | {"metadata": {}}
    return {"enabled": given["enabled"], "invoice_data": data | given.get("invoice_data", {})}


def _discounts(world: World, given: list[Object]) -> list[Object]:
    shown = []
    for wanted in given:
        code = wanted.get("promotion_code")
        if code:
            world.get("promotion_code", code, "discounts")
        elif "coupon" in wanted:
            world.get("coupon", wanted["coupon"], "discounts")
        shown.append({"coupon": wanted.get("coupon"), "promotion_code": code})
    return shown


def shipping_options(world: World, given: list[Object]) -> list[Object]:
    rates = [catalog.shipping_rate_from(world, option) for option in given]
    return [
        {"shipping_amount": r["fixed_amount"]["amount"], "shipping_rate": r["id"]} for r in rates
    ]


def _update(call: Call) -> Object:
    world, session = call.world, call.world.get("checkout.session", call.id)
    merge_metadata(session, call.params.get("metadata"))
    if call.params.get("shipping_options"):
        session["shipping_options"] = shipping_options(world, call.params["shipping_options"])
        price_session(world, session)
    return session


def _expire(call: Call) -> Object:
    session = call.world.get("checkout.session", call.id)
    if session["status"] != "open":
        raise StripeRefusal(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of {session['status']}."
        )
    call.world.unschedule("expire_session", session["id"])
    paying.expire_session(call.world, session["id"])
    return session


def _list(call: Call) -> Listed:
    params = call.params
    email = (params.get("customer_details") or {}).get("email")

    def keep(session: Object) -> bool:
        names = ("customer", "payment_intent", "payment_link", "status", "subscription")
        if any(session[f] != params[f] for f in names if f in params):
            return False
        return email is None or (session["customer_details"] or {}).get("email") == email

    created, owner = params.get("created"), owner_in(params)
    return Listed("checkout.session", "/v1/checkout/sessions", keep, created, owner, email)


def _line_items(call: Call) -> Rows:
    session = call.world.get("checkout.session", call.id)
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return Rows([copied(i) for i in session["_line_items"]], url)


_URL = "/v1/checkout/sessions"
ROUTES = [
    Route("POST", _URL, _create, "checkout.SessionCreateParams"),
    Route("GET", _URL, _list, "checkout.SessionListParams"),
    Route("GET", _URL + "/{}", retrieving("checkout.session")),
    Route("POST", _URL + "/{}", _update, "checkout.SessionUpdateParams"),
    Route("POST", _URL + "/{}/expire", _expire, "checkout.SessionExpireParams"),
    Route("GET", _URL + "/{}/line_items", _line_items, "checkout.SessionListLineItemsParams"),
    Route("GET", "/v1/setup_intents/{}", retrieving("setup_intent")),
]
