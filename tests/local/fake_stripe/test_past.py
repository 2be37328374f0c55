"""A past of any size: it reads like what was made one by one, costs no room, and can be changed."""

import itertools
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe, serve

from .conftest import KEY, START, Clock, Inbox, client_of, control, flushed

DAY = 86_400
BEGIN = START - 300 * DAY


def _past(fake: FakeStripe, story: str, count: int, **more: Any) -> dict[str, Any]:
    given = {"key": KEY, "story": story, "count": count, "from": BEGIN, "to": START}
    return control(fake, "/past", given | more)


def _all(listing: Any, **asked: Any) -> list[Any]:
    return list(listing.list({"limit": 100} | asked).auto_paging_iter())


def test_a_story_is_copied(fake: FakeStripe, api: Any) -> None:
    made = _past(fake, "subscription", 250, months=3, client_reference_id="ref-{n}")
    assert made["objects"]["invoice"] == 750 and made["objects"]["checkout.session"] == 250
    invoices = _all(api.invoices, status="paid")
    assert len(invoices) == len({i.id for i in invoices}) == 750
    assert len({i.number for i in invoices}) == 750
    created = [i.created for i in invoices]
    assert created == sorted(created, reverse=True)
    assert BEGIN <= created[-1] < created[0] <= START
    sessions = _all(api.checkout.sessions)
    assert {s.client_reference_id for s in sessions} == {f"ref-{n:07d}" for n in range(250)}
    assert {s.customer for s in sessions} == {i.customer for i in invoices}
    assert len(_all(api.customers)) == 250


def test_what_belongs_together_is_found(fake: FakeStripe, api: Any) -> None:
    _past(fake, "subscription", 30, months=2)
    _past(fake, "invoice", 30, months=2, refund=100)
    assert len(_all(api.invoices)) == 120
    for invoice in _all(api.invoices)[::17]:
        [payment] = api.invoice_payments.list({"invoice": invoice.id}).data
        intent = payment.payment.payment_intent
        by_intent = {"payment": {"type": "payment_intent", "payment_intent": intent}}
        assert [p.id for p in api.invoice_payments.list(by_intent).data] == [payment.id]
        wanted = {"expand": ["payments.data.payment.payment_intent.latest_charge"]}
        shown = api.invoices.retrieve(invoice.id, wanted)
        charge = shown.payments.data[0].payment.payment_intent.latest_charge
        assert charge.amount == invoice.amount_paid == 4900
        assert [c.id for c in api.charges.list({"payment_intent": intent}).data] == [charge.id]
        refunds = api.refunds.list({"payment_intent": intent}).data
        assert sum(r.amount for r in refunds) == charge.amount_refunded
        customer = api.customers.retrieve(invoice.customer)
        assert [c.id for c in api.customers.list({"email": customer.email}).data] == [customer.id]
        own = api.invoices.list({"customer": customer.id}).data
        assert len(own) == 2 and invoice.id in {i.id for i in own}
    assert len(_all(api.refunds)) == 30
    assert len(_all(api.subscriptions, status="all")) == 30
    assert _all(api.subscriptions) == []


def test_pages_meet_at_every_cursor(fake: FakeStripe, api: Any) -> None:
    _past(fake, "payment_intent", 25)
    _past(fake, "payment", 15, customer=None)
    for _ in range(5):
        api.payment_intents.create({"amount": 100, "currency": "eur"})
    everything = [i.id for i in _all(api.payment_intents)]
    assert len(everything) == len(set(everything)) == 45
    for limit in (1, 7, 40):
        asked = {"limit": limit}
        paged = [i.id for i in api.payment_intents.list(asked).auto_paging_iter()]
        assert paged == everything
    for place in (1, 5, 6, 30, 44):
        after = api.payment_intents.list({"starting_after": everything[place], "limit": 3})
        assert [i.id for i in after.data] == everything[place + 1 : place + 4]
        before = api.payment_intents.list({"ending_before": everything[place], "limit": 3})
        assert [i.id for i in before.data] == everything[max(0, place - 3) : place]
        assert before.has_more == (place > 3)


def test_created_bounds(fake: FakeStripe, api: Any) -> None:
    _past(fake, "payment_intent", 50)
    times = [i.created for i in _all(api.payment_intents)]
    low, high = times[40], times[10]
    for bounds in ({"gte": low, "lte": high}, {"gt": low, "lt": high}, {"gte": low, "lt": high}):
        wanted = [
            t
            for t in times
            if t >= bounds.get("gte", 0)
            and t > bounds.get("gt", 0)
            and t <= bounds.get("lte", START)
            and t < bounds.get("lt", START)
        ]
        assert [i.created for i in _all(api.payment_intents, created=bounds)] == wanted
    assert [i.created for i in _all(api.payment_intents, created=times[7])] == [times[7]]


def test_events_of_the_last_thirty_days_alone(fake: FakeStripe, api: Any) -> None:
    _past(fake, "payment_intent", 301)
    events = _all(api.events, type="payment_intent.succeeded")
    assert len(events) == 31
    assert min(e.created for e in events) >= START - 30 * DAY
    told = {e.data.object["id"] for e in events}
    assert told == {i.id for i in _all(api.payment_intents, created={"gte": START - 30 * DAY})}
    assert api.events.retrieve(events[0].id).id == events[0].id
    assert _all(api.events, delivery_success=False) == []


