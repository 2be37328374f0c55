"""Stories made up by a seed: plots of a few customers, cut into each other, under settings of all
kinds. Two seeds hardly ever give the same."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.program import Rule
from tests.builders.stripe_bodies import (
    a_charge,
    a_customer,
    a_refund,
    a_session,
    an_invoice_payment,
)
from tests.builders.world import day, token
from tests.conformance.pieces import (
    charged,
    credited,
    disputed,
    one_off,
    paid_invoice,
    refunded,
    renewal,
    subscription,
)
from tests.conformance.story import (
    Act,
    Story,
    Tell,
    changes,
    clicks,
    confirms,
    enrols,
    joins,
    pays,
    percent,
    sells,
    sets,
    signs_up,
    takes_back,
)

MOST_TELLS = 22
PARTNERS = ("ann", "bob", "late")
EMAILS = ("sam@example.com", "friend@example.com", "stranger@example.com")
KEYS = ("sam", "friend", "stranger")
AMOUNTS = (4900, 4900, 4900, 990, 1999, 2513, 13_000, 50, 1, 99_999)


@dataclass(slots=True)
class Teller:
    """What is being made up: the next payment's number, and all that was told by now."""

    rng: random.Random
    tells: list[Tell] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    numbers: int = 0
    currencies: tuple[str, ...] = ("eur",)

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def partner(self) -> str:
        return self.rng.choice(("ann", "ann", "bob", "bob", "late"))

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def some(self, tells: list[Tell], chance: float = 0.8) -> None:
        """Most of them: not every account listens to every event. The first is always told."""
        self.tells += [t for n, t in enumerate(tells) if n == 0 or self.maybe(chance)]

    def between(self, low: float, high: float) -> float:
        return round(self.rng.uniform(low, high), 3)


@dataclass(frozen=True, slots=True)
class Who:
    """A buyer: ``number`` is that of the Stripe customer, 0 for a guest."""

    number: int
    email: str
    key: str

    @property
    def customer(self) -> str | None:
        return f"cus_{self.number}" if self.number else None

    def about(self) -> dict[str, Any]:
        return {"customer": self.customer, "email": self.email}

    def invoiced(self) -> dict[str, Any]:
        return {"customer": self.customer or "cus_9", "customer_email": self.email}


def made_up(seed: int) -> Story:
    """The story of a seed."""
    rng = random.Random(f"story {seed}")
    teller = Teller(rng, currencies=rng.choice((("eur",), ("eur",), ("eur", "usd", "jpy"))))
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        if len(teller.tells) < MOST_TELLS - 8:
            rng.choice(PLOTS)(teller, _who(teller), teller.between(0, 40))
    if teller.maybe(0.25):
        _a_late_partner(teller)
    if teller.maybe(0.3):
        _a_change_of_terms(teller)
    paid_out = teller.maybe(0.2)
    if paid_out:
        teller.acts += [pays(teller.between(5, 80)) for _ in range(rng.choice((1, 2)))]
    tells = teller.tells[:MOST_TELLS]
    return Story(
        settings=settings(rng),
        tells=tells,
        acts=sorted(teller.acts, key=lambda act: act.on),
        paid_out=paid_out,
        second=settings(rng) if teller.maybe(0.1) and len(tells) < 14 else None,
    )


def _who(teller: Teller) -> Who:
    """Few people, so that plots meet in one household."""
    n = teller.rng.choice((0, 0, 0, 1, 2))
    number = teller.rng.choice((0, n + 1, n + 1, n + 1, teller.rng.choice((1, 2, 3))))
    email = EMAILS[n] if teller.maybe(0.85) else teller.rng.choice((*EMAILS, "ann@example.com"))
    return Who(number, email, KEYS[n])


def settings(rng: random.Random) -> dict[str, Any]:
    return {
        "attribution": rng.choice(("last_click", "first_click")),
        "crediting": rng.choice(("customer", "customer", "transaction")),
        "window_days": rng.choice((30, 30, 7, 60)),
        "hold_days": rng.choice((30, 30, 0, 2, 45)),
        "existing_customers": rng.choice(("refuse", "refuse", "accept")),
        "late_evidence_hours": rng.choice((72, 72, 0, 24)),
        "reward": a_rule(rng),
    }


