"""`/v1/customers`: told by the merchant's server."""

from typing import Any

import pytest

from tests.doors_kit import Doors, token


def test_a_customer_comes_out_with_every_field(doors: Doors) -> None:
    reply = doors.post(
        "/v1/customers",
        {
            "key": "c1",
            "email": "Sam@Example.com",
            "name": "Sam",
            "tags": ["a", "b"],
            "partner": {"key": "ANN"},
            "stripe_customer_id": "cus_1",
        },
    )
    assert reply.status == 201
    made = reply.data
    trace = made["referral"].pop("trace")
    assert made == {
        "id": made["id"],
        "key": "c1",
        "email": "sam@example.com",
        "name": "Sam",
        "tags": ["a", "b"],
        "partner": {"id": doors.ann["id"], "key": "ann", "email": "ann@example.com"},
        "referral": {"because": "told by the merchant", "at": "2026-05-01T00:00:00Z"},
        "stripe_customer_ids": ["cus_1"],
        "created_at": "2026-05-01T00:00:00Z",
    }
    assert [line["verdict"] for line in trace] == ["won"]
    assert set(trace[0]) == {"considered", "verdict", "because"}
    for name in ("c1", made["id"], "cus_1", "sam@example.com", "%20SAM@example.com"):
        assert doors.get(f"/v1/customers/{name}").data == reply.data


@pytest.mark.parametrize("by", ["key", "id", "email"])
def test_a_partner_is_named_in_three_ways(doors: Doors, by: str) -> None:
    assert doors.a_customer(partner={by: doors.bob[by]})["partner"]["key"] == "Bob"


def test_nobody_brought_him(doors: Doors) -> None:
    made = doors.a_customer()
    assert made["partner"] is None
    assert made["referral"]["at"] is None
    assert "nobody brought" in made["referral"]["because"]


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("expiry", ["", ".1780000000000"])
def test_a_token_of_the_tracker_names_the_partner(doors: Doors, seen: bool, expiry: str) -> None:
    if seen:
        doors.click()
    made = doors.days(2).a_customer(token=token("ann") + expiry)
    assert made["partner"]["key"] == "ann"
    assert ("click not seen" in made["referral"]["because"]) is not seen


@pytest.mark.parametrize(
    "body",
    [
        {"partner": {"key": "ann"}},
        {"partner": {"key": "ann"}, "email": "sam@example.com", "name": "Sam", "tags": ["x"]},
        {"stripe_customer_id": "cus_1"},
        {"token": token("ann")},
        {},
    ],
    ids=str,
)
def test_the_same_again_is_200_and_writes_nothing(doors: Doors, body: dict[str, Any]) -> None:
    first = doors.post("/v1/customers", {"key": "c1", **body})
    stood, before = doors.store.everything(), doors.writes()
    again = doors.days(40).post("/v1/customers", {"key": "c1", **body})
    assert (first.status, again.status) == (201, 200)
    assert again.data == first.data
    assert doors.store.everything() == stood
    assert doors.writes() == before


def test_less_again_takes_nothing_away(doors: Doors) -> None:
    doors.a_customer(partner={"key": "ann"}, email="sam@example.com", name="Sam", tags=["x"])
    before = doors.writes()
    again = doors.a_customer()
    assert (again["partner"]["key"], again["name"], again["tags"]) == ("ann", "Sam", ["x"])
    assert doors.writes() == before


def test_another_partner_is_409(doors: Doors) -> None:
    first = doors.a_customer(partner={"key": "ann"})
    before = doors.writes()
    reply = doors.post("/v1/customers", {"key": "c1", "partner": {"key": "Bob"}})
    assert reply.status == 409
    assert reply.json["message"]
    assert doors.post("/v1/customers", {"key": "c1", "token": token("Bob")}).status == 409
    assert doors.writes() == before
    assert doors.get("/v1/customers/c1").data == first


