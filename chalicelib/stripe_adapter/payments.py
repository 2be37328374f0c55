"""Payment intents, charges, refunds and disputes."""

from dataclasses import replace

from chalicelib.core.facts import RELEASED, Dispute, Ms, Refund, RefundedTotal, View, ViewKind
from chalicelib.core.sale import Sale
from chalicelib.core.told import Ignored, Told
from chalicelib.stripe_adapter.buyers import Buyer, buyer, keeps_out, partner_touch, people_of
from chalicelib.stripe_adapter.envelope import Event, Unreadable
from chalicelib.stripe_adapter.fields import (
    Body,
    amount,
    amount_or_none,
    currency,
    flag,
    id_of,
    moment,
    part,
    reference,
    rows,
    text,
)
from chalicelib.stripe_adapter.readers import (
    charge_of_intent,
    charges_in_intent,
    customer_of,
    invoice_of_payment,
)


def told_by_intent(event: Event) -> Told:
    """``payment_intent.succeeded`` (https://docs.stripe.com/api/payment_intents/object)."""
    intent = event.object
    id = id_of(intent)
    received = amount(intent, "amount_received")
    view = View(
        kind=ViewKind.PAYMENT_INTENT,
        id=id,
        paid=text(intent, "status") == "succeeded",
        currency=currency(intent),
        total=received,
        net=received,
        amount=received,
        paid_at=event.at,
        told_at=event.at,
    )
    views = {id: view}
    by_hand = text(intent, "capture_method") == "manual"  # then it succeeds when it is captured
    for charge in charges_in_intent(intent):
        if charge.get("status") == "succeeded" and charge.get("amount") is not None:
            embedded = _charge_view(
                charge, told_at=event.at, captured_at=event.at if by_hand else None
            )
            views |= {embedded.id: embedded} if embedded else {}
    ids = {id, charge_of_intent(intent), invoice_of_payment(intent)}
    return _told(event, ids, _payer(intent, text(intent, "receipt_email")), views)


def told_by_charge(event: Event) -> Told:
    """``charge.succeeded``, ``charge.captured`` and ``charge.refunded``: each carries the charge,
    the last with what was refunded of it so far (https://docs.stripe.com/api/charges/object)."""
    charge = event.object
    id = id_of(charge)
    intent = reference(charge, "payment_intent")
    captured_at = event.at if event.type == "charge.captured" else None
    view = _charge_view(charge, told_at=event.at, captured_at=captured_at)
    refunds: dict[str, Refund] = {}
    totals: dict[str, RefundedTotal] = {}
    if event.type == "charge.refunded":
        never_taken = _never_taken(charge)
        refunded = max(amount(charge, "amount_refunded") - never_taken, 0)
        totals[id] = RefundedTotal(charge=id, amount=refunded, told_at=event.at, intent=intent)
        for row in rows(charge, "refunds") if not never_taken else ():
            refund = _refund(row, at=event.at, charge=id, intent=intent)
            refunds[refund.id] = refund
    for row in _release(charge):
        released = _refund(row, at=event.at, charge=id, intent=intent)
        refunds[released.id] = replace(released, status=RELEASED)
    email = text(part(charge, "billing_details"), "email") or text(charge, "receipt_email")
    return _told(
        event,
        {id, intent, invoice_of_payment(charge)},
        _payer(charge, email),
        {id: view} if view else {},
        refunds,
        totals,
    )


def told_by_refund(event: Event) -> Told | Ignored:
    """``refund.*`` and the older ``charge.refund.updated``: the refund itself. One that is read
    comes with its charge where that was captured in part."""
    refund = _refund(event.object, at=event.at, failed=event.type == "refund.failed")
    charge = event.object.get("charge")
    if isinstance(charge, dict) and any(id_of(row) == refund.id for row in _release(charge)):
        refund = replace(refund, status=RELEASED)
    ids = frozenset({refund.charge, refund.intent} - {""})
    if not ids:
        return Ignored(because="a refund of neither a charge nor a payment intent")
    return Told(sale=Sale(ids=ids, refunds={refund.id: refund}))