def test_a_past_without_events(fake: FakeStripe, api: Any) -> None:
    made = _past(fake, "payment_intent", 10, events=False)
    assert "event" not in made["objects"] and _all(api.events) == []
    assert len(_all(api.payment_intents)) == 10


def test_what_is_changed_stays_changed(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    _past(fake, "subscription", 20, stays=True)
    _past(fake, "payment", 20)
    before = [c.id for c in _all(api.charges)]
    chosen = api.charges.retrieve(before[3])
    refund = api.refunds.create({"charge": chosen.id, "amount": 900})
    assert api.charges.retrieve(chosen.id).amount_refunded == 900
    assert [c.id for c in _all(api.charges)] == before
    assert [r.id for r in _all(api.refunds)] == [refund.id]
    assert [r.id for r in api.charges.retrieve(chosen.id, {"expand": ["refunds"]}).refunds] == [
        refund.id
    ]
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        api.refunds.create({"charge": chosen.id, "amount": 4_001})
    subscription = api.subscriptions.list().data[0]
    item = subscription["items"].data[0].id
    api.subscription_items.update(item, {"quantity": 3, "proration_behavior": "none"})
    again = api.subscriptions.retrieve(subscription.id)
    assert again["items"].data[0].quantity == 3
    assert api.subscription_items.retrieve(item).quantity == 3
    customer = api.customers.retrieve(subscription.customer)
    api.customers.delete(customer.id)
    assert api.customers.retrieve(customer.id).deleted is True
    assert customer.id not in {c.id for c in _all(api.customers)}
    flushed(fake)
    assert {"charge.refunded", "customer.deleted", "customer.subscription.deleted"} <= set(
        inbox.types
    )


def test_a_past_outlives_the_process(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"clock": Clock(), "state_file": tmp_path / "stripe.json"}
    with serve(FakeStripe(**settings)) as fake:
        _past(fake, "invoice", 40, months=2, metadata={"order": "{n}"})
        api = client_of(fake).v1
        before = [(i.id, i.metadata["order"]) for i in _all(api.invoices)]
        refunded = api.charges.list().data[5].id
        api.refunds.create({"charge": refunded})
    with serve(FakeStripe(**settings)) as fake:
        api = client_of(fake).v1
        assert [(i.id, i.metadata["order"]) for i in _all(api.invoices)] == before
        assert api.charges.retrieve(refunded).refunded is True
        assert len(_all(api.charges)) == 80
        assert fake.faults == []


def test_codes_links_references_and_credit_notes(fake: FakeStripe, api: Any) -> None:
    price = api.prices.create(
        {"unit_amount": 5000, "currency": "usd", "product_data": {"name": "Course"}}
    ).id
    link = api.payment_links.create({"line_items": [{"price": price, "quantity": 1}]})
    coupon = api.coupons.create({"percent_off": 20})
    code = api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    _past(fake, "payment", 3, payment_link=link.id, client_reference_id="ann", customer=None)
    _past(fake, "payment", 2, price=price, promotion_code=code.id)
    _past(fake, "invoice", 2, price=price, credit_note=500)
    by_link = _all(api.checkout.sessions, payment_link=link.id)
    assert {(s.client_reference_id, s.amount_total, s.customer) for s in by_link} == {
        ("ann", 5000, None)
    }
    with_code = [s for s in _all(api.checkout.sessions) if s.discounts]
    assert {s.discounts[0].promotion_code for s in with_code} == {code.id}
    assert [s.amount_total for s in with_code] == [4000, 4000]
    [note, _] = _all(api.credit_notes)
    assert (note.amount, note.type, note.status) == (500, "post_payment", "issued")
    assert api.refunds.retrieve(note.refunds[0].refund).amount == 500
    assert len(_all(api.prices)) == 1


def test_ten_thousand_invoices_are_made_and_read_at_once(fake: FakeStripe, api: Any) -> None:
    before = time.monotonic()
    _past(fake, "invoice", 10_000)
    made = time.monotonic() - before
    before = time.monotonic()
    first = list(itertools.islice(api.invoices.list({"limit": 100}).auto_paging_iter(), 1_000))
    assert len({i.id for i in first}) == 1_000
    assert made < max(2.0, 5 * (time.monotonic() - before))


def test_a_large_past_takes_no_room(fake: FakeStripe, api: Any) -> None:
    _past(fake, "invoice", 100_000)
    asked = {"limit": 50, "expand": ["data.payments", "data.customer"]}
    first = api.invoices.list(asked).data
    tracemalloc.start()
    for invoice in first[:4]:
        api.invoices.list(asked | {"starting_after": invoice.id})
        api.invoices.retrieve(invoice.id)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000
    tables = fake.world("acme").tables
    assert not any(tables.get(kind) for kind in ("invoice", "customer", "payment_intent"))


@pytest.mark.parametrize(
    "given",
    [
        {"story": "gift"},
        {"colour": "red"},
        {"count": 0},
        {"months": 12},
        {"price": "price_none"},
        {"refund": 99_999},
    ],
)
def test_a_story_that_cannot_be_is_refused(fake: FakeStripe, given: dict[str, Any]) -> None:
    asked = {"story": "invoice", "count": 3} | given
    with pytest.raises(Exception, match="400"):
        _past(fake, **asked)
    assert fake.world("acme").past.batches == []
