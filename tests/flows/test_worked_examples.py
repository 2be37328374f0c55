"""The worked examples, in the README's words: at 20 % of net unless said."""

from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.program import Rule
from chalicelib.core.sale import Sale
from chalicelib.core.told import Told
from chalicelib.flows.book_facts import book_facts
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


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def session(partner: str | None = "ann", **about: Any) -> dict[str, Any]:
    about.setdefault("client_reference_id", partner and token(partner))
    return a_session(**about)


def buys(world: World, on: float = 1, **about: Any) -> None:
    """Sam buys for EUR 49.00 through ann's Payment Link."""
    world.tell("checkout.session.completed", session(**about), created=day(on))


def referred(world: World, partner: str = "ann", key: str = "sam") -> None:
    """The merchant's server told of sam, and who brought him."""
    world.enrol(key, partner=partner, stripe_customer_id="cus_1", email="sam@example.com")


def pays(world: World, number: int, on: float, **about: Any) -> None:
    """A paid invoice without tax, the whole told by ``invoice.paid``."""
    about.setdefault("total", 4900)
    about.setdefault("total_excluding_tax", about["total"])
    about.setdefault("amount_paid", about["total"])
    invoice = an_invoice(
        id=f"in_{number}",
        payment_intent=f"pi_{number}",
        charge=f"ch_{number}",
        paid_at=day(on),
        **about,
    )
    world.tell("invoice.paid", invoice, created=day(on))


class TestPaymentLink:
    def test_one_off_then_payable_after_the_hold(self, world: World) -> None:
        buys(world)
        assert world.balance("ann") == (980, 0, 0)
        world.at(day(30.9))
        assert world.mature() == 0
        assert world.balance("ann") == (980, 0, 0)
        world.at(day(31))
        assert world.mature() == 1
        assert world.balance("ann") == (0, 980, 0)
        assert world.mature() == 0

    def test_an_index_that_is_late_releases_nothing_early(self, world: World) -> None:
        buys(world)
        told = Told(sale=Sale(ids=frozenset({"cs_test_1"})))
        book_facts(told, scope=world.scope, store=world.store, now=world.ms, release=True)
        assert world.balance("ann") == (980, 0, 0)

    def test_a_click_that_was_never_seen_still_attributes(self, world: World) -> None:
        buys(world)
        assert "click not seen" in world.sale("cs_test_1").because

    def test_a_seen_click_gives_its_age(self, world: World) -> None:
        world.click(token("ann"), "ann")
        buys(world, on=3)
        assert world.sale("cs_test_1").because.startswith("last click, 3 of 30 days")

    def test_a_click_outside_the_window_earns_nothing(self, world: World) -> None:
        world.click(token("ann"), "ann")
        buys(world, on=31)
        assert world.owed("ann") == 0
        assert "outside the window of 30 days" in world.sale("cs_test_1").because

    def test_a_click_that_is_seen_after_the_sale(self, world: World) -> None:
        buys(world, on=0.1)
        click = world.click(token("ann"), "ann")
        assert world.stream(click) == 1
        assert world.stream(click) == 0
        assert "click not seen" not in world.sale("cs_test_1").because
        assert world.balance("ann") == (980, 0, 0)

    def test_a_guest(self, world: World) -> None:
        buys(world, customer=None)
        assert world.balance("ann") == (980, 0, 0)

    def test_a_delayed_method_pays_when_it_pays(self, world: World) -> None:
        world.tell("checkout.session.completed", session(payment_status="unpaid"), created=day(1))
        assert world.owed("ann") == 0
        world.tell("checkout.session.async_payment_succeeded", session(), created=day(4))
        assert world.balance("ann") == (980, 0, 0)

    def test_a_delayed_method_that_fails(self, world: World) -> None:
        unpaid = session(payment_status="unpaid")
        world.tell("checkout.session.completed", unpaid, created=day(1))
        world.tell("checkout.session.async_payment_failed", unpaid, created=day(4))
        assert world.owed("ann") == 0

    def test_an_unknown_partner_falls_through_to_metadata(self, world: World) -> None:
        buys(world, partner="nobody", metadata={"refledger_partner": "bob"})
        assert world.balance("bob") == (980, 0, 0)
        assert "no partner has the key nobody" in world.trace("cs_test_1")

    def test_a_paused_partner_earns_nothing(self, world: World) -> None:
        world.change_partner("ann", status="paused")
        buys(world)
        assert world.owed("ann") == 0
        assert "paused" in world.trace("cs_test_1")

    def test_whatever_the_case(self, world: World) -> None:
        buys(world, partner="Ann")
        assert world.balance("ann") == (980, 0, 0)

    def test_self_referral_by_email(self, world: World) -> None:
        buys(world, email="Ann@Example.com ")
        assert world.owed("ann") == 0
        assert "self-referral: same e-mail" in world.trace("cs_test_1")

    def test_self_referral_by_the_partners_own_stripe_customer(self, world: World) -> None:
        world.tell("customer.created", a_customer(email="ann@example.com"), created=day(0))
        buys(world, email="other@example.com")
        assert world.owed("ann") == 0
        assert "self-referral" in world.trace("cs_test_1")


