"""Payment intents, charges and Stripe's magic cards and bank accounts."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import Inbox, a_customer, flushed, move, paid_intent


def test_a_card_pays_at_once(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, metadata={"order": "7"}, receipt_email="sam@example.com")
    assert (intent.status, intent.amount_received, intent.id[:3]) == ("succeeded", 4900, "pi_")
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.paid, charge.captured, charge.status) == (True, True, "succeeded")
    assert charge.metadata.to_dict() == {"order": "7"}
    assert charge.payment_method_details.card.last4 == "4242"
    flushed(fake)
    assert inbox.types == [
        "payment_intent.created",
        "payment_intent.succeeded",
        "charge.succeeded",
        "charge.updated",
    ]


def test_step_by_step(api: Any) -> None:
    intent = api.payment_intents.create({"amount": 100, "currency": "EUR"})
    assert (intent.status, intent.currency) == ("requires_payment_method", "eur")
    intent = api.payment_intents.update(intent.id, {"amount": 200})
    intent = api.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "requires_confirmation"
    assert api.payment_intents.confirm(intent.id).amount_received == 200
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.payment_intents.cancel(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"


def test_manual_capture_of_a_part(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 4900)
    assert api.charges.retrieve(intent.latest_charge).captured is False
    intent = api.payment_intents.capture(intent.id, {"amount_to_capture": 4000})
    assert (intent.status, intent.amount_received) == ("succeeded", 4000)
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.captured, charge.amount_captured, charge.amount_refunded) == (True, 4000, 900)
    flushed(fake)
    captured = inbox.types.index("charge.captured")
    assert inbox.objects("charge.succeeded")[0]["captured"] is False
    assert inbox.types.index("payment_intent.succeeded") > captured


def test_cancelling_an_authorisation(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, capture_method="manual")
    api.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    flushed(fake)
    [canceled] = inbox.objects("payment_intent.canceled")
    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ],
)
def test_declined_cards(
    fake: FakeStripe, api: Any, inbox: Inbox, method: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as refused:
        paid_intent(api, method=method)
    error = refused.value
    assert (error.http_status, error.code) == (402, code)
    assert error.error is not None
    assert error.error.decline_code == decline_code
    intent = api.payment_intents.retrieve(error.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    flushed(fake)
    assert inbox.types == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_a_declined_intent_can_be_paid_by_another_card(api: Any) -> None:
    with pytest.raises(stripe.CardError) as refused:
        paid_intent(api, method="pm_card_chargeDeclined")
    assert refused.value.error is not None
    id_ = refused.value.error.payment_intent.id
    assert api.payment_intents.confirm(id_, {"payment_method": "pm_card_visa"}).status == (
        "succeeded"
    )
    charges = api.charges.list({"payment_intent": id_}).data
    assert [c.status for c in charges] == ["succeeded", "failed"]


@pytest.mark.parametrize("method", ["pm_success_at", "pm_usBankAccount_success"])
def test_a_bank_debit_pays_later(fake: FakeStripe, api: Any, inbox: Inbox, method: str) -> None:
    intent = paid_intent(api, method=method)
    assert intent.status == "processing"
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.status, charge.paid) == ("pending", False)
    move(fake, seconds=2)
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"
    assert "charge.pending" in inbox.types
    assert inbox.types[-3:] == ["payment_intent.succeeded", "charge.succeeded", "charge.updated"]


def test_the_slow_debit_takes_three_minutes(fake: FakeStripe, api: Any) -> None:
    intent = paid_intent(api, method="pm_successDelayed_at")
    move(fake, seconds=170)
    assert api.payment_intents.retrieve(intent.id).status == "processing"
    move(fake, seconds=11)
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_bank_debit_fails_later(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, method="pm_failed_at")
    move(fake, seconds=2)
    intent = api.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert inbox.types[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    assert api.charges.retrieve(intent.latest_charge).paid is False


def test_methods_by_number_iban_and_token(fake: FakeStripe, api: Any) -> None:
    card = {"number": "4000000000000002", "exp_month": 1, "exp_year": 2030, "cvc": "1"}
    declining = api.payment_methods.create({"type": "card", "card": card})
    with pytest.raises(stripe.CardError):
        paid_intent(api, method=declining.id)
    token = api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    assert paid_intent(api, method=token.id).status == "succeeded"
    iban = {"type": "sepa_debit", "sepa_debit": {"iban": "AT611904300234573201"}}
    data = iban | {"billing_details": {"email": "sam@example.com", "name": "Sam"}}
    intent = api.payment_intents.create(
        {"amount": 100, "currency": "eur", "payment_method_data": data, "confirm": True}
    )
    assert intent.status == "processing"


def test_a_customers_methods(api: Any) -> None:
    customer = a_customer(api)
    [method] = api.payment_methods.list({"customer": customer}).data
    assert api.customers.payment_methods.list(customer).data[0].id == method.id
    api.payment_methods.detach(method.id)
    assert api.payment_methods.list({"customer": customer}).data == []


def test_a_legacy_charge(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    charge = api.charges.create({"amount": 900, "currency": "eur", "source": "tok_visa"})
    assert (charge.paid, charge.payment_intent, charge.id[:3]) == (True, None, "ch_")
    flushed(fake)
    assert inbox.types == ["charge.succeeded", "charge.updated"]
    with pytest.raises(stripe.CardError):
        api.charges.create({"amount": 900, "currency": "eur", "source": "tok_chargeDeclined"})


def test_a_legacy_charge_captured_later(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    given = {"amount": 900, "currency": "eur", "source": "tok_visa", "capture": False}
    charge = api.charges.create(given)
    assert charge.captured is False
    assert api.charges.capture(charge.id).captured is True
    flushed(fake)
    assert "charge.captured" in inbox.types
    customer = api.customers.create({"source": "tok_visa"})
    of_customer = {"amount": 900, "currency": "eur", "customer": customer.id}
    assert api.charges.create(of_customer).customer == customer.id
