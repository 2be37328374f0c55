"""Charges: made by payment intents, or the old way with `source=tok_visa`; captured, listed."""

from typing import Any

from .. import magic
from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving
from ..errors import declined, invalid, missing
from ..events import emit
from ..money import fee_of
from ..world import Object, World, copied
from . import disputes, payment_methods
from .balance import balance_entry

OUTCOME_OK = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 20,
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def make_charge(world: World, method: Object, *, status: str, **values: Any) -> Object:
    """A stored charge of `status` succeeded, pending or failed; `values` need amount, currency."""
    ok, captured = status == "succeeded", values.pop("captured", True)
    failed = status == "failed"
    return world.new(
        "charge",
        **{
            "amount_captured": values["amount"] if ok and captured else 0,
            "amount_refunded": 0,
            "billing_details": copied(method["billing_details"]),
            "calculated_statement_descriptor": "FAKE STRIPE",
            "captured": captured and not failed,
            "customer": None,
            "disputed": False,
            "failure_code": method["_code"] if failed else None,
            "failure_message": "Your card was declined." if failed else None,
            "fraud_details": {},
            "metadata": {},
            "outcome": OUTCOME_OK if not failed else _outcome_declined(method),
            "paid": ok,
            "payment_method": method["id"],
            "payment_method_details": payment_methods.shown_on_charge(method),
            "refunded": False,
            "status": status,
            "_method": {k: method[k] for k in ("_does", "_code", "_decline_code")},
        }
        | values,
    )


def succeed(world: World, charge: Object) -> None:
    """The events of a charge that went through, its balance entry, and what its card provokes."""
    emit(world, "charge.succeeded", charge)
    if charge["captured"]:
        book(world, charge)
        disputes.provoke(world, charge)


def book(world: World, charge: Object) -> None:
    """The balance entry comes a moment after the charge, in a `charge.updated` of its own."""
    before = copied(charge)
    fee = fee_of(charge["amount_captured"])
    charge["balance_transaction"] = balance_entry(
        world, "charge", charge["amount_captured"], charge["currency"], charge["id"], fee
    )["id"]
    charge["receipt_url"] = f"{world.fake.url}/receipts/{charge['id']}"
    emit(world, "charge.updated", charge, before=before)


def capture(world: World, charge: Object, amount: int | None) -> None:
    """Captures all or a part; the rest is released as a refund of its own, which no event tells."""
    if charge["captured"]:
        raise invalid(
            f"Charge {charge['id']} has already been captured.", code="charge_already_captured"
        )
    amount = charge["amount"] if amount is None else amount
    if not 0 < amount <= charge["amount"]:
        raise invalid("The amount to capture is above the authorised one.", "amount_to_capture")
    charge.update(captured=True, amount_captured=amount)
    charge["amount_refunded"] = charge["amount"] - amount
    if charge["amount_refunded"]:
        world.new(
            "refund",
            amount=charge["amount_refunded"],
            charge=charge["id"],
            currency=charge["currency"],
            metadata={},
            payment_intent=charge["payment_intent"],
            status="succeeded",
        )
    emit(world, "charge.captured", charge)
    book(world, charge)
    disputes.provoke(world, charge)


def _outcome_declined(method: Object) -> Object:
    return OUTCOME_OK | {
        "network_status": "declined_by_network",
        "reason": method["_decline_code"] or method["_code"],
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    for name in ("amount", "currency"):
        if name not in params:
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    if params["amount"] < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    method, customer = _source(world, params)
    refused = method["_does"] in ("decline", "decline_later")
    charge = make_charge(
        world,
        method,
        status="failed" if refused else "succeeded",
        captured=params.get("capture", True),
        amount=params["amount"],
        currency=params["currency"].lower(),
        customer=customer,
        description=params.get("description"),
        receipt_email=params.get("receipt_email"),
    )
    merge_metadata(charge, params.get("metadata"))
    if refused:
        emit(world, "charge.failed", charge)
        raise declined(method["_decline_code"], method["_code"], charge=charge["id"])
    succeed(world, charge)
    return charge


def _source(world: World, params: Object) -> tuple[Object, str | None]:
    """The method of `source=tok_...`, or of the customer's default."""
    customer = None
    if "customer" in params:
        customer = world.get("customer", params["customer"], "customer")
    source = params.get("source") or (customer or {}).get("_default_method")
    if not source:
        raise invalid("Must provide source or customer.", code="parameter_missing")
    if source in world.table("payment_method"):
        return world.get("payment_method", source, "source"), customer and customer["id"]
    method = magic.named(source)
    if method is None or source.startswith("pm_"):
        raise missing("token", source, "source", 400)
    made = payment_methods.make_method(world, method)
    return made, customer["id"] if customer else None


def _capture(call: Call) -> Object:
    charge = call.world.get("charge", call.id)
    if charge["payment_intent"] is not None:
        raise invalid("Charges made by a payment intent are captured through it.")
    capture(call.world, charge, call.params.get("amount"))
    return charge


def _update(call: Call) -> Object:
    charge = call.world.get("charge", call.id)
    before = copied(charge)
    lay_over(charge, call.params, "customer", "description", "receipt_email", "transfer_group")
    merge_metadata(charge, call.params.get("metadata"))
    emit(call.world, "charge.updated", charge, before=before)
    return charge


def _refunds(call: Call) -> Rows:
    return Rows(call.world.related("refund", call.id), f"/v1/charges/{call.id}/refunds")


_list = listing_of("charge", "/v1/charges", "customer", "payment_intent", "transfer_group")
ROUTES = [
    Route("POST", "/v1/charges", _create, "ChargeCreateParams"),
    Route("GET", "/v1/charges", _list, "ChargeListParams"),
    Route("GET", "/v1/charges/{}", retrieving("charge")),
    Route("POST", "/v1/charges/{}", _update, "ChargeUpdateParams"),
    Route("POST", "/v1/charges/{}/capture", _capture, "ChargeCaptureParams"),
    Route("GET", "/v1/charges/{}/refunds", _refunds, "ChargeListRefundsParams"),
]
