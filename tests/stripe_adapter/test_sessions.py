"""Checkout Sessions into sale, people and reference."""

from typing import Any

import pytest

from chalicelib.core.facts import (
    Bond,
    Conversion,
    Profile,
    Sighting,
    Touch,
    View,
    ViewKind,
    Way,
    edge,
)
from chalicelib.core.people import People
from chalicelib.stripe_adapter.translate import Reference
from tests.builders.stripe_bodies import MAY_1, TOKEN, VERSIONS, a_session, a_session_completed
from tests.stripe_adapter.telling import ignored, people_of, sale_of, told

AT = MAY_1 * 1_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_payment_link_is_a_paid_sale_with_its_touch_in_every_version(version: str) -> None:
    outcome = told(a_session_completed(version=version))
    sale = sale_of(outcome)
    assert sale.ids == {"cs_test_1", "pi_1"}
    assert sale.views == {
        "cs_test_1": View(
            kind=ViewKind.SESSION,
            id="cs_test_1",
            paid=True,
            currency="eur",
            total=4900,
            net=4900,
            amount=4900,
            paid_at=AT,
            told_at=AT,
        )
    }
    assert sale.touches == {
        "reference:cs_test_1": Touch(
            id="reference:cs_test_1", way=Way.REFERENCE, at=AT, partner="ann", token=TOKEN
        )
    }
    assert sale.identities == {"stripe:cus_1", "email:sam@example.com"}
    assert not sale.keep_out
    people = people_of(outcome)
    tie = edge("stripe:cus_1", "email:sam@example.com", Bond.STRIPE_EMAIL, AT)
    assert people.edges == {tie.id: tie}
    assert set(people.sightings.values()) == {
        Sighting(identity="stripe:cus_1", by="stripe", at=AT),
        Sighting(identity="email:sam@example.com", by="stripe", at=AT),
    }
    assert people.conversions == {
        "checkout:cs_test_1": Conversion(id="checkout:cs_test_1", identity="stripe:cus_1", at=AT)
    }
    assert people.touches == {}
    assert outcome.references == ()


def view_of(**session: Any) -> View:
    return sale_of(told(a_session_completed(**session))).views["cs_test_1"]


@pytest.mark.parametrize(
    "session, paid, amount, net",
    [
        ({}, True, 4900, 4900),
        ({"amount_tax": 782}, True, 4900, 4118),
        ({"amount_tax": 700, "amount_shipping": 500}, True, 4900, 3700),
        ({"amount_discount": 1000}, True, 4900, 4900),
        ({"total_details": None}, True, 4900, 4900),
        ({"amount_tax": 9000}, True, 4900, 0),
        ({"payment_status": "unpaid"}, False, 0, 4900),
        ({"payment_status": "no_payment_required", "amount_total": 0}, True, 0, 0),
        ({"payment_status": "no_payment_required"}, True, 0, 4900),
        ({"payment_status": "some_new_status"}, False, 0, 4900),
        ({"payment_status": None}, True, 4900, 4900),
        (
            {
                "amount_tax": 877,
                "amount_shipping": 595,
                "shipping_cost": {"amount_subtotal": 595, "amount_tax": 95, "amount_total": 595},
            },
            True,
            4900,
            3523,
        ),
    ],
)
def test_what_a_session_says_was_paid(
    session: dict[str, Any], paid: bool, amount: int, net: int
) -> None:
    view = view_of(**session)
    assert (view.paid, view.amount, view.net, view.exact) == (paid, amount, net, False)


@pytest.mark.parametrize(
    "type, status, paid, conversions",
    [
        ("checkout.session.completed", "unpaid", False, 1),
        ("checkout.session.async_payment_succeeded", "paid", True, 0),
        ("checkout.session.async_payment_failed", "unpaid", False, 0),
    ],
)
def test_a_delayed_payment_is_told_twice_and_converts_once(
    type: str, status: str, paid: bool, conversions: int
) -> None:
    outcome = told(a_session_completed(type=type, payment_status=status))
    assert sale_of(outcome).views["cs_test_1"].paid is paid
    assert len(people_of(outcome).conversions) == conversions
    assert "reference:cs_test_1" in sale_of(outcome).touches


