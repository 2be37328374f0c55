"""Asking Stripe what no event settled: one answer for each question, within the limits, and nobody
is asked twice."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import StripeRefused
from chalicelib.core.sale import ASK_AFTER_MS
from chalicelib.storage import keys
from tests.flows.account_kit import (
    DAY,
    HOUR,
    KEY,
    MINUTE,
    Account,
    Connected,
    killed_at_each_call,
)
from tests.flows.test_catch_up import at_rest, settled


def asking(connected: Connected) -> list[str]:
    page = connected.store.find("records", "due", keys.DUE_ASK, limit=1000)
    return [item.due[1].split("#")[-1] for item in page.items if item.due]


def unclaimed(account: Account, ours: Connected, many: int) -> None:
    """So many payments that nobody claimed, and it is time to ask."""
    customer = account.a_customer()
    ours.enrol_all()
    for _ in range(many):
        account.an_intent(customer, 4900)
    settled(account)
    account.pass_time(HOUR + 1)
    ours.plan("resolve")


def lose(account: Account, *types: str) -> None:
    account.fake.deliveries.configure({"drop": list(types)})


class TestClaims:
    def test_a_payment_that_nobody_claims_is_asked_about_once_and_released(
        self, account: Account, ours: Connected
    ) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        intent = account.an_intent(customer, 4900).id
        settled(account)
        ours.plan("resolve")
        ours.run()
        assert asking(ours) == [intent], "an hour has not passed"
        account.pass_time(HOUR + 1)
        ours.made.clear()
        ours.run()
        assert asking(ours) == []
        assert ours.job("resolve").result["asked"] == 1
        assert 0 < ours.requests <= 3
        assert ours.world.sale(intent).sale.settled_by_stripe
        account.pass_time(HOUR)
        ours.made.clear()
        ours.run()
        assert ours.requests == 0
        ours.world.at(account.clock.time + 40 * DAY)
        assert ours.world.mature() == 1

    def test_what_an_invoice_paid_joins_it(self, account: Account, ours: Connected) -> None:
        """All that told of the invoice was lost."""
        customer = account.a_customer()
        ours.enrol_all()
        lose(account, "invoice.paid", "invoice_payment.paid")
        invoice = account.an_invoice(customer)
        settled(account)
        intent = account.intent_of(invoice)
        assert ours.world.sale(intent).sale.canonical == intent
        account.pass_time(HOUR + 1)
        ours.plan("resolve")
        ours.run()
        assert ours.world.sale(intent).sale.canonical == invoice
        assert ours.world.owed("ann") == 598
        assert asking(ours) == []

    def test_who_a_customer_is(self, account: Account, ours: Connected) -> None:
        """Known by e-mail alone, and only Stripe knows whose that is."""
        lose(account, "customer.created", "customer.updated")
        customer = account.a_customer()
        ours.world.enrol("c0", partner="ann", email="buyer0@example.com")
        intent = account.an_intent(customer, 5000).id
        settled(account)
        assert ours.world.owed("ann") == 0
        account.pass_time(HOUR + 1)
        ours.plan("resolve")
        ours.run()
        assert ours.world.owed("ann") == 1000
        assert ours.world.sale(intent).credited == "ann"

    def test_refunds_that_disagree(self, account: Account, ours: Connected) -> None:
        """The sum was told, and of two refunds one alone."""
        customer = account.a_customer()
        ours.enrol_all()
        intent = account.an_intent(customer, 5000)
        account.a_refund(intent.id, 1000)
        settled(account)
        lose(account, "refund.created", "refund.updated", "charge.refund.updated")
        account.pass_time(MINUTE)
        account.a_refund(intent.id, 500)
        settled(account)
        account.pass_time(HOUR + 1)
        ours.plan("resolve")
        ours.run()
        assert ours.world.owed("ann") == 700
        sale = ours.world.sale(intent.id)
        assert len(sale.sale.refunds) == 2
        assert asking(ours) == []


class TestWhoseAccount:
    def other(self, account: Account, ours: Connected) -> Any:
        """The program's other connection: to an account that knows nothing of this."""
        key = KEY.replace("acme", "other")
        world = ours.world
        made = world.a_connection(world.program)
        place = f"connection/{made.program}/{made.id}/api_key"
        account.fake.world("other")
        ours_is = ours.connection
        other = replace(
            made,
            account=account.fake.world("other").account_id,
            sealed_api_key=world.sealer.seal(key, place=place),
        )
        ours.keep(other)
        ours.connection = ours_is
        return other

    def an_unclaimed(self, account: Account, ours: Connected) -> str:
        customer = account.a_customer()
        ours.enrol_all()
        lose(account, "invoice.paid", "invoice_payment.paid")
        invoice = account.an_invoice(customer)
        settled(account)
        account.pass_time(HOUR + 1)
        return invoice

    def test_the_one_that_knows_the_payment_answers(
        self, account: Account, ours: Connected
    ) -> None:
        """Whichever connection's job comes first."""
        other = self.other(account, ours)
        invoice = self.an_unclaimed(account, ours)
        own, ours.connection = ours.connection, other
        ours.plan()
        ours.run()
        ours.connection = own
        assert ours.world.sale(account.intent_of(invoice)).sale.canonical == invoice
        heads = ours.inbox().values()
        (told,) = {h.connection for h in heads if h.id.startswith(f"read_{invoice}")}
        assert told == own.id

    def test_if_one_could_not_be_asked_nobody_has_answered(
        self, account: Account, ours: Connected
    ) -> None:
        other = self.other(account, ours)
        self.an_unclaimed(account, ours)
        waiting = asking(ours)
        account.fake.ended_keys[KEY] = "expired"
        own, ours.connection = ours.connection, other
        ours.plan("resolve")
        ours.run()
        ours.connection = own
        assert asking(ours) == waiting != []
        account.fake.ended_keys.clear()

    def test_if_all_say_that_there_is_none_that_is_the_answer(
        self, account: Account, ours: Connected
    ) -> None:
        self.other(account, ours)
        self.an_unclaimed(account, ours)
        world = account.fake.world("acme")
        for kind in ("payment_intent", "charge", "invoice_payment", "invoice"):
            world.table(kind).clear()
        ours.plan("resolve")
        ours.run()
        assert asking(ours) == []

    def test_another_program_on_the_account_is_none_of_its_business(
        self, tmp_path: Path, account: Account, ours: Connected
    ) -> None:
        theirs = Connected(tmp_path, account, "theirs")
        self.an_unclaimed(account, ours)
        waiting = asking(theirs)
        ours.plan("resolve")
        ours.run()
        assert asking(ours) == []
        assert asking(theirs) == waiting != []
        assert theirs.world.owed("ann") == 0

    def test_programs_of_one_deployment_are_asked_apart(
        self, tmp_path: Path, account: Account, ours: Connected
    ) -> None:
        theirs = Connected(tmp_path, account, "theirs", store=ours.store)
        self.an_unclaimed(account, ours)
        assert len(asking(ours)) == 2
        ours.plan("resolve")
        ours.run()
        assert len(asking(ours)) == 1
        assert ours.job("resolve").result["asked"] == 1
        theirs.plan("resolve")
        theirs.run()
        assert asking(ours) == []