def told_by_dispute(event: Event) -> Told | Ignored:
    """``charge.dispute.*``: the dispute, whatever its status, known or new."""
    dispute = event.object
    id = id_of(dispute)
    ids = {reference(dispute, "charge"), reference(dispute, "payment_intent")} - {""}
    status = text(dispute, "status")
    if not status:
        raise Unreadable("dispute.status is missing")
    fact = Dispute(id=id, amount=amount(dispute, "amount"), status=status)
    if not ids:
        return Ignored(because="a dispute of neither a charge nor a payment intent")
    return Told(sale=Sale(ids=frozenset(ids), disputes={id: fact}))


def _told(
    event: Event,
    ids: set[str],
    who: Buyer,
    views: dict[str, View],
    refunds: dict[str, Refund] | None = None,
    totals: dict[str, RefundedTotal] | None = None,
) -> Told:
    """A payment with whose it is and what its metadata says. A charge's metadata is a copy of its
    intent's, which tells the partner itself; one without an intent tells it as of the payment."""
    payment = event.object
    metadata = [part(payment, "metadata")]
    view = views.get(id_of(payment))
    touches = (
        []
        if reference(payment, "payment_intent")
        else partner_touch(metadata, of=id_of(payment), at=view.paid_at if view else event.at)
    )
    sale = Sale(
        ids=frozenset(ids - {""}),
        views=views,
        refunds=refunds or {},
        refunded_totals=totals or {},
        touches={touch.id: touch for touch in touches},
        identities=who.identities,
        keep_out=bool(keeps_out(metadata)),
    )
    return Told(sale=sale, people=people_of(who, event.at))


def _payer(payment: Body, email: str) -> Buyer:
    """Stripe's customer, or else the e-mail: on a payment the two were not told as one person's,
    anybody's receipt can go anywhere."""
    customer = customer_of(payment)
    return buyer(
        metadata=[part(payment, "metadata")],
        customer=customer,
        email="" if customer else email,
    )


def _charge_view(charge: Body, *, told_at: Ms, captured_at: Ms | None) -> View | None:
    """The charge's account. It is paid when captured: at its making, or when ``charge.captured``
    says. ``capture_before`` marks a charge authorised first, whose capture that event dates; told
    of by any other event it is no view
    (https://docs.stripe.com/api/charges/object, ``payment_method_details.card.capture_before``).
    """
    captured = flag(charge, "captured")
    card = part(part(charge, "payment_method_details"), "card")
    if captured and captured_at is None and card.get("capture_before") is not None:
        return None
    made = moment(charge, "created")
    taken = amount_or_none(charge, "amount_captured")
    money = amount(charge, "amount") if taken is None else taken
    return View(
        kind=ViewKind.CHARGE,
        id=id_of(charge),
        paid=captured and text(charge, "status") == "succeeded",
        currency=currency(charge),
        total=money,
        net=money,
        amount=money,
        paid_at=captured_at or made or told_at,
        told_at=told_at,
    )


def _never_taken(charge: Body) -> int:
    """What was authorised and not captured: Stripe counts it as refunded, by a refund of its own
    that looks like any other, though it was never paid
    (https://github.com/solidusio/solidus_stripe/pull/268)."""
    captured = amount_or_none(charge, "amount_captured")
    if captured is None or not flag(charge, "captured"):
        return 0
    return max(amount(charge, "amount") - captured, 0)


def _release(charge: Body) -> list[Body]:
    """The refund that the capture of a part made of the rest, where the charge's refunds are
    spelt out: the first of that amount, since nothing is refunded before the capture. None where
    what is listed comes to no more than was truly taken back."""
    never_taken = _never_taken(charge)
    listed = charge.get("refunds")
    if not never_taken or (isinstance(listed, dict) and listed.get("has_more")):
        return []
    oldest_first = reversed(rows(charge, "refunds"))
    stand = [row for row in oldest_first if text(row, "status") not in ("failed", "canceled")]
    taken_back = amount(charge, "amount_refunded") - never_taken
    if sum(amount(row, "amount") for row in stand) <= taken_back:
        return []
    alike = [row for row in stand if amount(row, "amount") == never_taken]
    return sorted(alike, key=lambda row: moment(row, "created") or 0)[:1]


def _refund(
    body: Body, *, at: Ms, charge: str = "", intent: str = "", failed: bool = False
) -> Refund:
    """A refund; one without a status is on its way."""
    return Refund(
        id=id_of(body),
        amount=amount(body, "amount"),
        status="failed" if failed else text(body, "status") or "pending",
        told_at=at,
        charge=reference(body, "charge") or charge,
        intent=reference(body, "payment_intent") or intent,
    )
