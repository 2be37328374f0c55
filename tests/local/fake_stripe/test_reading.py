"""What a reader of a whole account leans on: keys and their ends, both modes, lists, events."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe
from local.fake_stripe.permissions import _NAMES
from local.fake_stripe.resources import ROUTES

from .conftest import KEY, Inbox, a_customer, a_price, client_of, control, flushed, paid_intent

RESTRICTED = "rk_" + "test_acme_2"
LIVE = "sk_" + "live_acme_1"


def test_every_route_has_a_permission() -> None:
    assert {route.path.split("/")[2] for route in ROUTES} <= set(_NAMES)


def test_a_missing_permission_is_stripes_own_sentence(fake: FakeStripe) -> None:
    control(fake, "/keys", {"key": RESTRICTED, "permissions": []})
    with pytest.raises(stripe.PermissionError) as refused:
        client_of(fake, RESTRICTED).v1.invoices.list()
    account = client_of(fake).v1.accounts.retrieve_current().id
    assert refused.value.user_message == (
        "The provided key 'rk_test_****me_2' does not have the required permissions for this "
        f"endpoint on account '{account}'. Having the 'rak_invoice_read' permission would allow "
        "this request to continue."
    )
    assert refused.value.error is not None and refused.value.error.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [("expired", "api_key_expired", "Expired API Key"), ("unknown", None, "Invalid API Key")],
)
def test_an_ended_key_is_401(fake: FakeStripe, state: str, code: str | None, said: str) -> None:
    control(fake, "/keys", {"key": RESTRICTED, "state": state})
    with pytest.raises(stripe.AuthenticationError, match=said) as refused:
        client_of(fake, RESTRICTED).v1.customers.list()
    assert refused.value.error is not None
    assert (refused.value.http_status, refused.value.error.code) == (401, code)
    assert RESTRICTED not in str(refused.value)
    assert client_of(fake).v1.customers.list().data == []
    control(fake, "/keys", {"key": RESTRICTED, "state": "valid"})
    assert client_of(fake, RESTRICTED).v1.customers.list().data == []


def test_live_and_test_are_two_sides_of_one_account(fake: FakeStripe, api: Any) -> None:
    live = client_of(fake, LIVE).v1
    assert live.accounts.retrieve_current().id == api.accounts.retrieve_current().id
    mine = a_customer(live)
    assert api.customers.list().data == []
    assert live.customers.retrieve(mine).livemode is True
    line = {"price": a_price(live), "quantity": 1}
    session = live.checkout.sessions.create(
        {"line_items": [line], "success_url": "https://x.example"}
    )
    assert session.id.startswith("cs_live_")
    seen = Inbox()
    url = fake.receive_with("live", seen)
    live.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    live.customers.create({})
    api.customers.create({})
    flushed(fake)
    assert [e["livemode"] for e in seen.events] == [True]


def test_lists_are_newest_first_by_creation(fake: FakeStripe, api: Any) -> None:
    fake.move_clock(1_000)
    newer = api.customers.create({}).id
    fake.move_clock(500)
    older = api.customers.create({}).id
    assert [c.id for c in api.customers.list().data] == [newer, older]


def _events(api: Any, **asked: Any) -> list[str]:
    return [e.type for e in api.events.list({"limit": 100} | asked).data]


def test_events_are_filtered_by_type(fake: FakeStripe, api: Any) -> None:
    customer = a_customer(api)
    api.customers.update(customer, {"name": "Sam"})
    assert _events(api, type="customer.created") == ["customer.created"]
    assert set(_events(api, type="customer.*")) == {"customer.created", "customer.updated"}
    assert _events(api, types=["customer.created", "charge.refunded"]) == ["customer.created"]
    for wrong in ({"types": ["charge.failed"] * 21}, {"type": "a", "types": ["charge.failed"]}):
        with pytest.raises(stripe.InvalidRequestError):
            api.events.list(wrong)


def test_events_tell_whether_they_arrived(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/deliveries", {"drop": ["customer.created"]})
    api.customers.create({})
    paid_intent(api)
    flushed(fake)
    assert _events(api, delivery_success=False) == ["customer.created"]
    assert "customer.created" not in _events(api, delivery_success=True)
    assert "charge.succeeded" in _events(api, delivery_success=True)


def test_events_go_back_thirty_days(fake: FakeStripe, api: Any) -> None:
    api.customers.create({})
    [event] = api.events.list().data
    fake.move_clock(30 * 86_400)
    assert _events(api) == ["customer.created"]
    fake.move_clock(30 * 86_400 + 1)
    assert _events(api) == []
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        api.events.retrieve(event.id)


def test_events_by_time(fake: FakeStripe, api: Any) -> None:
    first = api.customers.create({}).created
    fake.move_clock(100)
    api.products.create({"name": "Plan"})
    assert _events(api, created={"gt": first}) == ["product.created"]
    assert _events(api, created={"lte": first}) == ["customer.created"]
    assert _events(api, created={"gte": first, "lt": first + 100}) == ["customer.created"]


def test_what_pays_what_can_be_asked(api: Any) -> None:
    customer = a_customer(api)
    item = {"customer": customer, "amount": 900, "currency": "eur"}
    api.invoice_items.create(item)
    invoice = api.invoices.create(
        {"customer": customer, "pending_invoice_items_behavior": "include"}
    )
    api.invoices.pay(invoice.id)
    [payment] = api.invoice_payments.list({"invoice": invoice.id}).data
    intent = payment.payment.payment_intent
    by_intent = {"payment": {"type": "payment_intent", "payment_intent": intent}}
    assert [p.id for p in api.invoice_payments.list(by_intent).data] == [payment.id]
    other = {"payment": {"type": "payment_intent", "payment_intent": "pi_other"}}
    assert api.invoice_payments.list(other).data == []
    assert [p.id for p in api.invoice_payments.list({"status": "paid"}).data] == [payment.id]
    assert [i.id for i in api.invoices.list({"status": "paid"}).data] == [invoice.id]
    assert api.invoices.list({"status": "open"}).data == []


Call = Callable[[Any, Any], Any]


@pytest.mark.parametrize(
    "call",
    [
        lambda v, pi: v.charges.list({"payment_intent": pi.id}),
        lambda v, pi: v.refunds.list({"payment_intent": pi.id}),
        lambda v, pi: v.refunds.list({"charge": pi.latest_charge}),
        lambda v, pi: v.disputes.list({"payment_intent": pi.id}),
        lambda v, pi: v.disputes.list({"charge": pi.latest_charge}),
    ],
)
def test_what_belongs_to_a_payment(fake: FakeStripe, api: Any, call: Call) -> None:
    intents = [paid_intent(api) for _ in range(2)]
    key = {"key": KEY}
    for intent in intents:
        api.refunds.create({"payment_intent": intent.id, "amount": 100})
        control(fake, "/disputes", key | {"charge": intent.latest_charge})
    found = call(api, intents[0]).data
    assert len(found) == 1
    assert getattr(found[0], "payment_intent", None) == intents[0].id


def test_lists_are_expanded(fake: FakeStripe, api: Any) -> None:
    customer = a_customer(api)
    api.invoice_items.create({"customer": customer, "amount": 900, "currency": "eur"})
    made = {"customer": customer, "pending_invoice_items_behavior": "include"}
    api.invoices.pay(api.invoices.create(made).id)
    [intent] = api.payment_intents.list({"expand": ["data.latest_charge"]}).data
    assert intent.latest_charge.amount == 900
    wanted = ["data.payments", "data.customer", "data.payments.data.payment.payment_intent"]
    [invoice] = api.invoices.list({"expand": wanted}).data
    assert invoice.payments.data[0].payment.payment_intent.latest_charge == intent.latest_charge.id
    assert invoice.customer.id == customer
    [charge] = api.charges.list({"expand": ["data.payment_intent", "data.refunds"]}).data
    assert (charge.payment_intent.id, charge.refunds.data) == (intent.id, [])


def test_sessions_expand_to_the_charge(api: Any, fake: FakeStripe) -> None:
    from .conftest import pay

    line = {"price": a_price(api), "quantity": 1}
    given = {"line_items": [line], "success_url": "https://x.example"}
    session = api.checkout.sessions.create(given)
    api.checkout.sessions.create(given)
    pay(fake, session.id)
    wanted = {"expand": ["data.payment_intent.latest_charge", "data.line_items"]}
    [paid] = api.checkout.sessions.list({"status": "complete"} | wanted).data
    assert paid.payment_intent.latest_charge.amount == 4900
    assert paid.line_items.data[0].quantity == 1
    by_intent = {"payment_intent": paid.payment_intent.id}
    assert [s.id for s in api.checkout.sessions.list(by_intent).data] == [session.id]


def test_customers_by_e_mail_in_its_own_letters(api: Any) -> None:
    made = api.customers.create({"email": "Sam@example.com"})
    assert [c.id for c in api.customers.list({"email": "Sam@example.com"}).data] == [made.id]
    assert api.customers.list({"email": "sam@example.com"}).data == []


def test_a_filter_that_the_fake_lacks_is_refused(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not filter by"):
        api.invoices.list({"due_date": {"gt": 5}})


def test_sixteen_endpoints_and_no_secret_twice(api: Any) -> None:
    given = {"url": "https://x.example/hook", "enabled_events": ["invoice.paid"]}
    made = [api.webhook_endpoints.create(given | {"metadata": {"n": str(n)}}) for n in range(16)]
    assert all(e.secret.startswith("whsec_") for e in made)
    with pytest.raises(stripe.InvalidRequestError, match="maximum of 16 test webhook endpoints"):
        api.webhook_endpoints.create(given)
    listed = api.webhook_endpoints.list({"limit": 100}).data
    assert len(listed) == 16
    shown = [*listed, api.webhook_endpoints.retrieve(made[3].id)]
    shown.append(api.webhook_endpoints.update(made[3].id, {"enabled_events": ["charge.refunded"]}))
    assert all("secret" not in e.to_dict() for e in shown)
    assert shown[-1].metadata.to_dict() == {"n": "3"}
    api.webhook_endpoints.delete(made[0].id)
    assert api.webhook_endpoints.create(given).status == "enabled"
