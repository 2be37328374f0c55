"""What a stranger, an unlucky instant or a very long history could break: a story per finding.

Races are played by the store's hook: somebody else acts just before one call of the store.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from chalicelib.core.program import Rule
from chalicelib.core.refusals import Conflict, Unavailable
from chalicelib.flows.gather import FIRST_POINTERS
from chalicelib.flows.settle_work import settle_work
from chalicelib.storage import keys
from chalicelib.storage.store import Put, Write
from tests.builders.stripe_bodies import (
    a_charge,
    a_customer,
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import World, day, token, twenty_percent
from tests.fakes.memory_store import MemoryStore
from tests.flows.stories import paid_invoice

OLD_API = "2023-10-16"  # its charges tell totals of refunds and not the refunds


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Meanwhile:
    """Just before the nth call of that name (any call if empty) somebody else ``acts``, once."""

    def __init__(self, world: World, acts: Callable[[], Any], *, call: str = "", nth: int = 1):
        self.store, self.acts, self.call, self.left = memory(world), acts, call, nth
        self.happened = False

    def __enter__(self) -> "Meanwhile":
        self.store.before = self
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.store.before = None

    def __call__(self, call: str, writes: Sequence[Write]) -> None:
        if self.call in ("", call):
            self.left -= 1
            if self.left == 0:
                self.happened = True
                self.acts()


def memory(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


def calls_to_tell(world: World, type: str, object: Any, *, created: int) -> int:
    """How many calls of the store an event takes."""
    before = memory(world).calls.total()
    assert world.tell(type, object, created=created).state == "handled"
    return memory(world).calls.total() - before


def largest_item_bytes(world: World) -> int:
    return max(len(json.dumps(item.body)) for item in memory(world).everything().values())


def pays(world: World, number: int, on: float, **about: Any) -> None:
    world.tell("invoice.paid", paid_invoice(number, on, **about), created=day(on))


Parted = Callable[[World], tuple[tuple[str, Any], Any]]
"""Makes one purchase known as two sales; returns what joins them, and a refund of it all."""


def by_their_session(world: World) -> tuple[tuple[str, Any], Any]:
    reference = token("ann")
    world.tell("payment_intent.succeeded", an_intent(), created=day(1))
    bought = a_session(client_reference_id=reference)
    world.tell("checkout.session.completed", bought, created=day(1))
    pays(world, 1, 1, subscription=None)
    whole = a_session(client_reference_id=reference, invoice="in_1")
    return ("checkout.session.completed", whole), a_refund(amount=4900)


def by_their_payment(world: World) -> tuple[tuple[str, Any], Any]:
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.tell("payment_intent.succeeded", an_intent(), created=day(1))
    pays(world, 1, 1)
    return ("invoice_payment.paid", an_invoice_payment()), a_refund(
        amount=4900, payment_intent=None
    )


class TestBetweenTwoReads:
    def test_a_household_is_absorbed(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com", partner="ann")
        world.tell("customer.created", a_customer(email=None), created=day(1))
        paid = world.event("invoice.paid", paid_invoice(1, 2, customer_email=None), created=day(2))
        world.at(day(2))

        def joins() -> None:
            world.enrol("sam", email="sam@example.com", partner="ann", stripe_customer_id="cus_1")

        with Meanwhile(world, joins, call="query") as joined:
            assert world.deliver(paid).state == "handled"
        assert joined.happened
        assert world.owed("ann") == 980

    @pytest.mark.parametrize("parted_by", [by_their_session, by_their_payment])
    def test_a_sale_becomes_the_alias_of_another(self, tmp_path: Path, parted_by: Parted) -> None:
        """A full refund is told by the id that moves, whatever call of its booking it moves at."""
        for nth in range(1, 40):
            world = World(tmp_path / str(nth))
            joins, refund = parted_by(world)
            joining = partial(world.deliver, world.event(*joins, created=day(1)))
            refunded = world.event("refund.created", refund, created=day(2))
            world.at(day(2))
            with Meanwhile(world, joining, nth=nth) as joined:
                assert world.deliver(refunded).state == "handled"
            if not joined.happened:
                assert nth > 4
                return
            world.sweep()
            assert world.owed("ann") == 0, f"call {nth}"
        raise AssertionError("the booking has more calls than were tried")

    def test_an_api_key_is_used_for_another_customer(self, world: World) -> None:
        world.enrol("sam", partner="ann")
        world.enrol("friend", partner="bob")
        world.at(day(1))
        with (
            Meanwhile(world, lambda: world.tell_sale("order-1", "friend", 4900), call="commit"),
            pytest.raises(Conflict),
        ):
            world.tell_sale("order-1", "sam", 4900)
        assert (world.owed("ann"), world.owed("bob")) == (0, 980)


class TestTakeovers:
    @pytest.mark.parametrize(
        "names",
        [
            {"client_reference_id": "user_7"},
            {"client_reference_id": None, "metadata": {"refledger_customer": "user_7"}},
        ],
        ids=["reference", "metadata"],
    )
    def test_a_guest_types_the_email_of_somebody(self, world: World, names: Any) -> None:
        """The guest's checkout is of user_7, the e-mail's owner stays with bob."""
        world.at(day(1)).enrol("friend", email="friend@example.com", partner="bob")
        pays(world, 1, 2, customer="cus_kim", customer_email="friend@example.com")
        world.enrol("user_7", email="seven@example.com", partner="ann")
        typed = a_session(customer=None, email="friend@example.com", payment_intent="pi_9", **names)
        world.tell("checkout.session.completed", typed, created=day(3))
        assert world.sale("in_1").positions.keys() == {"bob|eur"}
        assert world.owed("bob") >= 980
        pays(world, 2, 4, customer="cus_kim", customer_email="friend@example.com")
        assert world.sale("in_2").positions.keys() == {"bob|eur"}

    def test_a_key_is_guessed(self, world: World) -> None:
        world.at(day(0.1)).click(token("bob", 9), "bob")
        world.at(day(1)).click(token("ann"), "ann")
        world.at(day(1.1)).sign_up("1043", email="sam@example.com", token=token("ann"))
        world.at(day(1.2)).sign_up("1043", token=token("bob", 9))
        pays(world, 1, 2)
        assert world.balance("ann") == (980, 0, 0)
        assert world.owed("bob") == 0

    def test_an_email_is_squatted(self, world: World) -> None:
        world.at(day(0.5)).sign_up("stranger", email="sam@example.com")
        world.at(day(1)).click(token("ann"), "ann")
        world.sign_up("sam", email="sam@example.com", token=token("ann"))
        pays(world, 1, 2)
        assert world.owed("ann") == 980

    def test_an_email_is_squatted_by_a_crowd(self, world: World) -> None:
        world.at(day(0.5))
        for number in range(14):
            world.sign_up(f"stranger-{number}", email="sam@example.com")
        world.at(day(1)).click(token("ann"), "ann")
        world.sign_up("sam", email="sam@example.com", token=token("ann"))
        pays(world, 1, 2)
        assert world.owed("ann") == 980

    def test_two_crowded_emails_are_of_one_customer(self, world: World) -> None:
        for number in range(12):
            world.sign_up(f"stranger-{number}", email="sam@example.com")
            world.sign_up(f"stranger-{number}", email="friend@example.com")
        world.enrol("sam", email="sam@example.com", partner="ann")
        world.enrol("sam", email="friend@example.com")
        pays(world, 1, 1)
        assert world.owed("ann") == 980

    def test_a_sign_up_ties_no_two_customers_of_the_merchant(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com", partner="ann", stripe_customer_id="cus_1")
        world.enrol("friend", email="friend@example.com", partner="bob", stripe_customer_id="cus_2")
        pays(world, 1, 1)
        world.at(day(5)).sign_up("sam", email="friend@example.com")
        pays(world, 2, 6, customer="cus_2", customer_email="friend@example.com")
        assert (world.owed("ann"), world.owed("bob")) == (980, 980)

    def test_an_api_key_names_the_stripe_sale_of_another_customer(self, world: World) -> None:
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        world.enrol("friend", partner="bob")
        pays(world, 1, 1)
        with pytest.raises(Conflict):
            world.tell_sale("in_1", "friend", 4900)
        assert (world.owed("ann"), world.owed("bob")) == (980, 0)

    def test_a_partners_later_email_takes_back_nothing(self, world: World) -> None:
        bought = a_session(client_reference_id=token("ann"), email="team@example.com")
        world.tell("checkout.session.completed", bought, created=day(1))
        world.at(day(100)).change_partner("ann", email="team@example.com")
        world.tell("refund.created", a_refund(amount=2450), created=day(101))
        assert world.owed("ann") == 490

    def test_a_click_is_awaited_by_two(self, world: World) -> None:
        world.at(day(1)).sign_up("sam", email="sam@example.com", token=token("ann"))
        world.sign_up("friend", email="friend@example.com", token=token("ann"))
        world.at(day(1) + 1)
        world.stream(world.click(token("ann"), "ann"))
        pays(world, 1, 2)
        pays(world, 2, 2, customer="cus_2", customer_email="friend@example.com")
        for sale in ("in_1", "in_2"):
            assert world.sale(sale).credited
            assert "click not seen" not in world.sale(sale).because


class TestBigHouseholds:
    """Each e-mail is of more Stripe customers than one transaction can move."""

    CUSTOMERS = 105

    @pytest.fixture
    def crowded(self, world: World) -> World:
        for name in ("sam", "friend"):
            for number in range(self.CUSTOMERS):
                made = a_customer(id=f"cus_{name}{number}", email=f"{name}@example.com")
                world.tell("customer.created", made, created=day(1) + number)
        world.at(day(2)).enrol("sam", email="sam@example.com", partner="ann")
        return world

    def test_joined_by_the_api(self, crowded: World) -> None:
        crowded.enrol("sam", email="friend@example.com", partner="ann")
        pays(crowded, 1, 3, customer="cus_kim5", customer_email="friend@example.com")
        assert crowded.owed("ann") == 980

    def test_joined_by_a_webhook(self, crowded: World) -> None:
        bought = a_session(
            customer="cus_sam3", email="friend@example.com", client_reference_id=None
        )
        told = crowded.tell("checkout.session.completed", bought, created=day(3))
        assert told.state == "handled"
        assert crowded.owed("ann") == 980

    def test_the_first_payments_are_counted_over_both_parts(self, tmp_path: Path) -> None:
        rewarded, each = FIRST_POINTERS + 1, FIRST_POINTERS + 3
        world = World(tmp_path, reward=twenty_percent(lasts="payments", count=rewarded))
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        for number in range(2 * each):
            customer = "cus_1" if number < each else "cus_2"
            pays(world, number, 1 + number, customer=customer, customer_email=None)
        assert world.owed("ann") == rewarded * 980
        world.enrol("sam", partner="ann", stripe_customer_id="cus_2")
        world.sweep()
        assert world.owed("ann") == rewarded * 980

    def test_the_first_payment_is_behind_the_sales_of_another(self, world: World) -> None:
        """Friend paid long before ann's link, among many sales of sam's with the same e-mail."""
        world.enrol("sam", email="family@example.com")
        for number in range(FIRST_POINTERS + 3):
            pays(world, number, 1 + number / 1000, customer_email="family@example.com")
        world.at(day(4)).enrol("friend", email="family@example.com", stripe_customer_id="cus_2")
        pays(world, 900, 5, customer="cus_2", customer_email=None)
        bought = a_session(
            customer="cus_3", email=None, payment_intent="pi_x", client_reference_id=token("ann")
        )
        world.tell("checkout.session.completed", bought, created=day(20))
        world.at(day(21)).enrol("friend", email="family@example.com", stripe_customer_id="cus_3")
        world.sweep()
        assert world.owed("ann") == 0

    def test_settling_that_runs_out_of_time_goes_on_where_it_stopped(self, world: World) -> None:
        sales, per_run = 12, 3
        for number in range(sales):
            pays(world, number, 1 + number / 100)

        def dies(call: str, writes: Sequence[Write]) -> None:
            if call == "commit" and len(writes) > 2:
                raise Unavailable

        memory(world).after = dies
        with pytest.raises(Unavailable):
            world.at(day(1.5)).enrol("sam", partner="ann", stripe_customer_id="cus_1")
        memory(world).after = None
        (work,) = world.store.get(world.works()).values()
        household = str(work.body["household"])
        runs, finished = 0, False
        while not finished:
            runs += 1
            assert runs <= sales / per_run + 1
            time_is_up = iter([False] * per_run + [True]).__next__
            finished = settle_work(
                household, scope=world.scope, store=world.store, now=world.ms, until=time_is_up
            )
        assert runs >= sales / per_run
        assert world.owed("ann") == sales * 980


class TestLongHistories:
    """Nothing that is kept whole grows with the sales, and the last costs what the first did."""

    LIMIT_BYTES = 380_000  # of DynamoDB's 400 KB

    def test_sixty_checkouts(self, world: World) -> None:
        checkouts, last = 60, 0
        for number in range(checkouts):
            bought = a_session(
                id=f"cs_live_{'a' * 58}{number}",
                payment_intent=f"pi_{'3P' * 11}{number}",
                client_reference_id=token("ann", number),
            )
            on = day(1) + 3600 * number
            last = calls_to_tell(world, "checkout.session.completed", bought, created=on)
        assert world.owed("ann") == checkouts * 980
        assert last < 50
        assert largest_item_bytes(world) / checkouts * 1000 < self.LIMIT_BYTES

    def test_sixty_invoices_with_metadata(self, world: World) -> None:
        invoices, last = 60, 0
        for number in range(invoices):
            paid = an_invoice(
                id=f"in_1Pabcdefghijklmnopqr{number:03d}",
                payment_intent=None,
                charge=None,
                paid_at=day(number),
                subscription_metadata={"refledger_partner": "ann"},
            )
            last = calls_to_tell(world, "invoice.paid", paid, created=day(number))
        assert world.owed("ann") == invoices * 980
        assert last < 20
        assert largest_item_bytes(world) / invoices * 1000 < self.LIMIT_BYTES

    def test_metadata_on_each_sale_after_400_days(self, tmp_path: Path) -> None:
        world = World(tmp_path, crediting="transaction")
        for number in range(10):
            named = {"refledger_partner": "ann"}
            pays(world, number, 1 + 60 * number, subscription_metadata=named)
        assert world.owed("ann") == 10 * 980

    @pytest.mark.parametrize("days", [(1, 450), (450, 1)])
    def test_metadata_400_days_apart_in_either_order(
        self, tmp_path: Path, days: tuple[int, int]
    ) -> None:
        world = World(tmp_path, crediting="transaction")
        for on in days:
            pays(world, on, on, metadata={"refledger_partner": "ann"})
        assert world.owed("ann") == 2 * 980


class TestMoney:
    @pytest.fixture
    def first_only(self, tmp_path: Path) -> World:
        """Sam told by the merchant and by Stripe: the first payment alone is rewarded."""
        world = World(tmp_path, reward=twenty_percent(lasts="first"))
        world.at(day(1)).enrol("sam", partner="ann", stripe_customer_id="cus_1")
        world.at(day(2)).tell_sale("order-1", "sam", 4900)
        world.tell("invoice.paid", an_invoice(paid_at=day(2) + 60), created=day(2) + 60)
        return world

    def test_a_possible_duplicate_is_not_the_first_payment(self, first_only: World) -> None:
        first_only.at(day(50)).mature()
        assert first_only.balance("ann")[1] == 980

    def test_a_possible_duplicate_taken_back(self, first_only: World) -> None:
        first_only.tell_refund("order-1", "r", 4900)
        first_only.at(day(50)).mature()
        assert first_only.balance("ann")[1] == 980

    def test_a_refund_fails_and_a_later_one_is_told_by_its_total(self, world: World) -> None:
        """Nothing is payable until the later one is told by its id."""
        bought = a_session(client_reference_id=token("ann"))
        world.tell("checkout.session.completed", bought, created=day(1))
        taken = a_charge(version=OLD_API, amount_refunded=1000)
        world.tell("charge.succeeded", a_charge(version=OLD_API), created=day(1))
        world.tell("charge.refunded", taken, created=day(2))
        assert world.owed("ann") == 780
        world.tell("charge.refund.updated", a_refund(status="failed"), created=day(3))
        assert world.owed("ann") == 980
        world.tell("charge.refunded", taken, created=day(4))
        assert "less than the charge says" in world.sale("pi_1").held
        world.at(day(40)).mature()
        assert world.balance("ann") == (980, 0, 0)
        world.tell("refund.created", a_refund(id="re_2", amount=1000), created=day(41))
        world.mature()
        assert world.balance("ann") == (0, 780, 0)

    def test_a_rate_that_starts_in_the_past_holds_for_what_was_told_before(
        self, tmp_path: Path
    ) -> None:
        """Told before or after the rate was set: the same, once the sweeper has been."""
        doubled = Rule(kind="percentage", rate_basis_points=4000)
        bought = a_session(client_reference_id=token("ann"))
        for told_first in (True, False):
            world = World(tmp_path / str(told_first))
            if told_first:
                world.tell("checkout.session.completed", bought, created=day(1))
            world.at(day(2)).set(starts=day(0.5), reward=doubled)
            if not told_first:
                world.tell("checkout.session.completed", bought, created=day(1))
            world.at(day(2) + 60).sweep()
            assert world.owed("ann") == 1960, f"told first: {told_first}"
            work = world.store.get([keys.program_work(world.scope)])
            assert all(item.due is None for item in work.values())


def test_one_that_breaks_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number, buyer in ((1, "sam"), (2, "friend")):
        bought = a_session(
            id=f"cs_{number}",
            payment_intent=f"pi_{number}",
            customer=f"cus_{number}",
            email=f"{buyer}@example.com",
            client_reference_id=token("ann"),
        )
        world.tell("checkout.session.completed", bought, created=day(1) + number)
    broken = keys.sale(world.scope, "cs_1")
    item = world.store.get([broken])[broken]
    world.store.commit([Put(replace(item, body={"sale": "not a sale"}))])
    world.at(day(40))
    assert world.mature() == 1
    assert world.balance("ann") == (980, 980, 0)
