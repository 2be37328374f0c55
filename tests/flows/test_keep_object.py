"""What was read is an event like any other; and nobody outside may say that we made one."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.keep_object import take_in
from chalicelib.flows.rebuild import rebuild
from chalicelib.flows.receive_webhook import Received, handle_event
from chalicelib.storage import keys, records
from chalicelib.stripe_adapter.asked import claims_asked, refunds_asked
from chalicelib.stripe_adapter.objects import event_of
from tests.builders.stripe_bodies import a_charge, a_refund, an_intent, as_body
from tests.builders.world import World, day
from tests.conformance.pieces import paid_invoice
from tests.fakes.memory_store import MemoryStore
from tests.flows.test_rebuild import NAMED

ABOUT = {"livemode": False, "account": ""}
FOREIGN = "it says that it was made here, and came from outside"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path).at(day(2))
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    return world.at(day(40))


def taken(world: World, body: bytes | None) -> Received:
    assert body is not None
    return take_in(body, connection=world.connection, store=world.store, now=world.ms)


def test_a_read_is_booked_and_kept(world: World) -> None:
    body = event_of("invoice", paid_invoice(1, 30), **ABOUT)
    received = taken(world, body)
    assert (received.state, received.type) == ("handled", "invoice.paid")
    assert received.event.startswith("read_in_1_")
    head = world.state(received.event)
    assert (head.state, head.received_at) == ("handled", day(40) * 1000)
    assert world.owed("ann") == 980


def test_the_same_read_is_one_event(world: World) -> None:
    taken(world, event_of("invoice", paid_invoice(1, 30), **ABOUT))
    stood = world.everything()
    again = paid_invoice(1, 30) | {"hosted_invoice_url": "https://invoice.example.com/2"}
    assert taken(world, event_of("invoice", again, **ABOUT)).state == "duplicate"
    assert world.everything() == stood


def test_what_a_webhook_told_already_changes_nothing(world: World) -> None:
    world.tell("invoice.paid", paid_invoice(1, 30), created=day(40))
    stood = {k: i for k, i in world.everything().items() if k.table == "records"}
    taken(world, event_of("invoice", paid_invoice(1, 30), **ABOUT))
    now = {k: i for k, i in world.everything().items() if k.table == "records"}
    assert now.keys() == stood.keys()
    assert len(world.entries("ann")) == 1


def test_another_modes_read_tells_this_connection_nothing(world: World) -> None:
    body = event_of("invoice", paid_invoice(1, 30), livemode=True, account="")
    assert taken(world, body).state == "ignored"
    assert world.owed("ann") == 0


def forged(body: bytes, **about: Any) -> dict[str, Any]:
    return json.loads(body) | about


class TestForged:
    """An attacker who knows the webhook's secret can sign anything."""

    @pytest.fixture
    def waiting(self, world: World) -> World:
        """A payment whose reward waits until it is claimed, or Stripe was asked."""
        world.tell("payment_intent.succeeded", an_intent(), created=day(41))
        return world

    @pytest.mark.parametrize("id", ["evt_1", "read_pi_1_0123456789abcdef", None])
    def test_an_answer_of_stripes_is_not_taken_from_outside(self, waiting: World, id: Any) -> None:
        event = forged(claims_asked("pi_1", **ABOUT))
        received = waiting.deliver(event | ({"id": id} if id else {}))
        assert (received.state, received.because) == ("ignored", FOREIGN)
        assert received.event.startswith("foreign-")
        assert not waiting.sale("pi_1").sale.settled_by_stripe

    def test_nor_when_it_is_handled_again(self, waiting: World) -> None:
        received = waiting.deliver(forged(claims_asked("pi_1", **ABOUT)))
        item = self.item(waiting, received.event)
        body = as_body(forged(claims_asked("pi_1", **ABOUT)))
        about: Any = {"connection": waiting.connection, "store": waiting.store}
        again = handle_event(item, body, now=waiting.ms, **about)
        assert again.because == FOREIGN
        assert not waiting.sale("pi_1").sale.settled_by_stripe

    def test_nor_by_a_rebuild(self, waiting: World) -> None:
        waiting.deliver(forged(claims_asked("pi_1", **ABOUT)))
        target = MemoryStore()
        done = rebuild(
            waiting.store, target, named=NAMED, now=waiting.ms, pause=lambda seconds: None
        )
        assert done.compared.equal
        key = keys.sale(waiting.scope, "pi_1")
        assert not records.read_sale(target.everything()[key]).sale.settled_by_stripe

    def test_it_cannot_stand_in_the_place_of_ours(self, waiting: World) -> None:
        """An id of ours, sent ahead of us, would be a duplicate when we take it in."""
        ours = claims_asked("pi_1", **ABOUT)
        waiting.deliver(forged(ours, type="invoice.created"))
        assert taken(waiting, ours).state == "handled"
        assert waiting.sale("pi_1").sale.settled_by_stripe

    def test_a_read_is_not_taken_from_outside_either(self, waiting: World) -> None:
        body = event_of("invoice", paid_invoice(1, 30), **ABOUT)
        assert body is not None
        assert waiting.deliver(forged(body)).because == FOREIGN
        assert taken(waiting, body).state == "handled"

    def item(self, world: World, event: str) -> Any:
        key = keys.inbox(world.connection.id, event)
        return world.store.get([key])[key]


def test_a_rebuild_tells_again_what_was_read_and_asked(world: World) -> None:
    world.tell("payment_intent.succeeded", an_intent(id="pi_1"), created=day(41))
    charge = a_charge(id="ch_2", payment_intent="pi_2", amount_refunded=1000, created=day(41))
    world.tell("charge.refunded", charge, created=day(41))
    refund = a_refund(amount=400, charge="ch_2", payment_intent="pi_2")
    world.tell("refund.created", refund, created=day(41))
    taken(world, event_of("invoice", paid_invoice(3, 30), **ABOUT))
    taken(world, claims_asked("pi_1", **ABOUT))
    asked = refunds_asked("ch_2", charge, stood_at=1000, asked_at=day(42), **ABOUT)
    taken(world, asked)
    rest = a_refund(id="re_2", amount=600, charge="ch_2", payment_intent="pi_2")
    taken(world, event_of("refund", rest, **ABOUT))
    assert world.sale("ch_2").held == ""
    target = MemoryStore()
    world.at(day(80)).mature()
    done = rebuild(world.store, target, named=NAMED, now=world.ms, pause=lambda seconds: None)
    assert done.compared.differences == []
    for id in ("pi_1", "pi_2", "in_3"):
        key = keys.sale(world.scope, id)
        old, new = world.everything()[key], target.everything()[key]
        assert records.read_sale(new).sale == records.read_sale(old).sale
        assert new.due == old.due
