"""Stripe's objects against the books: nothing is missed, and nothing is found that is known."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.core.refusals import StripeAway
from chalicelib.flows.compare_objects import EXAMPLES, Compared, compare_objects
from chalicelib.flows.keep_object import take_in
from chalicelib.storage import records
from chalicelib.storage.checks import key_of
from chalicelib.storage.store import Item, Key, Write
from chalicelib.stripe_adapter.calls import StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.objects import EXPAND, LISTED, event_of
from chalicelib.stripe_adapter.pace import Pacer
from local.fake_stripe import SUPPORTED, FakeStripe, running_fake_stripe
from tests.builders.stripe_bodies import BASIL, a_customer, an_intent, an_invoice_payment
from tests.builders.world import day, token
from tests.conformance.at_rest import Outcome
from tests.conformance.pieces import paid_invoice
from tests.fakes.memory_store import MemoryStore
from tests.flows.object_kit import Hears, Past, past_rows
from tests.local.fake_stripe.conftest import KEY


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=lambda: day(1), seed=1) as running:
        yield running
        assert running.faults == []


@pytest.fixture(scope="module")
def past(fake: FakeStripe) -> Past:
    """An account's past, which these tests only look at."""
    made = Past(fake)
    made.everything()
    return made


@pytest.fixture(scope="module")
def plain(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What it comes to where every webhook arrives."""
    told = Hears(past, tmp_path_factory.mktemp("plain") / "world")
    told.webhooks()
    return told.books()


UNPAID = {
    "payment intent with status requires_payment_method: not paid": 2,
    "payment intent with status canceled: not paid": 1,
    "charge with status failed: not paid": 1,
    "a credit note that its refunds cover: they are told by themselves": 1,
}


class TestAfterFullDelivery:
    @pytest.mark.parametrize("version", SUPPORTED)
    def test_nothing_is_found_and_nothing_written(
        self, past: Past, tmp_path: Path, version: str
    ) -> None:
        hears = Hears(past, tmp_path / "world")
        hears.webhooks(version)
        if version >= BASIL:  # no webhook says since then that an invoice was paid outside Stripe
            [outside] = hears.compare().examples
            assert outside["lacking"] == ["what of it was paid outside Stripe"]
        stood = hears.world.everything()
        compared = hears.compare()
        assert (compared.seen, compared.found, compared.unexplained) == (68, 0, 0)
        assert compared.explained == UNPAID
        assert compared.amounts == {"explained": {"eur": 500}}
        assert hears.world.everything() == stood

    def test_all_that_is_read_may_be_taken_in_as_well(
        self, past: Past, tmp_path: Path, plain: Outcome
    ) -> None:
        """Facts that a read tells agree with those that webhooks told, whichever comes first."""
        for first in ("webhooks", "reads"):
            hears = Hears(past, tmp_path / first)
            if first == "webhooks":
                hears.webhooks()
            for listed in LISTED:
                for row in hears.calls.page(listed.kind, params=listed.params).rows:
                    body = event_of(listed.kind, row, livemode=False, account="")
                    if body:
                        told = {"connection": hears.world.connection, "store": hears.world.store}
                        now = past.fake.now() * 1000
                        assert take_in(body, now=now, **told).state in ("handled", "ignored")
            if first == "reads":
                hears.webhooks()
            assert hears.books() == plain


class TestWithoutWebhooks:
    def test_the_past_is_learnt_from_its_objects(
        self, past: Past, tmp_path: Path, plain: Outcome
    ) -> None:
        hears = Hears(past, tmp_path / "world")
        compared = hears.compare()
        assert (compared.healed, compared.unexplained) == (compared.found, 0)
        assert compared.explained == UNPAID
        assert len(compared.examples) == EXAMPLES
        assert hears.books() == plain

    def test_a_payment_has_one_amount(self, past: Past, tmp_path: Path, plain: Outcome) -> None:
        """Though its session, invoice, intent and charge all come to be known."""
        hears = Hears(past, tmp_path / "world")
        compared = hears.compare("checkout.session", "invoice", "payment_intent", "charge")
        paid = Counter[str]()
        for summary in (hears.world.sale(id).summary() for id in plain["sales"]):
            if summary.paid and summary.amount:
                paid[summary.currency] += summary.amount
        assert compared.amounts["found"] == compared.amounts["healed"] == paid
        refunds = hears.compare("refund")
        assert sum(refunds.amounts.get("found", {}).values()) > 0

    def test_a_second_look_finds_nothing(self, past: Past, tmp_path: Path) -> None:
        hears = Hears(past, tmp_path / "world")
        hears.compare()
        stood = hears.world.everything()
        again = hears.compare()
        assert (again.found, again.unexplained, again.explained) == (0, 0, UNPAID)
        assert hears.world.everything() == stood

    def test_what_this_job_took_in_before_a_crash_is_counted_again(
        self, past: Past, tmp_path: Path
    ) -> None:
        hears = Hears(past, tmp_path / "world")
        first = hears.compare("invoice", since=0)
        again = hears.compare("invoice", since=0)
        assert first.found == 9
        assert (again.found, again.healed) == (first.found, first.healed)
        assert again.amounts == first.amounts
        assert hears.compare("invoice").found == 0


@pytest.mark.parametrize("seed", range(8))
def test_what_is_lost_of_the_webhooks_is_made_up_for(
    past: Past, tmp_path: Path, plain: Outcome, seed: int
) -> None:
    """Any part of them lost, before or after the reads."""
    rng = random.Random(seed)
    lost = {e.id for e in past.events() if rng.random() < rng.choice([0.1, 0.3, 0.7])}
    late = {id for id in lost if rng.random() < 0.3}
    hears = Hears(past, tmp_path / "world")
    hears.webhooks(wanted=lambda event: event.id not in lost)
    assert hears.compare().unexplained == 0
    hears.webhooks(wanted=lambda event: event.id in late)
    assert hears.compare().found == 0
    assert hears.books() == plain


def test_a_session_that_stripe_never_told_of_is_found_by_its_payment(
    past: Past, tmp_path: Path, plain: Outcome
) -> None:
    """And its invoice by it, where the events of invoices were not made either."""
    hears = Hears(past, tmp_path / "world")
    hears.webhooks(wanted=lambda event: event.type.startswith(("customer", "refund", "charge.")))
    assert hears.compare("payment_intent", "charge", "credit_note").unexplained == 0
    books = hears.books()
    earning = {id: sale for id, sale in plain["sales"].items() if sale["total"]}
    claimed = {id for id in earning if id.startswith(("in_", "cs_"))}
    paid = [id for id in claimed if "pi_" in str(earning[id]["ids"])]
    assert len(paid) == 8
    assert {id: books["sales"][id] for id in paid} == {id: plain["sales"][id] for id in paid}


class TestReasons:
    """One invoice that nobody told of, and what may keep it from being taken in."""

    @pytest.fixture
    def hears(self, past: Past, tmp_path: Path) -> Hears:
        hears = Hears(past, tmp_path / "world")
        hears.world.at(day(40))
        return hears

    def test_one_that_was_lost_is_found_and_healed(self, hears: Hears) -> None:
        compared = hears.rows("invoice", [paid_invoice(1, 30)])
        assert (compared.seen, compared.found, compared.healed) == (1, 1, 1)
        assert compared.amounts == {"found": {"eur": 4900}, "healed": {"eur": 4900}}
        example = {"kind": "invoice", "id": "in_1", "became": "healed"}
        lacks = ["the sale", "an identity of the customer", "that two identities are one customer"]
        assert compared.examples == ({**example, "lacking": lacks},)
        assert hears.rows("invoice", [paid_invoice(1, 30)]) == Compared(seen=1)

    def test_what_cannot_be_read_is_put_down_as_failed(self, hears: Hears) -> None:
        broken = paid_invoice(1, 30) | {"currency": "xyz"}
        for _ in range(2):
            compared = hears.rows("invoice", [broken])
            because = "invoice.currency is not a currency that we know"
            assert compared.explained == {because: 1}
            assert (compared.found, compared.healed, compared.unexplained) == (1, 0, 0)
            assert compared.examples[0]["because"] == because
        [head] = [
            records.read_inbox(item)
            for key, item in hears.world.everything().items()
            if key.table == "inbox" and key.sk == "head"
        ]
        assert (head.state, head.because) == ("failed", because)

    def test_a_fault_of_ours_explains_nothing(self, hears: Hears) -> None:
        memory = hears.world.store
        assert isinstance(memory, MemoryStore)

        def faulty(call: str, writes: Sequence[Write]) -> None:
            if call == "commit" and any("#sale#" in key_of(write).pk for write in writes):
                raise ZeroDivisionError

        memory.before = faulty
        compared = hears.rows("invoice", [paid_invoice(1, 30)])
        memory.before = None
        because = "bug: ZeroDivisionError while booking"
        for told in (compared, hears.rows("invoice", [paid_invoice(1, 30)])):
            assert (told.found, told.unexplained, told.explained) == (1, 1, {})
            assert told.amounts["unexplained"] == {"eur": 4900}
            assert told.examples[0]["because"] == because

    def test_a_closed_connection_says_so(self, hears: Hears) -> None:
        connection = replace(hears.world.connection, closed_at=1, closed_because="it was ended")
        hears.world.connection = connection
        compared = hears.rows("invoice", [paid_invoice(1, 30)])
        assert compared.explained == {"the connection is closed: it was ended": 1}
        assert (compared.found, compared.unexplained) == (1, 0)

    def test_an_amount_that_does_not_agree_is_not_explained(self, hears: Hears) -> None:
        """Told by an event that is newer than the object says it is."""
        paid = paid_invoice(1, 30) | {"amount_paid": 4000}
        hears.world.tell("invoice.paid", paid, created=day(30) + 60)
        compared = hears.rows("invoice", [paid_invoice(1, 30)])
        assert (compared.found, compared.healed, compared.unexplained) == (1, 0, 1)
        assert compared.amounts["unexplained"] == {"eur": 4900}
        assert compared.examples[0]["lacking"] == ["the amount of the payment"]

    def test_nothing_personal_is_in_an_example(self, hears: Hears) -> None:
        compared = hears.rows("invoice", [paid_invoice(1, 30)])
        assert "sam" not in str(compared)

    def test_a_payment_that_the_merchant_told_as_well_is_known(self, hears: Hears) -> None:
        world = hears.world
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        world.tell_sale("pi_1", "sam", 4900)
        paid = paid_invoice(1, 40.01) | {"payments": {"data": [an_invoice_payment()]}}
        assert hears.rows("invoice", [paid]).healed == 1
        assert world.owed("ann") == 980
        assert world.sale("pi_1").sale.canonical == "in_1"

    def test_customers_that_were_joined_are_found_under_each_name(self, hears: Hears) -> None:
        world = hears.world
        made = [
            a_customer(id=f"cus_{n}", email=f"{name}@example.com", created=day(30))
            for n, name in enumerate(("ann.b", "sam", "bob.c"))
        ]
        assert hears.rows("customer", made).healed == 3
        for n, other in ((0, "sam"), (1, "bob.c")):
            email = f"{other}@example.com"
            world.enrol(f"key {n}", email=email, stripe_customer_id=f"cus_{n}")
        households = [k for k in world.everything() if k.sk == "!household"]
        assert len(households) == 3
        assert hears.rows("customer", made) == Compared(seen=3)

    @pytest.mark.parametrize("first", ["the read", "the webhook"])
    def test_a_customer_of_before_was_brought_by_nobody(
        self, past: Past, tmp_path: Path, first: str
    ) -> None:
        """Whether the past was brought in before a webhook told of the customer, or after."""
        hears = Hears(past, tmp_path / "before")
        world = hears.world.at(day(10))
        free = a_customer(created=day(-90))
        if first == "the read":
            assert hears.rows("customer", [free]).healed == 1
        world.click(token("ann"), "ann")
        world.sign_up("user_9", email="sam@example.com", token=token("ann"))
        world.tell("customer.updated", free, created=day(12))
        world.tell("invoice.paid", paid_invoice(1, 12), created=day(12))
        if first == "the webhook":
            assert world.owed("ann") == 980
            assert hears.rows("customer", [free]).healed == 1
        assert world.owed("ann") == 0
        assert hears.rows("customer", [free]) == Compared(seen=1)

    def test_stripe_being_away_stops_it_and_loses_nothing(self, hears: Hears) -> None:
        hears.calls = StripeCalls(
            Credentials(api_key=KEY, livemode=False),
            api_base="http://127.0.0.1:9",
            pacer=Pacer(sleep=lambda seconds: None),
        )
        with pytest.raises(StripeAway):
            hears.rows("payment_intent", [an_intent(created=day(30))])
        assert hears.rows("invoice", [paid_invoice(1, 30)]).healed == 1


class TestPaidLongAfterItWasMade:
    """Only the charge is in the days that are looked at."""

    def test_what_its_intent_says_is_read(self, past: Past, tmp_path: Path) -> None:
        hears = Hears(past, tmp_path / "world")
        [charge] = [row for row in charges(past) if row["amount"] == 3300]
        compared = hears.rows("charge", [charge])
        assert (compared.seen, compared.found, compared.healed) == (2, 2, 2)
        assert hears.world.sale(charge["id"]).credited == "ann"
        assert hears.rows("charge", [charge]) == Compared(seen=1)

    def test_so_is_the_invoice_that_it_is_known_to_have_paid(
        self, past: Past, tmp_path: Path
    ) -> None:
        hears = Hears(past, tmp_path / "world")
        hears.webhooks(wanted=lambda event: event.type != "invoice.paid")
        charge = next(row for row in charges(past) if row["amount"] == 2000)
        assert not invoices_told(hears, charge)
        assert hears.rows("charge", [charge], listed_from=0) == Compared(seen=1)
        compared = hears.rows("charge", [charge])
        assert (compared.found, compared.healed, compared.seen) == (1, 1, 2)
        assert invoices_told(hears, charge)
        assert hears.rows("charge", [charge]) == Compared(seen=1)


def charges(past: Past) -> Sequence[Body]:
    return past_rows(past, "charge")


def invoices_told(hears: Hears, charge: Body) -> list[str]:
    return [id for id in hears.world.sale(charge["id"]).sale.views if id.startswith("in_")]


class TestWhatWasPaidOutsideStripe:
    """No webhook says so since basil; who asks is told."""

    @pytest.fixture
    def hears(self, past: Past, tmp_path: Path) -> Hears:
        hears = Hears(past, tmp_path / "world", paid_outside_stripe="ignore")
        hears.world.at(day(2))
        hears.world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        hears.world.at(day(40))
        return hears

    @pytest.mark.parametrize(("outside", "owed"), [(0, 980), (900, 800), (4900, 0)])
    def test_it_earns_nothing(self, hears: Hears, outside: int, owed: int) -> None:
        told = paid_invoice(1, 30)
        told.pop("amount_paid_off_stripe", None)
        hears.world.tell("invoice.paid", told, created=day(30) + 5)
        assert hears.world.owed("ann") == 980
        read = told | {"amount_paid_off_stripe": outside}
        assert hears.rows("invoice", [read]).found == int(outside > 0)
        assert hears.world.owed("ann") == owed
        assert hears.rows("invoice", [read]) == Compared(seen=1)
        hears.world.tell("invoice.payment_succeeded", told, created=day(30) + 9, id="evt_late")
        assert hears.world.owed("ann") == owed

    def test_it_is_asked_for(self) -> None:
        assert "amount_paid_off_stripe" in EXPAND["invoice"]


def test_when_time_is_up_the_rest_is_left(past: Past, tmp_path: Path) -> None:
    hears = Hears(past, tmp_path / "world")
    hears.world.at(day(40))
    rows = [paid_invoice(n, 30) for n in (1, 2, 3)]
    compared = hears.rows("invoice", rows, until=lambda: True)
    assert (compared.seen, compared.healed, compared.left) == (1, 1, 2)
    compared = hears.rows("invoice", rows, until=lambda: True)
    assert (compared.seen, compared.healed, compared.left) == (2, 1, 1)
    assert hears.rows("invoice", rows, until=lambda: True).left == 0


def test_a_page_costs_two_trips_when_all_is_known(past: Past, tmp_path: Path) -> None:
    hears = Hears(past, tmp_path / "world")
    hears.webhooks()
    hears.compare()
    store = hears.world.store
    assert isinstance(store, MemoryStore)
    trips: list[int] = []
    counted = Counting(store, trips)
    for listed in LISTED:
        page = hears.calls.page(listed.kind, params=listed.params)
        trips.clear()
        compared = compare_objects(
            listed.kind,
            page.rows,
            connection=hears.world.connection,
            calls=hears.calls,
            store=counted,
            now=hears.world.ms,
            since=hears.world.ms + 1,
        )
        assert compared.found == 0
        assert len(trips) <= 3, listed


class Counting:
    """A store that counts reads of batches, and has nothing else."""

    def __init__(self, store: MemoryStore, trips: list[int]) -> None:
        self._store, self._trips = store, trips

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self._trips.append(len(keys))
        return self._store.get(keys)


class TestCapturedInPart:
    """Stripe counts the rest as refunded, by a refund that looks like any other."""

    def test_what_was_never_taken_is_not_taken_back(self, past: Past, tmp_path: Path) -> None:
        [charge] = [row for row in charges(past) if row["amount"] == 4400]
        refunds = [
            row
            for row in past_rows(past, "refund")
            if row["payment_intent"] == charge["payment_intent"]
        ]
        assert [row["amount"] for row in refunds] == [400, 400]
        for first in ("charge", "refund"):
            hears = Hears(past, tmp_path / first)
            for kind in (first, "charge", "refund"):
                hears.rows(kind, [charge] if kind == "charge" else refunds)
            assert hears.world.sale(charge["id"]).summary().taken_back == 400
            assert hears.rows("refund", refunds).found == 0

    def test_nor_where_a_webhook_told_of_it(self, past: Past, tmp_path: Path) -> None:
        hears = Hears(past, tmp_path / "world")
        hears.webhooks()
        [charge] = [row for row in charges(past) if row["amount"] == 4400]
        refunds = [
            row
            for row in past_rows(past, "refund")
            if row["payment_intent"] == charge["payment_intent"]
        ]
        released = {**refunds[-1], "charge": charge["id"]}
        hears.world.tell("refund.created", released, created=released["created"])
        assert hears.world.sale(charge["id"]).summary().taken_back == 800
        assert hears.rows("refund", refunds).healed == 1
        assert hears.world.sale(charge["id"]).summary().taken_back == 400
