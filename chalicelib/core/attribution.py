"""Who brought a customer: a pure function of touches, conversions and the settings as they were.

The order in which evidence is believed (``docs/decisions/0004-referral.md`` has the reasons):

1. verified touches up to the earliest conversion, by first or last click;
2. verified touches after it, up to the first payment: the earliest;
3. unverified sign-ups whose click was seen, no later than the first payment: the earliest;
4. verified touches within the late evidence hours after the first payment: the earliest;
5. unverified sign-ups whose click was not seen, if there is no other evidence at all;
6. where existing customers are accepted, any later verified touch: the earliest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chalicelib.core.facts import Ms, SaleId, Touch, Way
from chalicelib.core.people import People, Person, emails_told, kept_out, known_before
from chalicelib.core.program import Partner, Program, Terms

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One line of a trace: what was looked at, what came of it, and why."""

    considered: str
    verdict: str
    because: str
    at: Ms = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A partner (by lower-case key) is credited, from ``since`` on."""

    partner: str
    because: str
    since: Ms
    trace: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCredit:
    """Nobody is credited."""

    because: str
    trace: tuple[Considered, ...] = ()


Referral = Credit | NoCredit


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One sale of the person that counts, as far as a referral needs to know it. ``touches`` are
    the ids of the evidence that stands on the payment itself."""

    sale: SaleId
    paid_at: Ms
    touches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a referral is decided from. ``payments`` are the person's earliest counting
    sales, in order. ``partners`` are by lower-case key; a key that is missing is unknown.
    ``emails`` stand on the sale itself, whoever they belong to."""

    people: People
    person: Person
    program: Program
    partners: Mapping[str, Partner]
    payments: Sequence[Payment]
    emails: frozenset[str] = frozenset()


def touches_of(case: Case) -> list[Touch]:
    """The person's touches, in the order in which they happened; evidence that stands on a payment
    counts as of that payment, however late it came."""
    paid_at: dict[str, Ms] = {}
    for payment in case.payments:
        for id in payment.touches:
            paid_at[id] = min(payment.paid_at, paid_at.get(id, payment.paid_at))
    mine = [
        replace(touch, at=min(touch.at, paid_at.get(touch.id, touch.at)))
        for touch in case.people.touches.values()
        if touch.identity in case.person.identities
    ]
    ordered = sorted(mine, key=_click_order)
    return [t for n, t in enumerate(ordered) if not _repeats(t, ordered[:n], case.program)]


def _repeats(touch: Touch, earlier: Sequence[Touch], program: Program) -> bool:
    """Metadata that says again what it said on an earlier payment (a subscription's stands on
    each of its invoices) adds nothing where the customer is credited once and for all."""
    return (
        touch.way is Way.METADATA
        and program.terms(touch.at).crediting == "customer"
        and any(t.way is touch.way and t.partner == touch.partner for t in earlier)
    )


def partners_named(people: People) -> frozenset[str]:
    """The partner keys (lower case) that any touch names: whom to read before deciding."""
    return frozenset(touch.partner for touch in people.touches.values())


def referral_of(case: Case) -> Referral:
    """The referral that binds the customer (crediting ``customer``)."""
    first = case.payments[0] if case.payments else None
    conversions = [
        c for c in case.people.conversions.values() if c.identity in case.person.identities
    ]
    verified = [c.at for c in conversions if c.verified] + [p.paid_at for p in case.payments[:1]]
    return _decide(case, converted_at=min(verified, default=None), first=first)


def referral_of_sale(case: Case, payment: Payment) -> Referral:
    """The referral of one sale: the customer's where that is what the program credits, else
    decided anew for this sale. The trace leaves out what happened after the sale, unless it won or
    might have."""
    terms = case.program.terms(payment.paid_at)
    until = _whole(payment.paid_at) + terms.late_evidence_hours * HOUR_MS
    if terms.crediting == "transaction":
        referral = _decide(case, converted_at=payment.paid_at, first=payment)
    else:
        referral = referral_of(case)
    seen_by = _whole(payment.paid_at) if isinstance(referral, Credit) else until
    trace = tuple(
        line for line in referral.trace if line.verdict == "won" or _whole(line.at) <= seen_by
    )
    if isinstance(referral, Credit) and until < _whole(referral.since):
        return NoCredit(because="paid before the referral", trace=trace)
    return replace(referral, trace=trace)


def credited_payments(case: Case, credit: Credit) -> list[Payment]:
    """Those of the person's payments that the same partner is credited for, in order."""
    bound: Referral | None = None
    credited = []
    for payment in case.payments:
        terms = case.program.terms(payment.paid_at)
        if terms.crediting == "transaction":
            referral = _decide(case, converted_at=payment.paid_at, first=payment)
        else:
            bound = bound or referral_of(case)
            referral = bound
        until = _whole(payment.paid_at) + terms.late_evidence_hours * HOUR_MS
        if (
            isinstance(referral, Credit)
            and referral.partner == credit.partner
            and until >= _whole(referral.since)
        ):
            credited.append(payment)
    return credited