def a_rule(rng: random.Random) -> Rule:
    lasts, count = rng.choice(
        (("forever", 0), ("first", 0), ("payments", 2), ("payments", 3), ("months", 1))
    )
    if rng.random() < 0.2:
        amounts = {"eur": rng.choice((500, 1)), "usd": 600}
        return Rule(kind="fixed", amounts_minor=amounts, lasts=lasts, count=count)
    rate = rng.choice((2000, 2000, 1000, 115, 3333, 10_000, 1))
    about: dict[str, Any] = {"of": rng.choice(("net", "net", "gross"))}
    if rng.random() < 0.15:
        about["minimum_minor"] = {"eur": 2000}
    return percent(rate, lasts=lasts, count=count, **about)


# plots


def _brought(teller: Teller, who: Who, on: float) -> tuple[str | None, int]:
    """How somebody comes to a checkout: by a link (its partner and the token's number), by a
    sign-up before, through the merchant's server, or by himself."""
    partner, number = teller.partner(), teller.rng.choice((1, 2, 3, 50 + teller.numbers))
    clicked = max(0, on - teller.rng.choice((0.01, 0.5, 3, 29.5, 31)))
    if teller.maybe(0.5):
        teller.acts.append(
            clicks(teller.rng.choice((clicked, clicked, on + 0.02)), partner, number)
        )
    match teller.rng.choice(("link", "link", "link", "sign-up", "server", "alone")):
        case "sign-up":
            about = {"email": who.email} if teller.maybe(0.8) else {}
            signed = teller.maybe(0.3)
            at = max(0, on - teller.rng.choice((0.001, 0.2, 2)))
            teller.acts.append(signs_up(at, who.key, partner, number, signed=signed, **about))
            return None, 0
        case "server":
            _told_by_server(teller, who, on, partner, number)
            return None, 0
        case "alone":
            return None, 0
    return partner, number


def _told_by_server(teller: Teller, who: Who, on: float, partner: str, number: int) -> None:
    about: dict[str, Any] = {}
    if teller.maybe(0.7):
        about["email"] = who.email
    if who.customer and teller.maybe(0.7):
        about["stripe_customer_id"] = who.customer
    if teller.maybe(0.8) and not any(act.door == "api" for act in teller.acts):
        about |= {"token": token(partner, number)} if teller.maybe(0.5) else {"partner": "ann"}
    at = max(0, on + teller.rng.choice((-2, -0.01, 0.01, 2)))
    teller.acts.append(enrols(at, who.key, **about))


def buys_once(teller: Teller, who: Who, on: float) -> None:
    """A purchase or two by links; what is taken back."""
    for _ in range(teller.rng.choice((1, 1, 2))):
        partner, visit = _brought(teller, who, on)
        number, minor = teller.number(), teller.rng.choice(AMOUNTS)
        about = who.about() | {"currency": teller.rng.choice(teller.currencies)}
        if partner:
            about["reference"] = token(partner, visit)
        elif teller.maybe(0.15):
            about["reference"] = teller.rng.choice((who.key, "pricing-page"))
        if teller.maybe(0.15):
            about["metadata"] = {"refledger_partner": teller.partner()}
        told = one_off(number, on, partner, minor=minor, **about)
        teller.some(told[::-1])
        _taken_back(teller, number, on, minor)
        on += teller.rng.choice((0.002, 1, 10, 40))


