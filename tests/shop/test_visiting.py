"""How visits are noticed, remembered and counted: the tracker against the real doors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.shop.shopper import Shopper, earned
from tests.stack_kit import Stack

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("stack")]
A_MINUTE_AND_A_HALF = 90 / 86_400  # the doors keep a program for a minute


def clicks_of(stack: Stack, *, at_least: int = 0) -> tuple[int, int]:
    """Ann's and Bob's clicks, once Ann's are that many."""
    return stack.clicks("ann", at_least=at_least), stack.clicks("bob")


@pytest.mark.parametrize("path", ["/?via=ann", "/?via=Ann", "/aff/ann", "/?a=1&via=ann&b=2"])
def test_a_link_is_one_click(shopper: Callable[..., Shopper], stack: Stack, path: str) -> None:
    ann, bob = clicks_of(stack)
    sam = shopper().go(path)
    assert sam.token and sam.token.lower().endswith("_ann")
    for _ in range(2):
        sam.go("/payment-link")
    sam.page.reload()
    sam.await_tracker()
    assert len(sam.clicks_sent) == 1
    assert clicks_of(stack, at_least=ann + 1) == (ann + 1, bob)


def test_a_key_in_any_case_earns(shopper: Callable[..., Shopper]) -> None:
    assert earned(shopper().go("/payment-link?via=ANN").buy("#course")) == [("ann", 980, "pending")]


def test_a_short_link_is_one_visit_and_one_click(
    shopper: Callable[..., Shopper], stack: Stack
) -> None:
    ann, bob = clicks_of(stack)
    sam = shopper()
    sam.page.goto(f"{stack.place.base_url}/r/{stack.demo['program_id']}/ann?to=/payment-link")
    sam.await_tracker()
    assert sam.page.url == f"{stack.place.shop_url}/payment-link"
    assert sam.clicks_sent == []
    token = sam.token
    assert token and token.endswith("_ann")
    assert earned(sam.buy("#course")) == [("ann", 980, "pending")]
    assert clicks_of(stack, at_least=ann + 1) == (ann + 1, bob)


def test_a_short_link_into_a_payment_link(shopper: Callable[..., Shopper], stack: Stack) -> None:
    ann = stack.clicks("ann")
    sam = shopper()
    link = sam.go("/payment-link").page.locator("#course").get_attribute("href")
    short = f"{stack.place.base_url}/r/{stack.demo['program_id']}/ann"
    sam.page.goto(f"{short}?to={link}")
    assert earned(sam.pay()) == [("ann", 980, "pending")]
    assert stack.clicks("ann", at_least=ann + 1) == ann + 1


def test_single_page_navigation(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/spa")
    assert sam.token is None
    sam.page.get_by_role("link", name="Machines").click()
    assert (sam.token, sam.clicks_sent) == (None, [])
    sam.page.get_by_role("link", name="Ann's offer").click()
    first = sam.token
    assert first and sam.reference_of("#course") == first
    sam.page.get_by_role("link", name="Bob's offer").click()
    assert sam.token and sam.token.endswith("_bob")
    sam.page.go_back()
    assert [body["t"].split("_")[-1] for body in sam.clicks_sent] == ["ann", "bob"]
    assert earned(sam.buy("#course"))[0][0] == "bob"


def test_the_last_click_counts(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/?via=ann").go("/payment-link?via=bob")
    assert earned(sam.buy("#course")) == [("bob", 980, "pending")]


@pytest.fixture
def first_click(stack: Stack) -> Iterator[None]:
    """The program credits the first click, from now on and until the test's end."""

    def change(value: str) -> None:
        key = stack.demo["api_key"]
        status, answer = stack.call("PUT", "/v1/program", {"attribution": value}, api_key=key)
        assert status == 200, answer
        stack.advance(A_MINUTE_AND_A_HALF)

    change("first_click")
    yield
    change("last_click")


@pytest.mark.usefixtures("first_click")
def test_the_first_click_counts(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/?via=ann").go("/payment-link?via=bob")
    assert sam.token and sam.token.endswith("_ann")
    assert earned(sam.buy("#course")) == [("ann", 980, "pending")]


def test_consent_given_and_withdrawn(shopper: Callable[..., Shopper], stack: Stack) -> None:
    ann = stack.clicks("ann")
    sam = shopper().go("/consent?via=ann")
    assert (sam.token, sam.clicks_sent, sam.traces_left()) == (None, [], [])
    assert sam.reference_of("#course") is None
    sam.page.get_by_role("button", name="Yes").click()
    token = sam.token
    assert token and sam.reference_of("#course") == token
    sam.page.get_by_role("button", name="No").click()
    assert (sam.token, sam.traces_left(), sam.reference_of("#course")) == (None, [], None)
    assert stack.clicks("ann", at_least=ann + 1) == ann + 1


def test_global_privacy_control_is_a_no(shopper: Callable[..., Shopper]) -> None:
    sam = shopper()
    sam.context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
    )
    sam.go("/payment-link?via=ann")
    assert (sam.token, sam.sent, sam.traces_left()) == (None, [], [])
    assert sam.reference_of("#course") is None


def test_a_visit_that_nobody_brought_leaves_no_trace(shopper: Callable[..., Shopper]) -> None:
    sam = shopper()
    asked: list[str] = []
    sam.context.on("request", lambda request: asked.append(request.url))
    sam.go("/").go("/payment-link").go("/spa")
    base = sam.stack.place.base_url
    script = f"{base}/t/{sam.stack.demo['program_id']}.js"
    assert {url for url in asked if url.startswith(base)} == {script}
    assert (sam.token, sam.sent, sam.traces_left()) == (None, [], [])
    assert sam.reference_of("#spa, #course") is None


def test_calls_made_before_the_script_are_kept(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/early-calls?via=bob")
    sam.page.locator("#early", has_text="_bob").wait_for()
    assert sam.page.locator("#early").inner_text() == sam.token


def test_a_visit_is_handed_over_to_the_other_domain(
    shopper: Callable[..., Shopper], stack: Stack
) -> None:
    sam = shopper().go("/two-domains?via=ann")
    token = sam.token
    sam.page.locator("#other").click()
    sam.page.wait_for_url("http://127.0.0.1:*/two-domains*")
    sam.await_tracker()
    assert sam.token == token
    assert len(sam.clicks_sent) == 1


def test_every_page_is_served_under_a_strict_policy(
    shopper: Callable[..., Shopper],
) -> None:
    from local.shop.catalogue import PAGES

    sam = shopper()
    for page in PAGES:
        response = sam.page.goto(sam.stack.place.shop_url + page.path)
        assert response and response.status == 200, page.path
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        sam.await_tracker()
