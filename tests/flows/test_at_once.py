"""Things that happen at the same instant, and things that end half-way."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import Conflict, Invalid, Unavailable
from chalicelib.flows.manage_partners import PartnerChange, take_in_partner
from chalicelib.flows.settle_since import owe_since, settle_since
from chalicelib.flows.settle_work import settle_work
from chalicelib.storage import keys
from chalicelib.storage.records import work_item
from chalicelib.storage.store import Item, Put, Stale, Write
from tests.builders.stripe_bodies import a_refund, a_session, an_invoice
from tests.builders.world import World, day, token, twenty_percent
from tests.fakes.memory_store import MemoryStore
from tests.mishap_kit import together


def invoice(number: int, on: float, **about: Any) -> dict[str, Any]:
    return an_invoice(
        id=f"in_{number}",
        payment_intent=f"pi_{number}",
        charge=f"ch_{number}",
        paid_at=day(on),
        **about,
    )


def test_two_at_the_same_instant_cannot_both_be_the_third(tmp_path: Path) -> None:
    for attempt in range(10):
        rule = twenty_percent(lasts="payments", count=3)
        world = World(tmp_path / str(attempt), reward=rule)
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        for number in (1, 2):
            world.tell("invoice.paid", invoice(number, number), created=day(number))
        world.at(day(5))
        events = [world.event("invoice.paid", invoice(n, n), created=day(n)) for n in (3, 4, 5)]
        together(*(partial(world.deliver, event) for event in events))
        world.at(day(5) + 200).sweep()
        assert world.balance("ann") == (3 * 980, 0, 0)
        assert [world.sale(f"in_{n}").positions["ann|eur"].total for n in (1, 2, 3)] == [980] * 3
        assert world.works() == []


def test_who_still_holds_work_that_was_done_does_not_end_what_is_owed_since(
    tmp_path: Path,
) -> None:
    """Found by `make conformance`: the work of before and the new one had the same version."""
    world = World(tmp_path)
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    for number in (1, 2):
        world.tell("invoice.paid", invoice(number, number), created=day(number))
    household = world.sale("in_1").household
    about = {"scope": world.scope, "now": world.ms}

    def owe() -> None:
        key = keys.work(world.scope, household)
        stood = world.store.get([key]).get(key)
        version = stood.version if stood else 0
        item = work_item(world.scope, household, due_at=world.ms, since=0, version=version)
        world.store.commit([Put(item)])

    since: list[str] | None = None

    def others(call: str, writes: Sequence[Write]) -> None:
        nonlocal since
        if since is not None:
            since.append(call)
        elif call == "commit":  # the slow one is about to end the work
            memory.before = None
            assert settle_work(household, store=memory, **about)
            owe()
            since, memory.before = [], others

    owe()
    memory = world.store
    assert isinstance(memory, MemoryStore)
    memory.before = others
    assert settle_work(household, store=memory, **about)
    memory.before = None
    assert since is not None and "query" in since, "the sales were settled once more"
    assert world.works() == []


def test_nor_of_a_program(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = keys.program_work(world.scope)

    def owe() -> Item:
        world.store.commit(owe_since(world.program.id, 0, store=world.store, now=world.ms))
        return world.store.get([key])[key]

    held = owe()
    assert settle_since(held, store=world.store, now=world.ms)
    owed = owe()
    assert not settle_since(held, store=world.store, now=world.ms)
    assert world.store.get([key])[key] == owed


def test_one_event_delivered_by_eight_at_once_counts_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    bought = a_session(client_reference_id=token("ann"))
    event = world.event("checkout.session.completed", bought, created=day(1))
    world.at(day(1))
    states = [r.state for r in together(*[lambda: world.deliver(event)] * 8)]
    assert set(states) <= {"handled", "duplicate"}
    assert world.balance("ann") == (980, 0, 0)
    assert len(world.entries("ann")) == 1


def test_a_payout_and_a_refund_at_once_lose_nothing(tmp_path: Path) -> None:
    for attempt in range(10):
        world = World(tmp_path / str(attempt))
        bought = a_session(client_reference_id=token("ann"))
        world.tell("checkout.session.completed", bought, created=day(1))
        world.at(day(40)).mature()
        refund = world.event("refund.created", a_refund(amount=4900), created=day(40))

        def pay(world: World = world) -> int:
            try:
                return world.pay("p", "ann", 980).payout.amount_minor
            except (Conflict, Invalid):  # the refund came first: nothing is payable
                return 0

        def take(world: World = world, refund: Any = refund) -> str:
            return world.deliver(refund).state

        paid, state = together(pay, take)
        assert state == "handled"
        assert world.balance("ann") == ((0, -980, 980) if paid else (0, 0, 0))
        assert world.owed("ann") == 0


class Dying:
    """Raises at the nth call to the store, once: before it, or after it was done."""

    def __init__(self, store: MemoryStore, at: int, *, after: bool) -> None:
        self.left, self.died = at, False
        hook = "after" if after else "before"
        setattr(store, hook, self)

    def __call__(self, call: str, writes: Sequence[Write]) -> None:
        self.left -= 1
        if self.left == 0:
            self.died = True
            raise Unavailable


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_is_completed_by_the_retry(tmp_path: Path, after: bool) -> None:
    """A late first payment makes two others come out differently: inbox, booking, work."""

    def story(world: World) -> list[Any]:
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        for number in (2, 3):
            world.tell("invoice.paid", invoice(number, number), created=day(number))
        return [world.event("invoice.paid", invoice(1, 1), created=day(1), id="evt_late")]

    rule = twenty_percent(lasts="payments", count=2)
    for at in range(1, 60):
        world = World(tmp_path / str(at), reward=rule)
        (event,) = story(world)
        assert isinstance(world.store, MemoryStore)
        dying = Dying(world.store, at, after=after)
        try:
            world.deliver(event)
        except Unavailable:
            world.store.before = world.store.after = None
            world.deliver(event)
        world.store.before = world.store.after = None
        world.at(day(3) + 600).sweep()
        assert world.state("evt_late").state == "handled"
        assert world.balance("ann") == (2 * 980, 0, 0), f"call {at}"
        assert world.works() == []
        if not dying.died:
            assert at > 10
            return
    raise AssertionError("the story has more calls than were tried")


def test_a_click_that_comes_at_any_call_of_its_checkout_is_seen(tmp_path: Path) -> None:
    """The beacon and Stripe race: one of the two finds the other, whichever is first."""
    bought = a_session(client_reference_id=token("ann"))
    for at in range(1, 60):
        world = World(tmp_path / str(at))
        world.at(day(1))
        left = at

        def click_then(call: str, writes: Sequence[Write], world: World = world) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                world.stream(world.click(token("ann"), "ann"))

        assert isinstance(world.store, MemoryStore)
        world.store.before = click_then
        world.tell("checkout.session.completed", bought, created=day(1))
        world.store.before = None
        if left > 0:
            assert at > 5
            return
        assert world.sale("cs_test_1").because.startswith("last click, 0 of 30 days"), f"call {at}"
        assert world.balance("ann") == (980, 0, 0)
    raise AssertionError("the door has more calls than were tried")


def test_a_payout_at_any_call_of_a_refund_is_known_to_the_sale(tmp_path: Path) -> None:
    """What is settled by a period that has ended meanwhile is settled anew: sale and balance agree
    on what was paid and what is owed back."""
    for at in range(1, 60):
        world = World(tmp_path / str(at))
        bought = a_session(client_reference_id=token("ann"))
        world.tell("checkout.session.completed", bought, created=day(1))
        world.at(day(40)).mature()
        left = at

        def pay_then(call: str, writes: Sequence[Write], world: World = world) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                world.pay("p", "ann", 980)

        assert isinstance(world.store, MemoryStore)
        world.store.before = pay_then
        world.tell("refund.created", a_refund(amount=4900), created=day(40))
        world.store.before = None
        if left > 0:
            assert at > 5
            return
        position = world.sale("cs_test_1").positions["ann|eur"]
        assert world.balance("ann") == (0, -980, 980), f"call {at}"
        assert (position.payable, position.paid, position.period) == (-980, 980, 1), f"call {at}"
    raise AssertionError("the door has more calls than were tried")


def test_a_busy_store_is_tried_again_and_then_given_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    bought = a_session(client_reference_id=token("ann"))
    event = world.event("checkout.session.completed", bought, created=day(1))
    world.at(day(1))

    def always_in_the_way(call: str, writes: Sequence[Write]) -> None:
        if call == "commit" and len(writes) > 2:
            raise Stale

    assert isinstance(world.store, MemoryStore)
    world.store.before = always_in_the_way
    with pytest.raises(Unavailable):
        world.deliver(event)
    assert world.owed("ann") == 0
    world.store.before = None
    assert world.deliver(event).state == "handled"
    assert world.balance("ann") == (980, 0, 0)


def test_a_partner_whose_key_is_used_while_he_is_made_and_the_call_breaks_off(
    tmp_path: Path,
) -> None:
    """The same call again finds what the first could not say any more."""
    world = World(tmp_path)
    store = world.at(day(1)).store
    assert isinstance(store, MemoryStore)
    body = invoice(1, 1, metadata={"refledger_partner": "late"})
    event = world.event("invoice.paid", body, created=day(1))
    told = PartnerChange(key="late", email="late@example.com")

    def use_the_key(call: str, writes: Sequence[Write]) -> None:
        if call == "commit":
            store.before = None
            world.deliver(event)

    def die(call: str, writes: Sequence[Write]) -> None:
        made = keys.partner(world.program.id, "late")
        if any(isinstance(write, Put) and write.item.key == made for write in writes):
            raise Unavailable

    def take_in() -> bool:
        program = world.program.id
        return take_in_partner(told, program_id=program, store=store, now=world.ms)[1]

    store.before, store.after = use_the_key, die
    with pytest.raises(Unavailable):
        take_in()
    store.before = store.after = None
    assert world.sale("in_1").credited == ""
    assert take_in() is False
    world.at(day(1) + 600).sweep()
    assert world.sale("in_1").credited == "late"
