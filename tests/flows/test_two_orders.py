"""The same story told in two orders, where what was told first looked settled: each pair comes to
the same sales, reasons and sums. No payout comes in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chalicelib.core.facts import Ms
from chalicelib.core.program import Rule
from chalicelib.flows.rebuild import rebuild
from tests.builders.stripe_bodies import (
    a_customer,
    a_session,
    a_subscription,
    an_invoice,
    build_event,
)
from tests.builders.world import DAY, World, day, token, twenty_percent
from tests.conformance.at_rest import books_of
from tests.fakes.memory_store import MemoryStore

Act = Callable[[World], Any]
Step = tuple[float, Act]
"""When it is told or done (unix seconds), and what."""


def invoice(number: int, paid_at: float, **about: Any) -> Act:
    at = int(paid_at)
    amount = about.pop("amount", 1000)
    body = an_invoice(
        id=f"in_{number}",
        total=amount,
        total_excluding_tax=amount,
        amount_paid=amount,
        paid_at=at,
        payment_intent=None,
        charge=None,
        **about,
    )
    return event("invoice.paid", body, at)


def session(number: int, at: float, partner: str) -> Act:
    body = a_session(
        id=f"cs_{number}",
        mode="subscription",
        payment_intent=None,
        invoice=f"in_{number}",
        client_reference_id=token(partner),
    )
    return event("checkout.session.completed", body, at)


def subscription(number: int, at: float, partner: str) -> Act:
    metadata = {"refledger_partner": partner}
    body = a_subscription(id=f"sub_{number}", metadata=metadata, created=int(at))
    return event("customer.subscription.created", body, at)


def event(type: str, body: Any, at: float) -> Act:
    told = build_event(type, body, id=f"evt_{type}_{body['id']}", created=int(at))
    return lambda world: world.deliver(told)


def played(folder: Path, steps: list[Step], **settings: Any) -> Any:
    folder.mkdir()
    world = World(folder, **settings)
    for at, act in steps:
        world.now = float(at)
        act(world)
    for _ in range(3):
        world.now += 40 * DAY
        world.sweep()
    world.mature()
    assert not world.works()
    store = world.store
    assert isinstance(store, MemoryStore)
    return books_of(world.scope, store.everything())


def come_to_the_same(tmp_path: Path, one: list[Step], two: list[Step], **settings: Any) -> Any:
    books = played(tmp_path / "one", one, **settings)
    assert books == played(tmp_path / "two", two, **settings)
    return books


def test_a_session_before_its_invoice_beside_an_earlier_sale(tmp_path: Path) -> None:
    earlier, paid, told = day(2.4), day(3.6), day(9.6)
    first, invoiced, named = invoice(4, earlier), invoice(1, paid), session(1, told, "bob")
    come_to_the_same(
        tmp_path,
        [(earlier, first), (paid, invoiced), (told, named)],
        [(earlier, first), (told, named), (told + 5, invoiced)],
    )


def test_a_click_that_is_seen_after_its_session(tmp_path: Path) -> None:
    def click(world: World) -> None:
        world.stream(world.click(token("ann"), "ann"))

    one, two, named = invoice(1, day(0)), invoice(2, day(0.5)), session(1, day(5.5), "ann")
    come_to_the_same(
        tmp_path,
        [(day(0), one), (day(0.5), two), (day(5.5), named), (day(7.5), click)],
        [(day(0), one), (day(7.5), click), (day(7.6), named), (day(7.7), two)],
        reward=twenty_percent(lasts="first"),
    )


def test_a_sale_of_nothing_before_the_first_that_counts(tmp_path: Path) -> None:
    brought, nothing, paid = day(19), day(22), day(55)
    by, zero = subscription(7, brought, "ann"), invoice(5, nothing, amount=0)
    counts = invoice(3, paid)
    come_to_the_same(
        tmp_path,
        [(brought, by), (nothing, zero), (paid, counts)],
        [(brought, by), (paid, counts), (paid + 5, zero)],
    )


def test_crediting_that_turns_to_each_transaction(tmp_path: Path) -> None:
    """Evidence on a payment is late evidence for the one an hour before, in any order."""

    def enrol(world: World) -> None:
        world.enrol("k1", email="sam@example.com", partner="ann", stripe_customer_id="cus_1")

    def per_transaction(world: World) -> None:
        world.set(crediting="transaction")

    later = day(40) + 3600
    head: list[Step] = [
        (day(0), enrol),
        (day(1), invoice(1, day(1))),
        (day(30), per_transaction),
        (day(31), World.sweep),
    ]
    plain = invoice(2, day(40))
    by_bob = invoice(3, later, metadata={"refledger_partner": "bob"})
    books = come_to_the_same(
        tmp_path,
        [*head, (day(40), plain), (later, by_bob)],
        [*head, (later, by_bob), (later + 3600, plain)],
    )
    assert books["sales"]["in_2"]["credited"] == "bob"


def test_late_hours_that_are_shortened_later(tmp_path: Path) -> None:
    """The hours are those of the payment's day."""

    def shorten(world: World) -> None:
        world.set(late_evidence_hours=24)

    paid, by_bob = invoice(1, day(1)), subscription(9, day(6), "bob")
    books = come_to_the_same(
        tmp_path,
        [(day(1), paid), (day(2), shorten), (day(6), by_bob)],
        [(day(2), shorten), (day(6), by_bob), (day(6.1), paid)],
        late_evidence_hours=200,
    )
    assert books["sales"]["in_1"]["credited"] == "bob"