class TestInvoices:
    def test_inclusive_vat(self, world: World) -> None:
        referred(world)
        pays(world, 1, 1, total=2990, total_excluding_tax=2513, tax=477)
        assert world.balance("ann") == (503, 0, 0)

    def test_inclusive_vat_in_the_shape_of_2019(self, world: World) -> None:
        referred(world)
        invoice = an_invoice(
            version="2020-08-27",
            total=2990,
            total_excluding_tax=None,
            tax=477,
            amount_paid=2990,
            paid_at=day(1),
        )
        world.tell("invoice.paid", invoice, created=day(1), version="2020-08-27")
        assert world.balance("ann") == (503, 0, 0)

    def test_partial_refund_of_an_invoice(self, world: World) -> None:
        referred(world)
        pays(world, 1, 1, total=2990, total_excluding_tax=2513, tax=477)
        world.tell("invoice_payment.paid", an_invoice_payment(), created=day(1))
        world.tell("refund.created", a_refund(amount=1500), created=day(2))
        assert world.balance("ann") == (250, 0, 0)

    def test_partly_covered_by_customer_credit(self, world: World) -> None:
        referred(world)
        pays(world, 1, 1, total=2000, amount_paid=1000)
        assert world.balance("ann") == (200, 0, 0)

    def test_trial_then_payment(self, world: World) -> None:
        trial = session(
            mode="subscription",
            payment_status="no_payment_required",
            amount_total=0,
            payment_intent=None,
            invoice="in_0",
            subscription="sub_1",
        )
        world.tell("checkout.session.completed", trial, created=day(1))
        pays(world, 0, 1, total=0)
        assert world.owed("ann") == 0
        pays(world, 1, 15, total=2000)
        assert world.balance("ann") == (400, 0, 0)

    def test_renewals_of_a_payment_link(self, world: World) -> None:
        bought = session(
            mode="subscription", payment_intent=None, invoice="in_1", subscription="sub_1"
        )
        world.tell("checkout.session.completed", bought, created=day(1))
        for number in range(1, 4):
            pays(world, number, 30 * number - 29)
        assert world.balance("ann") == (3 * 980, 0, 0)


