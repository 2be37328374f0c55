"""A person in the demo shop: follows links, buys, and notes what the tracker sent."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Request

from tests.stack_kit import Stack

_numbers = itertools.count(1)
TRACKER_LOOKS_WITHIN_MS = 5_000
ANSWERED_WITHIN_MS = 2_000
LOOK_EVERY_MS = 20


class Shopper:
    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self.context = context
        self.stack = stack
        self.page = context.new_page()
        self.email = f"shopper-{next(_numbers)}@example.com"
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answered = 0
        self.troubles: list[str] = []
        context.on("request", self._note)
        context.on("requestfinished", self._note_answer)
        context.on("requestfailed", self._note_answer)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda line: self._note_refusal(line.type, line.text))

    def go(self, path: str) -> Shopper:
        """Open a page of the shop and wait until its tracker has run and been answered."""
        self.page.goto(self.stack.place.shop_url + path)
        self.await_tracker()
        self.await_answers()
        return self

    def await_tracker(self) -> None:
        self.page.wait_for_function(
            "window.refledger && !refledger.q", timeout=TRACKER_LOOKS_WITHIN_MS
        )

    def await_answers(self) -> None:
        """Wait until all that the tracker sent is answered. Of a request that outlives its page
        the browser may never tell the end: the wait has one."""
        for _ in range(ANSWERED_WITHIN_MS // LOOK_EVERY_MS):
            if self.answered >= len(self.sent):
                return
            self.page.wait_for_timeout(LOOK_EVERY_MS)

    @property
    def token(self) -> str | None:
        found: str | None = self.page.evaluate("refledger('token')")
        return found

    @property
    def clicks_sent(self) -> list[dict[str, Any]]:
        return [body for path, body in self.sent if path == "/t/click"]

    def reference_of(self, selector: str) -> str | None:
        """The client_reference_id in a link's address."""
        href = self.page.locator(selector).get_attribute("href") or ""
        values = parse_qs(urlsplit(href).query).get("client_reference_id")
        return values[0] if values else None

    def traces_left(self) -> list[Any]:
        """Whatever this browser keeps for the shop."""
        stored = self.page.evaluate(
            "[...Object.keys(localStorage), ...Object.keys(sessionStorage)]"
        )
        return [*self.context.cookies(), *stored]

    def buy(self, selector: str) -> dict[str, Any]:
        """Click there, pay at Stripe, come back; the transaction as the API tells it."""
        self.page.locator(selector).first.click()
        return self.pay()

    def pay(self) -> dict[str, Any]:
        self.page.wait_for_url(f"{self.stack.place.fake_stripe_url}/**")
        email = self.page.locator("[name=email]:not([readonly])")
        if email.count():
            email.fill(self.email)
        self.page.get_by_role("button", name="Pay").or_(
            self.page.get_by_role("button", name="Subscribe")
        ).click()
        self.page.wait_for_url(f"{self.stack.place.shop_url}/thanks**")
        self.stack.settle()
        return self.sale()

    def sale(self) -> dict[str, Any]:
        """The transaction of the session that the page's address names."""
        session = parse_qs(urlsplit(self.page.url).query)["session_id"][0]
        found: dict[str, Any] = self.stack.api(f"/v1/transactions/{session}")
        return found

    def _note(self, request: Request) -> None:
        if is_beacon(request):
            path = urlsplit(request.url).path
            self.sent.append((path, json.loads(request.post_data or "{}")))

    def _note_answer(self, request: Request) -> None:
        self.answered += is_beacon(request)

    def _note_refusal(self, kind: str, text: str) -> None:
        if kind == "error" and "Content Security Policy" in text:
            self.troubles.append(text)


def is_beacon(request: Request) -> bool:
    return urlsplit(request.url).path in ("/t/click", "/t/signup")


def earned(sale: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Who earns what of a sale, and in which state it is."""
    return [(r["partner"]["key"], r["amount_minor"], r["status"]) for r in sale["rewards"]]


def reasons(sale: dict[str, Any]) -> str:
    return " | ".join(f"{line['considered']}: {line['because']}" for line in sale["trace"])
