"""Three days of a shop on the fake Stripe, while 30 % of all webhooks are lost, and some events are
never made. After catch-up and reconciliation the books say what they say where each came."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.plan_jobs import plan_jobs
from local.fake_stripe import running_fake_stripe
from tests.conformance.at_rest import books_of
from tests.flows.live_kit import Live, paid_by
from tests.flows.past_kit import KEY, MAY_1, token
from tests.local.fake_stripe.conftest import control, pay

HOURS = 1 / 24
LOST = 0.3
Story = Callable[[Live], None]


@contextmanager
def a_shop(folder: Path) -> Iterator[Live]:
    """The same seed makes the same ids, so that two tellings can be compared."""
    with running_fake_stripe(clock=lambda: float(MAY_1), seed=7) as fake:
        yield Live(folder, fake)
        assert fake.faults == []


def three_days(world: Live) -> None:
    """Purchases that partners brought and others, refunds, disputes, subscriptions, notes."""
    invoices: list[str] = []
    for hour in range(3 * 24):
        world.to(1 + hour * HOURS)
        match hour % 12:
            case 0 | 1:
                visits(world, "ann" if hour % 24 else "bob", hour)
            case 2 | 3:
                invoices.append(world.buys(2900 + hour, refledger_partner="bob").id)
            case 4:
                world.buys()
            case 5 if invoices:
                gives_back(world, invoices.pop(0), 900)
            case 6 if invoices:
                disputes(world, invoices.pop(0), wins=hour > 24)
            case 7 if invoices:
                note = {"invoice": invoices.pop(), "amount": 500, "refund_amount": 500}
                world.api.credit_notes.create(note)
            case 8:
                subscribes(world, "ann", hour)
    world.to(4.2)


def visits(world: Live, partner: str, number: int) -> None:
    """Somebody buys through a link."""
    price = {"currency": "eur", "unit_amount": 4900, "product_data": {"name": "Book"}}
    session = world.api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "success_url": f"{world.fake.url}/thanks",
            "client_reference_id": token(partner, number),
        }
    )
    assert pay(world.fake, session.id, email=f"guest-{number}@example.com")[0] in (200, 303)


def subscribes(world: Live, partner: str, number: int) -> None:
    price = {"currency": "eur", "unit_amount": 1900, "recurring": {"interval": "day"}}
    session = world.api.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [
                {"price_data": {**price, "product_data": {"name": "Plan"}}, "quantity": 1}
            ],
            "success_url": f"{world.fake.url}/thanks",
            "client_reference_id": token(partner, number),
        }
    )
    assert pay(world.fake, session.id, email=f"reader-{number}@example.com")[0] in (200, 303)


def gives_back(world: Live, invoice: str, minor: int) -> None:
    world.api.refunds.create({"payment_intent": paid_by(world, invoice), "amount": minor})


def disputes(world: Live, invoice: str, *, wins: bool) -> None:
    intent = world.api.payment_intents.retrieve(paid_by(world, invoice))
    told = {"key": KEY, "charge": intent.latest_charge, "reason": "fraudulent"}
    dispute = control(world.fake, "/disputes", told)
    evidence = "winning_evidence" if wins else "losing_evidence"
    world.api.disputes.update(
        dispute["id"], {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )


def drop(world: Live, seed: int) -> None:
    control(world.fake, "/deliveries", {"drop_share": LOST, "seed": seed})


def never_told(world: Live, *types: str) -> None:
    control(world.fake, "/faults", {"never": {"types": list(types)}})


def heal(world: Live) -> Iterator[Mapping[str, Any]]:
    """What the schedules do of themselves within some hours; then a reconciliation of those days,
    and another."""
    control(world.fake, "/deliveries", {"drop_share": 0})
    plan_jobs(world.connection, store=world.store, now=world.ms)
    for _ in range(5):
        world.pass_time(3_600)
        world.run_due()
        world.sweep()
    for _ in range(2):
        world.pass_time(60)
        yield world.work(world.reconciliation(since=0)).result


def books(world: Live) -> Any:
    """Sales in the order of payment, with what ids they have but not which: an event that is never
    made takes no id, so those after it are others."""
    told = books_of(world.scope, world.everything())
    sales = [
        (world.sale(id).summary().paid_at, {**sale, "ids": [i.split("_")[0] for i in sale["ids"]]})
        for id, sale in told["sales"].items()
    ]
    return {"sales": sorted(sales, key=str), "balances": told["balances"]}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with a_shop(tmp_path_factory.mktemp("plain")) as world:
        three_days(world)
        world.sweep()
        told = books(world)
    assert len(told["sales"]) > 40
    assert len(told["balances"]) == 2
    return told


@pytest.mark.parametrize(
    ("seed", "never"),
    [
        (1, ()),
        pytest.param(2, ("invoice.paid", "refund.created"), id="2 never"),
        pytest.param(3, ("checkout.session.completed",), marks=pytest.mark.slow, id="3 never"),
        pytest.param(4, ("charge.dispute.closed",), marks=pytest.mark.slow, id="4 never"),
    ],
)
def test_what_was_lost_is_there_by_the_next_day(
    tmp_path: Path, plain: Any, seed: int, never: tuple[str, ...]
) -> None:
    with a_shop(tmp_path) as world:
        drop(world, seed)
        never_told(world, *never)
        three_days(world)
        assert books(world) != plain
        first, second = heal(world)
        assert bool(first["found"]) == bool(never)  # the list of events has all but these
        assert (first["healed"], first["unexplained"]) == (first["found"], 0)
        assert (second["found"], second["unexplained"]) == (0, 0)
        assert differing(books(world), plain) == []
        assert books(world) == plain


def differing(told: Any, plain: Any) -> list[str]:
    """What is in one alone, so that it can be read."""
    found = [f"{name}: {sums}" for name, sums in told["balances"].items()]
    wanted = [f"{name}: {sums}" for name, sums in plain["balances"].items()]
    found += [str(sale) for sale in told["sales"]]
    wanted += [str(sale) for sale in plain["sales"]]
    return [f"too much: {f}" for f in found if f not in wanted] + [
        f"missing: {w}" for w in wanted if w not in found
    ]
