"""Deciding a booking on what was read: who is credited, what the sale should earn, what moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.core.attribution import (
    Case,
    Credit,
    NoCredit,
    Payment,
    Referral,
    credited_payments,
    partners_named,
    referral_of,
    referral_of_sale,
    touches_of,
)
from chalicelib.core.facts import Identity, Ms
from chalicelib.core.people import (
    MAX_CLAIMS,
    MAX_SEEN_CLAIMS,
    Household,
    SalePointer,
    emails_told,
    kept_out,
    person_of,
    profile_of,
)
from chalicelib.core.program import Partner
from chalicelib.core.refusals import Conflict
from chalicelib.core.rewards import Target, reward_target, standing_of
from chalicelib.core.sale import DUPLICATE_WITHIN_MS, Sale, Summary, summarise
from chalicelib.core.settlement import SettledSale, Settlement, joined, may_be_duplicate, settle
from chalicelib.core.told import Reference, Told
from chalicelib.flows.gather import Gathered, pointers_near, read_partners
from chalicelib.flows.join_facts import joined_household, joined_sale, owner_of
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a booking decided. ``before`` are the sales as stored, payouts rolled forward.
    ``enough`` says that the customer's sales that were read suffice; ``still_bound`` that the
    customer was credited to a partner before and still is. ``references`` name keys that no
    customer of the merchant's has, with the version at which each was read; ``unknown_partners``
    are keys that its touches name and no partner has."""

    household: Household | None = None
    settlement: Settlement | None = None
    summary: Summary = field(default_factory=lambda: Summary(paid=False))
    pointer: SalePointer | None = None
    before: tuple[SettledSale, ...] = ()
    periods: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[Reference, int] = field(default_factory=dict)
    enough: bool = True
    still_bound: bool = False
    unknown_partners: frozenset[str] = frozenset()


def decide(
    told: Told, gathered: Gathered, scope: Scope, store: BookStore, *, now: Ms, release: bool
) -> Decision:
    """The whole decision on what was read; reads on for partners and balances, whose names only
    the household knows."""
    before = gathered.sales
    sale = joined_sale(before, told)
    household = joined_household(gathered, told, sale)
    if household and told.people.claims:
        _refuse_flood(told, household)
    if sale is None or household is None:
        named = partners_named(household.people) if household else frozenset[str]()
        known, _ = read_partners(named, [], scope=scope, store=store)
        return Decision(
            household=household,
            unknown_partners=named - known.keys(),
            settlement=_settle_alone(sale, before, gathered, now=now, release=release)
            if sale
            else None,
            summary=summarise(sale) if sale else Summary(paid=False),
            before=tuple(before),
        )
    names = {*partners_named(household.people), *(n for s in before for n in s.partners())}
    names |= {touch.partner for touch in sale.touches.values()}
    summary = summarise(sale)
    currencies = {summary.currency or gathered.program.currency} | {
        name.split("|")[1] for part in before for name in part.positions
    }
    partners, balances = read_partners(names, currencies, scope=scope, store=store)
    periods = {name: balance.period for name, balance in balances.items()}
    rolled = [_rolled(part, periods) for part in before]
    standing = replace(joined(rolled, sale), owner=owner_of(sale), household=household.id)
    duplicate = _duplicate(sale, summary, household, scope, store)
    place = _pointer(sale, summary, standing, household, duplicate=duplicate)
    case = _case(sale, place, gathered, household, partners)
    target, enough = _target(sale, summary, case)
    settlement = settle(
        standing,
        summary=summary,
        target=target,
        program=gathered.program,
        periods=periods,
        possible_duplicate=duplicate,
        release=release,
        now=now,
        unknown_owner=_unknown(household, standing.owner),
    )
    return Decision(
        household=household,
        settlement=settlement,
        summary=summary,
        pointer=place,
        before=tuple(rolled),
        periods=periods,
        enough=enough,
        still_bound=_still_bound(case, gathered, household),
        unknown_partners=frozenset(names - partners.keys()),
    )


def _unknown(household: Household, owner: Identity) -> bool:
    """Whether nothing is known of a customer of Stripe's but its id."""
    people = household.people
    if not owner.startswith("stripe:cus_"):
        return False
    person = person_of(people, owner)
    return not (person.key or emails_told(people, person) or profile_of(people, person))


def _refuse_flood(told: Told, household: Household) -> None:
    """Raises ``Conflict`` when too many unverified sign-ups concern one set of people."""
    seen = any(touch.click_at is not None for touch in told.people.touches.values())
    if household.people.claims > (MAX_SEEN_CLAIMS if seen else MAX_CLAIMS):
        raise Conflict("Too many unverified sign-ups concern this customer.")


def _rolled(part: SettledSale, periods: dict[str, int]) -> SettledSale:
    """The sale with what payouts have paid since moved from payable to paid."""
    positions = {n: p.in_period(periods.get(n, 0)) for n, p in part.positions.items()}
    return replace(part, positions=positions)