def test_a_partner_paused_from_between_a_payment_and_its_late_evidence(tmp_path: Path) -> None:
    def pause(world: World) -> None:
        starts: Ms = day(1.5) * 1000
        world.change_partner("bob", status="paused", status_starts=starts)

    paid, by_bob = invoice(1, day(1)), subscription(9, day(2), "bob")
    books = come_to_the_same(
        tmp_path,
        [(day(1), paid), (day(2), by_bob), (day(2.5), World.mature), (day(3), pause)],
        [(day(2), by_bob), (day(3), pause), (day(3.1), paid)],
        hold_days=0,
    )
    assert books["sales"]["in_1"]["credited"] == ""


def test_an_email_of_another_customer_that_is_the_partners_own(tmp_path: Path) -> None:
    def enrol(world: World) -> None:
        world.enrol("k1", email="shared@example.com", partner="ann", stripe_customer_id="cus_1")
        world.enrol("k2", email="shared@example.com")
        world.enrol("k2", email="ann@example.com")

    paid = invoice(1, day(1), customer_email=None)
    body = a_customer(id="cus_1", email="ann@example.com")
    updated = event("customer.updated", body, day(2))
    books = come_to_the_same(
        tmp_path,
        [(day(0), enrol), (day(1), paid), (day(1.5), World.mature), (day(2), updated)],
        [(day(0), enrol), (day(2), updated), (day(2.1), paid)],
        hold_days=0,
    )
    assert "self-referral" in books["sales"]["in_1"]["because"]


def test_a_refused_touch_between_a_sale_and_what_won_it(tmp_path: Path) -> None:
    unknown = {"refledger_partner": "nobody"}
    first, by_ann = invoice(1, day(0)), subscription(1, day(4.5), "ann")
    second, between = invoice(2, day(5)), invoice(3, day(2), metadata=unknown)
    come_to_the_same(
        tmp_path,
        [(day(0), first), (day(2), between), (day(4.5), by_ann), (day(5), second)],
        [(day(0), first), (day(4.5), by_ann), (day(5), second), (day(6), between)],
        existing_customers="accept",
    )


def test_more_payments_than_are_read_at_once(tmp_path: Path) -> None:
    by_bob = {"refledger_partner": "bob"}
    first = invoice(0, day(0), metadata=by_bob)
    rest: list[Step] = [(day(n), invoice(n, day(n))) for n in range(1, 36)]
    rule: Rule = twenty_percent(lasts="first")
    come_to_the_same(tmp_path, [(day(0), first), *rest], [*rest, (day(36), first)], reward=rule)


def test_a_late_session_of_a_payment_beyond_those_read_at_once(tmp_path: Path) -> None:
    for number in (5, 40):
        steps: list[Step] = [(day(n), invoice(n, day(n))) for n in range(number)]
        steps += [(day(50), invoice(100, day(50))), (day(51), invoice(101, day(51)))]
        steps += [(day(59), session(100, day(59), "bob"))]
        books = played(tmp_path / str(number), steps, existing_customers="accept")
        assert books["sales"]["in_101"]["credited"] == "bob"


def test_a_touch_stays_with_whose_it_was_when_a_sale_is_told_from_the_books(tmp_path: Path) -> None:
    """Older than the inbox, and its customer has been given to another since."""
    world = World(tmp_path)
    about = {"customer": "cus_2", "metadata": {"refledger_customer": "k1"}}
    world.at(day(3))
    invoice(3, day(3), **about)(world)
    body = a_session(
        id="cs_3",
        mode="subscription",
        payment_intent=None,
        invoice="in_3",
        client_reference_id=token("ann"),
        customer="cus_2",
    )
    event("checkout.session.completed", body, day(3))(world)
    world.at(day(4)).enrol("k2", email="sam@example.com", stripe_customer_id="cus_2")
    world.at(day(420))
    for act in (world.sweep, world.mature, world.sweep):
        act()
    done = rebuild(world.store, MemoryStore(), named={}, now=world.ms, pause=lambda seconds: None)
    assert done.compared.differences == []


def test_a_rate_that_changes_in_the_second_of_a_payment(tmp_path: Path) -> None:
    def enrol(world: World) -> None:
        world.enrol("k1", email="sam@example.com", partner="ann", stripe_customer_id="cus_1")

    def raise_rate(world: World) -> None:
        world.set(reward=Rule(kind="percentage", rate_basis_points=3000, lasts="forever"))

    def pay_ann_less(world: World) -> None:
        world.change_partner("ann", reward=Rule(kind="percentage", rate_basis_points=100))

    paid = invoice(1, day(1))
    for change in (raise_rate, pay_ann_less):
        folder = tmp_path / change.__name__
        folder.mkdir()
        come_to_the_same(
            folder,
            [(day(0), enrol), (day(1), paid), (day(1), change)],
            [(day(0), enrol), (day(1), change), (day(1), paid)],
        )
