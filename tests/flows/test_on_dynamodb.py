"""The main job on the real store: what was told in memory holds on DynamoDB's surface, too."""

from pathlib import Path

from chalicelib.storage.dynamo import DynamoStore
from tests.builders.stripe_bodies import (
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import World, day, token, twenty_percent
from tests.storage.backends import Backend


def test_from_click_to_payout_and_back(tmp_path: Path, dynamo: Backend) -> None:
    world = World(tmp_path, store=dynamo.store)
    click = world.click(token("ann"), "ann")
    bought = a_session(client_reference_id=token("ann"))
    world.tell("payment_intent.succeeded", an_intent(), created=day(1))
    assert world.tell("checkout.session.completed", bought, created=day(1) + 1).state == "handled"
    assert world.balance("ann") == (980, 0, 0)
    assert world.stream(click, click) == 1
    world.at(day(32))
    assert world.mature() == 1
    world.pay("first", "ann", 980)
    world.pay("first", "ann", 980)
    world.tell("refund.created", a_refund(amount=4900), created=day(33))
    assert world.balance("ann") == (0, -980, 980)
    assert sum(p.minor for e in world.entries("ann") for p in e.postings) == 0
    assert world.works() == []


def test_five_payments_in_reverse(tmp_path: Path, dynamo: Backend) -> None:
    rule = twenty_percent(lasts="payments", count=3)
    world = World(tmp_path, store=dynamo.store, reward=rule)
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.at(day(6))
    for number in (5, 4, 3, 2, 1):
        paid = an_invoice(id=f"in_{number}", payment_intent=None, charge=None, paid_at=day(number))
        world.tell("invoice.paid", paid, created=day(number))
    assert world.balance("ann") == (3 * 980, 0, 0)
    assert "after payment 3, with which the rule ends" in world.trace("in_5")
    assert world.works() == []


def test_trips_of_an_invoice_that_earns(tmp_path: Path, dynamo: Backend) -> None:
    """Once warm: the inbox, ids and identities, the customer, partner and balance, the booking."""
    assert isinstance(dynamo.store, DynamoStore)
    world = World(tmp_path, store=dynamo.store)
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")

    def renewal(number: int) -> None:
        at = day(1) + number
        paid = an_invoice(id=f"in_{number}", payment_intent=None, charge=None, paid_at=at)
        world.tell("invoice.paid", paid, created=at)

    renewal(1)
    dynamo.trips.clear()
    renewal(2)
    assert dynamo.trips.total() <= 5, dynamo.trips
    world.tell("invoice_payment.paid", an_invoice_payment(invoice="in_2"), created=day(1) + 9)
    assert world.balance("ann") == (2 * 980, 0, 0)


def test_a_click_is_one_call(tmp_path: Path, dynamo: Backend) -> None:
    world = World(tmp_path, store=dynamo.store)
    world.click(token("ann", 1), "ann")
    dynamo.trips.clear()
    world.click(token("ann", 2), "ann")
    assert dynamo.trips.total() == 1
