"""`/v1/program`: each setting with the day from which it holds."""

from typing import Any

import pytest

from tests.doors_kit import Doors

FIXED = {"type": "fixed", "amounts_minor": {"eur": 500}, "lasts": "first"}
OTHER: dict[str, Any] = {
    "attribution": "first_click",
    "crediting": "transaction",
    "window_days": 60,
    "hold_days": 14,
    "existing_customers": "accept",
    "late_evidence_hours": 24,
    "paid_outside_stripe": "ignore",
    "reward": FIXED,
}


def plain(value: Any) -> Any:
    """A value without what GET says beside it."""
    if not isinstance(value, dict):
        return value
    return {n: v for n, v in value.items() if n not in ("words", "of", "starts_on")}


def test_every_setting_is_shown_with_its_history(doors: Doors) -> None:
    shown = doors.get("/v1/program").data
    assert (shown["id"], shown["name"], shown["type"]) == (doors.program.id, "Acme", "affiliate")
    assert (shown["currency"], shown["mode"]) == ("eur", "test")
    assert f"/t/{doors.program.id}.js" in shown["snippet"]
    for name in OTHER:
        assert shown["history"][name] == [{"value": shown[name], "starts_on": None}]


@pytest.mark.parametrize("name", list(OTHER))
class TestEachSetting:
    def test_a_plain_value_holds_from_now(self, doors: Doors, name: str) -> None:
        doors.days(2)
        before = doors.get("/v1/program").data
        shown = doors.put("/v1/program", {name: OTHER[name]}).data
        assert plain(shown[name]) == OTHER[name]
        assert [d["starts_on"] for d in shown["history"][name]] == [None, "2026-05-03T00:00:00Z"]
        assert doors.get("/v1/program").data == shown
        assert {n: v for n, v in shown.items() if n not in (name, "history")} == {
            n: v for n, v in before.items() if n not in (name, "history")
        }

    @pytest.mark.parametrize(
        ("day", "holds"), [("2026-04-01", True), ("2026-05-01", True), ("2026-06-01", False)]
    )
    @pytest.mark.parametrize("flat", [True, False])
    def test_with_a_day_it_holds_from_then(
        self, doors: Doors, name: str, day: str, holds: bool, flat: bool
    ) -> None:
        told = {"value": OTHER[name], "starts_on": day}
        body = {name: OTHER[name], "starts_on": day} if flat else {name: told}
        shown = doors.put("/v1/program", body).data
        assert (plain(shown[name]) == OTHER[name]) is holds
        assert shown["history"][name][-1]["starts_on"] == f"{day}T00:00:00Z"
        assert plain(doors.days(60).get("/v1/program").data[name]) == OTHER[name]

    def test_the_same_again_writes_nothing(self, doors: Doors, name: str) -> None:
        doors.put("/v1/program", {name: OTHER[name]})
        doors.days(1)
        before = doors.writes()
        shown = doors.put("/v1/program", {name: OTHER[name]})
        assert shown.status == 200
        assert doors.put("/v1/program", {name: shown.data[name]}).data == shown.data
        assert doors.writes() == before

    def test_null_is_refused(self, doors: Doors, name: str) -> None:
        reply = doors.put("/v1/program", {name: None})
        assert (reply.status, list(reply.errors)) == (422, [name])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"attribution": "last"}, "attribution"),
        ({"attribution": {"value": "last"}}, "attribution"),
        ({"attribution": {"value": "first_click", "from": "now"}}, "attribution.from"),
        ({"attribution": {"value": "first_click", "starts_on": 5.5}}, "attribution.starts_on"),
        ({"crediting": True}, "crediting"),
        ({"window_days": 0}, "window_days"),
        ({"window_days": "30"}, "window_days"),
        ({"window_days": 30.0}, "window_days"),
        ({"window_days": 731}, "window_days"),
        ({"hold_days": -1}, "hold_days"),
        ({"late_evidence_hours": 2161}, "late_evidence_hours"),
        ({"reward": {"type": "percentage"}}, "reward"),
        ({"reward": {"value": {"type": "gift"}}}, "reward.type"),
        ({"reward": {**FIXED, "minimum_minor": {"eu": 1}}}, "reward.minimum_minor.eu"),
        ({"starts_on": "soon"}, "starts_on"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u0000"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"currency": "usd"}, "currency"),
        ({"mode": "live"}, "mode"),
        ({"website": {"url": "javascript:alert(1)"}}, "website.url"),
        ({"website": {"url": "https://user@shop.example.com"}}, "website.url"),
        ({"website": {"url": "https://shop.example.com:99999"}}, "website.url"),
        ({"website": {"url": "https://shop.example.com/\r\nX: 1"}}, "website.url"),
        ({"website": {"url": "https://shöp.example.com"}}, "website.url"),
        ({"website": {"cookie_days": 401}}, "website.cookie_days"),
        ({"website": {"parameters": []}}, "website.parameters"),
        ({"website": {"parameters": ["a b"]}}, "website.parameters.0"),
        ({"website": {"path_prefix": "aff"}}, "website.path_prefix"),
        ({"website": {"payment_links": ["buy.stripe.com/x"]}}, "website.payment_links.0"),
        ({"website": {"payment_links": ["https://[/x"]}}, "website.payment_links.0"),
        ({"website": {"payment_link_hosts": ["Pay.Example"]}}, "website.payment_link_hosts.0"),
        ({"website": {"cross_domains": ["a/b"]}}, "website.cross_domains.0"),
        ({"website": {"capture_forms": 1}}, "website.capture_forms"),
        ({"website": {"global_name": "a-b"}}, "website.global_name"),
        ({"website": {"colour": "red"}}, "website.colour"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(doors: Doors, body: dict[str, Any], field: str) -> None:
    before = doors.writes()
    reply = doors.put("/v1/program", body)
    assert reply.status == 422
    assert field in reply.errors
    assert doors.writes() == before


def test_the_website_changes_field_by_field(doors: Doors) -> None:
    shown = doors.put("/v1/program", {"website": {"parameters": ["ref", "via"]}}).data["website"]
    assert (shown["parameters"], shown["url"]) == (["ref", "via"], "https://shop.example.com")
    assert doors.get("/v1/partners/ann").data["referral_link"].endswith("/?ref=ann")
    told = {"url": "https://www.example.com", "capture_forms": True, "cross_domains": ["b.example"]}
    doors.put("/v1/program", {"website": told, "name": " New "})
    shown = doors.get("/v1/program").data
    assert shown["name"] == "New"
    assert shown["website"]["url"] == "https://www.example.com"
    script = doors.ask("GET", f"/t/{doors.program.id}.js").body
    assert b"b.example" in script


def test_a_sale_keeps_the_rate_of_its_day(doors: Doors) -> None:
    doors.a_customer(partner={"key": "ann"})
    doors.a_sale("may", amount="100.00")
    rule = {"type": "percentage", "rate_basis_points": 3000}
    doors.put("/v1/program", {"reward": {"value": rule, "starts_on": "2026-06-01"}})
    doors.days(40).a_sale("june", amount="100.00")
    doors.days(30).post("/v1/transactions/may/refund", {"key": "r", "amount": 50})
    rewards = {row["transaction"]: row["amount_minor"] for row in doors.get("/v1/rewards").data}
    assert rewards == {"may": 1000, "june": 3000}


def test_the_hold_of_the_day_of_payment_holds(doors: Doors) -> None:
    doors.a_customer(partner={"key": "ann"})
    doors.a_sale("s1")
    doors.put("/v1/program", {"hold_days": {"value": 7, "starts_on": "2026-05-02"}})
    doors.days(2).a_sale("s2")
    doors.days(8).mature()
    assert doors.balance() == (980, 980, 0)
