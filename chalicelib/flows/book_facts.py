"""Booking facts: join what was told with what is known, settle the sale, write it all at once.

Every door that learns something ends here. One transaction holds the facts, the entries, the
balances, the customer's standing, the stamp of the event and the work that is still owed; it is
conditioned on every version that was read, and tried again from the reading when one has moved.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chalicelib.core.attribution import (
    Case,
    Credit,
    NoCredit,
    Payment,
    Referral,
    credited_payments,
    partners_named,
    referral_of_sale,
)
from chalicelib.core.facts import Bond, Identity, Ms, Touch, Way, edge
from chalicelib.core.people import MAX_CLAIMS, Household, People, SalePointer, kept_out, person_of
from chalicelib.core.program import Partner
from chalicelib.core.refusals import Conflict, Unavailable
from chalicelib.core.rewards import Target, reward_target, standing_of
from chalicelib.core.sale import DUPLICATE_WITHIN_MS, Sale, Summary, summarise
from chalicelib.core.settlement import SettledSale, Settlement, joined, may_be_duplicate, settle
from chalicelib.core.told import Told
from chalicelib.flows.gather import (
    FIRST_POINTERS,
    Gathered,
    gather,
    pointers_near,
    prepare,
    read_partners,
    resolved_references,
)
from chalicelib.flows.plan_writes import Decision, plan_writes
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Stale, Store, Write

TRIES = 10
METADATA_REPEATS_MS = 400 * 86_400_000  # kept for a year, for programs that credit each sale
LAST_BRIDGE_AT = 4_102_444_800_000  # an edge made by us is believed after every told one


Stamp = Callable[[int], Sequence[Write]]
Guard = Callable[[Gathered], None]


def no_stamp(attempt: int) -> Sequence[Write]:
    return ()


def no_guard(gathered: Gathered) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What a booking came to. ``household`` owes work if ``owes``."""

    settled: SettledSale | None = None
    household: str = ""
    owes: bool = False
    changed: bool = False