class TestRefunds:
    def told_by_charge(self, world: World, cumulative: int, on: float) -> None:
        charge = a_charge(amount_refunded=cumulative)
        world.tell("charge.refunded", charge, created=day(on))

    def told_by_refund(self, world: World, id: str, amount: int, on: float) -> None:
        world.tell("refund.created", a_refund(id=id, amount=amount), created=day(on))

    @pytest.mark.parametrize("told_by", ["charge", "refund", "both"])
    def test_in_two_parts(self, world: World, told_by: str) -> None:
        buys(world)
        for id, amount, cumulative, on, left in (
            ("re_1", 1000, 1000, 2, 780),
            ("re_2", 3900, 4900, 3, 0),
        ):
            if told_by in ("charge", "both"):
                self.told_by_charge(world, cumulative, on)
            if told_by in ("refund", "both"):
                self.told_by_refund(world, id, amount, on)
            assert world.balance("ann") == (left, 0, 0)

    def test_before_the_payment(self, world: World) -> None:
        world.tell("refund.created", a_refund(amount=4900), created=day(2))
        buys(world)
        assert world.owed("ann") == 0
        assert sum(p.minor for e in world.entries("ann") for p in e.postings) == 0

    @pytest.mark.parametrize("type", ["refund.failed", "charge.refund.updated"])
    def test_that_fails_after_it_was_counted(self, world: World, type: str) -> None:
        buys(world)
        self.told_by_charge(world, 4900, 2)
        self.told_by_refund(world, "re_1", 4900, 2)
        assert world.balance("ann") == (0, 0, 0)
        world.tell(type, a_refund(amount=4900, status="failed"), created=day(3))
        assert world.balance("ann") == (980, 0, 0)
        world.at(day(40)).mature()
        assert world.balance("ann") == (0, 980, 0)

    def test_after_the_payout_is_absorbed_by_the_next(self, world: World) -> None:
        buys(world)
        world.at(day(32)).mature()
        world.pay("first", "ann", 980)
        assert world.balance("ann") == (0, 0, 980)
        self.told_by_refund(world, "re_1", 4900, 33)
        assert world.balance("ann") == (0, -980, 980)
        world.tell(
            "checkout.session.completed",
            session(
                id="cs_test_2",
                payment_intent="pi_2",
                customer="cus_2",
                email="friend@example.com",
                amount_total=9800,
            ),
            created=day(34),
        )
        world.at(day(65)).mature()
        assert world.balance("ann") == (0, 980, 980)
        world.pay("second", "ann", 980)
        assert world.balance("ann") == (0, 0, 1960)

    def test_after_the_rate_was_raised(self, world: World) -> None:
        buys(world, on=20)
        world.at(day(31))
        world.set(starts=day(31), reward=Rule(kind="percentage", rate_basis_points=4000))
        self.told_by_refund(world, "re_1", 2450, 65)
        assert world.owed("ann") == 490


class TestDisputes:
    def disputed(self, world: World, status: str, on: float, type: str = "closed") -> None:
        dispute = a_dispute(status=status)
        world.tell(f"charge.dispute.{type}", dispute, created=day(on))

    def test_not_payable_while_open_then_won(self, world: World) -> None:
        buys(world)
        self.disputed(world, "needs_response", 2, "created")
        world.at(day(40)).mature()
        assert world.balance("ann") == (980, 0, 0)
        assert "dispute" in world.sale("cs_test_1").held
        self.disputed(world, "won", 41)
        world.mature()
        assert world.balance("ann") == (0, 980, 0)

    def test_lost(self, world: World) -> None:
        buys(world)
        self.disputed(world, "needs_response", 2, "created")
        self.disputed(world, "lost", 10)
        assert world.balance("ann") == (0, 0, 0)

    def test_with_a_full_refund_never_below_zero(self, world: World) -> None:
        buys(world)
        world.tell("refund.created", a_refund(amount=4900), created=day(2))
        self.disputed(world, "lost", 10)
        assert world.balance("ann") == (0, 0, 0)

    def test_opened_when_payable_goes_back_to_pending(self, world: World) -> None:
        buys(world)
        world.at(day(32)).mature()
        self.disputed(world, "needs_response", 33, "created")
        assert world.balance("ann") == (980, 0, 0)
        self.disputed(world, "won", 40)
        world.mature()
        assert world.balance("ann") == (0, 980, 0)

    def test_opened_when_paid_moves_nothing(self, world: World) -> None:
        buys(world)
        world.at(day(32)).mature()
        world.pay("first", "ann", 980)
        self.disputed(world, "needs_response", 33, "created")
        assert world.balance("ann") == (0, 0, 980)
        self.disputed(world, "lost", 40)
        assert world.balance("ann") == (0, -980, 980)

    def test_an_inquiry_holds_nothing(self, world: World) -> None:
        buys(world)
        self.disputed(world, "warning_needs_response", 2, "created")
        world.at(day(40)).mature()
        assert world.balance("ann") == (0, 980, 0)


