"""Customers and subscriptions into people."""

from typing import Any

import pytest

from chalicelib.core.facts import Bond, KeepOut, Profile, Sighting, Touch, Way, edge
from tests.builders.stripe_bodies import MAY_1, VERSIONS, a_customer, a_subscription
from tests.stripe_adapter.telling import ignored, people_of, told_of

AT = MAY_1 * 1_000
MADE = (MAY_1 - 86_400) * 1_000
SUBSCRIBED = (MAY_1 - 3_600) * 1_000


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("type, at", [("customer.created", MADE), ("customer.updated", AT)])
def test_a_customer_is_seen_with_email_and_name(type: str, at: int, version: str) -> None:
    outcome = told_of(type, a_customer(email=" Sam@Example.com"), version=version)
    assert outcome.sale is None
    people = people_of(outcome)
    tie = edge("stripe:cus_1", "email:sam@example.com", Bond.STRIPE_EMAIL, at)
    assert people.edges == {tie.id: tie}
    assert set(people.sightings.values()) == {
        Sighting(identity="stripe:cus_1", by="stripe", at=at),
        Sighting(identity="email:sam@example.com", by="stripe", at=at),
    }
    assert people.profiles == {
        "stripe:cus_1": Profile(
            identity="stripe:cus_1",
            at=at,
            created_at=MADE,
            verified=True,
            email="sam@example.com",
            name="Sam Ä.",
        )
    }
    assert (people.touches, people.conversions, people.keep_outs) == ({}, {}, {})


def test_a_customer_without_email_or_name_is_seen() -> None:
    people = people_of(told_of("customer.created", a_customer(email=None, name=None)))
    assert people.edges == {}
    assert people.profiles["stripe:cus_1"].email == ""


def test_metadata_names_the_merchants_key() -> None:
    said = {"refledger_customer": "42"}
    people = people_of(told_of("customer.updated", a_customer(metadata=said)))
    tie = edge("key:42", "stripe:cus_1", Bond.METADATA, AT)
    assert people.edges[tie.id] == tie
    assert people.earliest("key:42", "metadata") == AT


@pytest.mark.parametrize(
    "type, metadata, previous, expected",
    [
        ("customer.created", {"refledger": "false"}, None, (MADE, True)),
        ("customer.created", {"refledger": "true"}, None, (MADE, False)),
        ("customer.created", {}, None, None),
        ("customer.updated", {"refledger": "False"}, {"email": "a@b.c"}, (AT, True)),
        ("customer.updated", {"refledger": "yes"}, {"metadata": {"refledger": "no"}}, (AT, False)),
        ("customer.updated", {}, {"metadata": {"refledger": "false"}}, (AT, False)),
        ("customer.updated", {}, {"metadata": {"refledger": None}}, None),
        ("customer.updated", {}, {"metadata": {"other": "x"}}, None),
        ("customer.updated", {}, {"metadata": None}, None),
        ("customer.updated", {}, None, None),
    ],
)
def test_metadata_keeps_a_customer_out_and_lets_it_in_again(
    type: str, metadata: dict[str, Any], previous: Any, expected: tuple[int, bool] | None
) -> None:
    people = people_of(told_of(type, a_customer(metadata=metadata), previous=previous))
    keeps = [KeepOut(identity="stripe:cus_1", at=expected[0], out=expected[1])] if expected else []
    assert list(people.keep_outs.values()) == keeps


@pytest.mark.parametrize(
    "type, customer",
    [
        ("customer.deleted", a_customer()),
        ("customer.deleted", {"id": "cus_1", "object": "customer", "deleted": True}),
        ("customer.updated", {"id": "cus_1", "object": "customer", "deleted": True}),
    ],
)
def test_a_deleted_customer_tells_nothing(type: str, customer: dict[str, Any]) -> None:
    assert ignored(type, customer) == "nothing to take from a deleted customer"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", ["created", "updated", "deleted"])
def test_a_subscription_names_its_customer_and_partner(change: str, version: str) -> None:
    said = {"partner_key": "Ann", "customer_key": "42"}
    subscription = a_subscription(version=version, metadata=said)
    outcome = told_of(f"customer.subscription.{change}", subscription, version=version)
    assert outcome.sale is None
    people = people_of(outcome)
    assert people.touches == {
        "metadata:sub_1:ann": Touch(
            id="metadata:sub_1:ann",
            way=Way.METADATA,
            at=SUBSCRIBED if change == "created" else AT,
            partner="ann",
            identity="stripe:cus_1",
        )
    }
    assert people.earliest("stripe:cus_1", "stripe") == AT
    tie = edge("key:42", "stripe:cus_1", Bond.METADATA, AT)
    assert people.edges == {tie.id: tie}


def test_a_subscription_of_an_expanded_customer() -> None:
    people = people_of(
        told_of("customer.subscription.created", a_subscription(customer=a_customer()))
    )
    assert people.identities() == {"stripe:cus_1"}
    assert people.touches == {}
