"""Stripe's links and elements get the visit's reference, whenever they come."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.tracker.sightings import TOKEN, opened, settled, token

pytestmark = pytest.mark.browser

EVERYTHING = """
<a id="link" href="https://buy.stripe.com/abc">Buy</a>
<a id="filled" href="https://buy.stripe.com/abc?prefilled_email=a%40example.com&x=1#y">Buy</a>
<a id="own" href="http://pay.test:PORT/abc">Buy</a>
<stripe-pricing-table id="table" pricing-table-id="prctbl_1"></stripe-pricing-table>
<stripe-pricing-table id="table2" pricing-table-id="prctbl_2"></stripe-pricing-table>
<stripe-buy-button id="button" buy-button-id="buy_btn_1"></stripe-buy-button>
<a id="near" href="https://buy.stripe.com.evil.test/abc">No</a>
<a id="far" href="https://evil.test/?u=https://buy.stripe.com/abc">No</a>
<a id="plain" href="/pricing">No</a>
"""
REFERENCED = ("link", "filled", "own", "table", "table2", "button")
LEFT_ALONE = ("near", "far", "plain")

MERCHANTS = """
<a id="link" href="https://buy.stripe.com/abc?client_reference_id=user_7">Buy</a>
<stripe-pricing-table id="table" client-reference-id="user_7"></stripe-pricing-table>
<stripe-buy-button id="button" client-reference-id="user_7"></stripe-buy-button>
"""


def reference(page, name):
    element = page.locator(f"#{name}")
    if address := element.get_attribute("href"):
        return parse_qs(urlsplit(address).query).get("client_reference_id", [None])[0]
    return element.get_attribute("client-reference-id")


def markup(page, name):
    return page.eval_on_selector(f"#{name}", "element => element.outerHTML")


def insert(page, html):
    page.evaluate(
        """html => {
            const box = document.createElement("div");
            box.innerHTML = html;
            document.body.append(box);
        }""",
        html,
    )


def test_what_is_there_from_the_start(site, page):
    site.page("/buy", EVERYTHING.replace("PORT", str(site.port)))
    opened(page, site.url("/buy?via=ann"))
    for name in REFERENCED:
        assert reference(page, name) == token(page), name
    for name in LEFT_ALONE:
        assert token(page) not in markup(page, name)
    query = parse_qs(urlsplit(page.get_attribute("#filled", "href")).query)
    assert query["prefilled_email"] == ["a@example.com"]
    assert query["x"] == ["1"]
    assert page.get_attribute("#filled", "href").endswith("#y")


def test_on_a_later_page_of_the_visit(site, page):
    site.page("/buy", EVERYTHING)
    opened(page, site.url("/?via=ann"))
    opened(page, site.url("/buy"))
    assert reference(page, "link") == reference(page, "table") == token(page)


def test_a_reference_is_one_that_stripe_takes(site, page):
    """At most 200 of letters, digits, dashes and underscores, for the longest key too."""
    site.page("/buy", EVERYTHING)
    opened(page, site.url("/buy?via=" + "k" * 64))
    assert TOKEN.fullmatch(reference(page, "link"))
    assert len(reference(page, "link")) <= 200


@pytest.mark.parametrize("after_seconds", [0.3, pytest.param(10, id="ten seconds later")])
def test_what_is_inserted_later(site, page, after_seconds):
    opened(page, site.url("/?via=ann"))
    inserted_at = time.monotonic() + after_seconds
    page.wait_for_timeout(after_seconds * 1_000)
    assert time.monotonic() >= inserted_at
    insert(page, EVERYTHING.replace("PORT", str(site.port)))
    for name in REFERENCED:
        assert reference(page, name) == token(page), name
    for name in LEFT_ALONE:
        assert token(page) not in markup(page, name)


def test_at_the_time_of_the_click(site, page):
    """A framework may write an address anew without inserting anything."""
    site.page("/buy", '<a id="link" href="https://buy.stripe.com/abc">Buy</a>')
    opened(page, site.url("/buy?via=ann"))
    new = site.url("/new", host="pay.test")
    page.evaluate("address => { document.querySelector('#link').href = address }", new)
    assert reference(page, "link") is None
    page.click("#link")
    page.wait_for_url(new + "?client_reference_id=*_ann")


def test_a_page_that_stops_clicks_early_cannot_hide_them(site, page):
    site.page("/buy", '<a id="link" href="#">Buy</a>')
    opened(page, site.url("/buy?via=ann"))
    page.evaluate(
        """() => {
            document.addEventListener("click", event => {
                event.stopImmediatePropagation();
                event.preventDefault();
            }, true);
            document.querySelector("#link").href = "https://buy.stripe.com/new";
        }"""
    )
    page.click("#link")
    assert reference(page, "link") == token(page)


def test_what_the_merchant_set_stays(site, page):
    site.page("/buy", MERCHANTS)
    opened(page, site.url("/buy?via=ann"))
    insert(page, MERCHANTS.replace(' id="', ' id="later_'))
    page.click("body")
    settled(page)
    for name in ("link", "table", "button", "later_link", "later_table", "later_button"):
        assert reference(page, name) == "user_7", name


def test_nothing_is_touched_without_a_token(site, page):
    site.page("/buy", EVERYTHING + '<a id="empty" href="https://buy.stripe.com/a?b">x</a>')
    opened(page, site.url("/buy"))
    page.click("body")
    assert page.get_attribute("#empty", "href") == "https://buy.stripe.com/a?b"
    assert page.get_attribute("#link", "href") == "https://buy.stripe.com/abc"
    assert reference(page, "table") is None


def test_a_later_click_replaces_what_was_put_here_but_not_the_merchants(site, page):
    site.page("/buy", EVERYTHING + MERCHANTS.replace(' id="', ' id="set_'))
    opened(page, site.url("/buy?via=ann"))
    page.evaluate("history.pushState({}, '', '/buy?via=bob')")
    assert token(page).endswith("_bob")
    for name in ("link", "table", "button"):
        assert reference(page, name) == token(page)
        assert reference(page, f"set_{name}") == "user_7"


def test_the_click_request_blocked(site, page):
    """An ad blocker eats the beacon: the token is there all the same, and nothing breaks."""
    blocked = []

    def block(route):
        blocked.append(route.request.url)
        route.abort("blockedbyclient")

    page.route("**/t/click", block)
    site.page("/buy", EVERYTHING)
    opened(page, site.url("/buy?via=ann"))
    settled(page)
    assert blocked
    assert site.clicks() == []
    assert reference(page, "link") == reference(page, "button") == token(page)
    opened(page, site.url("/buy"))
    assert reference(page, "link") == token(page)
    assert token(page).endswith("_ann")


def test_send_beacon_where_fetch_does_not_work(site, page):
    page.add_init_script("window.fetch = undefined")
    opened(page, site.url("/?via=ann"))
    [click] = site.wait_for("/t/click")
    assert click["t"] == token(page)
    assert site.arrivals[0].content_type == "text/plain;charset=UTF-8"
