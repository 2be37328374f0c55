"""Checkout Sessions and Payment Links, paid on their pages with plain form posts."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import (
    KEY,
    Inbox,
    a_customer,
    a_monthly_price,
    a_price,
    browse,
    control,
    flushed,
    move,
    pay,
    session_of,
)

SHOP = "https://shop.example"


def a_session(api: Any, price: str, **given: Any) -> Any:
    session = {
        "mode": "payment",
        "line_items": [{"price": price, "quantity": 1}],
        "success_url": f"{SHOP}/done?s={{CHECKOUT_SESSION_ID}}",
    }
    return api.checkout.sessions.create(session | given)


def a_link(api: Any, price: str, **given: Any) -> Any:
    return api.payment_links.create({"line_items": [{"price": price, "quantity": 1}]} | given)


def test_a_guest_pays_through_a_link(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    link = a_link(api, a_price(api), metadata={"campaign": "may"})
    status, page, _ = browse(
        f"{link.url}?client_reference_id=tok_ann&prefilled_email=s@example.com"
    )
    assert status == 200 and 'value="s@example.com"' in page and "EUR 49.00" in page
    id_ = session_of(page)
    status, _, where = pay(fake, id_)
    assert (status, where) == (303, f"{fake.url}/thanks/{id_}")
    flushed(fake)
    [session] = inbox.objects("checkout.session.completed")
    assert session["id"].startswith("cs_test_")
    assert (session["client_reference_id"], session["payment_link"]) == ("tok_ann", link.id)
    assert (session["customer"], session["customer_creation"]) == (None, "if_required")
    assert session["customer_details"]["email"] == "sam@example.com"
    assert (session["amount_total"], session["payment_status"]) == (4900, "paid")
    assert session["metadata"] == {"campaign": "may"}
    assert "line_items" not in session
    assert api.payment_intents.retrieve(session["payment_intent"]).status == "succeeded"
    assert browse(f"{fake.url}/c/pay/{id_}")[0] == 410


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abcDEF012-_", "abcDEF012-_"),
        ("a" * 200, "a" * 200),
        ("a" * 201, None),
        ("has%20space", None),
        ("dot.dot", None),
        ("%C3%A4", None),
        ("", None),
    ],
)
def test_a_links_reference_is_kept_or_dropped_silently(
    fake: FakeStripe, api: Any, given: str, kept: str | None
) -> None:
    link = a_link(api, a_price(api))
    id_ = session_of(browse(f"{link.url}?client_reference_id={given}")[1])
    assert api.checkout.sessions.retrieve(id_).client_reference_id == kept


def test_a_link_redirects_to_the_shop_and_can_be_closed(fake: FakeStripe, api: Any) -> None:
    after = {"type": "redirect", "redirect": {"url": f"{SHOP}/ok?s={{CHECKOUT_SESSION_ID}}"}}
    link = a_link(api, a_price(api), after_completion=after)
    id_ = session_of(browse(link.url)[1])
    assert pay(fake, id_)[2] == f"{SHOP}/ok?s={id_}"
    [found] = api.checkout.sessions.list({"payment_link": link.id}).data
    assert found.id == id_
    api.payment_links.update(link.id, {"active": False})
    assert browse(link.url)[0] == 404


def test_a_subscription_through_a_link(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    data = {"metadata": {"plan": "pro"}}
    link = a_link(api, a_monthly_price(api), subscription_data=data)
    pay(fake, session_of(browse(f"{link.url}?client_reference_id=tok_ann")[1]))
    flushed(fake)
    [session] = inbox.objects("checkout.session.completed")
    assert session["mode"] == "subscription" and session["customer"] is not None
    subscription = api.subscriptions.retrieve(session["subscription"])
    assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"plan": "pro"})
    assert session["invoice"] == subscription.latest_invoice
    assert inbox.types.index("invoice.paid") < inbox.types.index("checkout.session.completed")


def test_a_trial_needs_no_payment(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    session = a_session(
        api,
        a_monthly_price(api),
        mode="subscription",
        subscription_data={"trial_period_days": 14},
    )
    assert session.amount_total == 0
    pay(fake, session.id)
    shown = api.checkout.sessions.retrieve(session.id)
    assert (shown.payment_status, shown.status) == ("no_payment_required", "complete")
    move(fake, days=15)
    assert [i["amount_paid"] for i in inbox.objects("invoice.paid")] == [0, 2000]


def test_a_full_discount_needs_no_payment(fake: FakeStripe, api: Any) -> None:
    coupon = api.coupons.create({"percent_off": 100, "duration": "once"})
    session = a_session(api, a_price(api), discounts=[{"coupon": coupon.id}])
    pay(fake, session.id)
    shown = api.checkout.sessions.retrieve(session.id)
    assert (shown.payment_status, shown.payment_intent) == ("no_payment_required", None)
    assert shown.total_details.amount_discount == 4900


@pytest.mark.parametrize(
    ("method", "event", "status"),
    [
        ("pm_success_at", "checkout.session.async_payment_succeeded", "paid"),
        ("pm_failed_at", "checkout.session.async_payment_failed", "unpaid"),
    ],
)
@pytest.mark.parametrize("mode", ["payment", "subscription"])
def test_delayed_methods(
    fake: FakeStripe, api: Any, inbox: Inbox, mode: str, method: str, event: str, status: str
) -> None:
    price = a_price(api) if mode == "payment" else a_monthly_price(api)
    session = a_session(api, price, mode=mode)
    assert pay(fake, session.id, method=method)[0] == 303
    flushed(fake)
    assert inbox.objects("checkout.session.completed")[0]["payment_status"] == "unpaid"
    assert "invoice.paid" not in inbox.types
    move(fake, seconds=2)
    assert [s["payment_status"] for s in inbox.objects(event)] == [status]
    if mode == "subscription" and status == "paid":
        assert "invoice.paid" in inbox.types


def test_a_declined_card_leaves_the_session_open(fake: FakeStripe, api: Any) -> None:
    for mode, price in (("payment", a_price(api)), ("subscription", a_monthly_price(api))):
        session = a_session(api, price, mode=mode)
        status, page, _ = pay(fake, session.id, method="pm_card_chargeDeclined")
        assert (status, "Your card was declined." in page) == (402, True)
        assert api.checkout.sessions.retrieve(session.id).status == "open"
        assert pay(fake, session.id)[0] == 303
    assert len(api.subscriptions.list().data) == 1


def test_the_page_asks_for_an_email(fake: FakeStripe, api: Any) -> None:
    session = a_session(api, a_price(api))
    status, page, _ = pay(fake, session.id, email="")
    assert status == 422 and "An e-mail is needed" in page


def test_success_url_and_details(fake: FakeStripe, api: Any) -> None:
    rate = {"display_name": "VAT", "percentage": 19, "inclusive": False}
    line = {
        "price": a_price(api, 1000),
        "quantity": 2,
        "tax_rates": [api.tax_rates.create(rate).id],
    }
    shipping = {
        "display_name": "Parcel",
        "type": "fixed_amount",
        "fixed_amount": {"amount": 490, "currency": "eur"},
    }
    session = api.checkout.sessions.create(
        {
            "line_items": [line],
            "mode": "payment",
            "success_url": f"{SHOP}/{{CHECKOUT_SESSION_ID}}",
            "client_reference_id": "user_7",
            "metadata": {"a": "b"},
            "payment_intent_data": {"metadata": {"c": "d"}},
            "shipping_options": [{"shipping_rate_data": shipping}],
        }
    )
    assert session.url == f"{fake.url}/c/pay/{session.id}"
    details = session.total_details
    assert (details.amount_tax, details.amount_shipping, session.amount_total) == (380, 490, 2870)
    assert pay(fake, session.id)[2] == f"{SHOP}/{session.id}"
    shown = api.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "payment_intent"]})
    assert shown.payment_intent.metadata.to_dict() == {"c": "d"}
    assert shown.payment_intent.amount == 2870
    assert (shown.line_items.data[0].amount_total, shown.url) == (2380, None)
    assert len(api.checkout.sessions.line_items.list(session.id).data) == 1


def test_a_known_customer_and_its_card(fake: FakeStripe, api: Any) -> None:
    customer = a_customer(api)
    session = a_session(api, a_price(api), customer=customer)
    pay(fake, session.id, email="")
    shown = api.checkout.sessions.retrieve(session.id)
    assert (shown.customer, shown.customer_details.email) == (customer, "sam@example.com")
    [intent] = api.payment_intents.list({"customer": customer}).data
    assert intent.id == shown.payment_intent


def test_customer_creation_always_and_before_2022(fake: FakeStripe, api: Any) -> None:
    price = a_price(api)
    always = a_session(api, price, customer_creation="always")
    pay(fake, always.id)
    assert api.checkout.sessions.retrieve(always.id).customer is not None
    old = api.checkout.sessions.create(
        {"line_items": [{"price": price, "quantity": 1}], "mode": "payment", "success_url": SHOP},
        options={"stripe_version": "2020-08-27"},
    )
    pay(fake, old.id)
    assert api.checkout.sessions.retrieve(old.id).customer is not None
    control(fake, "/accounts", {"key": KEY, "api_version": "2020-08-27"})
    link = a_link(api, price)
    link_session = session_of(browse(link.url)[1])
    assert api.checkout.sessions.retrieve(link_session).customer_creation == "if_required"


def test_invoice_creation(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    creation = {"enabled": True, "invoice_data": {"metadata": {"x": "y"}}}
    session = a_session(api, a_price(api), invoice_creation=creation)
    pay(fake, session.id)
    shown = api.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert (shown.invoice.amount_paid, shown.invoice.metadata.to_dict()) == (4900, {"x": "y"})
    [payment] = api.invoice_payments.list({"invoice": shown.invoice.id}).data
    assert payment.payment.payment_intent == shown.payment_intent
    assert len(api.payment_intents.list().data) == 1
    flushed(fake)
    assert "invoice.paid" in inbox.types


def test_setup_mode_has_no_money(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    session = api.checkout.sessions.create({"mode": "setup", "success_url": SHOP})
    pay(fake, session.id)
    shown = api.checkout.sessions.retrieve(session.id)
    assert (shown.payment_status, shown.amount_total) == ("no_payment_required", None)
    assert api.setup_intents.retrieve(shown.setup_intent).status == "succeeded"
    flushed(fake)
    assert "charge.succeeded" not in inbox.types


def test_sessions_expire(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    price = a_price(api)
    by_hand, by_time = a_session(api, price), a_session(api, price)
    assert api.checkout.sessions.expire(by_hand.id).status == "expired"
    move(fake, days=1.1)
    assert api.checkout.sessions.retrieve(by_time.id).status == "expired"
    assert len(inbox.objects("checkout.session.expired")) == 2
    with pytest.raises(stripe.InvalidRequestError):
        api.checkout.sessions.expire(by_hand.id)


def test_a_promotion_code_typed_on_the_page(fake: FakeStripe, api: Any) -> None:
    coupon = api.coupons.create({"percent_off": 10, "duration": "once"})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = api.promotion_codes.create({"promotion": promotion, "code": "ANN10"})
    session = a_session(api, a_price(api), allow_promotion_codes=True)
    status, page, _ = pay(fake, session.id, promotion_code="nobody")
    assert status == 400 and "This code is invalid" in page
    pay(fake, session.id, promotion_code="ann10")
    shown = api.checkout.sessions.retrieve(session.id)
    assert (shown.amount_total, shown.total_details.amount_discount) == (4410, 490)
    assert shown.discounts[0].promotion_code == code.id


def test_modes_and_prices_must_agree(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        a_session(api, a_monthly_price(api))
    assert refused.value.param == "mode"
    with pytest.raises(stripe.InvalidRequestError):
        a_session(api, a_price(api), mode="subscription")


def test_a_one_off_line_beside_a_subscription(fake: FakeStripe, api: Any) -> None:
    lines = [
        {"price": a_monthly_price(api), "quantity": 1},
        {"price": a_price(api, 500), "quantity": 2},
    ]
    session = a_session(api, "", line_items=lines, mode="subscription")
    pay(fake, session.id)
    shown = api.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert (shown.amount_total, shown.invoice.amount_paid) == (3000, 3000)


def test_the_page_needs_nothing_from_elsewhere(fake: FakeStripe, api: Any) -> None:
    page = browse(a_link(api, a_price(api)).url)[1]
    assert "<script" not in page and " style=" not in page and "http" not in page
