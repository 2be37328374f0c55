"""Other sites of the merchant's, strict pages, hostile browsers, robots, and debugging."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests import browser_kit
from tests.tracker.page_server import PROGRAM
from tests.tracker.sightings import loaded, nothing_stored, opened, settled, the_cookies, token
from tests.tracker.test_stripe import EVERYTHING, reference

pytestmark = pytest.mark.browser

STRICT = "default-src 'none'; script-src {0}; connect-src {0}"


# --- Cross-domain links -----------------------------------------------------------------


def links(site):
    return f"""
        <a id="other" href="http://app.other.test:{site.port}/start?plan=pro">App</a>
        <a id="stranger" href="http://stranger.test:{site.port}/">Elsewhere</a>
        <a id="near" href="http://app.other.test.evil.test:{site.port}/">No</a>
        <a id="sub" href="http://deep.app.other.test:{site.port}/">No</a>
        <a id="home" href="http://www.shop.test:{site.port}/about">Home</a>
    """


def test_a_visit_goes_on_at_the_merchants_other_domain(site, page):
    site.install(cross_domains=("app.other.test", "www.shop.test"))
    site.page("/", links(site))
    opened(page, site.url("/?via=ann"))
    first = token(page)
    href = page.get_attribute("#other", "href")
    assert parse_qs(urlsplit(href).query) == {"plan": ["pro"], "rfl": [first]}
    for name in ("stranger", "near", "sub", "home"):
        assert "rfl" not in page.get_attribute(f"#{name}", "href"), name
    page.click("#other")
    page.wait_for_url("**/start?plan=pro")
    assert token(loaded(page)) == first
    assert page.url == site.url("/start?plan=pro", host="app.other.test")
    settled(page)
    site.wait_for("/t/click")
    assert {cookie["domain"] for cookie in the_cookies(page)} == {".shop.test", ".other.test"}


def test_a_link_to_another_domain_at_the_time_of_the_click(site, page):
    site.install(cross_domains=("app.other.test",))
    site.page("/", '<a id="link" href="#">App</a>')
    opened(page, site.url("/?via=ann"))
    first = token(page)
    page.evaluate(
        "address => { document.querySelector('#link').href = address }",
        site.url("/start", host="app.other.test"),
    )
    page.click("#link")
    page.wait_for_url("**/start")
    assert token(loaded(page)) == first


def test_no_cross_domain_links_unless_they_are_on(site, page):
    site.page("/", links(site))
    opened(page, site.url("/?via=ann"))
    assert "rfl" not in page.get_attribute("#other", "href")


# --- Strict pages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "features", [{}, {"capture_forms": True, "cross_domains": ("app.other.test",)}]
)
@pytest.mark.parametrize("query", ["?via=ann", "?via=ann&refledger_debug=1"])
def test_a_strict_content_security_policy(site, page, features, query):
    site.install(**features)
    site.page("/buy", EVERYTHING, csp=STRICT.format(site.settings.base_url))
    page.add_init_script(
        "window.violations = [];"
        "addEventListener('securitypolicyviolation', event => violations.push(event.blockedURI))"
    )
    opened(page, site.url("/buy" + query))
    site.wait_for("/t/click")
    assert reference(page, "link") == reference(page, "table") == token(page)
    page.evaluate("refledger('signup', {key: 'u_1'})")
    site.wait_for("/t/signup")
    refused = page.evaluate("violations")
    assert [uri for uri in refused if "favicon" not in uri] == []


def test_a_module_has_no_current_script_but_is_asked_for_consent_too(site, page):
    script = f"{site.settings.base_url}/t/{PROGRAM}.js"
    add = f"""<script>
        const script = document.createElement("script");
        script.src = "{script}";
        script.setAttribute("data-consent", "required");
        document.documentElement.append(script);
    </script>"""
    site.page("/", tag=add)
    opened(page, site.url("/?via=ann"))
    assert token(page) is None
    page.evaluate("refledger('consent', true)")
    assert token(page).endswith("_ann")


def test_the_text_of_the_script_run_by_a_tag_manager(site, page):
    """Without a script element of its own, after everything else."""
    site.page("/buy", EVERYTHING, tag="")
    page.goto(site.url("/buy?via=ann"))
    page.evaluate(
        "address => import(address).catch(() => 0)", "data:text/javascript,document.currentScript"
    )
    from chalicelib.tracker import render

    page.evaluate(f"setTimeout({render(site.settings)!r})")
    loaded(page)
    assert reference(page, "link") == token(page)


# --- Browsers that refuse ---------------------------------------------------------------


def test_a_sandboxed_frame_without_storage_or_cookies(site, page):
    """There, touching cookies or storage raises: the token lives as long as the page."""
    site.page("/buy", EVERYTHING)
    site.page("/", '<iframe sandbox="allow-scripts" src="/buy?via=ann"></iframe>', tag="")
    page.goto(site.url("/"))
    frame = page.frames[1]
    frame.wait_for_function("typeof refledger == 'function'")
    refused = "() => { try { return localStorage.length } catch (refusal) { return refusal.name } }"
    assert frame.evaluate(refused) == "SecurityError"
    first = frame.evaluate("refledger('token')")
    assert first.endswith("_ann")
    assert reference(frame, "link") == first
    frame.evaluate("history.replaceState({}, '', location.href)")
    settled(page)
    site.wait_for("/t/click")
    frame.evaluate("refledger('consent', false)")
    assert frame.evaluate("refledger('token')") is None


@pytest.mark.parametrize(
    "refusal",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})",
        "Object.defineProperty(window, 'sessionStorage', {get() { throw new Error('no') }})",
        "Storage.prototype.setItem = () => { throw new Error('full') }",
        "Object.defineProperty(Document.prototype, 'cookie', {get: () => '', set() {}})",
        "Object.freeze(history)",
        "performance.getEntriesByType = undefined",
    ],
)
def test_what_a_browser_lacks_does_not_stop_the_rest(site, page, refusal):
    page.add_init_script(refusal)
    site.page("/buy", EVERYTHING)
    opened(page, site.url("/buy?via=ann"))
    site.wait_for("/t/click")
    assert reference(page, "link") == token(page)
    opened(page, site.url("/buy"))
    assert token(page).endswith("_ann")


@pytest.mark.parametrize(
    "refusal",
    [
        "Object.defineProperty(window, 'crypto', {value: undefined})",
        "window.fetch = () => { throw new Error('no') }; navigator.sendBeacon = undefined;"
        "Object.defineProperty(Navigator.prototype, 'sendBeacon', {value: undefined})",
    ],
)
def test_nothing_is_thrown_into_the_page(site, page, refusal):
    page.add_init_script(
        refusal
        + ";window.failures = 0; addEventListener('unhandledrejection', () => window.failures++)"
    )
    opened(page, site.url("/?via=ann"))
    assert page.evaluate("refledger('signup', {key: 'u_1'}).then(() => 'kept')") == "kept"
    settled(page)
    assert page.evaluate("failures") == 0


# --- Robots, prerendering, the back-forward cache ---------------------------------------


@pytest.mark.parametrize(
    "robot",
    [
        {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"user_agent": "Mozilla/5.0 AppleWebKit/537.36 Chrome-Lighthouse"},
        "Object.defineProperty(Navigator.prototype, 'webdriver', {get: () => true})",
    ],
)
def test_a_robot_leaves_no_trace(site, visitor, robot):
    options = robot if isinstance(robot, dict) else {}
    tab = visitor(**options).new_page()
    if not options:
        tab.add_init_script(robot)
    opened(tab, site.url("/?via=ann"))
    tab.evaluate("refledger('consent', true)")
    tab.evaluate("refledger('signup', {key: 'u_1'})")
    settled(tab)
    assert token(tab) is None
    assert nothing_stored(tab)
    assert site.arrivals == []


def test_a_prerendered_page_waits_until_it_is_seen(site, page):
    page.add_init_script(
        "window.hiding = true;"
        "Object.defineProperty(Document.prototype, 'prerendering', {get: () => hiding})"
    )
    opened(page, site.url("/?via=ann"))
    page.evaluate("refledger('ready', token => { window.readyWith = token })")
    settled(page)
    assert token(page) is None
    assert nothing_stored(page)
    assert site.clicks() == []
    assert page.evaluate("window.readyWith === undefined")
    page.evaluate("hiding = false; document.dispatchEvent(new Event('prerenderingchange'))")
    assert token(page).endswith("_ann")
    page.wait_for_function("window.readyWith")
    site.wait_for("/t/click")


# --- Debugging --------------------------------------------------------------------------


def said(page):
    words = []
    page.on("console", lambda message: words.append(message.text))
    return words


def test_debugging_says_what_was_seen_and_done(site, page):
    words = said(page)
    site.page("/buy", EVERYTHING)
    opened(page, site.url("/buy?via=ann&refledger_debug=1"))
    site.wait_for("/t/click")
    settled(page)
    everything = "\n".join(words)
    assert f"partner's link, a new click: {token(page)}" in everything
    assert "answered 204 recorded" in everything
    assert "reference put on" in everything
    assert "in the cookie: true - in localStorage: true" in everything
    assert reference(page, "link") == token(page)


@pytest.mark.parametrize(
    ("query", "tag", "reason"),
    [
        ("?refledger_debug=1", None, "no token: no partner's link in the address"),
        ("?via=ann&refledger_debug=1", "required", "no consent"),
    ],
)
def test_debugging_says_why_nothing_was_done(site, page, query, tag, reason):
    words = said(page)
    if tag:
        site.install(require_consent=True)
    opened(page, site.url("/" + query))
    settled(page)
    assert any(reason in word for word in words)


def test_the_debug_file_is_loaded_only_then(site, page):
    opened(page, site.url("/?via=ann"))
    settled(page)
    assert not any(".debug.js" in request for request in site.requests)


def test_the_back_forward_cache_keeps_the_page(site, playwright):
    """Nothing of the tracker's stands in its way, and what comes back still counts once."""
    running = browser_kit.launch(playwright, ignore_default_args=["--disable-back-forward-cache"])
    tab = browser_kit.new_visitor(running).new_page()
    opened(tab, site.url("/?via=ann"))
    tab.evaluate("addEventListener('pageshow', event => { window.kept = event.persisted })")
    opened(tab, site.url("/about"))
    tab.go_back(wait_until="commit")
    tab.wait_for_function("window.kept")
    settled(tab)
    site.wait_for("/t/click")
    running.close()
