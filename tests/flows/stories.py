"""Stories of what happens to a program, and how they are told: in order, or Stripe's part late and
twice in any order. ``tests/flows/test_any_order.py`` tells them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.builders.stripe_bodies import (
    a_charge,
    a_credit_note,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import World, day, token


@dataclass
class Story:
    """Things that happen at their time: ``tells`` are Stripe's, ``acts`` everybody else's.

    Where money is ``paid_out`` on the way, what arrived by then decides what is payable or still
    owed back, so only the sums are compared."""

    settings: dict[str, Any]
    tells: list[tuple[str, Any, float]]
    acts: list[tuple[float, Callable[[World], Any]]]
    paid_out: bool = False


def paid_invoice(number: int, on: float, **about: Any) -> dict[str, Any]:
    """An invoice with ids of its number, paid on that day; ``about`` overrides any of it."""
    told = {"id": f"in_{number}", "payment_intent": f"pi_{number}", "charge": f"ch_{number}"}
    return an_invoice(**{**told, "paid_at": day(on), **about})


def one_off(number: int, on: float, partner: str | None, **about: Any) -> list[Any]:
    """Everything that Stripe tells of a one-off purchase through a link."""
    charge, intent = f"ch_{number}", f"pi_{number}"
    who = {"customer": about.get("customer", "cus_1")}
    bought = a_session(
        id=f"cs_test_{number}",
        payment_intent=intent,
        client_reference_id=partner and token(partner, number),
        **about,
    )
    return [
        ("charge.succeeded", a_charge(id=charge, payment_intent=intent, **who), on),
        ("payment_intent.succeeded", an_intent(id=intent, charge=charge, **who), on),
        ("checkout.session.completed", bought, on + 0.0001),
    ]


def renewal(number: int, on: float, **about: Any) -> list[Any]:
    """Everything that Stripe tells of a paid invoice."""
    charge, intent = f"ch_{number}", f"pi_{number}"
    about.setdefault("total", 4900)
    total = about.pop("total")
    about.setdefault("total_excluding_tax", total)
    paid = paid_invoice(number, on, total=total, amount_paid=total, **about)
    return [
        ("invoice.paid", paid, on + 0.0001),
        ("invoice.payment_succeeded", paid, on + 0.0001),
        ("charge.succeeded", a_charge(id=charge, payment_intent=intent, amount=total), on),
        (
            "payment_intent.succeeded",
            an_intent(id=intent, charge=charge, amount_received=total),
            on,
        ),
        (
            "invoice_payment.paid",
            an_invoice_payment(
                id=f"inpay_{number}",
                invoice=f"in_{number}",
                payment_intent=intent,
                amount_paid=total,
            ),
            on + 0.0002,
        ),
    ]


def refunded(number: int, id: str, amount: int, cumulative: int, on: float) -> list[Any]:
    charge, intent = f"ch_{number}", f"pi_{number}"
    refund = a_refund(id=id, amount=amount, charge=charge, payment_intent=intent)
    told = a_charge(id=charge, payment_intent=intent, amount_refunded=cumulative)
    return [("refund.created", refund, on), ("charge.refunded", told, on)]


def disputed(number: int, statuses: list[tuple[str, float]]) -> list[Any]:
    charge, intent = f"ch_{number}", f"pi_{number}"
    return [
        (
            "charge.dispute.created" if n == 0 else "charge.dispute.closed",
            a_dispute(id=f"du_{number}", status=status, charge=charge, payment_intent=intent),
            on,
        )
        for n, (status, on) in enumerate(statuses)
    ]


def credited(number: int, amount: int, on: float, **about: Any) -> list[Any]:
    """A credit note over a part of a paid invoice; its id is made from both."""
    note = a_credit_note(id=f"cn_{number}_{amount}", invoice=f"in_{number}", amount=amount, **about)
    return [("credit_note.voided" if note["status"] == "void" else "credit_note.created", note, on)]


def subscription(on: float, partner: str | None = "ann") -> list[Any]:
    bought = a_session(
        mode="subscription",
        payment_intent=None,
        invoice="in_1",
        subscription="sub_1",
        client_reference_id=partner and token(partner),
    )
    return [
        ("customer.created", a_customer() | {"created": day(on) - 5}, on - 0.0001),
        ("checkout.session.completed", bought, on + 0.0001),
    ]


def run(story: Story, world: World, rng: random.Random | None) -> dict[str, Any]:
    """Tell a story; with ``rng`` Stripe's part late and twice, in any order."""
    events = [(on, world.event(type, object, created=day(on))) for type, object, on in story.tells]
    last = max(on for on, _ in events)
    steps: list[tuple[float, Any]] = [(on, act) for on, act in story.acts]
    for on, event in events:
        for _ in range(2 if rng else 1):
            arrives = (
                on if rng is None else rng.choice([on, on + rng.random() * 5, last + rng.random()])
            )
            steps.append((arrives, event))
    if rng:
        rng.shuffle(steps)
    for on, step in sorted(steps, key=lambda s: s[0]):
        world.at(day(on))
        if callable(step):
            step(world)
        else:
            assert world.deliver(step).state in ("handled", "duplicate", "ignored")
    world.at(day(400))
    world.sweep()
    world.mature()
    return sums(outcome(world)) if story.paid_out else outcome(world)


def outcome(world: World) -> dict[str, Any]:
    """Totals, buckets, and what is said of each sale, once everything has come to rest."""
    sales = {}
    for item in world.store.everything().values():  # type: ignore[attr-defined]
        if item.key.sk == "sale" and "of" not in item.body:
            id = item.key.pk.rsplit("#", 1)[1]
            settled = world.sale(id)
            sales[id] = {
                "ids": sorted(settled.sale.ids),
                "credited": settled.credited,
                "because": settled.because,
                "trace": world.trace(id),
                "total": {n: p.total for n, p in settled.positions.items() if p.total},
            }
    balances = {}
    for partner in ("ann", "bob"):
        sums: dict[str, int] = {}
        for entry in world.entries(partner):
            assert sum(posting.minor for posting in entry.postings) == 0
            for posting in entry.postings:
                sums[posting.account] = sums.get(posting.account, 0) + posting.minor
        balance = world.balance(partner)
        assert balance == tuple(sums.get(bucket, 0) for bucket in ("pending", "payable", "paid"))
        balances[partner] = balance
    assert world.works() == []
    return {"sales": sales, "balances": balances}


def sums(outcome: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on when money went out: each sale, and all that a partner earned."""
    told = ("ids", "credited", "total")
    sales = {id: {name: sale[name] for name in told} for id, sale in outcome["sales"].items()}
    return {"sales": sales, "balances": {p: sum(b) for p, b in outcome["balances"].items()}}
