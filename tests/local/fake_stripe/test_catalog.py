"""Products, prices, coupons, promotion codes, customers, webhook endpoints, the event log."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import Inbox, a_price, flushed


def test_products_and_prices(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    product = api.products.create({"name": "Plan", "metadata": {"a": "b"}})
    assert product.id.startswith("prod_")
    price = {"product": product.id, "currency": "USD", "unit_amount_decimal": "1050"}
    made = api.prices.create(price | {"tax_behavior": "exclusive", "lookup_key": "plan"})
    assert (made.unit_amount, made.currency, made.type) == (1050, "usd", "one_time")
    assert api.prices.list({"lookup_keys": ["plan"]}).data[0].id == made.id
    assert api.prices.list({"type": "recurring"}).data == []
    api.prices.update(made.id, {"active": False})
    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        api.payment_links.create({"line_items": [{"price": made.id, "quantity": 1}]})
    with pytest.raises(stripe.InvalidRequestError):
        api.products.delete(product.id)
    default = {"name": "Two", "default_price_data": {"currency": "eur", "unit_amount": 5}}
    assert api.products.create(default).default_price.startswith("price_")
    flushed(fake)
    assert {"product.created", "price.created", "price.updated"} <= set(inbox.types)


def test_customers_are_found_by_exact_email(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    made = api.customers.create({"email": "Sam@example.com"})
    assert [c.id for c in api.customers.list({"email": "Sam@example.com"}).data] == [made.id]
    assert api.customers.list({"email": "sam@example.com"}).data == []
    api.customers.update(made.id, {"email": "sam@example.com"})
    flushed(fake)
    [updated] = [e for e in inbox.events if e["type"] == "customer.updated"]
    assert updated["data"]["previous_attributes"] == {"email": "Sam@example.com"}
    assert updated["request"]["id"].startswith("req_")


def test_an_update_that_changes_nothing_tells_nothing(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    made = api.customers.create({"name": "Sam"})
    api.customers.update(made.id, {"name": "Sam"})
    flushed(fake)
    assert inbox.types == ["customer.created"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"duration": "once"}, "parameter_missing"),
        ({"percent_off": 10, "amount_off": 10, "currency": "eur"}, "parameter_missing"),
        ({"amount_off": 10}, None),
        ({"percent_off": 10, "duration": "repeating"}, None),
    ],
)
def test_coupons_that_cannot_be(api: Any, given: dict[str, Any], code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.coupons.create(given)
    assert refused.value.code == code


def test_a_coupons_life(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    product = api.products.create({"name": "Plan"}).id
    given = {"id": "SPRING", "percent_off": 12.5, "duration": "forever", "name": "Spring"}
    made = api.coupons.create(given | {"applies_to": {"products": [product]}})
    assert (made.id, made.percent_off, made.valid) == ("SPRING", 12.5, True)
    shown = api.coupons.retrieve("SPRING", {"expand": ["applies_to"]})
    assert shown.applies_to.products == [product]
    api.coupons.update("SPRING", {"name": "Summer"})
    assert api.coupons.delete("SPRING").deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        api.coupons.retrieve("SPRING")
    flushed(fake)
    assert inbox.types[-3:] == ["coupon.created", "coupon.updated", "coupon.deleted"]


def test_promotion_codes(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    coupon = api.coupons.create({"percent_off": 10}).id
    promotion = {"promotion": {"type": "coupon", "coupon": coupon}}
    made = api.promotion_codes.create(promotion | {"code": "ANN10"})
    assert (made.promotion.coupon, made.active) == (coupon, True)
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        api.promotion_codes.create(promotion | {"code": "ann10"})
    with pytest.raises(stripe.InvalidRequestError):
        api.promotion_codes.create(promotion | {"code": "ANN 10"})
    assert api.promotion_codes.list({"code": "ann10"}).data[0].id == made.id
    api.promotion_codes.update(made.id, {"active": False})
    assert api.promotion_codes.create(promotion | {"code": "ann10"}).id != made.id
    flushed(fake)
    assert {"promotion_code.created", "promotion_code.updated"} <= set(inbox.types)


def test_a_customers_discount_is_told(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    coupon = api.coupons.create({"percent_off": 10, "duration": "forever"}).id
    customer = api.customers.create({"payment_method": "pm_card_visa"})
    [method] = api.payment_methods.list({"customer": customer.id}).data
    price = a_price(api, recurring={"interval": "month"})
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price}],
            "default_payment_method": method.id,
            "discounts": [{"coupon": coupon}],
        }
    )
    flushed(fake)
    [discount] = inbox.objects("customer.discount.created")
    assert discount["source"] == {"type": "coupon", "coupon": coupon}
    assert made.discounts == [discount["id"]]


def test_webhook_endpoints_tell_their_secret_once(api: Any) -> None:
    given = {"url": "https://app.example/hook", "enabled_events": ["invoice.paid"]}
    made = api.webhook_endpoints.create(
        given | {"api_version": "2020-08-27", "metadata": {"ours": "1"}}
    )
    assert made.secret.startswith("whsec_") and made.id.startswith("we_")
    shown = api.webhook_endpoints.retrieve(made.id).to_dict()
    assert "secret" not in shown and shown["api_version"] == "2020-08-27"
    assert "secret" not in api.webhook_endpoints.list().data[0].to_dict()
    changed = api.webhook_endpoints.update(made.id, {"disabled": True})
    assert (changed.status, changed.metadata.to_dict()) == ("disabled", {"ours": "1"})
    assert api.webhook_endpoints.delete(made.id).deleted is True
    assert api.webhook_endpoints.list().data == []


def test_sixteen_endpoints_and_no_more(api: Any) -> None:
    given = {"url": "https://app.example/hook", "enabled_events": ["*"]}
    for _ in range(16):
        api.webhook_endpoints.create(given)
    with pytest.raises(stripe.InvalidRequestError, match="maximum of 16"):
        api.webhook_endpoints.create(given)


@pytest.mark.parametrize(
    "wrong", [{"url": "app.example"}, {"enabled_events": ["invoice.paidd"]}, {"api_version": "1"}]
)
def test_endpoints_that_cannot_be(api: Any, wrong: dict[str, Any]) -> None:
    given = {"url": "https://app.example/hook", "enabled_events": ["*"]}
    with pytest.raises(stripe.InvalidRequestError):
        api.webhook_endpoints.create(given | wrong)


def test_the_event_log(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    made = api.customers.create({})
    api.customers.update(made.id, {"name": "Sam"})
    api.products.create({"name": "Plan"})
    flushed(fake)
    all_ = api.events.list().data
    assert [e.type for e in all_] == ["product.created", "customer.updated", "customer.created"]
    assert [e.type for e in api.events.list({"type": "customer.*"}).data] == [
        "customer.updated",
        "customer.created",
    ]
    assert len(api.events.list({"types": ["product.created"]}).data) == 1
    shown = api.events.retrieve(all_[0].id)
    assert shown.data.object["name"] == "Plan" and shown.id.startswith("evt_")
    assert len(api.events.list({"delivery_success": True}).data) == 3
    inbox.status = 500
    control_settings = {"backoff_seconds": []}
    fake.deliveries.configure(control_settings)
    api.customers.create({})
    flushed(fake)
    assert len(api.events.list({"delivery_success": False}).data) == 1


def test_the_account(api: Any) -> None:
    own = api.accounts.retrieve_current()
    assert (own.object, own.charges_enabled) == ("account", True)
