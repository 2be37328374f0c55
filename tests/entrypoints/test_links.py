"""`GET /r/{program}/{partner}` and `GET /t/{file}`: what a visitor's browser meets."""

import re
from urllib.parse import quote

import pytest

from chalicelib.core.refusals import Unavailable
from tests.doors_kit import PAYMENT_LINK, SITE, Doors, Reply, failing

VISIT = r"[A-Za-z0-9_-]{22}_ann"


def follow(doors: Doors, partner: str = "ann", to: str | None = None, **about: str) -> Reply:
    query = "" if to is None else f"?to={quote(to, safe='')}"
    agent = [("User-Agent", about["agent"])] if "agent" in about else []
    return doors.ask(
        about.get("method", "GET"), f"/r/{doors.program.id}/{partner}{query}", b"", agent
    )


@pytest.mark.parametrize(
    ("to", "location"),
    [
        (None, rf"{SITE}/\?rfl={VISIT}"),
        ("", rf"{SITE}/\?rfl={VISIT}"),
        ("/", rf"{SITE}/\?rfl={VISIT}"),
        ("/pricing", rf"{SITE}/pricing\?rfl={VISIT}"),
        ("/pricing?plan=pro&rfl=old#faq", rf"{SITE}/pricing\?plan=pro&rfl={VISIT}#faq"),
        ("/café/ä b", rf"{SITE}/caf%C3%A9/%C3%A4%20b\?rfl={VISIT}"),
        ("/a%2Fb", rf"{SITE}/a%2Fb\?rfl={VISIT}"),
        ("/@evil.test/", rf"{SITE}/@evil.test/\?rfl={VISIT}"),
        (PAYMENT_LINK, rf"{re.escape(PAYMENT_LINK)}\?client_reference_id={VISIT}"),
        (
            PAYMENT_LINK + "?prefilled_promo_code=X",
            rf"{re.escape(PAYMENT_LINK)}\?prefilled_promo_code=X&client_reference_id={VISIT}",
        ),
        (
            PAYMENT_LINK + "?client_reference_id=mine",
            re.escape(PAYMENT_LINK + "?client_reference_id=mine"),
        ),
    ],
)
def test_where_a_link_leads(doors: Doors, to: str | None, location: str) -> None:
    reply = follow(doors, to=to)
    assert reply.status == 302
    assert re.fullmatch(location, reply.headers["location"]), reply.headers["location"]
    assert (reply.told, reply.headers["cache-control"]) == ("recorded", "no-store")
    assert len(doors.items("clicks")) == 1


@pytest.mark.parametrize(
    "to",
    [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test",
        "https:evil.test",
        "HTTPS://EVIL.TEST",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.test",
        "https://shop.example.com.evil.test/",
        "https://shop.example.com@evil.test/",
        "https://buy.stripe.com/another",
        "https://buy.stripe.com.evil.test/test_28o5kD2vC1",
        PAYMENT_LINK + "/../../evil",
        "/a\r\nSet-Cookie: x=1",
        "/a\nLocation: https://evil.test",
        "/a\x00",
        "/a\u2028b",
        "\t//evil.test",
        "/" + "x" * 2000,
    ],
)
def test_anywhere_else_is_the_programs_own_front_page(doors: Doors, to: str) -> None:
    reply = follow(doors, to=to)
    assert reply.status == 302
    assert re.fullmatch(rf"{SITE}/\?rfl={VISIT}", reply.headers["location"])
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "partner", ["nobody", "%0d%0aX:1", "%00", "a%2Fb", "x" * 3000, "%ed%a0%80", "."]
)
def test_an_unknown_partner_is_led_to_the_site_without_a_token(doors: Doors, partner: str) -> None:
    reply = follow(doors, partner, "/pricing")
    assert (reply.status, reply.headers["location"]) == (302, f"{SITE}/pricing")
    assert reply.told == "ignored; unknown partner"
    assert doors.items("clicks") == []


@pytest.mark.parametrize("program", ["prg_nobody", "x" * 3000, "%00", "a%23b"])
def test_an_unknown_program_is_404(doors: Doors, program: str) -> None:
    reply = doors.ask("GET", f"/r/{program}/ann")
    assert (reply.status, "location" in reply.headers) == (404, False)


