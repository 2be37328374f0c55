"""Subscriptions: trials, renewals by either clock, prorations, failures, cancelling."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe
from local.fake_stripe.periods import next_end, step

from .conftest import START, Inbox, a_customer, a_monthly_price, a_price, flushed, move


def a_subscription(api: Any, customer: str, price: str, **given: Any) -> Any:
    return api.subscriptions.create({"customer": customer, "items": [{"price": price}]} | given)


def reasons(api: Any, **wanted: Any) -> list[tuple[str, int]]:
    invoices = api.invoices.list(wanted).data
    return [(i.billing_reason, i.amount_paid) for i in invoices[::-1]]


def test_a_subscription_starts_paid(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    made = a_subscription(api, a_customer(api), a_monthly_price(api), metadata={"plan": "pro"})
    assert (made.status, made.id[:4]) == ("active", "sub_")
    invoice = api.invoices.retrieve(made.latest_invoice)
    details = invoice.parent.subscription_details
    assert (details.subscription, details.metadata.to_dict()) == (made.id, {"plan": "pro"})
    assert (invoice.billing_reason, invoice.amount_paid) == ("subscription_create", 2000)
    item = made["items"].data[0]
    assert item.current_period_end - item.current_period_start == 31 * 86_400
    flushed(fake)
    told = inbox.types
    assert told.index("invoice.paid") < told.index("customer.subscription.created")


def test_the_fakes_own_clock_renews(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    made = a_subscription(api, customer, a_monthly_price(api))
    move(fake, days=95)
    expected = [("subscription_create", 2000)] + [("subscription_cycle", 2000)] * 3
    assert reasons(api, subscription=made.id) == expected
    paid_at = [i["status_transitions"]["paid_at"] for i in inbox.objects("invoice.paid")]
    days = [datetime.fromtimestamp(t, UTC).strftime("%d %b") for t in paid_at]
    assert days == ["09 Oct", "09 Nov", "09 Dec", "09 Jan"]
    created = [e["created"] for e in inbox.events if e["type"] == "invoice.paid"]
    assert created == paid_at


def test_a_test_clock_renews_its_own_customers_alone(fake: FakeStripe, api: Any) -> None:
    clock = api.test_helpers.test_clocks.create({"frozen_time": START, "name": "year"})
    customer = a_customer(api, test_clock=clock.id)
    price = a_monthly_price(api)
    made = a_subscription(api, customer, price)
    other = a_subscription(api, a_customer(api), price)
    assert made.test_clock == clock.id
    target = {"frozen_time": START + 62 * 86_400}
    assert api.test_helpers.test_clocks.advance(clock.id, target).status == "advancing"
    assert api.test_helpers.test_clocks.retrieve(clock.id).status == "ready"
    assert len(reasons(api, subscription=made.id)) == 3
    assert len(reasons(api, subscription=other.id)) == 1
    assert api.customers.list({"test_clock": clock.id}).data[0].id == customer
    with pytest.raises(stripe.InvalidRequestError):
        api.test_helpers.test_clocks.advance(clock.id, {"frozen_time": START})
    assert api.test_helpers.test_clocks.delete(clock.id).deleted is True
    assert [c.id for c in api.customers.list().data] != [customer]


def test_moving_the_fakes_clock_leaves_test_clocks_alone(fake: FakeStripe, api: Any) -> None:
    clock = api.test_helpers.test_clocks.create({"frozen_time": START})
    made = a_subscription(api, a_customer(api, test_clock=clock.id), a_monthly_price(api))
    move(fake, days=62)
    assert len(reasons(api, subscription=made.id)) == 1


def test_a_trial_begins_with_a_paid_zero_invoice(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    made = a_subscription(api, customer, a_monthly_price(api), trial_period_days=7)
    assert (made.status, made.trial_end - made.trial_start) == ("trialing", 7 * 86_400)
    [first] = api.invoices.list({"subscription": made.id}).data
    assert (first.status, first.total, first.billing_reason) == ("paid", 0, "subscription_create")
    move(fake, days=8)
    [warned] = [e for e in inbox.events if e["type"].endswith("trial_will_end")]
    assert warned["created"] == made.trial_end - 3 * 86_400
    assert api.subscriptions.retrieve(made.id).status == "active"
    assert reasons(api, subscription=made.id)[1:] == [("subscription_cycle", 2000)]
    assert "charge.succeeded" in inbox.types


def test_a_renewal_stays_a_draft_for_an_hour(fake: FakeStripe, api: Any) -> None:
    made = a_subscription(api, a_customer(api), a_monthly_price(api))
    move(fake, days=31, seconds=60)
    newest = api.invoices.list({"subscription": made.id}).data[0]
    assert newest.status == "draft"
    move(fake, seconds=3_600)
    assert api.invoices.retrieve(newest.id).status == "paid"


@pytest.mark.parametrize(
    ("behavior", "status"),
    [("allow_incomplete", "incomplete"), ("default_incomplete", "incomplete")],
)
def test_a_declined_start_stays_incomplete(
    fake: FakeStripe, api: Any, behavior: str, status: str
) -> None:
    customer = api.customers.create({"payment_method": "pm_card_chargeCustomerFail"})
    [method] = api.payment_methods.list({"customer": customer.id}).data
    made = a_subscription(
        api,
        customer.id,
        a_monthly_price(api),
        default_payment_method=method.id,
        payment_behavior=behavior,
    )
    assert made.status == status
    payments = api.invoice_payments.list({"invoice": made.latest_invoice}).data
    intent = payments[0].payment.payment_intent
    api.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert api.subscriptions.retrieve(made.id).status == "active"


def test_a_declined_start_may_be_an_error(api: Any) -> None:
    customer = api.customers.create({"payment_method": "pm_card_chargeCustomerFail"})
    [method] = api.payment_methods.list({"customer": customer.id}).data
    with pytest.raises(stripe.CardError):
        a_subscription(
            api,
            customer.id,
            a_monthly_price(api),
            default_payment_method=method.id,
            payment_behavior="error_if_incomplete",
        )
    assert api.subscriptions.list({"status": "all"}).data == []


def test_a_failing_renewal_is_past_due(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    made = a_subscription(api, customer, a_monthly_price(api))
    failing = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    api.subscriptions.update(made.id, {"default_payment_method": failing.id})
    move(fake, days=32)
    assert api.subscriptions.retrieve(made.id).status == "past_due"
    assert "invoice.payment_failed" in inbox.types


def test_an_upgrade_prorates_to_the_second(fake: FakeStripe, api: Any) -> None:
    customer = a_customer(api)
    made = a_subscription(api, customer, a_monthly_price(api, 3100))
    item = made["items"].data[0].id
    move(fake, days=10)
    change = {"items": [{"id": item, "price": a_monthly_price(api, 6200)}]}
    api.subscriptions.update(made.id, change | {"proration_behavior": "always_invoice"})
    invoice = api.invoices.list({"subscription": made.id}).data[0]
    assert invoice.billing_reason == "subscription_update"
    assert sorted(line.amount for line in invoice.lines.data) == [-2100, 4200]
    assert all(
        line.parent.subscription_item_details.proration is True for line in invoice.lines.data
    )
    assert (invoice.status, invoice.amount_paid) == ("paid", 2100)


def test_a_downgrade_becomes_credit(fake: FakeStripe, api: Any) -> None:
    customer = a_customer(api)
    made = a_subscription(api, customer, a_monthly_price(api, 6200))
    item = made["items"].data[0].id
    move(fake, days=10)
    change = {"items": [{"id": item, "price": a_monthly_price(api, 3100)}]}
    api.subscriptions.update(made.id, change | {"proration_behavior": "always_invoice"})
    invoice = api.invoices.list({"subscription": made.id}).data[0]
    assert (invoice.total, invoice.amount_paid, invoice.status) == (-2100, 0, "paid")
    assert api.customers.retrieve(customer).balance == -2100
    move(fake, days=22)
    newest = api.invoices.list({"subscription": made.id}).data[0]
    assert (newest.total, newest.amount_paid) == (3100, 1000)


def test_prorations_wait_for_the_next_invoice(fake: FakeStripe, api: Any) -> None:
    made = a_subscription(api, a_customer(api), a_monthly_price(api, 3100))
    move(fake, days=10)
    item = made["items"].data[0].id
    api.subscription_items.update(item, {"quantity": 2})
    assert len(api.invoices.list({"subscription": made.id}).data) == 1
    move(fake, days=22)
    newest = api.invoices.list({"subscription": made.id}).data[0]
    assert (len(newest.lines.data), newest.amount_paid) == (3, 6200 - 2100 + 4200)


def test_another_interval_begins_a_new_period(fake: FakeStripe, api: Any) -> None:
    made = a_subscription(api, a_customer(api), a_monthly_price(api, 3100))
    move(fake, days=10)
    yearly = a_price(api, 30_000, recurring={"interval": "year"})
    item = made["items"].data[0].id
    api.subscriptions.update(made.id, {"items": [{"id": item, "price": yearly}]})
    invoice = api.invoices.list({"subscription": made.id}).data[0]
    assert invoice.amount_paid == 30_000 - 2100
    shown = api.subscriptions.retrieve(made.id)["items"].data[0]
    assert shown.current_period_end - shown.current_period_start == 365 * 86_400


def test_cancelling_now_and_later(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    customer = a_customer(api)
    price = a_monthly_price(api)
    now = a_subscription(api, customer, price)
    later = a_subscription(api, customer, price)
    assert api.subscriptions.cancel(now.id).status == "canceled"
    shown = api.subscriptions.update(later.id, {"cancel_at_period_end": True})
    assert shown.cancel_at is not None
    move(fake, days=32)
    assert api.subscriptions.retrieve(later.id).status == "canceled"
    assert len(inbox.objects("customer.subscription.deleted")) == 2
    assert api.subscriptions.list({"customer": customer}).data == []
    assert len(api.subscriptions.list({"customer": customer, "status": "canceled"}).data) == 2


def test_ending_a_trial_now_bills_at_once(api: Any) -> None:
    made = a_subscription(api, a_customer(api), a_monthly_price(api), trial_period_days=30)
    api.subscriptions.update(made.id, {"trial_end": "now"})
    assert api.subscriptions.retrieve(made.id).status == "active"
    assert reasons(api, subscription=made.id)[1:] == [("subscription_update", 2000)]


def test_a_discount_of_one_invoice_and_of_ever(fake: FakeStripe, api: Any) -> None:
    once = api.coupons.create({"percent_off": 50, "duration": "once"}).id
    ever = api.coupons.create({"percent_off": 10, "duration": "forever"}).id
    price = a_monthly_price(api)
    first = a_subscription(api, a_customer(api), price, discounts=[{"coupon": once}])
    second = a_subscription(api, a_customer(api), price, discounts=[{"coupon": ever}])
    move(fake, days=32)
    assert [paid for _, paid in reasons(api, subscription=first.id)] == [1000, 2000]
    assert [paid for _, paid in reasons(api, subscription=second.id)] == [1800, 1800]


def test_a_deleted_customer_ends_its_subscriptions(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    customer = a_customer(api)
    a_subscription(api, customer, a_monthly_price(api))
    api.customers.delete(customer)
    flushed(fake)
    assert inbox.types[-2:] == ["customer.subscription.deleted", "customer.deleted"]
    stub = api.customers.retrieve(customer)
    assert stub.to_dict() == {"id": customer, "object": "customer", "deleted": True}


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "expected"),
    [
        ("2026-01-31", "month", 1, "2026-02-28"),
        ("2026-01-31", "month", 2, "2026-03-31"),
        ("2024-02-29", "year", 1, "2025-02-28"),
        ("2026-12-15", "month", 1, "2027-01-15"),
        ("2026-03-01", "week", 2, "2026-03-15"),
        ("2026-03-01", "day", 3, "2026-03-04"),
    ],
)
def test_periods_are_counted_from_the_anchor(
    anchor: str, interval: str, count: int, expected: str
) -> None:
    start, end = (
        int(datetime.fromisoformat(f"{d}T00:00:00+00:00").timestamp()) for d in (anchor, expected)
    )
    assert step(start, interval, count) == end
    if count == 1:
        assert next_end(start, start, interval, 1) == end
