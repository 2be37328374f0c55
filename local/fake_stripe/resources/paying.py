"""What happens when a buyer presses the button of a Checkout Session.

`pay` is the one door, used by the hosted pages. Order and content of the events follow
docs.stripe.com/payments/checkout/fulfill-orders; a delayed method completes the session `unpaid`
and tells the outcome in `checkout.session.async_payment_succeeded` or `..._failed`.
"""

from ..errors import invalid
from ..events import emit
from ..jobs import job
from ..world import Object, World, copied
from . import (
    catalog,
    coupons,
    customers,
    intents,
    invoice_items,
    payment_methods,
    subscribing,
)
from .session_invoice import discounts_of, invoice_for
from .session_making import price_session
from .subscription_making import make_subscription


def pay(
    world: World, session: Object, *, email: str, name: str, method: str, code: str = ""
) -> None:
    """Completes an open session with a magic method name. Raises Stripe's refusal: the card was
    declined (the session stays open), the code is unknown, the session is over."""
    if session["status"] != "open":
        raise invalid("This Checkout Session is no longer active.")
    if code:
        take_code(world, session, code)
    details = _details(world, session, email, name)
    session["customer_details"] = details
    chosen = None
    if session["mode"] == "setup" or session["amount_total"] or session["mode"] == "subscription":
        chosen = payment_methods.use(world, method)
        chosen["billing_details"] = chosen["billing_details"] | {
            "email": details["email"],
            "name": details["name"],
        }
    {"payment": _payment, "subscription": _subscribe, "setup": _set_up}[session["mode"]](
        world, session, chosen
    )
    world.unschedule("expire_session", session["id"])
    session.update(status="complete", url=None)
    emit(world, "checkout.session.completed", session)


def take_code(world: World, session: Object, text: str) -> None:
    """A promotion code typed by the buyer replaces what was there."""
    code = coupons.find_code(world, text)
    if code is None or not session["allow_promotion_codes"]:
        raise invalid("This code is invalid.", "promotion_code")
    session["discounts"] = [{"coupon": None, "promotion_code": code["id"]}]
    price_session(world, session)


@job
def expire_session(world: World, id_: str) -> None:
    """Twenty-four hours, or what was asked: nobody paid."""
    session = world.get("checkout.session", id_)
    if session["status"] == "open":
        session.update(status="expired", url=None)
        emit(world, "checkout.session.expired", session)