@pytest.mark.parametrize("written", ["eur", "EUR", "Eur"])
def test_a_currency_in_any_case(written: str) -> None:
    assert view_of(currency=written).currency == "eur"


def test_adaptive_pricing_since_2025_leaves_the_merchants_money_on_the_session() -> None:
    shoppers = {"presentment_amount": 5500, "presentment_currency": "usd"}
    view = view_of(presentment_details=shoppers, amount_tax=782)
    assert (view.currency, view.total, view.net, view.amount) == ("eur", 4900, 4118, 4900)


def test_adaptive_pricing_before_2025_holds_the_merchants_money_apart() -> None:
    conversion = {
        "source_currency": "eur",
        "amount_subtotal": 5000,
        "amount_total": 5000,
        "fx_rate": "1.1",
    }
    view = view_of(
        version="2024-12-18.acacia",
        currency="usd",
        amount_total=5500,
        amount_tax=550,
        currency_conversion=conversion,
    )
    assert (view.currency, view.total, view.net, view.amount) == ("eur", 5000, 4500, 5000)


def test_invoice_creation_puts_the_invoice_among_the_ids() -> None:
    sale = sale_of(told(a_session_completed(invoice={"id": "in_1"}, payment_intent={"id": "pi_9"})))
    assert sale.ids == {"cs_test_1", "pi_9", "in_1"}


def test_a_guest_is_known_by_email() -> None:
    outcome = told(a_session_completed(customer=None, email=" Sam@Example.com "))
    assert sale_of(outcome).identities == {"email:sam@example.com"}
    people = people_of(outcome)
    assert people.edges == {}
    assert people.profiles == {
        "email:sam@example.com": Profile(
            identity="email:sam@example.com",
            at=AT,
            created_at=AT,
            verified=True,
            email="sam@example.com",
            name="Sam Ä.",
        )
    }


def test_the_email_asked_for_stands_in_where_none_was_given() -> None:
    outcome = told(a_session_completed(email=None, customer_email="asked@example.com"))
    assert "email:asked@example.com" in sale_of(outcome).identities


def test_nobody_at_all_is_a_sale_without_people() -> None:
    outcome = told(a_session_completed(customer=None, email=None, client_reference_id="user_42"))
    assert outcome.people == People()
    assert outcome.references == ()
    assert sale_of(outcome).identities == frozenset()
    assert sale_of(outcome).owner_identity() == "payment:cs_test_1"


def test_an_account_can_be_the_customer() -> None:
    outcome = told(a_session_completed(customer=None, customer_account="acct_9"))
    assert "stripe:acct_9" in sale_of(outcome).identities


def test_subscription_mode_has_touches_and_no_money() -> None:
    outcome = told(a_session_completed(mode="subscription", invoice="in_1"))
    sale = sale_of(outcome)
    assert sale.views == {}
    assert sale.ids == {"cs_test_1", "in_1"}
    assert set(sale.touches) == {"reference:cs_test_1"}
    assert "checkout:cs_test_1" in people_of(outcome).conversions


def test_a_free_trial_is_read_without_an_amount() -> None:
    outcome = told(
        a_session_completed(
            mode="subscription", payment_status="no_payment_required", amount_total=0
        )
    )
    assert sale_of(outcome).views == {}


def test_setup_mode_is_no_sale_and_its_touch_is_the_persons() -> None:
    outcome = told(a_session_completed(mode="setup", amount_total=None, currency=None))
    assert outcome.sale is None
    (touch,) = people_of(outcome).touches.values()
    assert (touch.id, touch.identity, touch.partner) == (
        "reference:cs_test_1",
        "stripe:cus_1",
        "ann",
    )


def test_setup_mode_that_names_nobody_tells_nothing() -> None:
    session = a_session(mode="setup", customer=None, email=None)
    assert "names nobody" in ignored("checkout.session.completed", session)


