"""`POST /t/signup`: anybody can post here, and nobody learns anything."""

import hashlib
import hmac
from typing import Any

import pytest

from tests.builders.stripe_bodies import an_invoice
from tests.doors_kit import Doors, token


def partner_of(doors: Doors, customer: str) -> str | None:
    found = doors.get(f"/v1/customers/{customer}").data["partner"]
    return found and str(found["key"])


def signature(doors: Doors, key: str, email: str = "") -> str:
    return hmac.new(
        doors.signing_key.encode(), f"{key}\n{email}".encode(), hashlib.sha256
    ).hexdigest()


def test_a_sign_up_makes_customer_and_touch(doors: Doors) -> None:
    doors.click()
    reply = doors.sign_up(email=" Sam@Example.com ", name="Sam", tags=["pro"])
    assert (reply.status, reply.json) == (200, {"data": {"key": "u1"}, "status": 1})
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["cache-control"] == "no-store"
    made = doors.get("/v1/customers/u1").data
    assert (made["email"], made["name"], made["tags"]) == ("sam@example.com", "Sam", ["pro"])
    assert made["partner"]["key"] == "ann"


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        (b"no json", 422, ["body"]),
        (b"\xff", 422, ["body"]),
        (b"[]", 422, ["body"]),
        (b"[" * 8000, 422, ["body"]),
        (b"{}", 422, ["p", "key"]),
        (b" " * 8193, 422, ["body"]),
        ({"key": None}, 422, ["key"]),
        ({"key": ""}, 422, ["key"]),
        ({"key": " "}, 422, ["key"]),
        ({"key": "x" * 65}, 422, ["key"]),
        ({"key": "a\u0000b"}, 422, ["key"]),
        ({"key": "\ud800"}, 422, ["key"]),
        ({"key": ["u1"]}, 422, ["key"]),
        ({"key": True}, 422, ["key"]),
        ({"email": "nobody"}, 422, ["email"]),
        ({"email": "a@b"}, 422, ["email"]),
        ({"email": "a@exam ple.com"}, 422, ["email"]),
        ({"email": "é" * 125 + "@é.com"}, 422, ["email"]),
        ({"email": "\udfff@example.com"}, 422, ["email"]),
        ({"email": 5}, 422, ["email"]),
        ({"name": "x" * 101}, 422, ["name"]),
        ({"name": {"a": 1}}, 422, ["name"]),
        ({"tags": "pro"}, 422, ["tags"]),
        ({"tags": ["x"] * 21}, 422, ["tags"]),
        ({"tags": [5]}, 422, ["tags"]),
        ({"t": 5}, 422, ["t"]),
        ({"t": "x" * 101}, 422, ["t"]),
        ({"p": "", "key": "", "email": "x"}, 422, ["p", "key", "email"]),
        ({"p": "prg_nobody"}, 404, []),
        ({"p": "a#b"}, 404, []),
    ],
    ids=lambda part: str(part)[:40],
)
def test_bad_input_is_named_and_writes_nothing(
    doors: Doors, body: Any, status: int, fields: list[str]
) -> None:
    before = doors.writes()
    reply = doors.sign_up(body) if isinstance(body, bytes) else doors.sign_up(**body)
    assert reply.status == status
    assert reply.json["status"] == 0
    assert list(reply.errors) == fields
    assert reply.headers["access-control-allow-origin"] == "*"
    assert doors.writes() == before


@pytest.mark.parametrize("number", [4711, "4711"])
def test_a_key_may_be_a_number(doors: Doors, number: Any) -> None:
    assert doors.sign_up(key=number).json["data"] == {"key": "4711"}


@pytest.mark.parametrize("known", ["nobody", "to the merchant", "to Stripe", "by a sign-up"])
def test_it_never_tells_whether_a_person_was_known(doors: Doors, known: str) -> None:
    if known == "to the merchant":
        doors.a_customer("u1", email="sam@example.com", partner={"key": "Bob"})
    if known == "to Stripe":
        doors.deliver(doors.event("invoice.paid", an_invoice()))
    if known == "by a sign-up":
        doors.sign_up(email="sam@example.com", t=token("Bob", 5))
    reply = doors.sign_up(email="sam@example.com")
    assert (reply.status, reply.json) == (200, {"data": {"key": "u1"}, "status": 1})


def test_a_stranger_takes_nobody_over(doors: Doors) -> None:
    doors.a_customer("sam", email="sam@example.com")
    doors.clock.now += 60
    doors.click(t=token("Bob"))
    doors.sign_up(key="stranger", email="sam@example.com", t=token("Bob"))
    doors.sign_up(key="sam", email="sam@example.com", t=token("Bob"))
    doors.clock.now += 60
    doors.post("/v1/customers", {"key": "sam", "partner": {"key": "ann"}})
    doors.a_sale(customer="sam")
    assert doors.get("/v1/customers/sam").data["email"] == "sam@example.com"
    assert doors.balance("ann") == (980, 0, 0)
    assert doors.balance("Bob") == (0, 0, 0)


@pytest.mark.parametrize(
    ("case", "credited"),
    [("right", "ann"), ("absent", None), ("wrong", None), ("of another key", None)],
)
def test_a_signature_of_the_merchants_server_verifies(
    doors: Doors, case: str, credited: str | None
) -> None:
    """Of a customer whom the merchant knew before, a sign-up counts only if it is signed."""
    given = {
        "right": signature(doors, "u1", "sam@example.com"),
        "absent": "",
        "wrong": "0" * 64,
        "of another key": signature(doors, "u2", "sam@example.com"),
    }[case]
    doors.a_customer("u1", email="sam@example.com")
    doors.clock.now += 1
    assert doors.sign_up(email="sam@example.com", signature=given).status == 200
    assert partner_of(doors, "u1") == credited


def test_a_flood_of_claims_is_answered_and_ends(doors: Doors) -> None:
    for number in range(40):
        reply = doors.sign_up(key=f"u{number}", email="sam@example.com")
        assert reply.status == 200
    before = doors.writes()
    doors.sign_up(key="u99", email="sam@example.com")
    assert doors.writes() - before <= 1
