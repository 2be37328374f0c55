"""The routes of payment intents."""

from ..calls import Call, Route, lay_over, listing_of, merge_metadata, retrieving
from ..errors import invalid
from ..events import emit
from ..world import Object, World
from . import charges, intents, payment_methods
from .intents import wrong_state


def _method_of(call: Call, intent: Object) -> Object | None:
    world, params = call.world, call.params
    if "payment_method" in params:
        return payment_methods.use(world, params["payment_method"])
    if "payment_method_data" in params:
        return payment_methods.from_data(world, params["payment_method_data"])
    if intent["payment_method"]:
        return world.get("payment_method", intent["payment_method"])
    return None


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    if params["amount"] < 1:
        raise invalid(
            "This value must be greater than or equal to 1.",
            "amount",
            "parameter_invalid_integer",
        )
    if "customer" in params:
        world.get("customer", params["customer"], "customer")
    intent = intents.make_intent(
        world,
        params["amount"],
        params["currency"].lower(),
        capture_method=params.get("capture_method", "automatic_async"),
        confirmation_method=params.get("confirmation_method", "automatic"),
        customer=params.get("customer"),
        description=params.get("description"),
        metadata={k: v for k, v in params.get("metadata", {}).items() if v != ""},
        receipt_email=params.get("receipt_email"),
        setup_future_usage=params.get("setup_future_usage"),
        automatic_payment_methods=_automatic(params),
    )
    method = _method_of(call, intent)
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    if params.get("confirm"):
        _confirm_with(world, intent, method)
    return intent


def _automatic(params: Object) -> Object:
    given = params.get("automatic_payment_methods") or {"enabled": True}
    return {"allow_redirects": "always"} | given


def _confirm_with(world: World, intent: Object, method: Object | None) -> None:
    if intent["status"] not in intents.WAITING:
        raise wrong_state(intent, "confirmed")
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    if intent["customer"] and intent["setup_future_usage"]:
        payment_methods.attach_to(world, method, world.get("customer", intent["customer"]))
    intents.confirm(world, intent, method)


def _confirm(call: Call) -> Object:
    intent = call.world.get("payment_intent", call.id)
    lay_over(intent, call.params, "receipt_email", "setup_future_usage", "capture_method")
    _confirm_with(call.world, intent, _method_of(call, intent))
    return intent


def _update(call: Call) -> Object:
    intent = call.world.get("payment_intent", call.id)
    if "amount" in call.params and intent["status"] not in intents.WAITING:
        raise wrong_state(intent, "updated")
    lay_over(intent, call.params, "amount", "currency", "customer", "description", "receipt_email")
    merge_metadata(intent, call.params.get("metadata"))
    method = _method_of(call, intent)
    if method is not None and intent["status"] == "requires_payment_method":
        intent.update(payment_method=method["id"], status="requires_confirmation")
    return intent


def _capture(call: Call) -> Object:
    world, intent = call.world, call.world.get("payment_intent", call.id)
    if intent["status"] != "requires_capture":
        raise wrong_state(intent, "captured")
    charge = world.get("charge", intent["latest_charge"])
    merge_metadata(intent, call.params.get("metadata"))
    charges.capture(world, charge, call.params.get("amount_to_capture"))
    intent.update(
        status="succeeded", amount_capturable=0, amount_received=charge["amount_captured"]
    )
    emit(world, "payment_intent.succeeded", intent)
    intents.tell(world, intent, True)
    return intent


def _cancel(call: Call) -> Object:
    intent = call.world.get("payment_intent", call.id)
    intents.cancel(call.world, intent, call.params.get("cancellation_reason"))
    return intent


_list = listing_of("payment_intent", "/v1/payment_intents", "customer")
ROUTES = [
    Route("POST", "/v1/payment_intents", _create, "PaymentIntentCreateParams"),
    Route("GET", "/v1/payment_intents", _list, "PaymentIntentListParams"),
    Route("GET", "/v1/payment_intents/{}", retrieving("payment_intent")),
    Route("POST", "/v1/payment_intents/{}", _update, "PaymentIntentUpdateParams"),
    Route("POST", "/v1/payment_intents/{}/confirm", _confirm, "PaymentIntentConfirmParams"),
    Route("POST", "/v1/payment_intents/{}/capture", _capture, "PaymentIntentCaptureParams"),
    Route("POST", "/v1/payment_intents/{}/cancel", _cancel, "PaymentIntentCancelParams"),
]
