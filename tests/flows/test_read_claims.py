"""What only Stripe can settle is asked once, and the books say so."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.sale import UNCLAIMED_WAIT_MS
from chalicelib.core.settlement import SettledSale
from chalicelib.flows.keep_object import take_in
from chalicelib.flows.read_claims import read_answers, read_claims
from chalicelib.storage import keys
from chalicelib.stripe_adapter.calls import Rows
from chalicelib.stripe_adapter.translate import translate
from local.fake_stripe import FakeStripe, RenderedEvent, running_fake_stripe
from tests.builders.stripe_bodies import a_charge, a_refund, an_intent, an_invoice
from tests.builders.world import World, day, token
from tests.flows.object_kit import Hears, Past
from tests.local.fake_stripe.conftest import a_customer, paid_intent

HOUR = 3_600
ASK_LAST = UNCLAIMED_WAIT_MS // 1000


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=lambda: day(1), seed=1) as running:
        yield running
        assert running.faults == []


@pytest.fixture
def past(fake: FakeStripe) -> Past:
    return Past(fake)


@pytest.fixture
def hears(past: Past, tmp_path: Path) -> Hears:
    return Hears(past, tmp_path / "world", hold_days=1)


def due(world: World, id: str) -> tuple[str, int] | None:
    """Under what a sale is due, and when (unix seconds)."""
    item = world.everything()[keys.sale(world.scope, id)]
    return item.due and (item.due[0], int(item.due[1].partition("#")[0]) // 1000)


def payments_alone(event: RenderedEvent) -> bool:
    return event.type.startswith(("payment_intent.", "charge."))


def ask(hears: Hears, settled: SettledSale, *, calls: Any = None, alone: bool = True) -> int:
    """What the hourly job does with a sale that is to be asked about: how many answers came."""
    world = hears.world
    bodies = read_answers(
        settled,
        calls=calls or hears.calls,
        connection=world.connection,
        now=world.ms,
        alone=alone,
    )
    for body in bodies:
        received = take_in(body, connection=world.connection, store=world.store, now=world.ms)
        assert received.state in ("handled", "duplicate"), received
    return len(bodies)


class TestClaims:
    def test_a_session_that_was_never_told_is_found(self, past: Past, hears: Hears) -> None:
        session = past.by_link("ann", 1)
        intent = past.intent_of(session)
        hears.webhooks(wanted=payments_alone)
        assert due(hears.world, intent) == (keys.DUE_ASK, day(1) + HOUR)
        assert hears.world.sale(intent).question.about == ("claims",)
        assert hears.world.owed("ann") == 0
        hears.world.at(day(1) + HOUR)
        assert ask(hears, hears.world.sale(intent)) == 2
        settled = hears.world.sale(intent)
        assert (settled.sale.canonical, settled.credited, settled.question) == (
            session,
            "ann",
            None,
        )
        assert due(hears.world, session) == (keys.DUE_RELEASE, day(2))

    def test_a_subscriptions_session_is_found_by_its_invoice(
        self, past: Past, hears: Hears
    ) -> None:
        past.checkout(client_reference_id=token("ann", 1))
        hears.webhooks(wanted=payments_alone)
        [intent] = past.api.payment_intents.list().data
        ask(hears, hears.world.sale(intent.id))
        settled = hears.world.sale(intent.id)
        assert settled.sale.canonical.startswith("in_")
        assert (settled.credited, settled.question) == ("ann", None)

    def test_a_payment_that_nobody_claims_need_not_wait_any_longer(
        self, past: Past, hears: Hears
    ) -> None:
        intent = paid_intent(past.api, 5000, metadata={"refledger_partner": "ann"}).id
        hears.webhooks()
        world = hears.world
        assert due(world, intent) == (keys.DUE_ASK, day(1) + HOUR)
        ask(hears, world.sale(intent))
        assert world.sale(intent).sale.settled_by_stripe
        assert due(world, intent) == (keys.DUE_RELEASE, day(2))
        world.at(day(2)).mature()
        assert world.balance("ann") == (0, 1000, 0)
        assert ask(hears, world.sale(intent)) == 0

    def test_asking_again_is_one_fact(self, past: Past, hears: Hears) -> None:
        intent = paid_intent(past.api, 5000).id
        hears.webhooks()
        settled = hears.world.sale(intent)
        ask(hears, settled)
        stood = hears.world.everything()
        ask(hears, settled)
        assert hears.world.everything() == stood

    def test_one_that_the_account_does_not_know_was_asked_too(self, hears: Hears) -> None:
        world = hears.world
        world.tell("payment_intent.succeeded", an_intent(id="pi_gone"), created=day(1))
        assert ask(hears, world.sale("pi_gone"), alone=False) == 0
        assert not world.sale("pi_gone").sale.settled_by_stripe
        assert ask(hears, world.sale("pi_gone")) == 1
        assert world.sale("pi_gone").sale.settled_by_stripe

    def test_another_account_of_the_program_that_knows_it_answers(
        self, past: Past, hears: Hears
    ) -> None:
        intent = paid_intent(past.api, 5000).id
        hears.webhooks()
        assert ask(hears, hears.world.sale(intent), alone=False) == 1

    def test_claims_alone(self, past: Past, hears: Hears) -> None:
        session = past.by_link("ann", 1)
        connection = hears.world.connection
        [claim] = read_claims(past.intent_of(session), calls=hears.calls, connection=connection)
        assert session in translate(claim).sale.ids
        [asked] = read_claims("pi_gone", calls=hears.calls, connection=connection)
        told = translate(asked).sale
        assert told.settled_by_stripe and told.ids == {"pi_gone"}

    def test_an_account_by_oauth_is_named(self, hears: Hears) -> None:
        by_oauth = replace(hears.world.connection, how="oauth", account="acct_1")
        [asked] = read_claims("pi_gone", calls=hears.calls, connection=by_oauth)
        assert b'"account":"acct_1"' in asked


class TestNobodyAsks:
    def test_a_reward_matures_after_72_hours_as_before(self, past: Past, hears: Hears) -> None:
        intent = paid_intent(past.api, 5000, metadata={"refledger_partner": "ann"}).id
        hears.webhooks()
        world = hears.world
        world.at(day(1) + ASK_LAST - 1).mature()
        assert world.balance("ann") == (1000, 0, 0)
        world.at(day(1) + ASK_LAST).mature()
        assert world.balance("ann") == (0, 1000, 0)
        assert due(world, intent) is None

    def test_one_that_earns_nothing_is_left_alone_then(self, past: Past, hears: Hears) -> None:
        intent = paid_intent(past.api, 5000).id
        hears.webhooks()
        world = hears.world.at(day(1) + ASK_LAST)
        world.mature()
        assert due(world, intent) is None
        stood = world.everything()
        world.at(day(9)).mature()
        assert world.everything() == stood

    def test_a_claim_needs_no_asking(self, past: Past, hears: Hears) -> None:
        session = past.by_link("ann", 1)
        hears.webhooks()
        assert hears.world.sale(session).question is None
        assert due(hears.world, session) == (keys.DUE_RELEASE, day(2))

    def test_an_invoice_that_says_who_paid_asks_nothing(self, hears: Hears) -> None:
        hears.world.tell("invoice.paid", an_invoice(payment_intent=None), created=day(1))
        assert due(hears.world, "in_1") is None


class TestRefunds:
    def refunded(self, past: Past, hears: Hears) -> str:
        """Two refunds, of which the charge tells in full and the second's own events are lost."""
        session = past.by_link("ann", 1)
        past.refund(session, 1000)
        lost = past.refund(session, 900)
        hears.webhooks(wanted=lambda event: lost.encode() not in event.body)
        return session

    def test_those_that_disagree_are_read_one_by_one(self, past: Past, hears: Hears) -> None:
        session = self.refunded(past, hears)
        world = hears.world
        held = world.sale(session)
        assert held.held.startswith("held until it is known: the refunds told by id are less")
        assert held.question.about == ("refunds",)
        assert due(world, session) == (keys.DUE_ASK, day(1) + HOUR)
        world.at(day(1) + HOUR)
        assert ask(hears, held) == 3
        settled = world.sale(session)
        assert (settled.held, settled.question) == ("", None)
        assert len(settled.sale.refunds) == 2
        assert world.owed("ann") == 600

    def test_those_that_still_disagree_are_held_and_asked_for_once_a_day(
        self, hears: Hears
    ) -> None:
        world = hears.world
        charge = a_charge(amount_refunded=1000, created=day(1))
        world.tell("charge.refunded", charge, created=day(1))
        world.tell("refund.created", a_refund(amount=400), created=day(1))
        calls = Scripted(charge, [a_refund(amount=400)])
        for days in (1.5, 2.5):
            world.at(day(days))
            assert ask(hears, world.sale("ch_1"), calls=calls) >= 2
            settled = world.sale("ch_1")
            assert settled.held.endswith(
                "than the charge says was refunded, and Stripe says so too"
            )
            assert (settled.question.about, settled.question.at) == (
                ("refunds",),
                day(days + 1) * 1000,
            )
        assert due(world, "pi_1") == (keys.DUE_ASK, day(3.5))
        assert calls.asked == 2

    def test_more_than_a_page_of_them(self, hears: Hears) -> None:
        world = hears.world
        charge = a_charge(amount_refunded=230, created=day(1))
        world.tell("charge.refunded", charge, created=day(1))
        refunds = [a_refund(id=f"re_{n}", amount=1, created=day(1)) for n in range(230)]
        world.tell("refund.created", refunds[0], created=day(1))
        world.at(day(2))
        ask(hears, world.sale("ch_1"), calls=Scripted(charge, refunds))
        settled = world.sale("ch_1")
        assert (len(settled.sale.refunds), settled.held) == (230, "")

    def test_what_a_charge_says_now_counts_though_it_said_more_before(self, hears: Hears) -> None:
        """One of its refunds has failed since, and that was never told."""
        world = hears.world
        said = a_charge(amount_refunded=1000, created=day(1))
        world.tell("charge.refunded", said, created=day(1))
        world.tell("refund.created", a_refund(amount=400), created=day(1))
        failed = a_refund(id="re_2", amount=600, status="failed", created=day(1) - 9)
        calls = Scripted(said | {"amount_refunded": 400}, [failed, a_refund(amount=400)])
        world.at(day(2))
        assert world.sale("ch_1").held
        ask(hears, world.sale("ch_1"), calls=calls)
        settled = world.sale("ch_1")
        assert (settled.held, settled.summary().refunded) == ("", 400)

    def test_a_charge_that_the_account_does_not_know_stays_as_it_is(self, hears: Hears) -> None:
        world = hears.world
        world.tell("charge.refunded", a_charge(amount_refunded=1000), created=day(1))
        world.tell("refund.created", a_refund(amount=400), created=day(1))
        world.at(day(2))
        ask(hears, world.sale("ch_1"))
        settled = world.sale("ch_1")
        assert settled.held.endswith("and Stripe says so too")
        assert settled.question.at == day(3) * 1000