def _details(world: World, session: Object, email: str, name: str) -> Object:
    known = world.table("customer").get(session["customer"] or "", {})
    return {
        "address": None,
        "business_name": None,
        "email": known.get("email") or session["customer_email"] or email,
        "individual_name": None,
        "name": known.get("name") or name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _customer(world: World, session: Object, *, always: bool) -> Object | None:
    """The session's own, a new one, or None for a guest."""
    if session["customer"]:
        return world.get("customer", session["customer"])
    if not always and session["customer_creation"] != "always":
        return None
    details = session["customer_details"]
    made = customers.make_customer(world, email=details["email"], name=details["name"])
    session["customer"] = made["id"]
    return made


def _payment(world: World, session: Object, method: Object | None) -> None:
    wants_invoice = session["invoice_creation"]["enabled"]
    data = session["_payment_intent_data"]
    if method is None:
        _customer(world, session, always=wants_invoice)
        session["payment_status"] = "no_payment_required"
        return
    if method["_does"] in ("decline", "decline_later"):
        _refuse(world, session, method)
    customer = _customer(world, session, always=wants_invoice or "setup_future_usage" in data)
    intent = _intent(world, session, customer and customer["id"])
    if customer is not None and "setup_future_usage" in data:
        payment_methods.attach_to(world, method, customer)
    intents.confirm(world, intent, method)
    session["payment_intent"] = intent["id"]
    if intent["status"] == "succeeded":
        session["payment_status"] = "paid"
        if wants_invoice:
            invoice_for(world, session, intent)


def _intent(world: World, session: Object, customer: str | None) -> Object:
    data = session["_payment_intent_data"]
    wanted = {
        k: data[k] for k in ("description", "receipt_email", "setup_future_usage") if k in data
    }
    return intents.make_intent(
        world,
        session["amount_total"],
        session["currency"],
        capture_method=data.get("capture_method", "automatic_async"),
        customer=customer,
        metadata=dict(data.get("metadata", {})),
        _session=session["id"],
        **wanted,
    )


def _refuse(world: World, session: Object, method: Object) -> None:
    """The bank says no: an intent fails, nothing else comes to be. Raises."""
    intent = _intent(world, session, session["customer"])
    session["payment_intent"] = intent["id"] if session["mode"] == "payment" else None
    intents.confirm(world, intent, method)


def _subscribe(world: World, session: Object, method: Object | None) -> None:
    assert method is not None
    data = session["_subscription_data"]
    if method["_does"] == "decline" and session["amount_total"]:
        _refuse(world, session, method)
    customer = _customer(world, session, always=True)
    assert customer is not None
    payment_methods.attach_to(world, method, customer)
    recurring = _split(world, session, customer)
    discounts = discounts_of(world, session, customer=customer["id"])
    rates = catalog.tax_rates(world, data.get("default_tax_rates"))
    subscription = make_subscription(
        world,
        customer,
        recurring,
        default_payment_method=method["id"],
        default_tax_rates=[copied(r) for r in rates],
        description=data.get("description"),
        discounts=discounts,
        metadata=dict(data.get("metadata", {})),
    )
    trial_end = data.get("trial_end")
    if "trial_period_days" in data:
        trial_end = world.now + data["trial_period_days"] * 86_400
    invoice = subscribing.begin(
        world, subscription, trial_end=trial_end, method=method, strict=False
    )
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    session["payment_status"] = _status_of(world, session, invoice)


def _split(world: World, session: Object, customer: Object) -> list[tuple[Object, Object]]:
    """The recurring lines; one-off ones wait as items for the first invoice."""
    recurring = []
    for item in session["_items"]:
        price = world.get("price", item["price"])
        if price["recurring"]:
            more = {"quantity": item["quantity"], "tax_rates": item["tax_rates"]}
            recurring.append((price, more))
            continue
        amount = price["unit_amount"] * item["quantity"]
        invoice_items.make_item(
            world,
            customer,
            amount,
            price["currency"],
            description=world.get("product", price["product"])["name"],
            quantity=item["quantity"],
            _price=price["id"],
            _tax_rates=item["tax_rates"] or None,
        )
    return recurring


def _status_of(world: World, session: Object, invoice: Object) -> str:
    if invoice["total"] == 0:
        return "no_payment_required"
    if invoice["status"] == "paid":
        return "paid"
    intent = world.get("payment_intent", invoice["_payment_intent"])
    intent["_session"] = session["id"]
    return "unpaid"


def _set_up(world: World, session: Object, method: Object | None) -> None:
    assert method is not None
    customer = _customer(world, session, always=False)
    if customer is not None:
        payment_methods.attach_to(world, method, customer)
    made = world.new(
        "setup_intent",
        automatic_payment_methods=None,
        customer=customer and customer["id"],
        metadata={},
        payment_method=method["id"],
        payment_method_options={},
        payment_method_types=[method["type"]],
        status="succeeded",
        usage="off_session",
    )
    session["setup_intent"] = made["id"]
    emit(world, "setup_intent.created", made)
    emit(world, "setup_intent.succeeded", made)


@intents.on_outcome
def _late_outcome(world: World, intent: Object, succeeded: bool) -> None:
    """A delayed payment of a session that is complete and still unpaid."""
    session = world.table("checkout.session").get(intent.get("_session") or "")
    if session is None or session["status"] != "complete":
        return
    if session["payment_status"] != "unpaid" or intent["capture_method"] == "manual":
        return
    if not succeeded:
        emit(world, "checkout.session.async_payment_failed", session)
        return
    session["payment_status"] = "paid"
    if session["mode"] == "payment" and session["invoice_creation"]["enabled"]:
        invoice_for(world, session, intent)
    emit(world, "checkout.session.async_payment_succeeded", session)