def subscribes(teller: Teller, who: Who, on: float) -> None:
    """A subscription's payments: upgraded, paused, refunded, disputed."""
    partner, visit = _brought(teller, who, on)
    first = teller.number()
    about: dict[str, Any] = who.about() | {"customer": who.customer or "cus_9"}
    if partner:
        about["reference"] = token(partner, visit)
    minor = teller.rng.choice(AMOUNTS)
    teller.some(subscription(on, partner, first, minor=minor, **about)[::-1])
    told = who.invoiced() | {"currency": teller.rng.choice(teller.currencies)}
    if teller.maybe(0.2):
        told["subscription_metadata"] = {"refledger_partner": teller.partner()}
    number = first
    for _ in range(teller.rng.choice((1, 2, 3))):
        if teller.maybe(0.3):
            told |= {"total_excluding_tax": minor * 100 // 119}
        teller.some(renewal(number, on, total=minor, **told), 0.5)
        if teller.maybe(0.4):
            _taken_back(teller, number, on, minor)
        number, on = teller.number(), on + teller.rng.choice((30, 30, 31, 61))
        minor = minor if teller.maybe(0.7) else teller.rng.choice(AMOUNTS)
        told.pop("total_excluding_tax", None)


def has_a_trial(teller: Teller, who: Who, on: float) -> None:
    """Nothing is paid at first."""
    partner, visit = _brought(teller, who, on)
    number = teller.number()
    about = who.about() | {"customer": who.customer or "cus_9"}
    reference = partner and token(partner, visit)
    told = {"payment_status": "no_payment_required"}
    teller.some(subscription(on, None, number, minor=0, reference=reference, **told, **about)[::-1])
    free = paid_invoice(number, on, total=0, total_excluding_tax=0, amount_paid=0, **who.invoiced())
    teller.tells.append(("invoice.paid", free, on))
    teller.some(renewal(teller.number(), on + 14, **who.invoiced()), 0.6)


def pays_late(teller: Teller, who: Who, on: float) -> None:
    """A method that pays days after the checkout, or fails."""
    partner, visit = _brought(teller, who, on)
    number = teller.number()
    about = {
        "id": f"cs_test_{number}",
        "payment_intent": f"pi_{number}",
        "created": day(on) - 300,
        "client_reference_id": partner and token(partner, visit),
        **who.about(),
    }
    ends, status = teller.rng.choice(
        (("succeeded", "paid"), ("succeeded", "paid"), ("failed", "unpaid"))
    )
    unpaid, ended = (
        a_session(payment_status="unpaid", **about),
        a_session(payment_status=status, **about),
    )
    teller.tells += [
        ("checkout.session.completed", unpaid, on),
        (f"checkout.session.async_payment_{ends}", ended, on + teller.between(0.1, 6)),
    ]


def pays_in_two(teller: Teller, who: Who, on: float) -> None:
    """An invoice in two payments, or payments whose invoice is told much later."""
    _brought(teller, who, on)
    one, two = teller.number(), teller.number()
    whole = paid_invoice(
        one, on, total=9800, total_excluding_tax=9800, amount_paid=9800, **who.invoiced()
    )
    customer = who.customer or "cus_9"
    teller.tells.append(("invoice.paid", whole, on + teller.rng.choice((0.0001, 2))))
    for n, payment in enumerate((one, two)):
        paid = an_invoice_payment(
            id=f"ip_{payment}", invoice=f"in_{one}", payment_intent=f"pi_{payment}"
        )
        teller.some(charged(payment, on - n * 0.1, 4900, "eur", customer)[::-1])
        teller.tells.append(("invoice_payment.paid", paid, on + 0.0002))
        if teller.maybe(0.4):
            _taken_back(teller, payment, on, 4900)


def sells_by_api(teller: Teller, who: Who, on: float) -> None:
    """The merchant's server tells of sales, of which Stripe may tell, too."""
    key, customer = f"own-{teller.number()}", f"cus_api_{teller.numbers}"
    about: dict[str, Any] = {"stripe_customer_id": customer}
    if teller.maybe(0.8):
        about["partner"] = teller.rng.choice(("ann", "bob"))
    teller.acts.append(enrols(max(0, on - 1), key, **about))
    told = {"customer": customer, "customer_email": None}
    for _ in range(teller.rng.choice((1, 2))):
        number, minor = teller.number(), teller.rng.choice(AMOUNTS)
        currency = teller.rng.choice(teller.currencies)
        order = f"order-{number}"
        beside = teller.maybe(0.5)
        if beside:
            teller.some(renewal(number, on + 0.01, total=minor, currency=currency, **told), 0.5)
        teller.acts.append(sells(on, order, key, minor, currency))
        if beside and teller.maybe(0.5):
            teller.acts.append(confirms(on + 5, order))
        if minor > 50 and teller.maybe(0.4):
            for part in range(teller.rng.choice((1, 2))):
                teller.acts.append(takes_back(on + 6 + part, order, f"r-{part}", minor // 3))
        on += teller.rng.choice((0.03, 5, 33))


def is_kept_out(teller: Teller, who: Who, on: float) -> None:
    """A customer's metadata keeps him out for a while, changes his e-mail, or names his key."""
    customer = who.customer or "cus_1"
    partner, visit = _brought(teller, who, on)
    for n in range(teller.rng.choice((1, 2, 3))):
        number, at = teller.number(), on + 4 * n
        about: dict[str, Any] = {"customer": customer, "email": who.email}
        if partner:
            about["reference"] = token(partner, visit)
        teller.some(one_off(number, at, None, minor=teller.rng.choice(AMOUNTS), **about)[::-1], 0.5)
        change: dict[str, Any] = {"email": who.email if teller.maybe(0.6) else EMAILS[n % 3]}
        if teller.maybe(0.5):
            change["metadata"] = {"refledger": teller.rng.choice(("false", "true"))}
        elif teller.maybe(0.4):
            change["metadata"] = {"refledger_customer": teller.rng.choice(KEYS)}
        teller.tells.append(("customer.updated", a_customer(id=customer, **change), at + 2))


def signs_up_often(teller: Teller, who: Who, on: float) -> None:
    """Sign-ups of one e-mail by sam and by strangers, and at last a payment."""
    for _ in range(teller.rng.choice((2, 3))):
        partner, number = teller.partner(), teller.rng.choice((1, 2, 3))
        key = who.key if teller.maybe(0.5) else teller.rng.choice((*KEYS, "other"))
        if teller.maybe(0.6):
            teller.acts.append(clicks(max(0, on - 0.1), partner, number))
        teller.acts.append(signs_up(on, key, partner, number, email=who.email))
        on += teller.rng.choice((0.01, 0.05, 1))
    if teller.maybe(0.4):
        _told_by_server(teller, who, on, "ann", 1)
    teller.some(renewal(teller.number(), on + teller.between(-1, 3), **who.invoiced()), 0.5)


PLOTS: tuple[Callable[[Teller, Who, float], None], ...] = (
    buys_once,
    buys_once,
    subscribes,
    subscribes,
    has_a_trial,
    pays_late,
    pays_in_two,
    sells_by_api,
    is_kept_out,
    signs_up_often,
)


def _taken_back(teller: Teller, number: int, on: float, minor: int) -> None:
    """Refunds in parts, some told by one event only, some that fail; disputes; credit notes."""
    rng, on = teller.rng, on + teller.between(0.01, 60)
    match rng.choice(("nothing", "nothing", "refund", "refund", "dispute", "note")):
        case "refund":
            whole = 0
            for part in range(rng.choice((1, 2))):
                amount = minor - whole if teller.maybe(0.4) else (minor - whole) // 3
                if amount <= 0:
                    break
                whole += amount
                id = f"re_{number}_{part}"
                told = refunded(number, id, amount, whole, on + part, minor=minor)
                teller.tells += told if teller.maybe(0.6) else [rng.choice(told)]
                if teller.maybe(0.2):
                    failed = a_refund(
                        id=id,
                        amount=amount,
                        status="failed",
                        charge=f"ch_{number}",
                        payment_intent=f"pi_{number}",
                    )
                    teller.tells.append(("refund.failed", failed, on + part + 2))
        case "dispute":
            opens = rng.choice(("needs_response", "needs_response", "warning_needs_response"))
            ends = rng.choice((("won", on + 30), ("lost", on + 30), ("under_review", on + 3)))
            statuses = [(opens, on), ends]
            teller.tells += disputed(number, statuses, minor=rng.choice((minor, minor // 2)))
        case "note":
            teller.tells += credited(number, max(1, minor // 4), on)
            if teller.maybe(0.3):
                teller.tells += credited(number, max(1, minor // 4), on + 1, status="void")
        case _ if teller.maybe(0.1):
            told_again = a_charge(
                id=f"ch_{number}", payment_intent=f"pi_{number}", amount=minor, created=day(on) - 5
            )
            teller.tells.append(("charge.updated", told_again, on))


def _a_late_partner(teller: Teller) -> None:
    on = teller.between(0, 60)
    teller.acts.append(joins(on, teller.rng.choice(("late", "Late"))))


def _a_change_of_terms(teller: Teller) -> None:
    """A setting or a partner's terms, from now on, from a day in the past or to come."""
    rng, on = teller.rng, teller.between(0, 70)
    starts = rng.choice((None, round(rng.uniform(0, 70), 2)))
    partner = rng.choice(("ann", "bob"))
    match rng.choice(("reward", "hold", "window", "status", "own")):
        case "reward":
            teller.acts.append(sets(on, starts, reward=a_rule(rng)))
        case "hold":
            teller.acts.append(sets(on, starts, hold_days=rng.choice((0, 14, 60))))
        case "window":
            teller.acts.append(sets(on, starts, window_days=rng.choice((1, 90))))
        case "status":
            status = rng.choice(("paused", "active"))
            teller.acts.append(changes(on, partner, status=status, status_starts=starts))
        case "own":
            teller.acts.append(changes(on, partner, reward=a_rule(rng), reward_starts=starts))