class TestStanding:
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return World(tmp_path, reward=twenty_percent(lasts="payments", count=3))

    def test_the_three_earliest_of_five_told_in_reverse(self, world: World) -> None:
        referred(world)
        for number in (5, 4, 3, 2, 1):
            invoice = an_invoice(
                id=f"in_{number}",
                payment_intent=f"pi_{number}",
                charge=f"ch_{number}",
                total=1000 * number,
                total_excluding_tax=1000 * number,
                amount_paid=1000 * number,
                paid_at=day(number),
            )
            world.at(day(6))
            world.tell("invoice.paid", invoice, created=day(number))
        assert [world.sale(f"in_{n}").positions.get("ann|eur") is not None for n in (1, 2, 3)] == [
            True
        ] * 3
        assert world.balance("ann") == (200 + 400 + 600, 0, 0)
        assert "after payment 3, with which the rule ends" in world.trace("in_4")
        assert world.works() == []

    def test_a_zero_sale_does_not_count_and_a_refunded_one_does(self, world: World) -> None:
        referred(world)
        pays(world, 1, 1, total=0)
        pays(world, 2, 2)
        world.tell(
            "refund.created",
            a_refund(charge="ch_2", payment_intent="pi_2", amount=4900),
            created=day(2.5),
        )
        for number in (3, 4, 5):
            pays(world, number, number)
        world.tell(
            "invoice_payment.paid",
            an_invoice_payment(invoice="in_2", payment_intent="pi_2"),
            created=day(5),
        )
        assert world.balance("ann") == (2 * 980, 0, 0)

    def test_months_count_from_the_first_payment(self, tmp_path: Path) -> None:
        world = World(tmp_path, reward=twenty_percent(lasts="months", count=12))
        referred(world)
        pays(world, 1, 1)
        pays(world, 2, 365.9)
        pays(world, 3, 366)
        assert world.owed("ann") == 2 * 980
        assert "later than 12 months" in world.trace("in_3")


class TestReferral:
    def test_first_click_ann_though_bob_is_told_first(self, tmp_path: Path) -> None:
        world = World(tmp_path, attribution="first_click")
        world.at(day(3))
        for number, partner in ((2, "bob"), (1, "ann")):
            bought = session(partner, id=f"cs_{number}", payment_intent=f"pi_{number}")
            world.tell("checkout.session.completed", bought, created=day(number))
        assert world.owed("ann") == 2 * 980
        assert world.owed("bob") == 0
        assert world.works() == []

    @pytest.mark.parametrize(
        ("attribution", "winner"), [("last_click", "bob"), ("first_click", "ann")]
    )
    def test_two_partners_two_clicks(self, tmp_path: Path, attribution: str, winner: str) -> None:
        world = World(tmp_path, attribution=attribution)
        for on, partner in ((0, "ann"), (1, "bob")):
            world.at(day(on)).click(token(partner), partner)
        world.at(day(2))
        buys(world, on=2, partner="ann", metadata={})
        # both tokens were told for the one payment: the session's, and the sign-up's by the server
        world.enrol("sam", token=token("bob"), stripe_customer_id="cus_1")
        assert world.owed(winner) == 980
        assert world.owed("ann" if winner == "bob" else "bob") == 0

    @pytest.mark.parametrize("days_late", [0, 4])
    @pytest.mark.parametrize("invoice_first", [True, False])
    def test_invoice_and_session_in_either_order(
        self, world: World, days_late: float, invoice_first: bool
    ) -> None:
        bought = session(
            mode="subscription", payment_intent=None, invoice="in_1", subscription="sub_1"
        )
        invoice = an_invoice(paid_at=day(1))
        told = [
            world.event("invoice.paid", invoice, created=day(1)),
            world.event("checkout.session.completed", bought, created=day(1) + 1),
        ]
        for number, event in enumerate(told if invoice_first else told[::-1]):
            world.at(day(1) + 2 + number * days_late * 86_400)
            world.deliver(event)
        assert world.balance("ann") == (980, 0, 0)
        assert world.works() == []

    def test_transaction_crediting_decides_for_each_sale(self, tmp_path: Path) -> None:
        world = World(tmp_path, crediting="transaction")
        for number, partner in ((1, "ann"), (2, "bob")):
            bought = session(partner, id=f"cs_{number}", payment_intent=f"pi_{number}")
            world.tell("checkout.session.completed", bought, created=day(number))
        assert (world.owed("ann"), world.owed("bob")) == (980, 980)

    def test_an_existing_customer_earns_nobody_anything(self, world: World) -> None:
        pays(world, 1, 1)
        buys(world, on=10, payment_intent="pi_9", id="cs_9")
        assert world.owed("ann") == 0
        assert "existing customer" in world.sale("cs_9").because

    def test_existing_customers_may_be_accepted(self, tmp_path: Path) -> None:
        world = World(tmp_path, existing_customers="accept")
        pays(world, 1, 1)
        buys(world, on=10, payment_intent="pi_9", id="cs_9")
        assert world.balance("ann") == (980, 0, 0)
        assert world.sale("in_1").credited == ""