def book_facts(
    told: Told,
    *,
    scope: Scope,
    store: Store,
    now: Ms,
    stamp: Stamp = no_stamp,
    guard: Guard = no_guard,
    release: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> Booked:
    """Book what was told; what ``stamp`` gives for an attempt (from 0) is written in the same
    transaction, changed or not. ``guard`` sees what is stored of sale and customer, and may refuse.

    Raises ``Unavailable`` when the store is away, or others kept writing the same sale through
    all tries; then nothing of this booking was lost: the caller is told to come again.
    """
    told = prepare(told, scope=scope, store=store, now=now)
    for attempt in range(TRIES):
        try:
            return _book(
                told,
                scope,
                store,
                now=now,
                stamp=stamp(attempt),
                guard=guard,
                release=release,
            )
        except Stale:
            pause(random.uniform(0, min(0.02 * 2**attempt, 0.5)))
    raise Unavailable


def _book(
    told: Told,
    scope: Scope,
    store: Store,
    *,
    now: Ms,
    stamp: Sequence[Write],
    guard: Guard,
    release: bool,
) -> Booked:
    people, unknown = resolved_references(told, scope=scope, store=store)
    told = replace(told, people=people)
    pointers = FIRST_POINTERS
    while True:
        gathered = gather(told, scope=scope, store=store, pointers=pointers)
        guard(gathered)
        decision = _decide(told, gathered, scope, store, now=now, release=release)
        if decision.enough or not gathered.more_pointers:
            break
        pointers *= 4
    decision = replace(decision, references=tuple(unknown))
    plan = plan_writes(decision, gathered, scope=scope, now=now)
    if plan.writes or stamp:
        store.commit([*plan.writes, *stamp])
    return Booked(
        settled=plan.settled,
        household=decision.household.id if decision.household else "",
        owes=plan.owes,
        changed=bool(plan.writes),
    )


def _decide(
    told: Told, gathered: Gathered, scope: Scope, store: Store, *, now: Ms, release: bool
) -> Decision:
    """The whole decision on what was read; reads on for partners and balances, whose names only
    the household knows."""
    before = gathered.sales
    sale = _joined_sale(before, told)
    household = _joined_household(gathered, told, sale)
    if household and told.people.claims and household.people.claims > MAX_CLAIMS:
        raise Conflict("Too many unverified sign-ups concern this customer.")
    if sale is None or household is None:
        return Decision(
            household=household,
            settlement=_settle_alone(sale, before, gathered, now=now) if sale else None,
            summary=summarise(sale) if sale else Summary(paid=False),
            before=tuple(before),
        )
    names = {*partners_named(household.people), *(n for s in before for n in s.partners())}
    summary = summarise(sale)
    currencies = {summary.currency or gathered.program.currency} | {
        name.split("|")[1] for part in before for name in part.positions
    }
    partners, balances = read_partners(names, currencies, scope=scope, store=store)
    periods = {name: balance.period for name, balance in balances.items()}
    rolled = [_rolled(part, periods) for part in before]
    standing = replace(joined(rolled, sale), owner=_owner(sale), household=household.id)
    place = _pointer(sale, summary, standing, household)
    target, enough = _target(sale, summary, place, gathered, household, partners)
    settlement = settle(
        standing,
        summary=summary,
        target=target,
        program=gathered.program,
        periods=periods,
        possible_duplicate=_duplicate(sale, summary, household, scope, store),
        release=release,
        now=now,
    )
    return Decision(
        household=household,
        settlement=settlement,
        summary=summary,
        pointer=place,
        before=tuple(rolled),
        periods=periods,
        enough=enough,
    )


def _joined_sale(before: list[SettledSale], told: Told) -> Sale | None:
    if told.sale is None:
        return None
    sale = told.sale
    for part in before:
        sale = part.sale.join(sale)
    return sale


def _owner(sale: Sale) -> Identity:
    if sale.identities:
        return sale.owner_identity()
    named = [touch.identity for touch in sale.touches.values() if touch.identity]
    return min(named, default="")


def _joined_household(gathered: Gathered, told: Told, sale: Sale | None) -> Household | None:
    """The households that hang together by now, as one; a new one where there is none yet."""
    stored = [s.household for s in gathered.households]
    identities = told.people.identities()
    if not stored and not identities:
        return None
    if stored:
        main = max(stored, key=lambda h: (len(h.people.identities()), h.id))
        household = main
        for other in stored:
            household = household.join(other) if other is not main else household
    else:
        household = Household(id=min(identities))
    if household.id not in household.parts:
        household = replace(household, parts=(household.id, *household.parts))
    told_people = without_repeats(told.people, household.people)
    household = replace(household, people=household.people.join(told_people))
    return _bridged(household, sale) if sale else household


def without_repeats(told: People, known: People) -> People:
    """Without metadata touches that only say again what an earlier one of the same person said:
    a subscription's metadata comes with each of its invoices, for years."""

    def repeats(touch: Touch) -> bool:
        return touch.way is Way.METADATA and any(
            t.way is touch.way
            and (t.partner, t.identity) == (touch.partner, touch.identity)
            and t.at <= touch.at - METADATA_REPEATS_MS
            for t in known.touches.values()
        )

    kept = {i: t for i, t in told.touches.items() if i in known.touches or not repeats(t)}
    return replace(told, touches=kept)


def _bridged(household: Household, sale: Sale) -> Household:
    """The identities that one sale names are one person's, even if no event named them
    together."""
    people = household.people
    named = sorted({*sale.identities, *(t.identity for t in sale.touches.values() if t.identity)})
    if len(named) < 2:
        return household
    owner = _owner(sale)
    together = person_of(people, owner).identities
    ties = [
        edge(owner, other, Bond.STRIPE_EMAIL, LAST_BRIDGE_AT)
        for other in named
        if other not in together
    ]
    fresh = {tie.id: tie for tie in ties if tie.id not in people.edges}
    return replace(household, people=replace(people, edges={**people.edges, **fresh}))


def _rolled(part: SettledSale, periods: dict[str, int]) -> SettledSale:
    """The sale with what payouts have paid since moved from payable to paid."""
    positions = {n: p.in_period(periods.get(n, 0)) for n, p in part.positions.items()}
    return replace(part, positions=positions)


def _pointer(
    sale: Sale, summary: Summary, standing: SettledSale, household: Household
) -> SalePointer | None:
    if not summary.paid:
        return None
    person = person_of(household.people, standing.owner)
    out = sale.keep_out or kept_out(household.people, person.identities, summary.paid_at)
    return SalePointer(
        sale=sale.canonical,
        paid_at=summary.paid_at,
        owner=standing.owner,
        amount=summary.amount,
        currency=summary.currency,
        counts=summary.counts and not out,
        merchant_only=sale.only_told_by_merchant,
        touches=tuple(sorted(sale.touches)),
    )


def _target(
    sale: Sale,
    summary: Summary,
    place: SalePointer | None,
    gathered: Gathered,
    household: Household,
    partners: dict[str, Partner],
) -> tuple[Target, bool]:
    """The target of the sale, and whether enough of the customer's sales were read for it."""
    person = person_of(household.people, _owner(sale))
    pointers = [p for p in gathered.pointers() if p.sale not in sale.ids]
    if place is not None:
        pointers.append(place)
    payments = [
        Payment(sale=p.sale, paid_at=p.paid_at, touches=frozenset(p.touches))
        for p in sorted(pointers, key=lambda p: p.place)
        if p.counts and p.owner in person.identities
    ]
    case = Case(
        people=household.people,
        person=person,
        program=gathered.program,
        partners=partners,
        payments=payments,
    )
    own = Payment(sale=sale.canonical, paid_at=summary.paid_at, touches=frozenset(sale.touches))
    referral: Referral = NoCredit(because="not paid")
    if summary.paid:
        referral = referral_of_sale(case, own)
    counted = credited_payments(case, referral) if isinstance(referral, Credit) else []
    partner = partners.get(referral.partner) if isinstance(referral, Credit) else None
    target = reward_target(
        sale,
        summary,
        referral=referral,
        standing=standing_of(own, counted),
        program=gathered.program,
        partner=partner,
        kept_out=kept_out(household.people, person.identities, summary.paid_at),
    )
    rule = gathered.program.terms(summary.paid_at).reward
    if partner is not None:
        rule, _ = partner.rule(summary.paid_at, rule)
    needed = rule.count if rule.lasts == "payments" else 1
    others = [payment for payment in payments if payment.sale != own.sale]
    return target, len(counted) > needed if counted else bool(others)


def _duplicate(
    sale: Sale, summary: Summary, household: Household, scope: Scope, store: Store
) -> bool:
    """Whether a sale told by the merchant alone stands beside one of Stripe's like it."""
    if not sale.only_told_by_merchant or not summary.paid:
        return False
    near = pointers_near(
        household,
        since=summary.paid_at - DUPLICATE_WITHIN_MS,
        until=summary.paid_at + DUPLICATE_WITHIN_MS,
        scope=scope,
        store=store,
    )
    mine = person_of(household.people, _owner(sale)).identities
    others = [
        (p.sale, p.amount, p.currency, p.paid_at, p.merchant_only) for p in near if p.owner in mine
    ]
    return may_be_duplicate(sale, summary, others)


def _settle_alone(
    sale: Sale, before: list[SettledSale], gathered: Gathered, *, now: Ms
) -> Settlement:
    """A sale of nobody we know: it stands, with its reason, and waits."""
    summary = summarise(sale)
    target = reward_target(
        sale,
        summary,
        referral=NoCredit(because="no customer is known for this payment"),
        standing=standing_of(Payment(sale=sale.canonical, paid_at=summary.paid_at), []),
        program=gathered.program,
        partner=None,
        kept_out=False,
    )
    return settle(
        joined(before, sale),
        summary=summary,
        target=target,
        program=gathered.program,
        periods={},
        possible_duplicate=False,
        release=False,
        now=now,
    )