def _decide(case: Case, *, converted_at: Ms | None, first: Payment | None) -> Referral:
    touches = touches_of(case)
    if not touches:
        return NoCredit(
            because="nobody brought this customer: no click, sign-up, reference or metadata"
        )
    terms = case.program.terms(_moment(converted_at, touches))
    ballot = _Ballot(case, terms, touches, converted_at, first)
    refused = ballot.existing_customer()
    winner = None if refused else ballot.winner()
    if winner is None:
        because = refused or ballot.why_nobody()
        return NoCredit(because=because, trace=ballot.trace(None, because))
    because = ballot.why(winner)
    return Credit(
        partner=winner.partner,
        because=because,
        since=winner.happened,
        trace=ballot.trace(winner, because),
    )


def _moment(converted_at: Ms | None, touches: Sequence[Touch]) -> Ms:
    return converted_at if converted_at is not None else touches[0].at


class _Ballot:
    """One decision: each touch refused with a reason, or eligible, and the rounds of belief."""

    def __init__(
        self,
        case: Case,
        terms: Terms,
        touches: Sequence[Touch],
        converted_at: Ms | None,
        first: Payment | None,
    ) -> None:
        self.case, self.terms, self.touches = case, terms, touches
        self.opening = case.payments[0] if case.payments else first
        self.converted_at = converted_at
        self.paid_at = _whole(first.paid_at) if first else None
        self.late = terms.late_evidence_hours * HOUR_MS
        self.emails = emails_told(case.people, case.person) | case.emails
        self.refusals = {t.id: why for t in touches if (why := self._refusal(t))}
        self.eligible = [t for t in touches if t.id not in self.refusals]

    def _refusal(self, touch: Touch) -> str:
        """Why a touch can win nothing, or an empty string."""
        partner = self.case.partners.get(touch.partner)
        if partner is None:
            return f"no partner has the key {touch.partner}"
        moment = max(touch.at, self.converted_at or 0)
        if partner.status(moment) != "active":
            return f"the partner was {partner.status(moment)} at the time"
        if self.emails & partner.emails_by(moment):
            return "self-referral: same e-mail"
        started = touch.happened if touch.click_at is None else touch.click_at
        days = (_whole(moment) - _whole(started)) / DAY_MS
        if days > self.terms.window_days:
            return f"{int(days)} days before, outside the window of {self.terms.window_days} days"
        if not touch.verified and self._known_before(touch):
            return "the customer was known before this unverified sign-up"
        return ""

    def _known_before(self, touch: Touch) -> bool:
        people, person = self.case.people, self.case.person
        if any(known_before(people, identity, touch.at) for identity in person.identities):
            return True
        return self.opening is not None and _whole(self.opening.paid_at) < _whole(touch.at)

    def existing_customer(self) -> str:
        """Why a customer who had paid long before anybody brought him earns nobody anything."""
        opening = self.opening
        if self.terms.existing_customers == "accept" or opening is None:
            return ""
        if any(touch.id in opening.touches for touch in self.touches):
            return ""
        earliest = min(_whole(touch.happened) for touch in self.touches)
        if earliest <= _whole(opening.paid_at) + self.late:
            return ""
        return f"existing customer: first paid on {day(opening.paid_at)}, before the first touch"

    def winner(self) -> Touch | None:
        """The rounds of belief, in the module's order; the first that finds a touch ends it."""
        verified = [t for t in self.eligible if t.verified]
        claims = [t for t in self.eligible if not t.verified]
        late = verified if self.terms.existing_customers == "accept" else []
        return (
            self._by_click(t for t in verified if self._before_conversion(t))
            or _earliest(t for t in verified if self._before_payment(t))
            or _first_told(t for t in claims if t.click_at is not None)
            or _earliest(t for t in verified if self._in_time(t))
            or self._only_evidence(claims)
            or _earliest(late)
        )

    def _by_click(self, touches: Iterable[Touch]) -> Touch | None:
        ordered = sorted(touches, key=_click_order)
        if not ordered:
            return None
        return ordered[-1] if self.terms.attribution == "last_click" else ordered[0]

    def _before_conversion(self, touch: Touch) -> bool:
        if self.converted_at is None:
            return False
        return _whole(touch.happened) <= _whole(self.converted_at)

    def _before_payment(self, touch: Touch) -> bool:
        return self.paid_at is None or _whole(touch.happened) <= self.paid_at

    def _in_time(self, touch: Touch) -> bool:
        return self.paid_at is None or _whole(touch.happened) <= self.paid_at + self.late

    def _only_evidence(self, claims: Sequence[Touch]) -> Touch | None:
        known = [t for t in self.touches if t.partner in self.case.partners]
        if any(t.verified or t.click_at is not None for t in known):
            return None
        return _first_told(claims)

    def why(self, winner: Touch) -> str:
        """The winner's reason: how it was chosen, and how old the click was."""
        late = self.paid_at is not None and _whole(winner.happened) > self.paid_at
        click = self.terms.attribution.replace("_", " ")
        told = {
            Way.METADATA: "metadata in Stripe",
            Way.REFERENCE: "checkout reference",
            Way.API: "told by the merchant",
            Way.SIGNUP: "sign-up",
        }[winner.way]
        if winner.token and winner.click_at is None:
            return f"{told}, click not seen"
        if winner.click_at is None:
            return f"{told}, after the payment" if late else told
        moment = max(winner.at, winner.click_at)
        days = max(0, (_whole(moment) - _whole(winner.click_at)) // DAY_MS)
        suffix = ", told after the payment" if late else ""
        return f"{click}, {days} of {self.terms.window_days} days{suffix}"

    def why_nobody(self) -> str:
        for touch in reversed(self.touches):
            if touch.id in self.refusals:
                return self.refusals[touch.id]
        return "no touch came in time"

    def trace(self, winner: Touch | None, because: str) -> tuple[Considered, ...]:
        lines = []
        for touch in self.touches:
            if winner is not None and touch.id == winner.id:
                verdict, why = "won", because
            elif touch.id in self.refusals:
                verdict, why = "refused", self.refusals[touch.id]
            elif winner is None:
                verdict, why = "refused", because
            else:
                verdict, why = "lost", self._why_lost(touch, winner)
            lines.append(
                Considered(
                    considered=_describe(touch), verdict=verdict, because=why, at=touch.happened
                )
            )
        return tuple(lines)

    def _why_lost(self, touch: Touch, winner: Touch) -> str:
        if winner.verified and not touch.verified:
            return "an unverified sign-up gives way to the merchant's server and to Stripe"
        if not self._before_conversion(touch) and self.converted_at is not None:
            return "came after the customer was decided"
        return f"not the {self.terms.attribution.replace('_', ' ')}"


def _earliest(touches: Iterable[Touch]) -> Touch | None:
    return min(touches, key=lambda t: (_whole(t.happened), -t.way, t.at, t.id), default=None)


def _first_told(claims: Iterable[Touch]) -> Touch | None:
    """Of claims the one that was made first: an old click does not help a later sign-up."""
    return min(claims, key=lambda t: (t.at, t.id), default=None)


def _click_order(touch: Touch) -> tuple[Ms, int, Ms, str]:
    """By the click, where it was seen; at the same second the stronger way comes last."""
    clicked = touch.happened if touch.click_at is None else touch.click_at
    return (_whole(clicked), touch.way, touch.at, touch.id)


def _whole(at: Ms) -> Ms:
    """Times are compared in whole seconds; at a tie the touch came first."""
    return at - at % 1000


def _describe(touch: Touch) -> str:
    what = {
        Way.METADATA: "metadata",
        Way.REFERENCE: "checkout reference",
        Way.API: "the merchant's call",
        Way.SIGNUP: "sign-up" if touch.verified else "unverified sign-up",
    }[touch.way]
    return f"{what} of {day(touch.happened)} for {touch.partner}"


def day(at: Ms) -> str:
    """A moment as its UTC day, e.g. ``2026-05-01``."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).date().isoformat()


def is_kept_out(case: Case, at: Ms) -> bool:
    """Whether metadata keeps the person out at that time."""
    return kept_out(case.people, case.person.identities, at)