class TestStrangers:
    def test_takes_nobody_over(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com", partner="ann")
        world.at(day(1)).click(token("bob"), "bob")
        for key in ("sam", "other"):
            world.sign_up(key, email="sam@example.com", token=token("bob"))
        pays(world, 1, 2)
        assert (world.owed("ann"), world.owed("bob")) == (980, 0)

    def test_a_known_customer_without_a_partner_stays_so(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com")
        world.at(day(1)).click(token("bob"), "bob")
        for key in ("sam", "other"):
            world.sign_up(key, email="sam@example.com", token=token("bob"))
        pays(world, 1, 2)
        assert (world.owed("ann"), world.owed("bob")) == (0, 0)

    def test_the_merchants_call_still_wins(self, world: World) -> None:
        world.click(token("bob"), "bob")
        world.sign_up("stranger", email="sam@example.com", token=token("bob"))
        world.sign_up("sam", email="sam@example.com", token=token("bob"))
        world.at(day(1)).enrol("sam", email="sam@example.com", partner="ann")
        pays(world, 1, 2)
        assert (world.owed("ann"), world.owed("bob")) == (980, 0)

    def test_an_honest_sign_up_counts(self, world: World) -> None:
        world.click(token("ann"), "ann")
        world.at(day(1)).sign_up("sam", email="Sam@Example.com", token=token("ann"))
        pays(world, 1, 2)
        assert world.balance("ann") == (980, 0, 0)
        assert world.sale("in_1").because.startswith("last click, 1 of 30 days")

    def test_a_sign_up_whose_click_was_blocked_counts_alone(self, world: World) -> None:
        world.sign_up("sam", email="sam@example.com", token=token("ann"))
        pays(world, 1, 2)
        assert world.balance("ann") == (980, 0, 0)
        assert "click not seen" in world.sale("in_1").because

    def test_a_stripe_customer_made_just_before_the_sign_up(self, world: World) -> None:
        world.click(token("ann"), "ann")
        world.tell("customer.created", a_customer() | {"created": day(1)}, created=day(1))
        world.at(day(1) + 5).sign_up("sam", email="sam@example.com", token=token("ann"))
        pays(world, 1, 2)
        assert world.balance("ann") == (980, 0, 0)

    def test_stripes_metadata_tells_the_key_in_the_same_second(self, world: World) -> None:
        world.click(token("ann"), "ann")
        made = a_customer(metadata={"customer_key": "sam"}) | {"created": day(1)}
        world.at(day(1) + 0.7).sign_up("sam", email="sam@example.com", token=token("ann"))
        world.tell("customer.created", made, created=day(1))
        pays(world, 1, 2)
        assert world.balance("ann") == (980, 0, 0)

    def test_one_who_has_paid_is_not_claimed_later(self, world: World) -> None:
        pays(world, 1, 1)
        world.at(day(1) + 60).click(token("bob"), "bob")
        world.sign_up("stranger", email="sam@example.com", token=token("bob"))
        pays(world, 2, 20)
        assert world.owed("bob") == 0


class TestOneSaleManyViews:
    def test_told_five_ways_in_any_order_counts_once(self, world: World) -> None:
        import itertools

        invoice = an_invoice(version="2020-08-27", paid_at=day(1), total=4900)
        told = [
            ("invoice.paid", an_invoice(paid_at=day(1)), {}),
            ("invoice.payment_succeeded", invoice, {"version": "2020-08-27"}),
            ("payment_intent.succeeded", an_intent(), {}),
            ("charge.succeeded", a_charge(), {}),
            ("invoice_payment.paid", an_invoice_payment(), {}),
        ]
        for number, order in enumerate(itertools.permutations(told)):
            if number % 7:
                continue
            fresh = World(Path(world.sealer.path.parent / str(number)))
            referred(fresh)
            for type, object, about in order:
                fresh.at(day(2))
                for _ in range(2):
                    fresh.tell(type, object, created=day(1) + 3, id=f"evt_{type}", **about)
            assert fresh.balance("ann") == (980, 0, 0), [t for t, _, _ in order]
            assert fresh.sale("ch_1").sale.canonical == "in_1"

    def test_the_same_event_three_times(self, world: World) -> None:
        event = world.event("checkout.session.completed", session(), created=day(1))
        world.at(day(1))
        assert [world.deliver(event).state for _ in range(3)] == [
            "handled",
            "duplicate",
            "duplicate",
        ]
        assert world.balance("ann") == (980, 0, 0)

    def test_an_intent_alone_waits_for_its_claim(self, world: World) -> None:
        referred(world)
        world.set(hold_days=1)
        world.tell("payment_intent.succeeded", an_intent(), created=day(1))
        assert world.balance("ann") == (980, 0, 0)
        world.at(day(3)).mature()
        assert world.balance("ann") == (980, 0, 0)
        world.at(day(4)).mature()
        assert world.balance("ann") == (0, 980, 0)

    def test_an_uncaptured_charge_is_no_payment(self, world: World) -> None:
        referred(world)
        world.tell("charge.succeeded", a_charge(captured=False, amount_captured=0), created=day(1))
        assert world.owed("ann") == 0


class TestRules:
    @pytest.mark.parametrize(
        ("currency", "amount", "reward"), [("jpy", 5000, 1000), ("kwd", 10_000, 2000)]
    )
    def test_other_exponents(self, world: World, currency: str, amount: int, reward: int) -> None:
        buys(world, currency=currency, amount_total=amount)
        assert world.balance("ann", currency) == (reward, 0, 0)

    def test_a_fixed_reward_has_a_currency(self, tmp_path: Path) -> None:
        world = World(tmp_path, reward=Rule(kind="fixed", amounts_minor={"eur": 500}))
        buys(world, currency="jpy", amount_total=5000)
        assert world.owed("ann", "jpy") == 0
        assert "no fixed reward is set for jpy" in world.sale("cs_test_1").because

    def test_gross(self, tmp_path: Path) -> None:
        world = World(tmp_path, reward=twenty_percent(of="gross"))
        buys(world, amount_tax=782)
        assert world.owed("ann") == 980

    def test_minimum_sale(self, tmp_path: Path) -> None:
        world = World(tmp_path, reward=twenty_percent(minimum_minor={"eur": 5000}))
        buys(world)
        assert world.owed("ann") == 0
        assert "below the minimum sale of 50.00" in world.sale("cs_test_1").because

    def test_a_partners_own_rule(self, world: World) -> None:
        own = Rule(kind="percentage", rate_basis_points=3000)
        world.change_partner("ann", reward=own, reward_starts=day(5) * 1000)
        buys(world, on=4)
        buys(world, on=5, id="cs_2", payment_intent="pi_2")
        assert world.owed("ann") == 980 + 1470

    def test_kept_out_by_metadata(self, world: World) -> None:
        buys(world, metadata={"refledger": "false"})
        assert world.owed("ann") == 0
        assert "kept out" in world.sale("cs_test_1").because


class TestMerchantsOwnSales:
    def test_sent_twice_counts_once(self, world: World) -> None:
        world.enrol("sam", partner="ann")
        for _ in range(2):
            world.tell_sale("order-1", "sam", 4900)
        assert world.balance("ann") == (980, 0, 0)

    def test_refunded_by_key(self, world: World) -> None:
        world.enrol("sam", partner="ann")
        world.tell_sale("order-1", "sam", 4900)
        for _ in range(2):
            world.tell_refund("order-1", "r-1", 1000)
        assert world.balance("ann") == (780, 0, 0)

    @pytest.mark.parametrize("stripe_first", [True, False])
    def test_an_alias_of_stripes_sale(self, world: World, stripe_first: bool) -> None:
        referred(world)
        world.at(day(1))
        if stripe_first:
            pays(world, 1, 1)
        world.tell_sale("in_1", "sam", 9900)
        if not stripe_first:
            pays(world, 1, 1)
        assert world.balance("ann") == (980, 0, 0)

    @pytest.mark.parametrize("stripe_first", [True, False])
    def test_a_possible_duplicate_waits_to_be_confirmed(
        self, world: World, stripe_first: bool
    ) -> None:
        referred(world)
        world.at(day(1))
        if stripe_first:
            pays(world, 1, 1)
        world.at(day(1) + 600)
        world.tell_sale("order-1", "sam", 4900)
        if not stripe_first:
            pays(world, 1, 1.01)
        assert world.sale("order-1").possible_duplicate
        world.at(day(40)).mature()
        assert world.balance("ann") == (980, 980, 0)
        world.confirm("order-1")
        world.mature()
        assert world.balance("ann") == (0, 1960, 0)


class TestMatching:
    def test_reference_is_the_merchants_own_key(self, world: World) -> None:
        world.enrol("user_7", partner="ann")
        buys(world, client_reference_id="user_7", email="x@example.com")
        assert world.balance("ann") == (980, 0, 0)

    def test_reference_names_a_customer_made_later(self, world: World) -> None:
        buys(world, client_reference_id="user_7", email="x@example.com")
        assert world.owed("ann") == 0
        world.at(day(1) + 60).enrol("user_7", partner="ann")
        assert world.balance("ann") == (980, 0, 0)
        assert world.works() == []

    def test_a_reference_that_is_nobodys_blocks_nothing(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com", partner="ann")
        for number in (1, 2):
            buys(
                world,
                on=number,
                id=f"cs_{number}",
                payment_intent=f"pi_{number}",
                client_reference_id="pricing-page",
            )
        world.tell(
            "checkout.session.completed",
            session(
                client_reference_id="pricing-page",
                id="cs_3",
                payment_intent="pi_3",
                customer="cus_3",
                email="friend@example.com",
            ),
            created=day(3),
        )
        assert world.owed("ann") == 2 * 980

    def test_metadata_names_the_customer(self, world: World) -> None:
        world.enrol("user_7", partner="ann")
        invoice = an_invoice(
            customer="cus_9",
            customer_email="y@example.com",
            metadata={"customer_key": "user_7"},
            paid_at=day(1),
        )
        world.tell("invoice.paid", invoice, created=day(1))
        assert world.balance("ann") == (980, 0, 0)

    def test_then_by_email(self, world: World) -> None:
        world.enrol("sam", email=" Sam@Example.com", partner="ann")
        pays(world, 1, 1, customer="cus_5")
        assert world.balance("ann") == (980, 0, 0)


class TestLatePartners:
    def test_a_key_that_was_used_before_its_partner_was_made(self, world: World) -> None:
        buys(world, partner="late")
        assert world.sale("cs_test_1").credited == ""
        world.a_partner("Late")
        world.at(day(1) + 120).sweep()
        assert world.balance("late") == (980, 0, 0)
        assert world.works() == []

    def test_a_key_that_was_never_used_owes_nothing(self, world: World) -> None:
        buys(world)
        world.a_partner("unused")
        assert world.works() == []


class TestSecondAccounts:
    def test_a_partners_second_account_earns_nothing(self, world: World) -> None:
        world.enrol("own", email="ann@example.com")
        world.enrol("second", email="ann@example.com", partner="ann")
        world.tell_sale("order-1", "second", 4900)
        assert world.owed("ann") == 0
        assert "self-referral" in world.trace("tx:order-1")

    def test_also_where_stripe_tells_the_email(self, world: World) -> None:
        world.enrol("own", email="ann@example.com")
        world.enrol("second", partner="ann", stripe_customer_id="cus_1")
        buys(world, on=1, partner=None, email="ann@example.com")
        assert world.owed("ann") == 0

    def test_a_stranger_cannot_disable_a_partner(self, world: World) -> None:
        world.enrol("sam", email="sam@example.com", partner="ann")
        world.at(day(0.5)).sign_up("sam", email="ann@example.com")
        pays(world, 1, 1)
        assert world.balance("ann") == (980, 0, 0)