def _pointer(
    sale: Sale,
    summary: Summary,
    standing: SettledSale,
    household: Household,
    *,
    duplicate: bool,
) -> SalePointer | None:
    """Where the sale stands among its customer's. A possible duplicate does not count until it is
    confirmed: it may be the very payment that follows it."""
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
        counts=summary.counts and not out and (sale.confirmed or not duplicate),
        merchant_only=sale.only_told_by_merchant,
        touches=tuple(sorted(sale.touches)),
    )


def _case(
    sale: Sale,
    place: SalePointer | None,
    gathered: Gathered,
    household: Household,
    partners: dict[str, Partner],
) -> Case:
    """What the sale's referral is decided from. Its own touches count even where the household
    keeps them no more."""
    person = person_of(household.people, owner_of(sale))
    pointers = [p for p in gathered.pointers() if p.sale not in sale.ids]
    if place is not None:
        pointers.append(place)
    payments = [
        Payment(sale=p.sale, paid_at=p.paid_at, touches=frozenset(p.touches))
        for p in sorted(pointers, key=lambda p: p.place)
        if p.counts and p.owner in person.identities
    ]
    kept = household.people.touches
    own_touches = {id: touch for id, touch in sale.touches.items() if id not in kept}
    return Case(
        people=replace(household.people, touches={**kept, **own_touches}),
        person=person,
        program=gathered.program,
        partners=partners,
        payments=payments,
        emails=frozenset(i[6:] for i in sale.identities if i.startswith("email:")),
    )


def _still_bound(case: Case, gathered: Gathered, household: Household) -> bool:
    """Whether the customer was credited to a partner before, and is so still, for all sales."""
    main = [s.household.people for s in gathered.households if s.household.id == household.id]
    first = case.payments[0].paid_at if case.payments else 0
    if not main or "transaction" in case.program.ever("crediting"):
        return False
    stood = [
        Payment(sale=p.sale, paid_at=p.paid_at, touches=frozenset(p.touches))
        for p in gathered.pointers()
        if p.counts and p.owner in case.person.identities
    ]
    before = referral_of(replace(case, people=main[0], payments=stood))
    after = referral_of(case)
    soon = _in_seconds(first) + min(case.program.ever("late_evidence_hours")) * 3_600_000
    return (
        isinstance(before, Credit)
        and isinstance(after, Credit)
        and _in_seconds(after.since) <= soon  # no sale stands before the referral
        and (before.partner, before.because, before.since)
        == (after.partner, after.because, after.since)
    )


def _target(sale: Sale, summary: Summary, case: Case) -> tuple[Target, bool]:
    """The target of the sale, and whether enough of the customer's sales were read for it."""
    own = Payment(sale=sale.canonical, paid_at=summary.paid_at, touches=frozenset(sale.touches))
    whole, case = case, _without_later_evidence(case, own)
    referral: Referral = NoCredit(because="not paid")
    if summary.paid:
        referral = referral_of_sale(case, own)
    counted = credited_payments(case, referral) if isinstance(referral, Credit) else []
    partner = case.partners.get(referral.partner) if isinstance(referral, Credit) else None
    target = reward_target(
        sale,
        summary,
        referral=referral,
        standing=standing_of(own, counted),
        program=case.program,
        partner=partner,
        kept_out=kept_out(case.people, case.person.identities, summary.paid_at),
    )
    rule = case.program.terms(summary.paid_at).reward
    if partner is not None:
        rule, _ = partner.rule(summary.paid_at, rule)
    needed = rule.count if rule.lasts == "payments" else 1
    others = [payment for payment in case.payments if payment.sale != own.sale]
    enough = len(counted) > needed if counted else bool(others)
    if "accept" in case.program.ever("existing_customers"):
        placed = {id for payment in case.payments for id in payment.touches}
        enough = enough and not any(t.sale and t.id not in placed for t in touches_of(whole))
    return target, enough


def _without_later_evidence(case: Case, own: Payment) -> Case:
    """The case as far as it can concern this sale: what happened longer after the payment than late
    evidence may take neither wins it nor explains it. So a sale reads the same whether it was told
    before or after its customer came back, and need not be settled again when he does."""
    hours = case.program.terms(own.paid_at).late_evidence_hours
    until = _in_seconds(own.paid_at) + hours * 3_600_000
    paid_at = {id: p.paid_at for p in reversed(case.payments) for id in p.touches}
    touches = {
        id: touch
        for id, touch in case.people.touches.items()
        if _in_seconds(min(touch.happened, paid_at.get(id, touch.happened))) <= until
    }
    return replace(case, people=replace(case.people, touches=touches))


def _in_seconds(at: Ms) -> Ms:
    return at - at % 1000


def _duplicate(
    sale: Sale, summary: Summary, household: Household, scope: Scope, store: BookStore
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
    mine = person_of(household.people, owner_of(sale)).identities
    others = [
        (p.sale, p.amount, p.currency, p.paid_at, p.merchant_only) for p in near if p.owner in mine
    ]
    return may_be_duplicate(sale, summary, others)


def _settle_alone(
    sale: Sale, before: list[SettledSale], gathered: Gathered, *, now: Ms, release: bool
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
        release=release,
        now=now,
    )