class TestBudget:
    def test_many_are_asked_page_by_page_below_the_limit(
        self, account: Account, ours: Connected
    ) -> None:
        unclaimed(account, ours, 30)
        assert ours.run().pages == 2
        assert asking(ours) == []
        job = ours.job("resolve")
        assert (job.done, job.runs) == (30, 1)
        assert ours.requests / ours.clock_of_calls < 20

    def test_it_stops_in_the_middle_and_goes_on(self, account: Account, ours: Connected) -> None:
        unclaimed(account, ours, 12)
        left = []
        while asking(ours):
            looks = itertools.count()
            ours.run(until=lambda looks=looks: next(looks) > 3)
            left.append(len(asking(ours)))
            account.pass_time(1)
        assert left == sorted(left, reverse=True)
        assert len(left) > 2
        assert ours.job("resolve").done == 12

    def test_a_sale_that_stripe_refuses_does_not_stop_the_others(
        self, account: Account, ours: Connected
    ) -> None:
        unclaimed(account, ours, 3)
        refusals = [StripeRefused("Stripe did not take it.", stripe_code="parameter_invalid")]

        def refuses() -> None:
            if refusals:
                raise refusals.pop()

        ours.watch = refuses
        ours.run()
        job = ours.job("resolve")
        assert (job.runs, job.result["failed"], job.result["asked"]) == (1, 1, 2)
        assert len(asking(ours)) == 1

    def test_stripe_being_away_is_waited_for(self, account: Account, ours: Connected) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        account.an_intent(customer, 4900)
        settled(account)
        account.pass_time(HOUR + 1)
        ours.plan("resolve")
        account.fake.illness.plan({"kind": "500", "calls": 5})
        ours.run()
        assert ours.job("resolve").state == "waiting"
        assert "(500)" in ours.job("resolve").because
        account.pass_time(MINUTE + 1)
        ours.run()
        assert asking(ours) == []


class TestKilled:
    @pytest.mark.slow
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_anywhere_and_gone_on_with(self, account: Account, ours: Connected, when: str) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        lose(account, "invoice.paid", "invoice_payment.paid")
        account.an_invoice(customer)
        account.an_intent(customer)
        settled(account)
        account.pass_time(ASK_AFTER_MS / 1000 + 1)
        ours.plan("resolve")
        snapshot, began = ours.store.copy(), account.clock.time
        ours.run()
        wanted = at_rest(ours)
        account.clock.time = began
        ours.use(snapshot)

        def is_whole(at: int) -> None:
            assert asking(ours) == []
            assert at_rest(ours) == wanted, at

        assert killed_at_each_call(ours, when=when, every=2, check=is_whole) > 20
