"""A visit: how it is noticed, named, reported once and remembered."""

from __future__ import annotations

import re
import time

import pytest

from chalicelib.tracker import render, snippet
from tests.tracker.page_server import PROGRAM
from tests.tracker.sightings import (
    TOKEN,
    in_local_storage,
    loaded,
    nothing_stored,
    opened,
    settled,
    the_cookie,
    the_cookies,
    token,
)

pytestmark = pytest.mark.browser

DAY = 86_400
RANDOM = "AbCdEfGhIjKlMnOpQrSt_-"  # as long as the random part of a token


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("/pricing?via=ann", "ann"),
        ("/pricing?via=Ann", "Ann"),
        ("/pricing?plan=pro&via=ann-b_2#top", "ann-b_2"),
        ("/#/pricing?via=ann", "ann"),
        ("/aff/ann", "ann"),
        ("/aff/Ann/", "Ann"),
        ("/aff/ann?utm_source=x", "ann"),
        ("/?via=" + "k" * 64, "k" * 64),
    ],
)
def test_a_partners_link_makes_a_token_and_reports_one_click(site, page, address, key):
    opened(page, site.url(address))
    [click] = site.wait_for("/t/click")
    assert TOKEN.fullmatch(click["t"])
    assert click["t"][22:] == f"_{key}"
    assert token(page) == click["t"]
    assert click["p"] == PROGRAM
    assert click["u"] == site.url(address.split("#")[0])
    assert click["r"] == ""


UNATTRIBUTED = (
    "/pricing",
    "/?ref=ann",
    "/?via=",
    "/?via=a%20b",
    "/?via=ann!",
    "/?xvia=ann",
    "/?via=" + "k" * 65,
    "/docs/aff/ann",
    "/aff/",
    "/?rfl=short_ann",
    "/?rfl=" + RANDOM + "ann",
)


def test_no_request_cookie_or_storage_on_an_unattributed_visit(site, page):
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    for address in UNATTRIBUTED:
        opened(page, site.url(address))
        assert token(page) is None, address
        assert nothing_stored(page), address
    settled(page)
    pages = [site.url(address) for address in UNATTRIBUTED]
    script = f"{site.settings.base_url}/t/{PROGRAM}.js"
    assert {url for url in sent if "favicon" not in url} == {*pages, script}


def test_other_products_links_and_no_path_links_are_settings(site, page):
    site.install(parameters=("via", "fp_ref"), path_prefix=None)
    opened(page, site.url("/aff/ann"))
    assert token(page) is None
    opened(page, site.url("/?fp_ref=ann"))
    assert token(page).endswith("_ann")


def test_every_visitor_has_a_token_of_their_own(site, visitor):
    tokens = {token(opened(visitor().new_page(), site.url("/?via=ann"))) for _ in range(3)}
    assert len(tokens) == 3


def test_a_click_is_a_simple_request_of_at_most_2_kb(site, page):
    page.goto(site.url("/start?" + "r" * 3_000))
    page.evaluate("location.href = '/pricing?via=ann&q=' + '\"€'.repeat(999)")
    loaded(page)
    [click] = site.wait_for("/t/click")
    [arrival] = site.arrivals
    assert (arrival.method, arrival.content_type) == ("POST", "text/plain;charset=UTF-8")
    assert click["r"].startswith(site.url("/start"))
    assert len(str(click).encode()) <= 2_048


