"""Disputes: provoked by test cards, answered with Stripe's magic evidence.

`uncategorized_text` of `winning_evidence`, `losing_evidence` or `escalate_inquiry_evidence` decides
it a moment after it is submitted; other evidence stays under review. An inquiry moves no money.
Source: docs.stripe.com/testing#disputes and #evidence.
"""

from ..calls import Call, Route, listing_of, merge_metadata, retrieving
from ..errors import StripeRefusal, invalid
from ..events import emit
from ..jobs import job
from ..sdk_hints import resource_class
from ..world import Object, World, copied
from .balance import balance_entry
from .refunds import fail

FEE = 1_500
DUE_DAYS = 9
CLOSED = ("won", "lost", "warning_closed")
_EVIDENCE = tuple(
    name for name in resource_class("dispute").Evidence.__annotations__ if name[0] != "_"
)


def provoke(world: World, charge: Object) -> None:
    """What a test card does once its money is captured."""
    does, reason = charge["_method"]["_does"], charge["_method"]["_code"]
    if does == "dispute":
        open_dispute(world, charge, reason)
    elif does == "inquiry":
        open_dispute(world, charge, reason, inquiry=True)
    elif does == "delayed_dispute":
        open_dispute(world, charge, "debit_not_authorized")


def open_dispute(
    world: World, charge: Object, reason: str, *, inquiry: bool = False, amount: int | None = None
) -> Object:
    """A dispute of what is left of the charge, or of `amount`. An inquiry takes nothing."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    card = charge["payment_method_details"]["type"] == "card"
    details = {
        "brand": charge["payment_method_details"].get("card", {}).get("brand", "visa"),
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": "visa",
        "network_reason_code": "10" if inquiry else "10.4",
    }
    made = world.new(
        "dispute",
        amount=amount or left or charge["amount_captured"],
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}},
        evidence_details={
            "due_by": world.now + DUE_DAYS * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=inquiry,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details={"type": "card", "card": details} if card else None,
        reason=reason or "fraudulent",
        status="warning_needs_response" if inquiry else "needs_response",
    )
    before = copied(charge)
    charge["disputed"] = True
    emit(world, "charge.dispute.created", made)
    if not inquiry:
        _withdraw(world, made)
    emit(world, "charge.updated", charge, before=before)
    return made


def _withdraw(world: World, dispute: Object) -> None:
    _book(world, dispute, -dispute["amount"], FEE)
    dispute["is_charge_refundable"] = False
    emit(world, "charge.dispute.funds_withdrawn", dispute)


def _book(world: World, dispute: Object, amount: int, fee: int) -> None:
    entry = balance_entry(world, "adjustment", amount, dispute["currency"], dispute["id"], fee)
    dispute["balance_transactions"] = [*dispute["balance_transactions"], copied(entry)]


@job
def decide_dispute(world: World, id_: str, text: str) -> None:
    """The bank's answer to submitted evidence."""
    dispute = world.get("dispute", id_)
    inquiry = dispute["status"].startswith("warning_")
    if dispute["status"] in CLOSED:
        return
    if text == "escalate_inquiry_evidence" and inquiry:
        before = copied(dispute)
        dispute["status"] = "needs_response"
        details = dispute["payment_method_details"]
        if details:
            details["card"]["case_type"] = "chargeback"
        emit(world, "charge.dispute.updated", dispute, before=before)
        _withdraw(world, dispute)
        _fail_refunds(world, dispute["charge"])
    elif inquiry:
        _close(world, dispute, "warning_closed")
    elif text == "winning_evidence":
        _book(world, dispute, dispute["amount"], 0)
        dispute["is_charge_refundable"] = True
        dispute["status"] = "won"
        emit(world, "charge.dispute.funds_reinstated", dispute)
        _close(world, dispute, "won")
    else:
        _close(world, dispute, "lost")


def _fail_refunds(world: World, charge_id: str) -> None:
    """A refund given during an inquiry fails when the inquiry becomes a chargeback."""
    for refund in world.rows("refund", lambda r: r["charge"] == charge_id):
        if refund["status"] in ("succeeded", "pending"):
            fail(world, refund, "charge_for_pending_refund_disputed")


def _close(world: World, dispute: Object, status: str) -> None:
    dispute["status"] = status
    emit(world, "charge.dispute.closed", dispute)


def _update(call: Call) -> Object:
    world, dispute = call.world, call.world.get("dispute", call.id)
    evidence = {k: v for k, v in call.params.get("evidence", {}).items() if v != ""}
    if dispute["status"] in CLOSED and evidence:
        raise invalid("This dispute is already closed")
    before = copied(dispute)
    merge_metadata(dispute, call.params.get("metadata"))
    if evidence:
        dispute["evidence"] = dispute["evidence"] | evidence
        details = copied(dispute["evidence_details"])
        details["has_evidence"] = True
        if call.params.get("submit", True):
            details["submission_count"] += 1
            details["submission_method"] = "manual"
            warning = "warning_" if dispute["status"].startswith("warning_") else ""
            dispute["status"] = f"{warning}under_review"
            text = evidence.get("uncategorized_text", "")
            if text in ("winning_evidence", "losing_evidence", "escalate_inquiry_evidence"):
                due = world.now + world.fake.settle_seconds
                world.schedule("decide_dispute", due, dispute["id"], text)
        dispute["evidence_details"] = details
    emit(world, "charge.dispute.updated", dispute, before=before)
    return dispute


def _close_call(call: Call) -> Object:
    dispute = call.world.get("dispute", call.id)
    if dispute["status"] in CLOSED:
        raise StripeRefusal("This dispute is already closed")
    inquiry = dispute["status"].startswith("warning_")
    _close(call.world, dispute, "warning_closed" if inquiry else "lost")
    return dispute


ROUTES = [
    Route(
        "GET",
        "/v1/disputes",
        listing_of("dispute", "/v1/disputes", "charge", "payment_intent"),
        "DisputeListParams",
    ),
    Route("GET", "/v1/disputes/{}", retrieving("dispute")),
    Route("POST", "/v1/disputes/{}", _update, "DisputeUpdateParams"),
    Route("POST", "/v1/disputes/{}/close", _close_call, "DisputeCloseParams"),
]
