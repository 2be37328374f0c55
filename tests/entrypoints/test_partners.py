"""`/v1/partners`: what goes in, what comes out, and from which day it holds."""

from typing import Any

import pytest

from tests.doors_kit import Doors

TEN_PERCENT = {"type": "percentage", "rate_basis_points": 1000}


def test_a_partner_comes_out_with_every_field(doors: Doors) -> None:
    reply = doors.post(
        "/v1/partners",
        {
            "email": " Partner-4@Example.com ",
            "key": "Cleo_1",
            "name": "Partner-4",
            "surname": "Ng",
            "tags": ["vip"],
            "status": "active",
        },
    )
    assert reply.status == 201
    made = reply.data
    assert made.pop("id").startswith("ptn_")
    assert made == {
        "key": "Cleo_1",
        "email": "partner-4@example.com",
        "name": "Partner-4",
        "surname": "Ng",
        "tags": ["vip"],
        "status": "active",
        "status_history": [{"value": "active", "starts_on": None}],
        "reward": None,
        "reward_history": [],
        "referral_link": "https://shop.example.com/?via=Cleo_1",
        "balances": {"eur": {"pending_minor": 0, "payable_minor": 0, "paid_minor": 0}},
        "clicks": 0,
        "created_at": "2026-05-01T00:00:00Z",
    }


@pytest.mark.parametrize("name", ["id", "key", "KEY"])
def test_it_is_found_by_id_and_by_key_in_any_case(doors: Doors, name: str) -> None:
    asked = {"id": doors.bob["id"], "key": "Bob", "KEY": "bOB"}[name]
    assert doors.get(f"/v1/partners/{asked}").data == doors.bob


@pytest.mark.parametrize("name", ["nobody", "%00", "a%2Fb", "%23", "%ed%a0%80", "x" * 3000, "."])
def test_an_unknown_one_is_404(doors: Doors, name: str) -> None:
    assert doors.get(f"/v1/partners/{name}").status == 404


def test_a_key_is_made_up_where_none_is_given(doors: Doors) -> None:
    made = doors.post("/v1/partners", {"email": "partner-3@example.com", "name": "Ann Ünal"}).data
    assert made["key"].startswith("ann-nal-")
    assert doors.get(f"/v1/partners/{made['key']}").data == made
    assert doors.post("/v1/partners", {"email": "2@example.com", "name": "王"}).status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": None}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "a@example.com\n"}, None),
        ({"email": "a@exa\nmple.com"}, "email"),
        ({"email": "a\x00@example.com"}, "email"),
        ({"email": "x" * 250 + "@example.com"}, "email"),
        ({"email": "é" * 60 + "@" + "é" * 80 + ".com"}, "email"),
        ({"email": 5}, "email"),
        ({"key": "a b"}, "key"),
        ({"key": "a/b"}, "key"),
        ({"key": "é"}, "key"),
        ({"key": "x" * 65}, "key"),
        ({"key": ""}, "key"),
        ({"key": True}, "key"),
        ({"key": "\ud800"}, "key"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"surname": ["x"]}, "surname"),
        ({"tags": "vip"}, "tags"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"tags": [{}]}, "tags.0"),
        ({"status": "archived"}, "status"),
        ({"reward": 20}, "reward"),
        ({"reward": {"type": "percentage"}}, "reward"),
        ({"reward": {**TEN_PERCENT, "rate_basis_points": 10_001}}, "reward.rate_basis_points"),
        ({"reward": {**TEN_PERCENT, "rate_basis_points": 10.5}}, "reward.rate_basis_points"),
        ({"reward": {**TEN_PERCENT, "rate_basis_points": True}}, "reward.rate_basis_points"),
        ({"reward": {**TEN_PERCENT, "lasts": "months"}}, "reward"),
        ({"reward": {**TEN_PERCENT, "count": 3}}, "reward"),
        ({"reward": {"type": "fixed"}}, "reward"),
        ({"reward": {"type": "fixed", "amounts_minor": {"eur": -1}}}, "reward.amounts_minor.eur"),
        ({"reward": {"type": "fixed", "amounts_minor": {"eur": 5.0}}}, "reward.amounts_minor.eur"),
        ({"reward": {**TEN_PERCENT, "starts_on": "June"}}, "reward.starts_on"),
        ({"reward": {**TEN_PERCENT, "starts_on": "2026-13-01"}}, "reward.starts_on"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(doors: Doors, body: dict[str, Any], field: str | None) -> None:
    before = doors.writes()
    reply = doors.post("/v1/partners", {"email": "new@example.com", **body} if body else {})
    if field is None:
        assert reply.status == 201
        return
    assert reply.status == 422
    assert field in reply.errors
    assert doors.writes() == before


def test_the_same_content_again_is_200_and_writes_nothing(doors: Doors) -> None:
    body = {
        "email": "partner-4@example.com",
        "name": "Partner-4",
        "tags": ["a"],
        "reward": TEN_PERCENT,
    }
    first = doors.post("/v1/partners", body)
    stood = doors.store.everything()
    doors.days(3)
    again = doors.post("/v1/partners", body)
    assert (first.status, again.status) == (201, 200)
    assert again.data == first.data
    assert doors.store.everything() == stood


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"email": "ann@example.com", "key": "other"}, "e-mail"),
        ({"email": "ANN@example.com"}, "e-mail"),
        ({"email": "new@example.com", "key": "Ann"}, "key"),
        ({"email": "new@example.com", "key": "ann"}, "key"),
    ],
)
def test_what_another_partner_has_is_409(doors: Doors, body: Any, word: str) -> None:
    if body == {"email": "ANN@example.com"}:
        body["name"] = "Another Ann"
    reply = doors.post("/v1/partners", body)
    assert reply.status == 409
    assert word in reply.json["message"]