def test_the_cookie_lies_on_the_widest_domain_for_the_programs_days(site, page):
    site.install(cookie_days=7)
    opened(page, site.url("/?via=ann", host="www.eu.shop.test"))
    cookie = the_cookie(page)
    assert cookie["domain"] == ".shop.test"
    assert cookie["path"] == "/"
    assert cookie["sameSite"] == "Lax"
    assert not cookie["secure"]
    assert cookie["expires"] == pytest.approx(time.time() + 7 * DAY, abs=60)
    assert cookie["value"].split(".")[0] == token(page)
    assert in_local_storage(page) == cookie["value"]
    opened(page, site.url("/", host="app.shop.test"))
    assert token(page) == cookie["value"].split(".")[0]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.shop.co.uk", ".shop.co.uk"),
        ("shop.github.io", ".shop.github.io"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_public_suffix_holds_no_cookie(site, page, host, domain):
    opened(page, site.url("/?via=ann", host=host))
    assert the_cookie(page)["domain"] == domain


def test_the_cookie_is_secure_on_https(site, page):
    def over_tls(route):
        if route.request.url.endswith(f"/t/{PROGRAM}.js"):
            route.fulfill(body=render(site.settings), content_type="application/javascript")
        else:
            route.fulfill(body=snippet(site.settings), content_type="text/html")

    site.install(base_url="https://partners.test")
    page.context.route(re.compile("^https:"), over_tls)
    opened(page, "https://www.shop.test/?via=ann")
    assert the_cookie(page)["secure"]


def test_one_visit_is_one_click(site, page):
    """Reload, a link that keeps the parameter, and back again are the same visit."""
    opened(page, site.url("/?via=ann"))
    first = token(page)
    page.reload()
    loaded(page)
    opened(page, site.url("/pricing?via=ann"))
    opened(page, site.url("/about"))
    page.go_back()
    loaded(page)
    page.go_back()
    loaded(page)
    settled(page)
    site.wait_for("/t/click")
    assert token(page) == first


def test_back_to_another_partners_page_is_no_click(site, page):
    opened(page, site.url("/?via=ann"))
    opened(page, site.url("/?via=bob"))
    last = token(page)
    page.go_back()
    loaded(page)
    settled(page)
    assert [click["t"][23:] for click in site.wait_for("/t/click", 2)] == ["ann", "bob"]
    assert token(page) == last


def test_following_a_link_again_is_a_click(site, page):
    for key in ("ann", "bob", "ann"):
        opened(page, site.url(f"/?via={key}"))
        site.wait_for("/t/click", len(site.clicks()) or 1)
    assert token(page).endswith("_ann")
    assert len(site.wait_for("/t/click", 3)) == 3


def test_a_new_tab_with_the_link_is_a_new_visit(site, page):
    opened(page, site.url("/?via=ann"))
    other = opened(page.context.new_page(), site.url("/?via=ann"))
    assert len(site.wait_for("/t/click", 2)) == 2
    assert token(other) == site.clicks()[-1]["t"]


def test_two_tags_count_one_click(site, page):
    tag = f'<script src="{site.settings.base_url}/t/{PROGRAM}.js"></script>'
    site.page("/twice", tag=tag + tag)
    opened(page, site.url("/twice?via=ann"))
    settled(page)
    [click] = site.wait_for("/t/click")
    assert token(page) == click["t"]


@pytest.mark.parametrize(("attribution", "winner"), [("last_click", "bob"), ("first_click", "ann")])
def test_last_and_first_click(site, page, attribution, winner):
    site.install(attribution=attribution)
    opened(page, site.url("/?via=ann"))
    opened(page, site.url("/pricing"))
    opened(page, site.url("/?via=bob"))
    assert token(page).endswith(f"_{winner}")
    assert the_cookie(page)["value"].startswith(token(page))
    # Both links were followed, and both partners see their click.
    assert {click["t"][23:] for click in site.wait_for("/t/click", 2)} == {"ann", "bob"}


def test_a_handed_over_token_is_taken_without_a_click(site, page):
    handed = f"{RANDOM}_Ann"
    opened(page, site.url(f"/pricing?plan=pro&rfl={handed}&q=a%20b#top"))
    settled(page)
    assert token(page) == handed
    assert the_cookie(page)["value"].startswith(handed + ".")
    assert site.clicks() == []
    assert page.url == site.url("/pricing?plan=pro&q=a%20b#top")
    page.reload()
    assert token(loaded(page)) == handed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/?rfl=T", "/"),
        ("/?rfl=T#x", "/#x"),
        ("/?rfl=T&a=1", "/?a=1"),
        ("/?a=1&rfl=T", "/?a=1"),
        ("/?via=ann&rfl=T", "/?via=ann"),
    ],
)
def test_the_address_bar_is_tidied(site, page, before, after):
    opened(page, site.url(before.replace("T", f"{RANDOM}_ann")))
    settled(page)
    assert page.url == site.url(after)
    assert token(page) == f"{RANDOM}_ann"
    assert site.clicks() == []


