"""What of something told is not known yet: the comparison behind every reconciliation. Pure.

Times are not compared: an object that is read later knows them less well than the event did
(``stripe_adapter/object_times.py``), and seconds decide nothing. So what every webhook told leaves
nothing lacking, whichever API version it came in. Two decide, where days lie between: when
somebody converted first, and, beside a sign-up that anybody could have sent, since when Stripe has
had its customer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from chalicelib.core.facts import RELEASED, Conversion, Dispute, Ms, Refund, RefundedTotal
from chalicelib.core.people import People, earliest_conversions
from chalicelib.core.sale import Sale, join_all
from chalicelib.core.told import Told

CHECKOUT_OPEN_MS = 86_400_000
"""How long before its completion a checkout may have been opened, which is all that is known of
some of them when they are read."""


def lacking(told: Told, sales: Iterable[Sale], people: Iterable[People]) -> tuple[str, ...]:
    """What of the told is not yet known, in words without personal data; nothing if all is.

    ``sales`` are those known under any of the told sale's ids, ``people`` the sets of facts known
    of any identity that it names.
    """
    known = People()
    for facts in people:
        known = known.join(facts)
    found = [*(_of_sale(told.sale, list(sales)) if told.sale else ()), *_of_people(told, known)]
    return tuple(dict.fromkeys(found))


def _of_sale(told: Sale, sales: list[Sale]) -> Iterator[str]:
    if not sales:
        yield "the sale"
        return
    known = join_all(sales)
    if len(sales) > 1 or told.ids - known.ids:
        yield "that these are one payment"
    if told.identities - known.identities:
        yield "whose sale it is"
    if told.touches.keys() - known.touches.keys():
        yield "who brought the customer"
    if told.keep_out and not known.keep_out:
        yield "that it is kept out"
    yield from _of_payment(told, known)
    yield from _of_reversals(told, known)


def _of_payment(told: Sale, known: Sale) -> Iterator[str]:
    for id, view in told.views.items():
        stands = known.views.get(id)
        if not view.paid:
            continue
        if stands is None or not stands.paid:
            yield "the payment"
        elif (stands.currency, stands.amount) != (view.currency, view.amount):
            yield "the amount of the payment"
        elif (stands.total, stands.net) != (view.total, view.net):
            yield "what of it is without tax and shipping"
        elif stands.outside < view.outside:
            yield "what of it was paid outside Stripe"


def _of_reversals(told: Sale, known: Sale) -> Iterator[str]:
    for id, refund in told.refunds.items():
        stood = known.refunds.get(id)
        if stood is None and refund.status == RELEASED:
            continue  # it took nothing back, told or not
        if stood is None or _counted(stood) != _counted(stood.join(refund)):
            yield "a refund" if refund.counts else "that a refund failed"
    for total in told.refunded_totals.values():
        if not _covered(total, known):
            yield "what was refunded of the charge"
    for id, dispute in told.disputes.items():
        stands = known.disputes.get(id)
        if stands is None or _standing(stands) != _standing(stands.join(dispute)):
            yield "a dispute" if stands is None else "how a dispute stands"
    for id, note in told.credit_notes.items():
        noted = known.credit_notes.get(id)
        joined = noted.join(note) if noted else note
        if noted is None or (noted.voided, noted.amount) != (joined.voided, joined.amount):
            yield "a credit note"


def _counted(refund: Refund) -> tuple[bool, int]:
    return refund.counts, refund.amount


def _standing(dispute: Dispute) -> tuple[bool, bool, int]:
    """What of a dispute decides anything; an inquiry moves no money, however it stands."""
    return dispute.open, dispute.lost, 0 if dispute.inquiry else dispute.amount


def _covered(total: RefundedTotal, known: Sale) -> bool:
    """Whether as much as the charge says is known to be refunded, by the charge or by refunds."""
    stands = known.refunded_totals.get(total.charge)
    if stands is not None and stands.amount >= total.amount:
        return True
    names = {total.charge, total.intent} - {""}
    by_id = (r for r in known.refunds.values() if {r.charge, r.intent} & names)
    return sum(refund.amount for refund in by_id if refund.counts) >= total.amount


def _of_people(told: Told, known: People) -> Iterator[str]:
    """What the household would keep of it (``People.bounded``) and does not have."""
    people = replace(told.people, conversions=earliest_conversions(told.people))
    kept = known.join(people).bounded()
    if people.sightings.keys() - known.sightings.keys():
        yield "an identity of the customer"
    if known.claims and any(
        _earlier(seen.at, known.sightings[id].at)
        for id, seen in people.sightings.items()
        if id in known.sightings and seen.identity.startswith("stripe:")
    ):
        yield "since when the customer is known"
    if people.edges.keys() - known.edges.keys():
        yield "that two identities are one customer"
    if (people.touches.keys() & kept.touches.keys()) - known.touches.keys():
        yield "who brought the customer"
    if any(
        _is_news(fact, known.conversions.get(id))
        for id, fact in people.conversions.items()
        if id in kept.conversions
    ):
        yield "that the customer converted"
    for id in people.profiles.keys() & kept.profiles.keys():
        stands = known.profiles.get(id)
        if stands is None or stands.email != kept.profiles[id].email:
            yield "the customer's profile"
    if any(k.out and not _ever_told(k.identity, known) for k in people.keep_outs.values()):
        yield "that the customer is kept out"


def _is_news(fact: Conversion, stands: Conversion | None) -> bool:
    return stands is None or _earlier(fact.at, stands.at)


def _earlier(at: Ms, than: Ms) -> bool:
    return at + CHECKOUT_OPEN_MS < than


def _ever_told(identity: str, known: People) -> bool:
    """Once it was told when a customer was kept out, and from when not, an object that knows no
    times says nothing better."""
    return any(keep.identity == identity for keep in known.keep_outs.values())
