"""What the API answers, in Partnero's resource shapes; exact amounts in ``…_minor`` beside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.core.money import Money, round_half_away
from chalicelib.core.names import Ms
from chalicelib.core.program import DEFAULTS, Dated, Partner, Program, Rule

if TYPE_CHECKING:
    from chalicelib.core.ledger import Entry
    from chalicelib.flows.show_people import ShownCustomer, ShownPartner, ShownPerson
    from chalicelib.flows.show_sales import ShownReward, ShownSale
    from chalicelib.storage.records import Balance, Payout

Shape = dict[str, Any]


def moment(at: Ms) -> str | None:
    """A moment as ISO 8601 in UTC; None for none."""
    if not at:
        return None
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def partner_name(partner: Partner | None) -> Shape | None:
    if partner is None:
        return None
    return {"id": partner.id, "key": partner.key, "email": partner.email}


def partner(shown: ShownPartner, *, program: Program, now: Ms) -> Shape:
    known = shown.partner
    return {
        **(partner_name(known) or {}),
        "name": known.name,
        "surname": known.surname,
        "tags": list(known.tags),
        "status": known.status(now),
        "reward": _own_reward(known, now),
        "reward_history": [_own_rule(dated) for dated in known.rewards],
        "status_history": [
            {"value": dated.value, "starts_on": moment(dated.starts)} for dated in known.statuses
        ],
        "referral_link": referral_link(known, program),
        "balances": {
            currency: balance(held)
            for currency, held in sorted({program.currency: None, **shown.balances}.items())
        },
        "clicks": shown.clicks,
        "created_at": moment(known.created_at),
    }


def referral_link(known: Partner, program: Program) -> str:
    return f"{program.website.url.rstrip('/')}/?{program.website.parameters[0]}={known.key}"


def balance(held: Balance | None) -> Shape:
    """None: nothing was ever booked."""
    return {
        "pending_minor": held.pending if held else 0,
        "payable_minor": held.payable if held else 0,
        "paid_minor": held.paid if held else 0,
    }


def _own_reward(known: Partner, now: Ms) -> Shape | None:
    """The override that holds now; None where the program's rule does."""
    holding = [dated for dated in known.rewards if dated.starts <= now]
    newest = max(holding, key=lambda dated: dated.starts, default=None)
    return _own_rule(newest) if newest and newest.value else None


def _own_rule(dated: Dated) -> Shape:
    own = rule(dated.value) if dated.value else {"type": "program"}
    return {**own, "starts_on": moment(dated.starts)}


def rule(known: Rule) -> Shape:
    """A reward rule in the shape in which it is sent."""
    shape: Shape = {"type": known.kind, "lasts": known.lasts}
    if known.kind == "percentage":
        shape |= {"rate_basis_points": known.rate_basis_points, "of": known.of}
    else:
        shape["amounts_minor"] = dict(known.amounts_minor)
    if known.count:
        shape["count"] = known.count
    if known.minimum_minor:
        shape["minimum_minor"] = dict(known.minimum_minor)
    return {**shape, "words": known.words()}


def program(known: Program, *, now: Ms, snippet: str) -> Shape:
    terms = known.terms(now)
    settings = {name: getattr(terms, name) for name in DEFAULTS}
    settings["reward"] = rule(terms.reward)
    return {
        "id": known.id,
        "name": known.name,
        "type": known.kind,
        "currency": known.currency,
        "mode": known.mode,
        **settings,
        "history": {
            name: [
                {
                    "value": rule(d.value) if isinstance(d.value, Rule) else d.value,
                    "starts_on": moment(d.starts),
                }
                for d in known.settings.get(name, ())
            ]
            for name in DEFAULTS
        },
        "website": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in _website(known).items()
        },
        "snippet": snippet,
        "created_at": moment(known.created_at),
    }


def _website(known: Program) -> Shape:
    website = known.website
    return {name: getattr(website, name) for name in website.__slots__}


def customer_name(shown: ShownPerson | None) -> Shape | None:
    if shown is None:
        return None
    return {"id": shown.id, "key": customer_key(shown), "email": customer_email(shown)}


def customer_key(shown: ShownPerson) -> str:
    """The merchant's key; for one he has not made, Stripe's id or the e-mail."""
    return shown.person.key or shown.person.main.split(":", 1)[1]


def customer_email(shown: ShownPerson) -> str | None:
    if shown.profile and shown.profile.email:
        return shown.profile.email
    return min(shown.person.emails, default=None)


def customer(shown: ShownCustomer) -> Shape:
    profile, referral = shown.profile, shown.referral
    at = moment(getattr(referral, "since", 0))  # that nobody is credited has no time
    return {
        **(customer_name(shown) or {}),
        "name": profile.name if profile else "",
        "tags": list(profile.tags) if profile else [],
        "partner": partner_name(shown.partner),
        "referral": {"because": referral.because, "at": at, "trace": trace(referral.trace)},
        "stripe_customer_ids": list(shown.person.stripe_ids),
        "created_at": moment(shown.created_at),
    }


def trace(lines: Any) -> list[Shape]:
    return [
        {"considered": line.considered, "verdict": line.verdict, "because": line.because}
        for line in lines
    ]


def reward(shown: ShownReward) -> Shape:
    return {
        "id": shown.id,
        "partner": {"id": shown.partner_id, "key": shown.partner},
        "transaction": shown.sale.removeprefix("tx:"),
        "amount": Money(shown.position.total, shown.currency).decimal(),
        "amount_minor": shown.position.total,
        "currency": shown.currency,
        "status": shown.position.status(),
        "because": shown.because,
        "paid_at": moment(shown.paid_at),
    }


def transaction(shown: ShownSale) -> Shape:
    settled, summary = shown.settled, shown.summary
    currency = summary.currency or "eur"
    api = sorted(id[4:] for id in settled.sale.views if id.startswith("api:"))
    canonical = settled.sale.canonical
    return {
        "key": api[0] if api else canonical.removeprefix("tx:"),
        "ids": sorted(id.removeprefix("tx:") for id in settled.sale.ids),
        "amount": Money(summary.amount, currency).decimal(),
        "amount_minor": summary.amount,
        "amount_units": currency,
        "net_minor": round_half_away(summary.net),
        "currency": currency,
        "refunded_minor": summary.refunded,
        "disputed": summary.dispute_open or summary.dispute_lost,
        "paid_at": moment(summary.paid_at),
        "customer": customer_name(shown.customer),
        "partner": partner_name(shown.partner),
        "rewards": [reward(r) for r in shown.rewards],
        "because": settled.because,
        "held": settled.held or None,
        "possible_duplicate": settled.possible_duplicate,
        "trace": trace(settled.trace),
    }


def entry(known: Entry) -> Shape:
    return {
        "id": f"{known.at}~{known.id}",
        "at": moment(known.at),
        "kind": known.kind,
        "currency": known.currency,
        "because": known.because,
        "transaction": known.sale.removeprefix("tx:") or None,
        "payout": known.payout or None,
        "postings": [
            {"account": posting.account, "amount_minor": posting.minor}
            for posting in known.postings
        ],
    }


def payout(known: Payout, partner: Partner) -> Shape:
    return {
        "key": known.key,
        "partner": partner_name(partner),
        "currency": known.currency,
        "amount": Money(known.amount_minor, known.currency).decimal(),
        "amount_minor": known.amount_minor,
        "paid_at": moment(known.at),
    }