def test_a_paused_partner_and_a_bot_bring_no_token(doors: Doors) -> None:
    assert follow(doors, agent="Googlebot/2.1").headers["location"] == f"{SITE}/"
    doors.put("/v1/partners/ann", {"status": "paused"})
    reply = follow(doors)
    assert reply.headers["location"] == f"{SITE}/"
    assert reply.told == "ignored; the partner is paused"
    assert doors.items("clicks") == []


def test_any_case_of_the_key_and_a_token_of_its_own_each_time(doors: Doors) -> None:
    one, two = follow(doors, "ANN"), follow(doors, "Ann")
    assert one.headers["location"] != two.headers["location"]
    assert len(doors.items("clicks")) == 2


def test_the_tracker_that_adopts_the_token_does_not_count_it_again(doors: Doors) -> None:
    adopted = follow(doors).headers["location"].split("rfl=")[1]
    assert doors.click(t=adopted).told == "ignored; already recorded"
    assert len(doors.items("clicks")) == 1


def test_head_is_no_visit(doors: Doors) -> None:
    reply = follow(doors, method="HEAD", to="/pricing")
    assert (reply.status, reply.headers["location"]) == (302, f"{SITE}/pricing")
    assert doors.items("clicks") == []


@pytest.mark.parametrize("call", ["get", "commit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_store_that_is_away_stops_no_visitor(doors: Doors, call: str, when: str) -> None:
    follow(doors)
    doors.days(1)  # what is remembered of program and partner is old by now

    def away(name: str, writes: object) -> None:
        if name == call:
            raise Unavailable

    setattr(doors.store, when, away)
    reply = follow(doors, to="/pricing")
    assert reply.status == 302
    assert reply.headers["location"].startswith(f"{SITE}/pricing")


def test_a_process_that_never_saw_the_program_says_try_again(doors: Doors) -> None:
    doors.cold()
    doors.store.before = failing(Unavailable(), at=1)
    doors.store.after = failing(Unavailable(), at=1)
    assert follow(doors).status == 503
    assert follow(doors).status in (302, 503)


class TestTrackerFile:
    def test_its_headers(self, doors: Doors) -> None:
        reply = doors.ask("GET", f"/t/{doors.program.id}.js")
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
        assert (
            reply.headers["cache-control"] == "public, max-age=3600, stale-while-revalidate=604800"
        )
        assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["access-control-allow-origin"] == "*"
        assert re.fullmatch(r'"[0-9a-f]{32}"', reply.headers["etag"])
        assert b"https://refer.example.com/t/click" in reply.body
        assert doors.program.id.encode() in reply.body

    @pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', "*"])
    def test_what_is_known_is_304(self, doors: Doors, form: str) -> None:
        path = f"/t/{doors.program.id}.js"
        etag = doors.ask("GET", path).headers["etag"]
        reply = doors.ask("GET", path, b"", [("If-None-Match", form.format(etag))])
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
        assert doors.ask("GET", path, b"", [("If-None-Match", '"other"')]).status == 200

    def test_a_changed_setting_changes_it(self, doors: Doors) -> None:
        path = f"/t/{doors.program.id}.js"
        etag = doors.ask("GET", path).headers["etag"]
        doors.put("/v1/program", {"attribution": "first_click"})
        reply = doors.ask("GET", path, b"", [("If-None-Match", etag)])
        assert reply.status == 200
        assert reply.headers["etag"] != etag

    def test_the_debug_file(self, doors: Doors) -> None:
        reply = doors.ask("GET", f"/t/{doors.program.id}.debug.js")
        assert (reply.status, b"console" in reply.body) == (200, True)

    @pytest.mark.parametrize(
        "file",
        ["prg_nobody.js", "x.js", ".js", "%00.js", "x" * 3000 + ".js", "{}.map", "{}", "{}.js.js"],
    )
    def test_anything_else_is_404(self, doors: Doors, file: str) -> None:
        assert doors.ask("GET", f"/t/{file.replace('{}', doors.program.id)}").status == 404

    def test_a_program_that_is_remembered_is_served_while_the_store_is_away(
        self, doors: Doors
    ) -> None:
        path = f"/t/{doors.program.id}.js"
        served = doors.ask("GET", path)
        doors.days(1).store.before = failing(Unavailable())
        assert doors.ask("GET", path).body == served.body