def test_what_is_new_is_added(doors: Doors) -> None:
    doors.a_customer()
    doors.days(1)
    reply = doors.post(
        "/v1/customers",
        {"key": "c1", "name": "Sam", "email": "s@example.com", "stripe_customer_id": "cus_2"},
    )
    assert reply.status == 200
    assert reply.data["name"] == "Sam"
    assert reply.data["email"] == "s@example.com"
    assert reply.data["stripe_customer_ids"] == ["cus_2"]
    assert reply.data["created_at"] == "2026-05-01T00:00:00Z"


def test_two_keys_never_become_one_customer(doors: Doors) -> None:
    doors.a_customer("c1", email="same@example.com", partner={"key": "ann"})
    doors.a_customer("c2", email="same@example.com", partner={"key": "Bob"})
    assert doors.get("/v1/customers/c1").data["partner"]["key"] == "ann"
    assert doors.get("/v1/customers/c2").data["partner"]["key"] == "Bob"
    assert {row["key"] for row in doors.get("/v1/customers").data} == {"c1", "c2"}
    first = doors.get("/v1/customers?limit=1")
    second = doors.get(f"/v1/customers?limit=1&starting_after={first.json['meta']['next']}")
    assert [len(first.data), len(second.data)] == [1, 1]
    assert first.json["meta"]["has_more"] is True
    assert second.json["meta"]["has_more"] is False
    assert first.data != second.data
    assert doors.get("/v1/customers?limit=1&page=2").data == second.data


def test_a_key_may_be_a_number(doors: Doors) -> None:
    assert doors.post("/v1/customers", {"key": 4711}).data["key"] == "4711"
    assert doors.get("/v1/customers/4711").status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "key"),
        ({"key": ""}, "key"),
        ({"key": "   "}, "key"),
        ({"key": None}, "key"),
        ({"key": "x" * 65}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"key": "\u0000"}, "key"),
        ({"key": "\ud800"}, "key"),
        ({"key": {"a": 1}}, "key"),
        ({"key": "c1", "email": "nobody"}, "email"),
        ({"key": "c1", "email": "\ud800@example.com"}, "email"),
        ({"key": "c1", "name": "\udfff"}, "name"),
        ({"key": "c1", "tags": ["\u0007"]}, "tags.0"),
        ({"key": "c1", "partner": "ann"}, "partner"),
        ({"key": "c1", "partner": {}}, "partner"),
        ({"key": "c1", "partner": {"key": "ann", "id": "x"}}, "partner"),
        ({"key": "c1", "partner": {"key": "nobody"}}, "partner.key"),
        ({"key": "c1", "partner": {"id": "ptn_x"}}, "partner.id"),
        ({"key": "c1", "partner": {"email": "x@example.com"}}, "partner.email"),
        ({"key": "c1", "partner": {"name": "ann"}}, "partner.name"),
        ({"key": "c1", "partner": {"key": "ann"}, "token": token("ann")}, "body"),
        ({"key": "c1", "token": "short"}, "token"),
        ({"key": "c1", "stripe_customer_id": "sub_1"}, "stripe_customer_id"),
        ({"key": "c1", "stripe_customer_id": "cus_" + "x" * 65}, "stripe_customer_id"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(doors: Doors, body: dict[str, Any], field: str) -> None:
    before = doors.writes()
    reply = doors.post("/v1/customers", body)
    assert reply.status == 422
    assert field in reply.errors
    assert doors.writes() == before


@pytest.mark.parametrize(
    "key", ["a/b", "a#b", "a%b", "a?b&c=d", "é ü", "cst_x", "👩", "..", "tx:x", "x" * 64]
)
def test_any_key_is_found_again(doors: Doors, key: str) -> None:
    from urllib.parse import quote

    made = doors.a_customer(key)
    assert made["key"] == key
    assert doors.get(f"/v1/customers/{quote(key, safe='')}").data == made
    assert doors.get(f"/v1/customers/{made['id']}").data == made
    assert doors.get(f"/v1/customers?limit=1&starting_after={made['id']}").data == []


@pytest.mark.parametrize(
    "name", ["nobody", "%00", "x" * 10_000, "cst_", "cst_!!", "cst_gA", "%ed%a0%80", "a%2Fb", "%23"]
)
def test_an_unknown_one_is_404(doors: Doors, name: str) -> None:
    assert doors.get(f"/v1/customers/{name}").status == 404
