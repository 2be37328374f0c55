"""Consent: before it nothing, with it everything, after its withdrawal nothing again."""

from __future__ import annotations

import pytest

from chalicelib.tracker import snippet
from tests.tracker.sightings import nothing_stored, opened, settled, the_cookie, token
from tests.tracker.test_stripe import EVERYTHING, MERCHANTS, reference

pytestmark = pytest.mark.browser


def asks_by_tag(site, page):
    script = f"{site.settings.base_url}/t/{site.settings.program_id}.js"
    return f'<script async src="{script}" data-consent="required"></script>'


def asks_by_setting(site, page):
    site.install(require_consent=True)
    return f'<script async src="{site.settings.base_url}/t/prog_1.js"></script>'


def asks_by_signal(site, page):
    """Global Privacy Control: the visitor's browser says no, and the tag is the ordinary one."""
    page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
    )
    return snippet(site.settings)


@pytest.fixture(params=[asks_by_tag, asks_by_setting, asks_by_signal])
def asked(request, site, page):
    """A page on which consent may not be assumed."""
    tag = request.param(site, page)
    site.page(
        "/buy", EVERYTHING + '<form><input name="email" value="a@example.com"></form>', tag=tag
    )
    site.page("/next", EVERYTHING, tag=tag)
    return page


def test_before_consent_nothing_is_stored_or_sent(site, asked):
    opened(asked, site.url("/buy?via=ann"))
    assert asked.evaluate("refledger('signup', {key: 'u_1'})") is None
    asked.click("body")
    settled(asked)
    assert token(asked) is None
    assert nothing_stored(asked)
    assert site.arrivals == []
    assert reference(asked, "link") is None


def test_with_consent_the_visit_counts(site, asked):
    opened(asked, site.url("/buy?via=ann"))
    asked.evaluate("refledger('consent', true)")
    assert token(asked).endswith("_ann")
    assert the_cookie(asked)["value"].startswith(token(asked))
    assert reference(asked, "table") == token(asked)
    asked.evaluate("refledger('consent', true)")
    settled(asked)
    site.wait_for("/t/click")


def test_consent_is_not_remembered_for_the_visitor(site, asked):
    """The consent tool says it on every page; what is stored waits for that."""
    opened(asked, site.url("/buy?via=ann"))
    asked.evaluate("refledger('consent', true)")
    first = token(asked)
    opened(asked, site.url("/next"))
    assert token(asked) is None
    assert reference(asked, "link") is None
    asked.evaluate("refledger('consent', true)")
    assert token(asked) == reference(asked, "link") == first


def test_consent_given_after_navigation_within_the_page(site, asked):
    opened(asked, site.url("/buy?via=ann"))
    asked.evaluate("history.pushState({}, '', '/elsewhere')")
    asked.evaluate("refledger('consent', true)")
    assert token(asked).endswith("_ann")


def test_consent_refused(site, asked):
    opened(asked, site.url("/buy?via=ann"))
    asked.evaluate("refledger('consent', false)")
    asked.evaluate("history.pushState({}, '', '/buy?via=bob')")
    settled(asked)
    assert token(asked) is None
    assert nothing_stored(asked)
    assert site.arrivals == []


def test_a_handed_over_token_waits_for_consent(site, asked):
    handed = "AbCdEfGhIjKlMnOpQrSt_-_ann"
    opened(asked, site.url(f"/buy?rfl={handed}"))
    assert nothing_stored(asked)
    asked.evaluate("refledger('consent', true)")
    assert token(asked) == handed
    assert asked.url == site.url("/buy")
    settled(asked)
    assert site.clicks() == []


def test_withdrawal_takes_everything_back(site, page):
    site.install(capture_forms=True)
    hidden = '<form><input type="hidden" id="hidden" name="refledger"></form>'
    site.page("/buy", EVERYTHING + hidden + MERCHANTS.replace(' id="', ' id="set_'))
    opened(page, site.url("/buy?via=ann"))
    site.wait_for("/t/click")
    assert reference(page, "link") == page.input_value("#hidden") == token(page)
    page.evaluate("refledger('consent', false)")
    assert token(page) is None
    assert nothing_stored(page)
    for name in ("link", "filled", "table", "button"):
        assert reference(page, name) is None, name
        assert "_ann" not in page.locator(f"#{name}").evaluate("element => element.outerHTML")
    assert page.get_attribute("#link", "href") == "https://buy.stripe.com/abc"
    assert page.input_value("#hidden") == ""
    assert reference(page, "set_link") == "user_7"
    opened(page, site.url("/later"))
    assert token(page) is None
    settled(page)
    site.wait_for("/t/click")


def test_withdrawal_reaches_the_cookie_on_the_wide_domain(site, page):
    opened(page, site.url("/?via=ann", host="www.eu.shop.test"))
    assert the_cookie(page)["domain"] == ".shop.test"
    page.evaluate("refledger('consent', false)")
    assert nothing_stored(page)


def test_consent_again_after_withdrawal_is_a_new_visit(site, page):
    opened(page, site.url("/?via=ann"))
    first = token(page)
    page.evaluate("refledger('consent', false)")
    page.evaluate("refledger('consent', true)")
    assert token(page).endswith("_ann")
    assert token(page) != first
    assert len(site.wait_for("/t/click", 2)) == 2
