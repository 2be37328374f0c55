"""A first conformance run: stories told in any order, every event twice, come to the same end.

What Stripe tells can come late, early and twice. What the website and the merchant's server do
happens when it happens, so those stay in their place.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.program import Rule
from tests.builders.stripe_bodies import (
    a_charge,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import World, day, token, twenty_percent

SEEDS = int(os.environ.get("REFLEDGER_SEEDS", "15"))  # histories of each story


@dataclass
class Story:
    """Things that happen at their time: ``tells`` are Stripe's, ``acts`` everybody else's."""

    settings: dict[str, Any]
    tells: list[tuple[str, Any, float]]
    acts: list[tuple[float, Callable[[World], Any]]]


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
    paid = an_invoice(
        id=f"in_{number}",
        total=total,
        amount_paid=total,
        paid_at=day(on),
        payment_intent=intent,
        charge=charge,
        **about,
    )
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


STORIES: dict[str, Story] = {
    "a link, refunded in two parts": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *refunded(1, "re_1", 1000, 1000, 2),
            *refunded(1, "re_2", 3900, 4900, 3),
        ],
        [(0.5, lambda w: w.click(token("ann"), "ann"))],
    ),
    "a refund that fails": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *refunded(1, "re_1", 4900, 4900, 2),
            ("refund.failed", a_refund(amount=4900, status="failed"), 4),
        ],
        [],
    ),
    "disputes lost and won": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *disputed(1, [("needs_response", 2), ("lost", 9)]),
            *one_off(2, 3, "ann"),
            *disputed(2, [("needs_response", 4), ("won", 9)]),
        ],
        [],
    ),
    "a year of a subscription, three payments rewarded": Story(
        {"reward": twenty_percent(lasts="payments", count=3)},
        [
            *subscription(1),
            *(e for n in range(1, 6) for e in renewal(n, 30 * n - 29)),
            *refunded(2, "re_1", 4900, 4900, 40),
        ],
        [],
    ),
    "two partners' links, first click": Story(
        {"attribution": "first_click"},
        [*one_off(1, 1, "ann"), *one_off(2, 2, "bob"), *one_off(3, 3, None)],
        [],
    ),
    "two partners' links, each sale by itself": Story(
        {"crediting": "transaction"},
        [*one_off(1, 1, "ann"), *one_off(2, 2, "bob"), *one_off(3, 3, None)],
        [],
    ),
    "a sign-up, then a subscription": Story(
        {},
        [*subscription(2, partner=None), *(e for n in (1, 2) for e in renewal(n, 30 * n - 28))],
        [
            (0.5, lambda w: w.click(token("ann"), "ann")),
            (1, lambda w: w.sign_up("sam", email="sam@example.com", token=token("ann"))),
        ],
    ),
    "the merchant's call outranks a stranger's sign-up": Story(
        {},
        [*subscription(3, partner=None), *renewal(1, 3)],
        [
            (0.5, lambda w: w.click(token("bob"), "bob")),
            (1, lambda w: w.sign_up("x", email="sam@example.com", token=token("bob"))),
            (2, lambda w: w.enrol("sam", email="sam@example.com", partner="ann")),
        ],
    ),
    "the rate is raised, then half refunded": Story(
        {},
        [*one_off(1, 20, "ann"), *refunded(1, "re_1", 2450, 2450, 65)],
        [
            (
                31,
                lambda w: w.set(
                    starts=day(31), reward=Rule(kind="percentage", rate_basis_points=4000)
                ),
            )
        ],
    ),
    "an existing customer": Story(
        {}, [*renewal(1, 1), *one_off(2, 10, "ann"), *renewal(3, 31)], []
    ),
    "a trial, then a payment": Story(
        {},
        [
            (
                "checkout.session.completed",
                a_session(
                    mode="subscription",
                    payment_status="no_payment_required",
                    amount_total=0,
                    payment_intent=None,
                    invoice="in_9",
                    subscription="sub_1",
                    client_reference_id=token("ann"),
                ),
                1,
            ),
            (
                "invoice.paid",
                an_invoice(
                    id="in_9",
                    total=0,
                    total_excluding_tax=0,
                    amount_paid=0,
                    payment_intent=None,
                    charge=None,
                    paid_at=day(1),
                ),
                1,
            ),
            *renewal(1, 15, total=2000),
        ],
        [],
    ),
    "the merchant's key in the reference, made later": Story(
        {},
        [
            *one_off(1, 1, None)[:2],
            (
                "checkout.session.completed",
                a_session(payment_intent="pi_1", client_reference_id="user_7"),
                1,
            ),
        ],
        [(1.5, lambda w: w.enrol("user_7", partner="ann"))],
    ),
    "guests with one e-mail and a customer": Story(
        {},
        [
            *one_off(1, 1, "ann", customer=None),
            *one_off(2, 2, None, customer="cus_2"),
            *one_off(3, 3, "bob", customer=None),
        ],
        [],
    ),
    "self-referral, then another": Story(
        {},
        [
            *one_off(1, 1, "ann", email="ann@example.com"),
            *one_off(2, 2, "ann", customer="cus_2", email="kim@example.com"),
        ],
        [],
    ),
}


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
    return outcome(world)


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


@pytest.mark.parametrize("name", STORIES)
def test_every_order_ends_the_same(name: str, tmp_path: Path) -> None:
    story = STORIES[name]
    plain = run(story, World(tmp_path / "plain", **story.settings), None)
    assert plain["sales"]
    for seed in range(SEEDS):
        world = World(tmp_path / str(seed), **story.settings)
        assert run(story, world, random.Random(seed)) == plain, f"seed {seed}"
