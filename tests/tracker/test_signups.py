"""Sign-ups: the call, the queue before it, and forms that are captured."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from tests.tracker.page_server import PROGRAM
from tests.tracker.sightings import opened, settled, token

pytestmark = pytest.mark.browser

FORM = """
<form id="form" method="post" action="/registered">
  <input id="name" name="name" value="Sam Lee">
  <input id="email" type="email" name="mail" value="sam@example.com">
  <input type="password" name="password" value="hunter2">
  <button id="send">Sign up</button>
</form>
"""


def test_a_sign_up_reports_the_person_and_the_token(site, page):
    opened(page, site.url("/?via=ann"))
    answer = page.evaluate(
        """refledger('signup', {
            key: 'u_1', email: 'sam@example.com', name: 'Sam', tags: ['a', 'b'],
        })"""
    )
    assert answer == {"data": {"key": "u_1"}, "status": 1}
    assert site.wait_for("/t/signup") == [
        {
            "p": PROGRAM,
            "t": token(page),
            "key": "u_1",
            "email": "sam@example.com",
            "name": "Sam",
            "tags": ["a", "b"],
        }
    ]
    assert {each.method for each in site.arrivals} == {"POST"}
    assert {each.content_type for each in site.arrivals} == {"text/plain;charset=UTF-8"}


def test_a_sign_up_without_a_token(site, page):
    opened(page, site.url("/"))
    page.evaluate("refledger('signup', {key: 'u_1'})")
    assert site.wait_for("/t/signup") == [{"p": PROGRAM, "key": "u_1"}]


def test_the_details_cannot_change_program_or_token(site, page):
    opened(page, site.url("/?via=ann"))
    page.evaluate("refledger('signup', {key: 'u_1', p: 'other', t: 'other'})")
    [signup] = site.wait_for("/t/signup")
    assert (signup["p"], signup["t"]) == (PROGRAM, token(page))


def test_a_sign_up_survives_the_page(site, page):
    page.add_init_script(
        """const fetched = window.fetch;
        window.kept = [];
        window.fetch = (url, how) => { kept.push(how.keepalive); return fetched(url, how) }"""
    )
    opened(page, site.url("/?via=ann"))
    page.evaluate("refledger('signup', {key: 'u_0'})")
    assert [bool(each) for each in page.evaluate("kept")] == [True, True]
    page.evaluate("refledger('signup', {key: 'u_1'}); location.href = '/welcome'")
    page.wait_for_url("**/welcome")
    site.wait_for("/t/signup", 2)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ((422, b'{"message":"no key","status":0}'), {"message": "no key", "status": 0}),
        ((500, b"not JSON"), None),
        (None, None),
    ],
)
def test_a_refused_or_failed_sign_up_breaks_nothing(site, page, answer, seen):
    if answer is None:
        page.route("**/t/signup", lambda route: route.abort())
    else:
        site.signup_answer = answer
    opened(page, site.url("/"))
    page.evaluate("window.failures = 0; addEventListener('unhandledrejection', () => failures++)")
    assert page.evaluate("refledger('signup', {key: 'u_1'})") == seen
    settled(page)
    assert page.evaluate("failures") == 0


def test_calls_made_before_the_script_has_loaded(site, page):
    calls = """<script>
        refledger('ready', token => { window.first = token });
        refledger('signup', {key: 'u_early'});
        refledger('consent', true);
    </script>"""
    site.install(require_consent=True)
    tag = '<script src="/stub.js"></script>' + calls
    script = f'<script async src="{site.settings.base_url}/t/{PROGRAM}.js"></script>'
    site.page("/", tag=tag + script)
    opened(page, site.url("/?via=ann"))
    site.wait_for("/t/click")
    assert page.evaluate("first") is None  # asked before consent was given
    assert site.signups() == []
    page.evaluate("refledger('ready', token => { window.second = token })")
    page.wait_for_function("window.second")
    assert page.evaluate("second") == token(page)


def test_a_queued_sign_up_is_sent_with_the_token(site, page):
    tag = """<script src="/stub.js"></script>
        <script>refledger('signup', {key: 'u_early'})</script>"""
    script = f'<script async src="{site.settings.base_url}/t/{PROGRAM}.js"></script>'
    site.page("/", tag=tag + script)
    opened(page, site.url("/?via=ann"))
    [signup] = site.wait_for("/t/signup")
    assert signup == {"p": PROGRAM, "t": token(page), "key": "u_early"}


def test_a_callback_that_fails_is_the_pages_own_error(site, visitor):
    tab = visitor().new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(error.message))
    opened(tab, site.url("/?via=ann"))
    tab.evaluate("refledger('ready', () => { throw new Error('mine') })")
    tab.evaluate("refledger('ready', token => { window.after = token })")
    tab.wait_for_function("window.after")
    assert errors == ["mine"]


def test_calls_that_mean_nothing_are_harmless(site, page):
    opened(page, site.url("/"))
    page.evaluate("refledger(); refledger('nonsense', 1); refledger('signup'); refledger('ready')")
    assert page.evaluate("refledger('token')") is None


def test_the_global_has_the_name_of_the_settings(site, page):
    site.install(global_name="partners")
    page.goto(site.url("/?via=ann"))
    page.wait_for_function("typeof partners == 'function'")
    assert page.evaluate("partners('token')").endswith("_ann")
    assert page.evaluate("typeof refledger") == "undefined"


# --- Forms ------------------------------------------------------------------------------


def send(page, site, html, address="/register?via=ann"):
    site.page("/register", html)
    opened(page, site.url(address))
    page.click("#send")
    page.wait_for_url("**/registered*")


def test_a_plain_form_is_captured(site, page):
    site.install(capture_forms=True)
    send(page, site, FORM)
    [signup] = site.wait_for("/t/signup")
    [click] = site.wait_for("/t/click")
    assert signup == {
        "p": PROGRAM,
        "t": click["t"],
        "key": "sam@example.com",
        "email": "sam@example.com",
        "name": "Sam Lee",
    }
    [form] = site.forms_received
    assert parse_qs(form) == {
        "name": ["Sam Lee"],
        "mail": ["sam@example.com"],
        "password": ["hunter2"],
        "refledger": [click["t"]],
    }


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ('<input name="user_id" value="u_7">', "u_7"),
        ('<input name="customer_id" value="c_7">', "c_7"),
        ('<input name="user_id" value="u_7"><input data-refledger-key value="k_7">', "k_7"),
        ('<input name="id" value="form_7">', "sam@example.com"),
    ],
)
def test_the_key_of_a_captured_person(site, page, extra, key):
    site.install(capture_forms=True)
    send(page, site, FORM.replace("<button", extra + "<button"))
    [signup] = site.wait_for("/t/signup")
    assert signup["key"] == key


@pytest.mark.parametrize(
    ("html", "captured"),
    [
        (FORM.replace('id="email" type="email" name="mail"', 'name="email"'), True),
        (FORM.replace("<form", '<form data-refledger="off"'), False),
        (FORM.replace('type="email"', ""), False),
        (
            FORM.replace('type="email"', "data-refledger-key").replace(
                "<form", "<form data-refledger"
            ),
            True,
        ),
    ],
)
def test_which_forms_are_captured(site, page, html, captured):
    site.install(capture_forms=True)
    send(page, site, html)
    settled(page)
    assert len(site.signups()) == captured
    assert ("refledger=" in site.forms_received[0]) == captured


@pytest.mark.parametrize(("forms", "address"), [(False, "/register?via=ann"), (True, "/register")])
def test_no_form_is_captured_without_the_feature_or_a_token(site, page, forms, address):
    site.install(capture_forms=forms)
    send(page, site, FORM, address)
    settled(page)
    assert site.signups() == []
    assert "refledger" not in site.forms_received[0]


def test_a_form_that_is_sent_by_script(site, page):
    site.install(capture_forms=True)
    site.page("/register", FORM)
    opened(page, site.url("/register?via=ann"))
    page.evaluate(
        """() => document.addEventListener("submit", event => {
            event.preventDefault();
            event.stopImmediatePropagation();
            window.sent = new FormData(event.target).get("refledger");
        }, true)"""
    )
    page.click("#send")
    site.wait_for("/t/signup")
    assert page.evaluate("sent") == token(page)


def test_a_form_inserted_later_and_sent_without_an_event(site, page):
    site.install(capture_forms=True)
    opened(page, site.url("/?via=ann"))
    page.evaluate("html => { document.body.innerHTML = html }", FORM)
    page.evaluate("document.querySelector('#form').submit()")
    page.wait_for_url("**/registered")
    [click] = site.wait_for("/t/click")
    assert parse_qs(site.forms_received[0])["refledger"] == [click["t"]]


def test_a_hidden_field_of_the_merchants_is_filled(site, page):
    site.install(capture_forms=True)
    site.page("/register", '<form><input id="field" type="hidden" name="refledger"></form>')
    opened(page, site.url("/register?via=ann"))
    assert page.input_value("#field") == token(page)


def test_a_captured_form_is_not_held_up(site, page):
    """The tracker's door does not answer, the merchant's form goes through."""
    site.install(capture_forms=True)
    page.route("**/t/signup", lambda route: None)
    send(page, site, FORM)
    assert len(site.forms_received) == 1