def test_a_handed_over_token_obeys_first_click(site, page):
    site.install(attribution="first_click")
    opened(page, site.url("/?via=ann"))
    first = token(page)
    opened(page, site.url(f"/?rfl={RANDOM}_bob"))
    assert token(page) == first
    assert page.url == site.url("/")


def test_single_page_navigation(site, page):
    opened(page, site.url("/"))
    page.evaluate("history.pushState({step: 1}, '', '/pricing?via=ann')")
    first = token(page)
    assert first.endswith("_ann")
    page.evaluate("history.pushState({}, '', '/other?via=ann')")
    page.evaluate("history.replaceState({}, '', '/third?via=ann')")
    assert token(page) == first
    page.evaluate("history.replaceState({}, '', '/third?via=bob')")
    assert token(page).endswith("_bob")
    last = token(page)
    page.go_back()
    assert page.url == site.url("/pricing?via=ann")
    assert page.evaluate("history.state") == {"step": 1}
    settled(page)
    assert token(page) == last
    assert [click["t"][23:] for click in site.wait_for("/t/click", 2)] == ["ann", "bob"]


def test_a_hash_that_names_a_partner_is_seen_when_it_comes(site, page):
    opened(page, site.url("/"))
    page.evaluate("location.hash = '/pricing?via=ann'")
    page.wait_for_function("refledger('token')")
    site.wait_for("/t/click")


@pytest.mark.parametrize("lost", ["cookie", "localStorage"])
def test_either_memory_restores_the_other(site, page, lost):
    opened(page, site.url("/?via=ann"))
    record = the_cookie(page)["value"]
    if lost == "cookie":
        page.context.clear_cookies()
    else:
        page.evaluate("localStorage.clear()")
    opened(page, site.url("/later"))
    assert the_cookie(page)["value"] == record
    assert in_local_storage(page) == record
    assert token(page) == record.split(".")[0]
    assert the_cookie(page)["expires"] == pytest.approx(int(record.split(".")[1]) / 1e3, abs=2)


def test_what_a_browser_cut_short_is_renewed(site, page):
    """Safari keeps a script's cookie for seven days; each visit writes it again."""
    opened(page, site.url("/?via=ann"))
    cookie = the_cookie(page)
    full = cookie["expires"]
    page.context.add_cookies([{**cookie, "expires": time.time() + 60}])
    opened(page, site.url("/later"))
    assert the_cookie(page)["expires"] == pytest.approx(full, abs=2)


@pytest.mark.parametrize("record", ["nonsense", f"{RANDOM}_ann.1000", f"{RANDOM}_ann", "a.b.c"])
def test_what_has_expired_or_is_no_record_counts_for_nothing(site, page, record):
    page.goto(site.url("/"))
    page.evaluate("record => localStorage.setItem('refledger', record)", record)
    opened(page, site.url("/"))
    assert token(page) is None
    assert the_cookies(page) == []


def test_a_later_click_in_another_tab_counts_in_this_one(site, page):
    site.page("/buy", '<a id="link" href="https://buy.stripe.com/abc" target="_blank">Buy</a>')
    opened(page, site.url("/buy?via=ann"))
    other = opened(page.context.new_page(), site.url("/?via=bob"))
    page.evaluate("addEventListener('click', event => event.preventDefault())")
    page.click("#link")
    assert token(page) == token(other)
    assert page.get_attribute("#link", "href").endswith(token(other))
