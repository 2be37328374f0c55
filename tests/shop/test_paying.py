"""A referred visitor pays through Stripe, in every way the shop has, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.shop.shopper import Shopper, earned, reasons
from tests.stack_kit import Stack

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("stack")]
ANN = [("ann", 980, "pending")]
BOB = [("bob", 980, "pending")]
ANN_CLUB = [("ann", 598, "pending")]


def test_a_payment_link(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/payment-link?via=ann")
    token = sam.token
    assert token and token.endswith("_ann")
    assert sam.reference_of("#course") == token
    sale = sam.buy("#course")
    assert earned(sale) == ANN
    assert "last click" in sale["rewards"][0]["because"]
    assert sale["customer"]["email"] == sam.email


def test_a_payment_link_for_a_subscription(shopper: Callable[..., Shopper]) -> None:
    sale = shopper().go("/payment-link?via=ann").buy("#club")
    assert earned(sale) == ANN_CLUB
    assert any(id.startswith("in_") for id in sale["ids"])


@pytest.mark.parametrize(
    ("path", "selector"),
    [
        ("/pricing-table?via=bob", "stripe-pricing-table button"),
        ("/buy-button?via=bob", "stripe-buy-button button"),
    ],
)
def test_stripes_elements(shopper: Callable[..., Shopper], path: str, selector: str) -> None:
    assert earned(shopper().go(path).buy(selector)) == BOB


def test_offers_that_come_ten_seconds_late(shopper: Callable[..., Shopper]) -> None:
    offers = {
        "/payment-link-late": "#late-link",
        "/pricing-table-late": "stripe-pricing-table button",
        "/buy-button-late": "stripe-buy-button button",
    }
    people = {path: shopper().go(f"{path}?via=ann") for path in offers}
    for path, person in people.items():
        assert person.page.locator(offers[path]).count() == 0
    for path, person in people.items():
        person.page.locator(offers[path]).first.wait_for(timeout=15_000)
        assert earned(person.buy(offers[path])) == ANN, path


def test_the_shops_own_reference_stays(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/own-reference?via=ann")
    assert sam.token
    assert sam.reference_of("#own") == "order-1234"
    sale = sam.buy("#own")
    assert (earned(sale), sale["partner"]) == ([], None)


def test_the_click_is_blocked_and_still_the_partner_earns(
    shopper: Callable[..., Shopper], stack: Stack
) -> None:
    before = stack.clicks("ann")
    sam = shopper()
    sam.context.route("**/t/click", lambda route: route.abort())
    sale = sam.go("/payment-link?via=ann").buy("#course")
    assert earned(sale) == ANN
    assert "click not seen" in reasons(sale)
    assert stack.clicks("ann") == before


def test_nobodys_visit_is_a_sale_without_a_reward(shopper: Callable[..., Shopper]) -> None:
    sale = shopper().go("/payment-link").buy("#course")
    assert (earned(sale), sale["partner"]) == ([], None)
    assert sale["because"]


def test_what_just_happened_tells_the_story_and_follows_it(
    shopper: Callable[..., Shopper],
) -> None:
    sam = shopper().go("/?via=ann")
    sam.buy("#buy")
    page = sam.page
    page.get_by_text("ann earns 9.80 EUR").wait_for()
    story = page.locator("#story").inner_text()
    for told in ("The click", sam.email, "49.00 EUR", "last click", "pending", "ann's balance"):
        assert told in story
    page.get_by_role("button", name="Refund half").click()
    page.get_by_text("ann earns 4.90 EUR").wait_for()
    page.get_by_role("button", name="Refund the rest").click()
    page.get_by_text("ann earns 0.00 EUR").wait_for()


def test_sign_up_on_the_server_then_subscribe(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/signup?via=ann")
    sam.page.get_by_label("Your e-mail").fill(sam.email)
    sam.page.get_by_role("button").click()
    sale = sam.pay()
    assert earned(sale) == ANN_CLUB
    assert sale["customer"]["key"].startswith("user-")


def test_sign_up_from_the_page_then_subscribe(shopper: Callable[..., Shopper]) -> None:
    sam = shopper().go("/signup-in-browser?via=ann")
    sam.page.get_by_label("Your e-mail").fill(sam.email)
    sam.page.get_by_role("button").click()
    sale = sam.pay()
    assert earned(sale) == ANN_CLUB, reasons(sale)


def test_a_form_is_caught(shopper: Callable[..., Shopper], stack: Stack) -> None:
    sam = shopper().go("/form?via=bob")
    sam.page.get_by_label("Your e-mail").fill(sam.email)
    sam.page.get_by_role("button").click()
    sam.page.wait_for_url("**/thanks**")
    sam.page.get_by_text("bob's link", exact=True).wait_for()
    beta = stack.demo["other"]["api_key"]
    _, answer = stack.call("GET", f"/v1/customers/{sam.email}", api_key=beta)
    assert answer["data"]["partner"]["key"] == "bob"
    assert stack.call("GET", f"/v1/customers/{sam.email}", api_key=stack.demo["api_key"])[0] == 404


def test_thirty_days_later_the_reward_is_payable(
    shopper: Callable[..., Shopper], stack: Stack
) -> None:
    sam = shopper().go("/payment-link?via=ann")
    assert earned(sam.buy("#course")) == ANN
    stack.advance(29)
    stack.run("mature_rewards")
    assert earned(sam.sale()) == ANN
    stack.advance(1.01)
    stack.run("mature_rewards")
    assert earned(sam.sale()) == [("ann", 980, "payable")]
