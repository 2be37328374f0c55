"""Which other sales of a customer a booking owes: those that may come out differently by now.

Each rule here spares work that could change nothing; what is not sure to change nothing is owed.
"""

from chalicelib.core.facts import Ms
from chalicelib.core.people import Household, People, emails_told, persons
from chalicelib.core.program import Program
from chalicelib.core.sale import DUPLICATE_WITHIN_MS
from chalicelib.flows.decide_sale import Decision
from chalicelib.flows.gather import Gathered


def owed_since(
    decision: Decision, household: Household | None, gathered: Gathered, *, moved: bool
) -> Ms | None:
    """From which time of payment on other sales of the customer may come out differently by now;
    None if none does."""
    if household is None:
        return None
    before = [stored.household for stored in gathered.households]
    if _new_merchant_key(household, before):
        return 0
    ids = decision.settlement.after.sale.ids if decision.settlement else frozenset()
    if not any(p.sale not in ids for p in gathered.pointers()) and not gathered.more_pointers:
        return None
    if len(before) > 1:
        return 0
    since = [_decisive_since(household.people, before[0], gathered, decision)]
    if moved:
        since.append(_moved_since(decision, household, before[0], gathered.program))
        if _opens(decision, gathered, ids):
            since.append(0)
    return min((at for at in since if at is not None), default=None)


def _moved_since(
    decision: Decision, household: Household, before: Household, program: Program
) -> Ms | None:
    """A sale that stands in another place now changes those behind it; the newest of all changes
    none, but for the merchant's own sales that it may be a duplicate of. Evidence on it that was
    known before counts as of its payment now, as far back as late evidence reaches."""
    places = [s.pointer for s in decision.before if s.pointer]
    if decision.pointer is not None:
        places.append(decision.pointer.place)
    first = min(_paid_at(place) for place in places)
    back = DUPLICATE_WITHIN_MS if household.merchant_sales else 0
    sale = decision.settlement.after.sale if decision.settlement else None
    if sale and sale.touches.keys() & before.people.touches.keys():
        back = max(back, max(program.ever("late_evidence_hours")) * 3_600_000)
    in_order = len(places) == 1 and decision.pointer is not None and places[0] > before.latest
    return None if in_order and not back else max(0, first - back)


def _opens(decision: Decision, gathered: Gathered, ids: frozenset[str]) -> bool:
    """Whether the customer's first payment that counts is another now, with others before it that
    do not count: they say how it stands to what brought the customer."""
    mine = [s.pointer for s in decision.before if s.pointer and s.counts]
    if decision.pointer is not None and decision.pointer.counts:
        mine.append(decision.pointer.place)
    others = [p for p in gathered.pointers() if p.sale not in ids]
    first = min((p.place for p in others if p.counts), default="~")
    return any(m < first and any(p.place < max(mine) for p in others) for m in mine)


def _paid_at(place: str) -> Ms:
    return int(place.split("#")[1])


def _new_merchant_key(household: Household, before: list[Household]) -> bool:
    """A key that the merchant made just now: checkouts may have named it before."""
    known = {key for stored in before for key in stored.people.made_keys()}
    return bool(household.people.made_keys() - known)


def _decisive_since(
    people: People, before: Household, gathered: Gathered, decision: Decision
) -> Ms | None:
    """From which time of payment on a referral may depend on what is new; None: nowhere.

    Who is who: only if identities that were known are parted otherwise, or e-mails are new. When
    somebody was seen: only beside unverified sign-ups. A touch: for payments no earlier than it
    (evidence on a payment counts as of that payment), less the hours that late evidence may take
    where the place is still empty.
    """
    was = before.people
    claimed = any(not touch.verified for touch in people.touches.values())
    if people.conversions != was.conversions or people.keep_outs != was.keep_outs:
        return 0
    if claimed and (people.sightings != was.sightings or people.edges != was.edges):
        return 0
    if people.edges != was.edges or people.identities() != was.identities():
        old = was.identities()
        parted = [
            (p.identities & old, emails_told(people, p))
            for p in persons(people)
            if p.identities & old
        ]
        if parted != [(p.identities, emails_told(was, p)) for p in persons(was)]:
            return 0
    changed = [t for id, t in people.touches.items() if was.touches.get(id) != t]
    if not changed:
        return None
    pointers = [*gathered.pointers(), *([decision.pointer] if decision.pointer else [])]
    paid_at = {id: pointer.paid_at for pointer in pointers for id in pointer.touches}
    if gathered.more_pointers and any(t.sale and t.id not in paid_at for t in changed):
        return 0
    first = min(min(t.happened, paid_at.get(t.id, t.happened)) for t in changed)
    hours = max(gathered.program.ever("late_evidence_hours"))
    late = 0 if decision.still_bound else hours * 3_600_000
    since = first - first % 1000 - late
    return max(0, since) if before.latest and _paid_at(before.latest) >= since else None