@pytest.mark.parametrize(
    "rest, views",
    [({"subscription": "sub_1"}, 0), ({"subscription": None}, 1)],
)
def test_a_mode_not_said_is_read_off_the_rest(rest: dict[str, Any], views: int) -> None:
    assert len(sale_of(told(a_session_completed() | _with(mode=None, **rest))).views) == views


def _with(**session: Any) -> dict[str, Any]:
    return {"data": {"object": a_session() | session}}


@pytest.mark.parametrize(
    "told_id, tokens, keys",
    [
        (TOKEN, [TOKEN], []),
        ("A1b2C3d4E5f6G7h8I9j0K1_a_n-n", ["A1b2C3d4E5f6G7h8I9j0K1_a_n-n"], []),
        ("user_42", [], ["user_42"]),
        ("A1b2C3d4E5f6G7h8I9j0K1_", [], ["A1b2C3d4E5f6G7h8I9j0K1_"]),
        ("A1b2C3d4E5f6G7h8I9j0K_ann", [], ["A1b2C3d4E5f6G7h8I9j0K_ann"]),
        ("k" * 64, [], ["k" * 64]),
        ("k" * 65, [], []),
        ("", [], []),
        (None, [], []),
    ],
)
def test_a_client_reference_is_a_token_a_possible_key_or_nothing(
    told_id: str | None, tokens: list[str], keys: list[str]
) -> None:
    outcome = told(a_session_completed(client_reference_id=told_id))
    assert [touch.token for touch in sale_of(outcome).touches.values()] == tokens
    assert outcome.references == tuple(
        Reference(identity="stripe:cus_1", key=key, at=AT) for key in keys
    )
    assert sale_of(outcome).identities == {"stripe:cus_1", "email:sam@example.com"}


@pytest.mark.parametrize("name", ["refledger_partner", "partner_key"])
def test_metadata_names_a_partner(name: str) -> None:
    sale = sale_of(told(a_session_completed(client_reference_id=None, metadata={name: " Bob "})))
    assert sale.touches == {
        "metadata:cs_test_1": Touch(id="metadata:cs_test_1", way=Way.METADATA, at=AT, partner="bob")
    }


@pytest.mark.parametrize("name", ["refledger_customer", "customer_key"])
def test_metadata_names_the_merchants_customer(name: str) -> None:
    outcome = told(a_session_completed(metadata={name: "User_42"}))
    assert "key:User_42" in sale_of(outcome).identities
    people = people_of(outcome)
    tie = edge("key:User_42", "stripe:cus_1", Bond.METADATA, AT)
    assert people.edges[tie.id] == tie
    assert people.earliest("key:User_42", "metadata") == AT
    assert people.conversions["checkout:cs_test_1"].identity == "key:User_42"


def test_metadata_ties_a_guests_email_to_the_merchants_customer() -> None:
    outcome = told(a_session_completed(customer=None, metadata={"customer_key": "42"}))
    tie = edge("key:42", "email:sam@example.com", Bond.GUEST, AT)
    assert people_of(outcome).edges == {tie.id: tie}


def test_our_own_metadata_goes_before_partneros() -> None:
    both = {"customer_key": "theirs", "refledger_customer": "ours"}
    assert "key:ours" in sale_of(told(a_session_completed(metadata=both))).identities


@pytest.mark.parametrize(
    "metadata",
    [{"customer_key": ""}, {"customer_key": "k" * 65}, {"partner_key": "p" * 65}, {}, []],
)
def test_metadata_that_says_nothing_of_use_is_passed_over(metadata: Any) -> None:
    sale = sale_of(told(a_session_completed(client_reference_id=None, metadata=metadata)))
    assert sale.touches == {}
    assert sale.identities == {"stripe:cus_1", "email:sam@example.com"}


@pytest.mark.parametrize(
    "value, out",
    [("false", True), ("FALSE", True), ("0", True), ("No", True), (False, True), ("true", False),
     ("", False), ("off-limits", False)],
)  # fmt: skip
def test_metadata_keeps_a_payment_out(value: Any, out: bool) -> None:
    assert sale_of(told(a_session_completed(metadata={"refledger": value}))).keep_out is out
