"""Connecting an account by OAuth in a real browser, through the fake Stripe's own page and back."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import stripe
from playwright.sync_api import BrowserContext, Page

from local.fake_stripe.world import account_id
from local.place import REPOSITORY
from tests.stack_kit import Stack

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("stack")]

Visitor = Callable[..., BrowserContext]
COOKIE = "__Host-refledger-oauth"


def link(stack: Stack) -> str:
    status, answer = stack.call(
        "POST", "/v1/connections/oauth", {}, api_key=stack.demo["other"]["api_key"]
    )
    assert status == 201, answer
    return str(answer["data"]["link"])


def connections(stack: Stack) -> list[dict[str, Any]]:
    key = stack.demo["other"]["api_key"]
    status, answer = stack.call("GET", "/v1/connections", api_key=key)
    assert status == 200, answer
    return [one for one in answer["data"] if one["account"]]


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and what the browser complains of on it."""
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.append(line.text) if "Content Security" in line.text else None,
    )
    return page, complaints


def shoot(page: Page, name: str) -> None:
    """A picture for whoever wants to look: SCREENSHOTS names the folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def agree(page: Page, account: str) -> None:
    page.get_by_label("Account").fill(account)
    page.get_by_role("button", name="Connect").click()


def test_an_account_is_connected_and_heard_of(stack: Stack, visitor: Visitor) -> None:
    context = visitor()
    page, complaints = watched(context)
    page.goto(link(stack))
    assert "Beta" in page.inner_text("main")
    assert stack.place.base_url in page.inner_text("main")
    shoot(page, "start")
    [cookie] = context.cookies()
    assert cookie["name"] == COOKIE
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    page.get_by_role("button", name="Continue to Stripe").click()
    page.wait_for_url(f"{stack.place.fake_stripe_url}/oauth/authorize?*")
    agree(page, "harbour")
    page.wait_for_url(f"{stack.place.base_url}/stripe/oauth/callback?*")
    assert "is connected" in page.inner_text("h1")
    assert account_id("harbour") in page.inner_text("main")
    shoot(page, "connected")
    page.reload()
    assert "is connected" in page.inner_text("h1")
    assert complaints == []
    [connection] = [c for c in connections(stack) if c["account"] == account_id("harbour")]

    client = stripe.StripeClient(
        platform(stack)["key"], base_addresses={"api": stack.place.fake_stripe_url}
    )
    client.v1.customers.create(
        params={"email": "sam@example.com"}, options={"stripe_account": account_id("harbour")}
    )
    stack.settle()
    _, inbox = stack.call("GET", "/_local/inbox")
    assert connection["id"] in json.dumps(inbox)

    control(stack, "oauth/deauthorize", {**client_of(stack), "account": "harbour"})
    stack.settle()
    [closed] = [c for c in connections(stack) if c["id"] == connection["id"]]
    assert "took its authorisation back" in json.dumps(closed)


def test_declining_is_told_in_plain_words(stack: Stack, visitor: Visitor) -> None:
    page, complaints = watched(visitor())
    page.goto(link(stack))
    page.get_by_role("button", name="Continue to Stripe").click()
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{stack.place.base_url}/stripe/oauth/callback?*")
    assert page.inner_text("h1") == "Not connected"
    assert "declined" in page.inner_text("main")
    shoot(page, "declined")
    assert complaints == []


def test_a_strangers_answer_is_refused_in_another_browser(stack: Stack, visitor: Visitor) -> None:
    stranger, victim = visitor(), visitor()
    page, _ = watched(stranger)
    page.goto(link(stack))
    page.get_by_role("button", name="Continue to Stripe").click()
    page.wait_for_url(f"{stack.place.fake_stripe_url}/oauth/authorize?*")
    state = parse_qs(urlsplit(page.url).query)["state"][0]
    code = control(stack, "oauth/approve", {**client_of(stack), "account": "mallory"})["code"]
    back = urlencode({"state": state, "code": code, "scope": "read_write"})
    answer = f"{stack.place.base_url}/stripe/oauth/callback?{back}"
    seen, _ = watched(victim)
    seen.goto(link(stack))  # the victim has a cookie of an attempt of its own
    seen.goto(answer)
    assert "another browser" in seen.inner_text("main")
    shoot(seen, "another-browser")
    assert account_id("mallory") not in json.dumps(connections(stack))


def test_a_form_of_another_site_goes_nowhere(stack: Stack, visitor: Visitor) -> None:
    """Though the victim's browser has seen the page, and the attacker knows the code."""
    start = link(stack)
    context = visitor()
    page, _ = watched(context)
    page.goto(start)
    inputs = page.locator("form").inner_html()
    evil = context.new_page()
    evil.route(
        "http://evil.test/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{stack.place.base_url}/stripe/oauth/start">'
            f"{inputs}</form>",
        ),
    )
    evil.goto("http://evil.test/")
    evil.get_by_role("button", name="Continue to Stripe").click()
    evil.wait_for_url(f"{stack.place.base_url}/stripe/oauth/start")
    assert "did not send what the page before had given it" in evil.inner_text("main")
    page.get_by_role("button", name="Continue to Stripe").click()
    page.wait_for_url(f"{stack.place.fake_stripe_url}/oauth/authorize?*")


def test_the_page_is_shown_in_no_frame(stack: Stack, visitor: Visitor) -> None:
    start = link(stack)
    page = visitor().new_page()
    page.route(
        "http://evil.test/",
        lambda route: route.fulfill(
            content_type="text/html", body=f'<iframe src="{start}" width="600"></iframe>'
        ),
    )
    page.goto("http://evil.test/")
    page.wait_for_timeout(300)
    assert all("Continue" not in frame.content() for frame in page.frames)


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_fit_and_are_read_without_a_mouse(
    stack: Stack, visitor: Visitor, width: int
) -> None:
    context = visitor(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if width == 320 else "light",
        java_script_enabled=True,
    )
    page, complaints = watched(context)
    page.goto(link(stack))
    shoot(page, f"start-{width}")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "nothing is scrolled sideways"
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Continue to Stripe"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.place.fake_stripe_url}/oauth/authorize?*")
    assert complaints == []


def test_the_command_line_makes_a_link(stack: Stack, visitor: Visitor) -> None:
    program = stack.demo["other"]["program_id"]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "chalicelib.entrypoints.cli"),
            *("--local", str(stack.place.state_dir), "oauth", "start", program, "--mode", "test"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    page = visitor().new_page()
    page.goto(json.loads(ran.stdout)["link"])
    assert "Beta" in page.inner_text("main")


def platform(stack: Stack) -> dict[str, str]:
    kept: dict[str, str] = json.loads((stack.place.state_dir / "seed.json").read_text())["platform"]
    return kept


def client_of(stack: Stack) -> dict[str, str]:
    return {"client_id": platform(stack)["client_id"]}


def control(stack: Stack, what: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{stack.place.fake_stripe_url}/_control/{what}", data=json.dumps(content).encode()
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answered:
        told: dict[str, Any] = json.load(answered)
    return told
