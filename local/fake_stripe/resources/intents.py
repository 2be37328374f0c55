"""The life of a payment intent: made, confirmed, cancelled; paid at once or after days.

An intent of an invoice or a Checkout Session tells its owner of the outcome through `on_outcome`.
"""

from collections.abc import Callable
from typing import Any

from ..errors import declined, invalid
from ..events import emit
from ..jobs import job
from ..world import Object, World, copied, public
from . import charges

Outcome = Callable[[World, Object, bool], None]
_OUTCOMES: list[Outcome] = []
SLOW_SECONDS = 180
WAITING = ("requires_payment_method", "requires_confirmation", "requires_action")


def on_outcome(handler: Outcome) -> Outcome:
    """Called with (world, intent, succeeded) after the intent's own events."""
    _OUTCOMES.append(handler)
    return handler


def make_intent(world: World, amount: int, currency: str, **values: Any) -> Object:
    """A stored intent in `requires_payment_method`, with its event."""
    id_ = world.new_id("payment_intent")
    made = world.new(
        "payment_intent",
        **{
            "id": id_,
            "amount": amount,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "capture_method": "automatic_async",
            "client_secret": f"{id_}_secret_{world.fake.random_text(25)}",
            "confirmation_method": "automatic",
            "currency": currency,
            "metadata": {},
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        | values,
    )
    emit(world, "payment_intent.created", made)
    return made


def confirm(world: World, intent: Object, method: Object) -> None:
    """Tries to pay. Raises the bank's refusal (402) after its events; a delayed method leaves the
    intent `processing` and the outcome comes by the clock."""
    before = copied(intent)
    intent.update(payment_method=method["id"], payment_method_types=[method["type"]])
    does = method["_does"]
    if does in ("decline", "decline_later"):
        _decline(world, intent, method)
    if does.startswith("delayed_"):
        charge = _charge(world, intent, method, "pending")
        intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None)
        emit(world, "charge.pending", charge)
        emit(world, "payment_intent.processing", intent, before=before)
        delay = SLOW_SECONDS if method["_slow"] else world.fake.settle_seconds
        world.schedule("settle_delayed", world.now + delay, intent["id"])
        return
    manual = intent["capture_method"] == "manual"
    charge = _charge(world, intent, method, "succeeded", captured=not manual)
    intent.update(latest_charge=charge["id"], last_payment_error=None)
    if manual:
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        charges.succeed(world, charge)
        emit(world, "payment_intent.amount_capturable_updated", intent)
        return
    intent.update(status="succeeded", amount_received=intent["amount"])
    emit(world, "payment_intent.succeeded", intent)
    charges.succeed(world, charge)
    tell(world, intent, True)


def cancel(world: World, intent: Object, reason: str | None) -> None:
    if intent["status"] in ("succeeded", "canceled", "processing"):
        raise wrong_state(intent, "canceled")
    intent.update(
        status="canceled",
        canceled_at=world.now,
        cancellation_reason=reason,
        amount_capturable=0,
    )
    emit(world, "payment_intent.canceled", intent)


@job
def settle_delayed(world: World, id_: str) -> None:
    """The bank's answer to a debit, days later in life and moments later here."""
    intent = world.get("payment_intent", id_)
    if intent["status"] != "processing":
        return
    charge = world.get("charge", intent["latest_charge"])
    if charge["_method"]["_does"] == "delayed_fail":
        method = world.get("payment_method", charge["payment_method"])
        charge.update(
            status="failed",
            captured=False,
            failure_code=method["_code"],
            failure_message="The debit could not be made.",
        )
        emit(world, "charge.failed", charge)
        _back_to_start(world, intent, method, charge)
        tell(world, intent, False)
        return
    charge.update(status="succeeded", paid=True, amount_captured=charge["amount"])
    intent.update(status="succeeded", amount_received=intent["amount"])
    emit(world, "payment_intent.succeeded", intent)
    charges.succeed(world, charge)
    tell(world, intent, True)


def _charge(
    world: World, intent: Object, method: Object, status: str, *, captured: bool = True
) -> Object:
    return charges.make_charge(
        world,
        method,
        status=status,
        captured=captured,
        amount=intent["amount"],
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=copied(intent["metadata"]),
        payment_intent=intent["id"],
        receipt_email=intent["receipt_email"],
        _invoice=intent.get("_invoice"),
    )


def _decline(world: World, intent: Object, method: Object) -> None:
    charge = _charge(world, intent, method, "failed")
    emit(world, "charge.failed", charge)
    _back_to_start(world, intent, method, charge)
    tell(world, intent, False)
    raise declined(
        method["_decline_code"],
        method["_code"],
        charge=charge["id"],
        payment_intent=public(intent),
        payment_method=public(method),
    )


def _back_to_start(world: World, intent: Object, method: Object, charge: Object) -> None:
    refusal = declined(method["_decline_code"], method["_code"], charge=charge["id"])
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        latest_charge=charge["id"],
        last_payment_error=refusal.error | {"payment_method": public(method)},
    )
    emit(world, "payment_intent.payment_failed", intent)


def tell(world: World, intent: Object, succeeded: bool) -> None:
    for handler in _OUTCOMES:
        handler(world, intent, succeeded)


def wrong_state(intent: Object, verb: str) -> Exception:
    return invalid(
        f"This PaymentIntent's payment could not be {verb} because it has a status of "
        f"{intent['status']}.",
        code="payment_intent_unexpected_state",
    )
