"""Refunds: whole or partial, at once, pending, or failing after they seemed to succeed.

Source: docs.stripe.com/testing#refunds (`pm_card_pendingRefund`, `pm_card_refundFail`) and
docs.stripe.com/refunds. `charge.refunded` carries the charge with the cumulative amount.
"""

from ..calls import Call, Route, listing_of, merge_metadata, retrieving
from ..errors import StripeRefusal, invalid
from ..events import emit
from ..jobs import job
from ..world import Object, World, copied
from .balance import balance_entry


def refund_charge(
    world: World,
    charge: Object,
    amount: int | None,
    *,
    reason: str | None = None,
    metadata: Object | None = None,
) -> Object:
    """Raises Stripe's refusals: already refunded, too much, charged back, not captured."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if amount is None else amount
    _refuse(world, charge, amount, left)
    does = charge["_method"]["_does"]
    details = {"card": {"type": "refund", "reference_status": "pending"}, "type": "card"}
    if charge["payment_method_details"]["type"] != "card":
        details = {"type": charge["payment_method_details"]["type"]}
    refund = world.new(
        "refund",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details=details,
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="pending" if does == "refund_pending" else "succeeded",
    )
    merge_metadata(refund, metadata)
    entry = balance_entry(world, "refund", -amount, charge["currency"], refund["id"])
    refund["balance_transaction"] = entry["id"]
    _count(charge, amount)
    emit(world, "charge.refunded", charge)
    emit(world, "refund.created", refund)
    if does in ("refund_pending", "refund_fail"):
        world.schedule("settle_refund", world.now + world.fake.settle_seconds, refund["id"], does)
    return refund


def _refuse(world: World, charge: Object, amount: int, left: int) -> None:
    if not charge["captured"] or charge["status"] != "succeeded":
        raise invalid(f"Charge {charge['id']} has not been captured.", "charge")
    chargebacks = world.rows(
        "dispute",
        lambda d: d["charge"] == charge["id"] and not d["is_charge_refundable"],
    )
    if chargebacks:
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if left <= 0:
        raise invalid(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            "amount",
        )


def _count(charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]


@job
def settle_refund(world: World, id_: str, does: str) -> None:
    """The bank's late answer to a refund."""
    refund = world.get("refund", id_)
    if refund["status"] not in ("pending", "succeeded"):
        return
    if does == "refund_fail":
        fail(world, refund, "lost_or_stolen_card")
        return
    before = copied(refund)
    refund["status"] = "succeeded"
    _tell(world, refund, before)


def fail(world: World, refund: Object, reason: str) -> None:
    """The money comes back to the merchant: the refund no longer counts on the charge."""
    before = copied(refund)
    charge = world.get("charge", refund["charge"])
    entry = balance_entry(
        world, "refund_failure", refund["amount"], refund["currency"], refund["id"]
    )
    refund.update(status="failed", failure_reason=reason, failure_balance_transaction=entry["id"])
    old_charge = copied(charge)
    _count(charge, -refund["amount"])
    emit(world, "refund.failed", refund)
    _tell(world, refund, before)
    emit(world, "charge.updated", charge, before=old_charge)


def _tell(world: World, refund: Object, before: Object) -> None:
    """One change, two events: `refund.updated` and the older `charge.refund.updated`."""
    emit(world, "refund.updated", refund, before=before)
    emit(world, "charge.refund.updated", refund, before=before)


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    if "charge" in params:
        charge = world.get("charge", params["charge"], "charge")
    elif "payment_intent" in params:
        intent = world.get("payment_intent", params["payment_intent"], "payment_intent")
        if intent["latest_charge"] is None:
            raise invalid(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            )
        charge = world.get("charge", intent["latest_charge"])
    else:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
            code="parameter_missing",
        )
    return refund_charge(
        world,
        charge,
        params.get("amount"),
        reason=params.get("reason"),
        metadata=params.get("metadata"),
    )


def _update(call: Call) -> Object:
    refund = call.world.get("refund", call.id)
    before = copied(refund)
    merge_metadata(refund, call.params.get("metadata"))
    _tell(call.world, refund, before)
    return refund


def _cancel(call: Call) -> Object:
    refund = call.world.get("refund", call.id)
    if refund["status"] != "requires_action":
        raise StripeRefusal("Only refunds in status requires_action can be canceled.")
    return refund


_list = listing_of("refund", "/v1/refunds", "charge", "payment_intent")
ROUTES = [
    Route("POST", "/v1/refunds", _create, "RefundCreateParams"),
    Route("GET", "/v1/refunds", _list, "RefundListParams"),
    Route("GET", "/v1/refunds/{}", retrieving("refund")),
    Route("POST", "/v1/refunds/{}", _update, "RefundUpdateParams"),
    Route("POST", "/v1/refunds/{}/cancel", _cancel),
]
