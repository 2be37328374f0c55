"""Stripe's answers to what only an API read can settle, as events that we alone tell.

That nobody claims a payment is no object of Stripe's and no event; that somebody asked, and when,
is a fact all the same, which a rebuild tells again. ``receive_webhook`` takes no such event from
outside.
"""

from collections.abc import Mapping
from dataclasses import replace

from chalicelib.core.facts import RefundedTotal
from chalicelib.core.sale import Sale
from chalicelib.core.told import Ignored, Told
from chalicelib.stripe_adapter.envelope import OWN_TYPES, Event, Unreadable
from chalicelib.stripe_adapter.fields import Body, amount, id_of, part, reference, text
from chalicelib.stripe_adapter.objects import made_event
from chalicelib.stripe_adapter.payments import told_by_charge

ASKED = f"{OWN_TYPES}asked"


def claims_asked(sale_id: str, *, livemode: bool, account: str) -> bytes:
    """Stripe was asked what the payment is for, and all that it said was taken in; nothing where it
    does not even know the payment."""
    answer = {"id": sale_id, "object": "refledger_answer", "about": "claims"}
    return made_event(ASKED, answer, created=0, livemode=livemode, account=account)


def refunds_asked(
    charge_id: str,
    charge: Body | None,
    *,
    stood_at: int,
    asked_at: int,
    livemode: bool,
    account: str,
) -> bytes:
    """What a charge says was refunded of it at ``asked_at`` (unix seconds), all its refunds having
    been taken in by their ids. One that Stripe does not know stands at what it said last."""
    answer: Mapping[str, object] = {
        "id": charge_id,
        "object": "refledger_answer",
        "about": "refunds",
        **({"charge": dict(charge)} if charge else {"amount_refunded": stood_at}),
    }
    return made_event(ASKED, answer, created=asked_at, livemode=livemode, account=account)


def told_by_asking(event: Event) -> Told | Ignored:
    answer = event.object
    id = id_of(answer)
    match text(answer, "about"):
        case "claims":
            return Told(sale=Sale(ids=frozenset({id}), settled_by_stripe=True))
        case "refunds":
            return Told(sale=_refunds(id, answer, event))
    raise Unreadable("refledger_answer.about is neither claims nor refunds")


def _refunds(id: str, answer: Body, event: Event) -> Sale:
    charge = part(answer, "charge")
    if not charge:
        stands = amount(answer, "amount_refunded")
        total = RefundedTotal(charge=id, amount=stands, told_at=event.at, asked=True)
        return Sale(ids=frozenset({id}), refunded_totals={id: total})
    refunded = replace(event.envelope, type="charge.refunded")
    told = told_by_charge(Event(envelope=refunded, object=charge)).sale
    assert told is not None
    totals = {id: replace(total, asked=True) for id, total in told.refunded_totals.items()}
    ids = frozenset({id, reference(charge, "payment_intent")} - {""})
    return Sale(ids=ids, refunds=told.refunds, refunded_totals=totals)
