"""Every door ends half-way, at every one of its calls: done again, or swept, it is as if nothing
had happened.

It fails as the store goes away before a call or after it, or as a commit meets somebody else's; and
the caller comes again, or never does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import Stale, Write
from tests.builders.stripe_bodies import (
    a_customer,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import World, day, token
from tests.fakes.memory_store import MemoryStore
from tests.flows.stories import outcome, paid_invoice

pytestmark = pytest.mark.slow  # thousands of runs of the doors: `make test` has the time

MOST_CALLS = 200  # that a door may take

Act = Callable[[], Any]
Door = Callable[[World], Act]  # prepares a world; returns the call that is to fail


class FailsOnce:
    """Fails at the nth call, or the nth commit. ``met`` once there was such a call."""

    def __init__(self, error: type[Exception], at: int, *, commits_only: bool = False) -> None:
        self.error, self.left, self.commits_only, self.met = error, at, commits_only, False

    def __call__(self, call: str, writes: Sequence[Write]) -> None:
        if self.commits_only and call != "commit":
            return
        self.left -= 1
        if self.left == 0:
            self.met = True
            raise self.error


def enrolling(world: World) -> Act:
    """A customer who paid before he was told, and whose key two checkouts named."""
    for number in (1, 2):
        world.tell("invoice.paid", paid_invoice(number, number), created=day(number))
    for customer in ("cus_8", "cus_9"):
        named = a_session(
            id=f"cs_test_{customer}",
            mode="setup",
            customer=customer,
            email=None,
            client_reference_id="sam",
        )
        world.tell("checkout.session.completed", named, created=day(2))
    nine = a_customer(id="cus_9", email="nine@example.com") | {"created": day(2)}
    world.tell("customer.created", nine, created=day(2))
    return lambda: world.enrol("sam", partner="ann", stripe_customer_id="cus_1")


def signing_up(world: World) -> Act:
    world.at(day(1)).click(token("ann"), "ann")
    return lambda: world.sign_up("sam", email="sam@example.com", token=token("ann"))


def telling_a_transaction(world: World) -> Act:
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.at(day(1)).tell_sale("order-1", "sam", 1000)
    world.at(day(2))
    return lambda: world.tell_sale("order-2", "sam", 4900)


def refunding(world: World) -> Act:
    world.enrol("sam", partner="ann")
    world.at(day(1)).tell_sale("order-1", "sam", 4900)
    return lambda: world.tell_refund("order-1", "refund-1", 2450)


def confirming(world: World) -> Act:
    """A sale of the merchant's was held, for it might be Stripe's."""
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.at(day(2)).tell_sale("order-1", "sam", 4900)
    world.tell("invoice.paid", paid_invoice(1, 2), created=day(2))
    world.at(day(40)).mature()
    return lambda: world.confirm("order-1")


def maturing(world: World) -> Act:
    bought = a_session(client_reference_id=token("ann"))
    world.tell("checkout.session.completed", bought, created=day(1))
    world.at(day(40))
    return world.mature


def paying_out(world: World) -> Act:
    maturing(world)()
    return lambda: world.pay("june", "ann", 980)


def counting_clicks(world: World) -> Act:
    """A click that its sign-up awaited."""
    world.at(day(1)).sign_up("sam", email="sam@example.com", token=token("ann"))
    click = world.click(token("ann"), "ann")
    world.tell("invoice.paid", an_invoice(paid_at=day(2)), created=day(2))
    return lambda: world.stream(click)


def joining_two_sales_after_the_payout(world: World) -> Act:
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.tell("payment_intent.succeeded", an_intent(), created=day(1))
    world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    world.at(day(40)).mature()
    world.pay("june", "ann", world.balance("ann")[1])
    joins = world.event("invoice_payment.paid", an_invoice_payment(), created=day(40))
    return lambda: world.deliver(joins)


def merging_two_households(world: World) -> Act:
    world.enrol("sam", email="sam@example.com", partner="ann")
    for number in (1, 2):
        paid = paid_invoice(number, number, customer_email=None)
        world.tell("invoice.paid", paid, created=day(number))
    merges = world.event("customer.updated", a_customer(), created=day(3))
    world.at(day(3))
    return lambda: world.deliver(merges)


DOORS: list[Door] = [
    enrolling,
    signing_up,
    telling_a_transaction,
    refunding,
    confirming,
    maturing,
    paying_out,
    counting_clicks,
    joining_two_sales_after_the_payout,
    merging_two_households,
]
every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
goes_away = [(Unavailable, "before"), (Unavailable, "after")]


def at_rest(world: World) -> dict[str, Any]:
    """All that stands, once the schedules have run: sales, balances, counts, and what waits."""
    for on in (45, 46):
        world.at(day(on)).sweep()
    world.at(day(60)).mature()
    world.sweep()
    items = memory(world).everything()
    return outcome(world) | {
        "numbers": sorted(sorted(i.numbers.items()) for i in items.values() if i.numbers),
        "waiting references": sum("#reference#" in key.pk for key in items),
        "payouts": sum("#payout" in key.pk for key in items),
    }


def memory(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


def failures(
    door: Door, tmp_path: Path, error: type[Exception], when: str
) -> Iterator[tuple[int, World, Act, FailsOnce]]:
    """For each call of the door in turn: a world in which it is about to fail there."""
    for at in range(1, MOST_CALLS):
        world = World(tmp_path / str(at))
        act = door(world)
        fails = FailsOnce(error, at, commits_only=error is Stale)
        setattr(memory(world), when, fails)
        yield at, world, act, fails
        if not fails.met:
            assert at > 1, "the door calls the store"
            return
    raise AssertionError("the door has more calls than were tried")


def undisturbed(door: Door, tmp_path: Path, *, acts: bool) -> dict[str, Any]:
    world = World(tmp_path / f"undisturbed-{acts}")
    act = door(world)
    if acts:
        act()
    return at_rest(world)


@every_door
@pytest.mark.parametrize(("error", "when"), [*goes_away, (Stale, "before")])
def test_it_fails_and_the_caller_comes_again(
    door: Door, error: type[Exception], when: str, tmp_path: Path
) -> None:
    clean = undisturbed(door, tmp_path, acts=True)
    for at, world, act, fails in failures(door, tmp_path, error, when):
        try:
            act()
        except Unavailable:
            assert fails.met
            setattr(memory(world), when, None)
            act()
        setattr(memory(world), when, None)
        assert at_rest(world) == clean, f"call {at}"


@pytest.mark.parametrize(
    "door", [door for door in DOORS if door is not counting_clicks], ids=lambda door: door.__name__
)
@pytest.mark.parametrize(("error", "when"), goes_away)
def test_it_fails_and_the_caller_never_comes_again(
    door: Door, error: type[Exception], when: str, tmp_path: Path
) -> None:
    """The schedules alone make it whole, or it never was. (A stream always comes again.)"""
    clean = undisturbed(door, tmp_path, acts=True)
    never = undisturbed(door, tmp_path, acts=False)
    for at, world, act, _ in failures(door, tmp_path, error, when):
        with suppress(Unavailable):
            act()
        setattr(memory(world), when, None)
        assert at_rest(world) in (clean, never), f"call {at}"
