"""Catching up: what was not delivered, or never sent, is in the inbox at the end, once, and the
books say what they say where everything came."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from chalicelib.flows.catch_up import GRACE_S, KEPT_S, TYPES, WINDOW_S
from chalicelib.flows.job_lease import LEASE_MS
from chalicelib.flows.stripe_platform import keep_platform
from chalicelib.storage import keys, records
from tests.flows.account_kit import (
    DAY,
    HOUR,
    KEY,
    MINUTE,
    Account,
    Connected,
    killed_at_each_call,
)
from tests.flows.stories import outcome
from tests.local.fake_stripe.conftest import control


def business(account: Account, days: int = 3, buyers: int = 4) -> None:
    """Some days of sales, refunds, and changes of who the buyers are."""
    for day in range(days):
        for number in range(buyers):
            customer = account.customers[number]
            account.pass_time(2 * HOUR)
            invoice = account.an_invoice(customer, 2000 + 100 * number + day)
            intent = account.an_intent(customer, 3000 + number)
            account.pass_time(HOUR)
            if number % 2:
                account.a_refund(intent.id, 1000)
            if number == 2:
                account.a_refund(account.intent_of(invoice), 500)
                account.api.customers.update(customer, {"email": f"new{day}@example.com"})
        account.pass_time(DAY - buyers * 3 * HOUR)


def plain(tmp_path: Path, account: Account) -> Connected:
    """Another world, whose every event came at its time."""
    other = Connected(tmp_path, account, "plain")
    account.fake.deliveries.callables["plain"] = lambda body, headers: 200
    return other


def at_rest(connected: Connected) -> Any:
    """The books once every hold has passed."""
    world = connected.world
    world.at(connected.account.clock.time + 100 * DAY)
    world.sweep()
    world.mature()
    world.now = connected.account.clock.time
    return without_program(outcome(world), connected)


def without_program(told: Any, connected: Connected) -> Any:
    return json.loads(json.dumps(told, default=str).replace(connected.world.program.id, "prg"))


def settled(account: Account) -> None:
    assert account.fake.deliveries.flush(30)


class TestDelivered:
    def test_nothing_is_fetched_and_nothing_written_but_the_job(
        self, account: Account, ours: Connected
    ) -> None:
        account.a_customer()
        ours.enrol_all()
        business(account, days=1, buyers=1)
        settled(account)
        before = ours.inbox()
        ours.plan("catch_up")
        ours.store.calls.clear()
        written: list[str] = []
        ours.store.before = lambda call, writes: written.extend(
            key.table + "/" + key.pk.split("#")[-2] if "#" in key.pk else key.table
            for write in writes
            for key in [getattr(write, "key", None) or write.item.key]
        )
        ours.run()
        ours.store.before = None
        job = ours.job("catch_up")
        assert (job.runs, job.state) == (1, "waiting")
        assert job.result["seen"] == job.done > 0
        assert "taken_in" not in job.result
        assert ours.inbox() == before
        assert {place.split("/")[-1] for place in written} <= {"job", "records"}

    def test_a_quiet_quarter_of_an_hour_costs_a_request_per_list(
        self, account: Account, ours: Connected
    ) -> None:
        ours.plan("catch_up")
        ours.run()
        account.pass_time(15 * MINUTE)
        ours.made.clear()
        ours.run()
        assert ours.requests == 2 * len(TYPES)

    def test_what_is_young_is_left_to_its_delivery(self, account: Account, ours: Connected) -> None:
        ours.failing = True
        account.pass_time(HOUR)
        account.a_customer()
        ours.plan("catch_up")
        ours.run()
        assert ours.inbox() == {}
        account.pass_time(GRACE_S + 15 * MINUTE)
        ours.run()
        assert {head.type for head in ours.inbox().values()} == {
            "customer.created",
            "customer.updated",
        }


class TestLost:
    @pytest.mark.slow
    def test_three_days_of_which_a_third_was_dropped(
        self, tmp_path: Path, account: Account, ours: Connected
    ) -> None:
        for _ in range(4):
            account.a_customer()
        settled(account)
        theirs = plain(tmp_path, account)
        ours.enrol_all()
        theirs.enrol_all()
        account.fake.deliveries.configure({"drop_share": 0.3, "seed": 7})
        business(account)
        settled(account)
        all_of_it = {event.id for event in account.events()}
        missing = all_of_it - set(ours.inbox())
        assert 0.15 < len(missing) / len(all_of_it) < 0.45
        for event in account.events():
            head = json.loads(event.body)
            theirs.account.clock.time = max(theirs.account.clock.time, head["created"])
            theirs.deliver(event.body, signature_for(theirs, event.body))
        account.pass_time(GRACE_S + MINUTE)
        ours.plan("catch_up")
        while not ours.job("catch_up").runs:
            ours.run()
            account.pass_time(MINUTE)
        assert set(ours.inbox()) == all_of_it
        result = ours.job("catch_up").result
        assert result["taken_in"] + result.get("ignored", 0) == len(missing)
        ours.plan("reconcile")
        account.pass_time(DAY)
        while not ours.job("reconcile").runs:
            ours.run()
            account.pass_time(MINUTE)
        compared = ours.job("reconcile").result
        assert (compared["found"], compared["unexplained"]) == (0, 0), compared
        assert set(ours.inbox()) == all_of_it
        assert at_rest(ours) == at_rest(theirs)

    @pytest.mark.parametrize("answers", ["errors", "no endpoint"])
    def test_an_outage(self, account: Account, ours: Connected, answers: str) -> None:
        """Of ours, or after Stripe switched the endpoint off: then nothing is undelivered."""
        customer = account.a_customer()
        ours.enrol_all()
        ours.plan("catch_up")
        ours.run()
        if answers == "errors":
            ours.failing = True
        else:
            account.api.webhook_endpoints.update(ours.endpoint, {"disabled": True})
        account.pass_time(HOUR)
        invoice = account.an_invoice(customer)
        account.pass_time(15 * MINUTE)
        if answers != "errors":
            account.api.webhook_endpoints.update(ours.endpoint, {"disabled": False})
        ours.run()
        assert ours.world.sale(invoice).credited == "ann"
        assert ours.job("catch_up").result["taken_in"] > 0

    def test_every_old_version_is_read_in_todays_shape(
        self, account: Account, ours: Connected
    ) -> None:
        """The account's events have the shape of its oldest version; the object is today's."""
        account.fake.world("acme").api_version = "2020-08-27"
        customer = account.a_customer()
        ours.enrol_all()
        ours.failing = True
        invoice = account.an_invoice(customer)
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.run()
        (told,) = [head.id for head in ours.inbox().values() if head.type == "invoice.paid"]
        assert "total_taxes" in stored(ours, told)["data"]["object"]
        assert ours.world.sale(invoice).credited == "ann"

    def test_what_is_gone_is_told_as_the_event_had_it(
        self, account: Account, ours: Connected
    ) -> None:
        ours.failing = True
        customer = account.a_customer()
        account.api.customers.delete(customer)
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.run()
        types = sorted(head.type for head in ours.inbox().values())
        assert types == ["customer.created", "customer.deleted", "customer.updated"]
        states = {head.type: head.state for head in ours.inbox().values()}
        assert states["customer.created"] == states["customer.updated"] == "handled"

    def test_a_key_that_may_not_read_an_object_takes_it_as_it_was_told(
        self, account: Account, ours: Connected
    ) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        ours.failing = True
        invoice = account.an_invoice(customer)
        account.pass_time(HOUR)
        account.fake.restricted[KEY] = ["rak_event_read", "rak_customer_read"]
        ours.plan("catch_up")
        ours.run()
        assert ours.world.sale(invoice).credited == "ann"

    def test_one_that_cannot_be_read_is_kept_as_failed_and_not_again(
        self, account: Account, ours: Connected, capsys: Any
    ) -> None:
        ours.failing = True
        account.a_customer()
        world = account.fake.world("acme")
        event = next(iter(world.table("event").values()))
        event["data"]["object"]["object"] = "unknown"
        event["data"]["object"]["id"] = 7
        account.fake.check = False
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.run()
        failed = [head for head in ours.inbox().values() if head.state == "failed"]
        assert [head.id for head in failed] == [event["id"]]
        said = capsys.readouterr().out
        assert '"door": "catch_up", "outcome": "failed"' in said
        account.pass_time(15 * MINUTE)
        ours.run()
        assert ours.inbox()[event["id"]].attempts == failed[0].attempts
        assert "buyer0@example.com" not in said


class TestWalks:
    def test_begin_where_the_connection_was_made(self, account: Account, tmp_path: Path) -> None:
        account.a_customer()
        account.pass_time(2 * DAY)
        late = Connected(tmp_path, account, "late")
        account.pass_time(HOUR)
        late.plan("catch_up")
        late.run()
        assert late.inbox() == {}
        assert late.job("catch_up").cursor["seen_through"] == account.clock.time - GRACE_S

    def test_go_from_the_oldest_on_and_say_exactly_how_far(
        self, account: Account, ours: Connected
    ) -> None:
        ours.plan("catch_up")
        ours.run()
        account.api.webhook_endpoints.update(ours.endpoint, {"disabled": True})
        for _ in range(5):
            account.pass_time(WINDOW_S)
            account.a_customer()
        account.pass_time(HOUR)
        seen: list[int] = []
        for _ in range(100):
            pages = itertools.count()
            ours.run(until=lambda pages=pages: next(pages) >= 12)
            job = ours.job("catch_up")
            through = job.cursor["seen_through"]
            seen.append(through)
            made = {e.id: json.loads(e.body)["created"] for e in account.events()}
            before = {id for id, created in made.items() if created < through}
            assert before <= set(ours.inbox())
            account.pass_time(1)
            if job.runs == 2:
                break
        assert seen == sorted(seen)
        assert len(set(seen)) > 2, "it was met on the way"
        assert set(ours.inbox()) == {event.id for event in account.events()}

    def test_say_what_thirty_days_have_taken(self, account: Account, ours: Connected) -> None:
        ours.plan("catch_up")
        ours.run()
        through = ours.job("catch_up").cursor["seen_through"]
        ours.failing = True
        account.pass_time(MINUTE)
        account.a_customer()
        account.pass_time(40 * DAY)
        account.a_customer()
        account.pass_time(HOUR)
        while ours.job("catch_up").runs < 2:
            ours.run()
        result = ours.job("catch_up").result
        assert result["not_listed_from"] == through
        assert result["not_listed_until"] == account.clock.time - KEPT_S
        assert len(ours.inbox()) == 2

    def test_many_events_of_one_hour_are_paged(self, account: Account, ours: Connected) -> None:
        ours.failing = True
        customer = account.a_customer()
        for number in range(230):
            account.api.customers.update(customer, {"name": f"Name {number}"})
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.made.clear()
        ours.run()
        assert len(ours.inbox()) == 232
        job = ours.job("catch_up")
        assert (job.result["taken_in"], job.runs) == (232, 1)
        assert ours.requests < 30, "an object is read once for a page"

    def test_a_place_in_the_list_that_is_gone_begins_its_window_again(
        self, account: Account, ours: Connected
    ) -> None:
        ours.failing = True
        customer = account.a_customer()
        for number in range(120):
            account.api.customers.update(customer, {"name": f"Name {number}"})
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.run(until=lambda: bool(ours.job("catch_up").cursor.get("after")))
        job = ours.job("catch_up")
        assert 90 < len(ours.inbox()) < 122
        del account.fake.world("acme").table("event")[job.cursor["after"]]
        account.pass_time(LEASE_MS / 1000)
        ours.run()
        assert len(ours.inbox()) == 122
        assert ours.job("catch_up").state == "waiting"


class TestClosed:
    def test_what_came_while_it_was_closed_comes_in_when_it_is_open_again(
        self, account: Account, ours: Connected
    ) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        ours.plan("catch_up")
        ours.run()
        was = ours.connection
        ours.keep(replace(was, closed_at=ours.ms(), closed_because="deauthorised"))
        account.pass_time(HOUR)
        invoice = account.an_invoice(customer)
        settled(account)
        assert {h.state for h in ours.inbox().values() if h.type == "invoice.paid"} == {"ignored"}
        ours.run()
        assert ours.job("catch_up").state == "stopped"
        account.pass_time(HOUR)
        ours.keep(was)
        ours.plan("catch_up")
        ours.run()
        assert ours.world.sale(invoice).credited == "ann"


class TestConnectedByOAuth:
    def test_its_events_are_read_by_the_platform_until_it_is_deauthorised(
        self, account: Account, ours: Connected
    ) -> None:
        platform, client_id = "sk_" + "test_platform_1", "ca_1"
        told = {"key": platform, "client_id": client_id, "redirect_uris": ["http://127.0.0.1/"]}
        control(account.fake, "/platforms", told | {"name": "Refledger"})
        agreed = {"client_id": client_id, "account": "acme"}
        code = control(account.fake, "/oauth/approve", agreed)["code"]
        client = stripe.StripeClient(
            platform, base_addresses={"api": account.fake.url, "connect": account.fake.url}
        )
        client.oauth.token(params={"grant_type": "authorization_code", "code": code})
        keep_platform(
            "test",
            client_id=client_id,
            secret_key=platform,
            webhook_secret="whsec_" + "p" * 24,
            store=ours.store,
            sealer=ours.world.sealer,
            now=ours.ms(),
        )
        ours.keep(replace(ours.connection, how="oauth", sealed_api_key=""))
        customer = account.a_customer()
        ours.enrol_all()
        ours.failing = True
        invoice = account.an_invoice(customer)
        account.pass_time(HOUR)
        ours.plan("catch_up")
        ours.run()
        assert ours.world.sale(invoice).credited == "ann", ours.job("catch_up").because
        control(account.fake, "/oauth/deauthorize", agreed)
        account.pass_time(HOUR)
        ours.run()
        key = keys.connection(ours.connection.id)
        closed = records.read_connection(ours.store.get([key])[key])
        assert (closed.state, ours.job("catch_up").state) == ("closed", "stopped")
        assert "no longer connected" in closed.closed_because
        account.pass_time(DAY)
        made = ours.requests
        ours.run()
        assert ours.requests == made, "nobody is asked any more"


class TestKilled:
    @pytest.mark.slow
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_anywhere_and_gone_on_with_it_is_as_if_nothing_had_happened(
        self, tmp_path: Path, account: Account, when: str
    ) -> None:
        base = Connected(tmp_path, account, "base")
        customer = account.a_customer()
        base.enrol_all()
        base.failing = True
        account.an_invoice(customer)
        intent = account.an_intent(customer)
        account.a_refund(intent.id, 700)
        account.pass_time(HOUR)
        base.plan("catch_up")
        snapshot = base.store.copy()
        base.run()
        wanted, began = at_rest(base), account.clock.time
        assert set(base.inbox()) == {event.id for event in account.events()}
        account.clock.time = began
        base.use(snapshot)

        def is_whole(at: int) -> None:
            assert base.job("catch_up").runs >= 1
            base.world.at(account.clock.time + DAY)
            base.world.sweep()
            assert at_rest(base) == wanted, at

        assert killed_at_each_call(base, when=when, every=3, check=is_whole) > 30

    def test_stripe_dies_at_each_call(self, account: Account, ours: Connected) -> None:
        customer = account.a_customer()
        ours.enrol_all()
        ours.failing = True
        invoice = account.an_invoice(customer)
        account.pass_time(HOUR)
        ours.plan("catch_up")
        for number in range(60):
            account.fake.illness.plan({"kind": "500", "calls": 5, "skip": number})
            ours.run()
            if ours.job("catch_up").runs:
                break
            assert "an error of its own (500)" in ours.job("catch_up").because
            account.fake.illness.planned.clear()
            account.pass_time(HOUR)
        assert number > 2
        assert ours.world.sale(invoice).credited == "ann"


def stored(connected: Connected, event: str) -> dict[str, Any]:
    from chalicelib.flows.keep_event import stored_body

    head: records.InboxHead = connected.inbox()[event]
    told: dict[str, Any] = json.loads(stored_body(head, store=connected.store))
    return told


def signature_for(connected: Connected, body: bytes) -> str:
    from local.fake_stripe.deliveries import secrets_of, signature_header

    fake = connected.account.fake
    endpoint = fake.world("acme").get("webhook_endpoint", connected.endpoint)
    return signature_header(secrets_of(endpoint, fake.now()), fake.now(), body)