class Scripted:
    """An account of one charge, whose refunds do not add up to what it says."""

    def __init__(self, charge: Mapping[str, Any], refunds: list[Any]) -> None:
        self.charge, self.refunds, self.asked = charge, refunds, 0

    def retrieve(self, kind: str, id: str, *, expand: Any = ()) -> Any:
        self.asked += kind == "charge"
        return self.charge if kind == "charge" else None

    def page(self, kind: str, *, params: Any, after: str = "", limit: int = 100) -> Rows:
        rows = self.refunds if kind == "refund" else []
        begin = next((n for n, row in enumerate(rows, 1) if row["id"] == after), 0)
        return Rows(tuple(rows[begin : begin + limit]), begin + limit < len(rows))


class TestCustomers:
    def test_one_known_by_stripes_id_alone_is_read(self, past: Past, hears: Hears) -> None:
        """A sign-up under the customer's e-mail is found by it."""
        world = hears.world
        world.sign_up("sam", email="sam@example.com", token=token("ann", 1))
        buyer = a_customer(past.api)
        intent = paid_intent(past.api, 5000, customer=buyer).id
        hears.webhooks(wanted=payments_alone)
        assert world.sale(intent).question.about == ("claims", "customer")
        assert world.sale(intent).credited == ""
        ask(hears, world.sale(intent))
        world.sweep()
        settled = world.sale(intent)
        assert (settled.credited, settled.question) == ("ann", None)

    def test_one_that_is_gone_is_not_asked_for_again(self, hears: Hears) -> None:
        world = hears.world
        world.tell("payment_intent.succeeded", an_intent(id="pi_gone"), created=day(1))
        assert world.sale("pi_gone").question.about == ("claims", "customer")
        ask(hears, world.sale("pi_gone"))
        assert world.sale("pi_gone").question is None

    def test_a_reward_that_is_due_soon_does_not_wait_for_it(self, hears: Hears) -> None:
        metadata = {"refledger_partner": "ann"}
        paid = an_invoice(customer_email=None, metadata=metadata, paid_at=day(1))
        hears.world.tell("invoice.paid", paid, created=day(1))
        assert due(hears.world, "in_1") == (keys.DUE_RELEASE, day(2))

    def test_one_whose_reward_is_held_for_long_is_asked_for(
        self, past: Past, tmp_path: Path
    ) -> None:
        hears = Hears(past, tmp_path / "long", hold_days=30)
        metadata = {"refledger_partner": "ann"}
        paid = an_invoice(customer_email=None, metadata=metadata, paid_at=day(1))
        hears.world.tell("invoice.paid", paid, created=day(1))
        assert due(hears.world, "in_1") == (keys.DUE_ASK, day(1) + HOUR)
        assert ask(hears, hears.world.sale("in_1")) == 1
        assert due(hears.world, "in_1") == (keys.DUE_RELEASE, day(31))
