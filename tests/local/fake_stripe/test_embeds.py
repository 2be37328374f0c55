"""The two stand-ins in a real Chromium, on a shop of another origin with a strict policy."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from local.fake_stripe import FakeStripe

from .conftest import KEY, Inbox, a_monthly_price, a_price, browse, control, flushed

pytestmark = pytest.mark.browser


class Shop(ThreadingHTTPServer):
    """One page, of the markup a test gives it."""

    daemon_threads = True

    def __init__(self, stripe_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.stripe_url = stripe_url
        self.markup = ""
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Page(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        home = self.server.stripe_url
        body = f"<!doctype html><title>Shop</title>{self.server.markup}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        policy = f"default-src 'none'; script-src {home}; connect-src {home}; img-src data:"
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def shop(fake: FakeStripe) -> Iterator[Shop]:
    server = Shop(fake.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def page(visitor: Callable[..., BrowserContext]) -> Page:
    return visitor().new_page()


def put_buy_button(fake: FakeStripe, shop: Shop, offer: dict[str, str], more: str = "") -> None:
    made = control(fake, "/buy_buttons", {"key": KEY} | offer)
    shop.markup = (
        f'<script async src="{fake.url}/v3/buy-button.js"></script>'
        f'<stripe-buy-button buy-button-id="{made["id"]}" '
        f'publishable-key="{made["publishable_key"]}" {more}></stripe-buy-button>'
    )


def pay_on(page: Page, method: str = "Card 4242 4242 4242 4242") -> None:
    page.get_by_label("E-mail").fill("sam@example.com")
    page.get_by_label("Name").fill("Sam")
    page.get_by_label(method).check()
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thanks")).to_be_visible()


def test_a_buy_button_carries_its_reference(
    fake: FakeStripe, api: Any, inbox: Inbox, shop: Shop, page: Page
) -> None:
    link = api.payment_links.create({"line_items": [{"price": a_price(api), "quantity": 1}]})
    offer = {"payment_link": link.id}
    put_buy_button(fake, shop, offer, 'client-reference-id="tok_first"')
    page.goto(shop.url)
    page.get_by_role("button", name="Buy now").click()
    pay_on(page)
    flushed(fake)
    [session] = inbox.objects("checkout.session.completed")
    assert (session["client_reference_id"], session["payment_link"]) == ("tok_first", link.id)


def test_the_reference_is_read_at_the_click(
    fake: FakeStripe, api: Any, shop: Shop, page: Page
) -> None:
    put_buy_button(fake, shop, {"price": a_price(api)})
    page.goto(shop.url)
    button = page.get_by_role("button", name="Buy now")
    expect(button).to_be_visible()
    element = page.locator("stripe-buy-button")
    element.evaluate("e => e.setAttribute('client-reference-id', 'tok_late')")
    assert element.get_attribute("data-reference") == "tok_late"
    button.click()
    page.wait_for_url("**/c/pay/*")
    shown = api.checkout.sessions.retrieve(page.url.rsplit("/", 1)[1])
    assert shown.client_reference_id == "tok_late"


def test_an_element_put_in_later_and_a_reference_that_cannot_be(
    fake: FakeStripe, api: Any, shop: Shop, page: Page
) -> None:
    put_buy_button(fake, shop, {"price": a_price(api)})
    script, _, element = shop.markup.partition("</script>")
    shop.markup = f"{script}</script>"
    page.goto(shop.url)
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", element)
    marked = "e => e.setAttribute('client-reference-id', 'not allowed!')"
    page.locator("stripe-buy-button").evaluate(marked)
    page.get_by_role("button", name="Buy now").click()
    page.wait_for_url("**/c/pay/*")
    shown = api.checkout.sessions.retrieve(page.url.rsplit("/", 1)[1])
    assert shown.client_reference_id is None


def test_a_pricing_table_shows_its_prices(
    fake: FakeStripe, api: Any, inbox: Inbox, shop: Shop, page: Page
) -> None:
    prices = [a_price(api), a_monthly_price(api)]
    made = control(fake, "/pricing_tables", {"key": KEY, "prices": prices})
    shop.markup = (
        f'<script async src="{fake.url}/v3/pricing-table.js"></script>'
        f'<stripe-pricing-table pricing-table-id="{made["id"]}" customer-email="sam@example.com" '
        f'publishable-key="{made["publishable_key"]}" client-reference-id="tok_ann">'
        "</stripe-pricing-table>"
    )
    page.goto(shop.url)
    expect(page.get_by_role("listitem")).to_have_text(
        ["Plan: EUR 49.00 Buy now", "Plan: EUR 20.00 Subscribe"]
    )
    page.get_by_role("button", name="Subscribe: Plan").click()
    expect(page.get_by_label("E-mail")).to_have_value("sam@example.com")
    page.get_by_label("Name").fill("Sam")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", name="Thanks")).to_be_visible()
    flushed(fake)
    [session] = inbox.objects("checkout.session.completed")
    assert (session["mode"], session["client_reference_id"]) == ("subscription", "tok_ann")
    assert session["customer_email"] == "sam@example.com"


def test_a_declined_card_is_told_on_the_page(
    fake: FakeStripe, api: Any, shop: Shop, page: Page
) -> None:
    link = api.payment_links.create({"line_items": [{"price": a_price(api), "quantity": 1}]})
    page.goto(link.url)
    page.get_by_label("E-mail").fill("sam@example.com")
    page.get_by_label("Card that is declined").check()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    expect(page.get_by_label("E-mail")).to_have_value("sam@example.com")
    pay_on(page)


def test_an_elements_key_must_be_its_accounts(fake: FakeStripe, api: Any) -> None:
    made = control(fake, "/buy_buttons", {"key": KEY, "price": a_price(api)})
    where = f"{fake.url}/v3/buy_buttons/{made['id']}"
    assert browse(f"{where}?key={made['publishable_key']}")[0] == 200
    assert browse(f"{where}?key=pk_test_beta_1")[0] == 401
    assert browse(f"{fake.url}/v3/buy_buttons/none?key=pk_test_acme_1")[0] == 404