def test_another_program_may_have_the_same_partner(doors: Doors) -> None:
    reply = doors.post("/v1/partners", {"email": "ann@example.com", "key": "ann"}, doors.other_key)
    assert reply.status == 201
    assert reply.data["id"] != doors.ann["id"]


class TestChanges:
    def test_what_is_not_named_stays(self, doors: Doors) -> None:
        doors.put("/v1/partners/ann", {"name": "Ann", "tags": ["x"]})
        changed = doors.put("/v1/partners/ann", {"surname": "Lee"}).data
        assert (changed["name"], changed["surname"], changed["tags"]) == ("Ann", "Lee", ["x"])
        assert doors.get("/v1/partners/ann").data == changed

    def test_the_same_again_writes_nothing(self, doors: Doors) -> None:
        body = {"name": "Ann", "status": "paused", "reward": TEN_PERCENT}
        doors.put("/v1/partners/ann", body)
        doors.days(1)
        before = doors.writes()
        assert doors.put("/v1/partners/ann", body).status == 200
        assert doors.writes() == before

    def test_an_email_moves_and_the_old_one_still_finds_its_partner(self, doors: Doors) -> None:
        assert doors.put("/v1/partners/ann", {"email": "a2@example.com"}).status == 200
        for email in ("a2@example.com", "ann@example.com"):
            made = doors.post("/v1/customers", {"key": email, "partner": {"email": email}})
            assert made.data["partner"]["key"] == "ann"
        assert doors.put("/v1/partners/Bob", {"email": "a2@example.com"}).status == 409

    def test_a_key_stands_in_links_and_stays(self, doors: Doors) -> None:
        assert doors.put("/v1/partners/ann", {"key": "ANN"}).status == 200
        reply = doors.put("/v1/partners/ann", {"key": "anna"})
        assert (reply.status, list(reply.errors)) == (422, ["key"])

    def test_paused_shows_from_its_day(self, doors: Doors) -> None:
        told = {"status": "paused", "status_starts_on": "2026-05-03"}
        assert doors.put("/v1/partners/ann", told).data["status"] == "active"
        assert doors.days(2).get("/v1/partners/ann").data["status"] == "paused"
        kept = doors.put("/v1/partners/ann", {"status": "active", "status_starts_on": "2026-05-03"})
        assert kept.data["status"] == "active"
        assert kept.data["status_history"][-1] == {
            "value": "active",
            "starts_on": "2026-05-03T00:00:00Z",
        }

    def test_an_override_holds_from_its_day_and_ends_with_null(self, doors: Doors) -> None:
        doors.a_customer(partner={"key": "ann"})
        own = {**TEN_PERCENT, "starts_on": "2026-05-03"}
        shown = doors.put("/v1/partners/ann", {"reward": own}).data
        assert shown["reward"] is None
        assert shown["reward_history"][0]["starts_on"] == "2026-05-03T00:00:00Z"
        doors.a_sale("before", amount="100.00")
        doors.days(2).a_sale("after", amount="100.00")
        shown = doors.get("/v1/partners/ann").data
        assert shown["reward"]["rate_basis_points"] == 1000
        assert doors.put("/v1/partners/ann", {"reward": shown["reward"]}).status == 200
        ended = doors.days(1).put("/v1/partners/ann", {"reward": None}).data
        assert ended["reward"] is None
        doors.a_sale("again", amount="100.00")
        rewards = {row["transaction"]: row["amount_minor"] for row in doors.get("/v1/rewards").data}
        assert rewards == {"before": 2000, "after": 1000, "again": 2000}

    def test_an_override_of_a_new_partner_holds_from_ever(self, doors: Doors) -> None:
        made = doors.post("/v1/partners", {"email": "c@example.com", "reward": TEN_PERCENT}).data
        assert made["reward"] == {
            "type": "percentage",
            "lasts": "forever",
            "rate_basis_points": 1000,
            "of": "net",
            "words": "10 % of net, for ever",
            "starts_on": None,
        }

    def test_an_unknown_partner_is_404(self, doors: Doors) -> None:
        assert doors.put("/v1/partners/nobody", {"name": "x"}).status == 404


def test_clicks_are_counted_once(doors: Doors) -> None:
    doors.click()
    doors.click()
    doors.click(t="x" * 22 + "_ANN")
    assert doors.stream() == 2
    assert doors.stream() == 0
    assert doors.get("/v1/partners/ann").data["clicks"] == 2
    assert {row["key"]: row["clicks"] for row in doors.get("/v1/partners").data} == {
        "ann": 2,
        "Bob": 0,
    }
