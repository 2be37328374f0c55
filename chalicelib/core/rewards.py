"""What a sale should earn: a pure function of the sale, its standing and the terms as they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from chalicelib.core.attribution import Considered, Credit, Payment, Referral
from chalicelib.core.facts import Ms
from chalicelib.core.money import Money, round_half_away
from chalicelib.core.program import Partner, Program, Rule, Terms
from chalicelib.core.sale import Sale, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A sale's place among the referral's counting payments: ``number`` from 1, and when the
    first of them was paid."""

    number: int
    first_paid_at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a sale's reward should be, to whom, and why; ``partner`` is empty for nobody."""

    partner: str
    amount_minor: int
    currency: str
    because: str
    trace: tuple[Considered, ...] = ()


def standing_of(payment: Payment, earlier_and_own: Sequence[Payment]) -> Standing:
    """The place of a payment among the referral's payments up to it, ties broken by id."""
    ordered = sorted([*earlier_and_own], key=lambda p: (p.paid_at, p.sale))
    number = 1 + sum(1 for p in ordered if (p.paid_at, p.sale) < (payment.paid_at, payment.sale))
    first = ordered[0].paid_at if ordered else payment.paid_at
    return Standing(number=number, first_paid_at=min(first, payment.paid_at))


def reward_target(
    sale: Sale,
    summary: Summary,
    *,
    referral: Referral,
    standing: Standing,
    program: Program,
    partner: Partner | None,
    kept_out: bool,
) -> Target:
    """The target of one sale. Everything is read as of the time of payment; the amount is that of
    what is left of the sale, rounded once."""
    terms = program.terms(summary.paid_at)
    nothing = _why_nothing(sale, summary, referral, partner, kept_out, terms)
    if nothing or partner is None or not isinstance(referral, Credit):
        return Target(
            partner="",
            amount_minor=0,
            currency=summary.currency or program.currency,
            because=nothing,
            trace=(*referral.trace, _line("this sale", "nothing", nothing)),
        )
    rule, whose = partner.rule(summary.paid_at, terms.reward)
    refused = _outside_rule(rule, summary, standing)
    amount = 0 if refused else _amount(rule, summary, terms)
    because = refused or _because(referral, rule, summary, standing)
    verdict = f"{Money(amount, summary.currency).decimal()} {summary.currency}"
    return Target(
        partner=referral.partner,
        amount_minor=amount,
        currency=summary.currency,
        because=because,
        trace=(
            *referral.trace,
            _line(f"{whose}: {rule.words()}", "nothing" if refused else verdict, because),
        ),
    )


def _why_nothing(
    sale: Sale,
    summary: Summary,
    referral: Referral,
    partner: Partner | None,
    kept_out: bool,
    terms: Terms,
) -> str:
    if not summary.paid:
        return "not paid"
    if sale.keep_out or kept_out:
        return "kept out by metadata refledger=false"
    if not isinstance(referral, Credit) or partner is None:
        return referral.because
    if partner.status(summary.paid_at) != "active":
        return f"the partner was {partner.status(summary.paid_at)} at the time of payment"
    if summary.amount == 0:
        return "nothing was paid"
    if terms.paid_outside_stripe == "ignore" and summary.outside >= summary.amount:
        return "paid outside Stripe, which this program does not count"
    return ""


def _outside_rule(rule: Rule, summary: Summary, standing: Standing) -> str:
    """Why the rule gives this sale nothing, or an empty string."""
    if rule.kind == "fixed" and summary.currency not in rule.amounts_minor:
        return f"no fixed reward is set for {summary.currency}"
    minimum = rule.minimum_minor.get(summary.currency, 0)
    if summary.amount < minimum:
        return f"below the minimum sale of {Money(minimum, summary.currency).decimal()}"
    limit = {"first": 1, "payments": rule.count}.get(rule.lasts)
    if limit is not None and standing.number > limit:
        return f"after payment {limit}, with which the rule ends"
    if rule.lasts == "months":
        end = add_months(standing.first_paid_at, rule.count)
        if summary.paid_at >= end:
            return f"later than {rule.count} months after the first payment"
    return ""


def _amount(rule: Rule, summary: Summary, terms: Terms) -> int:
    counted = Fraction(1)
    if terms.paid_outside_stripe == "ignore" and summary.amount:
        counted = Fraction(summary.amount - summary.outside, summary.amount)
    if rule.kind == "fixed":
        whole = Fraction(rule.amounts_minor[summary.currency])
    else:
        base = Fraction(summary.amount) if rule.of == "gross" else summary.net
        whole = base * rule.rate_basis_points / 10_000
    return round_half_away(whole * counted * summary.left)


def _because(referral: Credit, rule: Rule, summary: Summary, standing: Standing) -> str:
    parts = [referral.because, rule.words()]
    if rule.lasts == "payments":
        parts.append(f"payment {standing.number} of {rule.count}")
    if summary.taken_back:
        taken = Money(summary.taken_back, summary.currency).decimal()
        parts.append(f"less {taken} taken back")
    return "; ".join(parts)


def _line(considered: str, verdict: str, because: str) -> Considered:
    return Considered(considered=considered, verdict=verdict, because=because)


def add_months(at: Ms, months: int) -> Ms:
    """The same day and time some months on, or the month's last day where it has no such day."""
    moment = datetime.fromtimestamp(at // 1000, tz=UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    for day in (moment.day, 30, 29, 28):
        try:
            later = moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
        return int(later.timestamp()) * 1000 + at % 1000
    raise AssertionError("every month has 28 days")
