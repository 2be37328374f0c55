"""A running fake, its clock in the test's hand, an SDK client, and an inbox for its webhooks."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe, running_fake_stripe

START = 1_760_000_000  # 9 October 2025, 08:53:20 UTC
KEY = "sk_" + "test_acme_1"


class Clock:
    """A clock that stands until it is set; `move` goes through the fake, which does what is due."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@dataclass
class Inbox:
    """What an endpoint received: (body, headers) as they came. `status` is what it answers."""

    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    status: int = 200

    def __call__(self, body: bytes, headers: dict[str, str]) -> int:
        self.got.append((body, headers))
        return self.status

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.got]

    def objects(self, type_: str) -> list[dict[str, Any]]:
        return [e["data"]["object"] for e in self.events if e["type"] == type_]


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(clock=Clock(), seed=1) as running:
        yield running
        assert running.faults == []


@pytest.fixture
def api(fake: FakeStripe) -> Any:
    return client_of(fake).v1


@pytest.fixture
def inbox(fake: FakeStripe, api: Any) -> Inbox:
    """Everything the account tells, from now on."""
    made = Inbox()
    url = fake.receive_with("inbox", made)
    api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    return made


def client_of(fake: FakeStripe, key: str = KEY, **options: Any) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": fake.url}, **options)


def flushed(fake: FakeStripe) -> None:
    assert fake.deliveries.flush(10)


def move(fake: FakeStripe, *, days: float = 0, seconds: int = 0) -> None:
    fake.move_clock(fake.offset_seconds + int(days * 86_400) + seconds)
    flushed(fake)


def a_price(api: Any, amount: int = 4900, currency: str = "eur", **given: Any) -> str:
    product = api.products.create({"name": "Plan"})
    price = {"product": product.id, "unit_amount": amount, "currency": currency}
    return api.prices.create(price | given).id


def a_monthly_price(api: Any, amount: int = 2000, currency: str = "eur") -> str:
    return a_price(api, amount, currency, recurring={"interval": "month"})


def a_customer(api: Any, **given: Any) -> str:
    """A customer who pays by card when nothing else is said."""
    made = api.customers.create({"email": "sam@example.com"} | given)
    method = api.payment_methods.attach("pm_card_visa", {"customer": made.id})
    settings = {"invoice_settings": {"default_payment_method": method.id}}
    return api.customers.update(made.id, settings).id


def paid_intent(api: Any, amount: int = 4900, method: str = "pm_card_visa", **given: Any) -> Any:
    intent = {"amount": amount, "currency": "eur", "payment_method": method, "confirm": True}
    return api.payment_intents.create(intent | given)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def browse(url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
    """A plain HTTP visit or form post: status, body, and where it redirects to."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(url, data=data, timeout=10) as answer:
            return answer.status, answer.read().decode(), ""
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode(), answer.headers.get("Location", "")


def session_of(page: str) -> str:
    found = re.search(r'action="/c/pay/(cs_test_\w+)"', page)
    assert found is not None, page
    return found[1]


def pay(fake: FakeStripe, session_id: str, **form: str) -> tuple[int, str, str]:
    filled = {"email": "sam@example.com", "name": "Sam", "method": "pm_card_visa"} | form
    return browse(f"{fake.url}/c/pay/{session_id}", filled)


def control(fake: FakeStripe, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the control surface; GET without a body."""
    data = json.dumps(given).encode() if given is not None else None
    request = urllib.request.Request(f"{fake.url}/_control{path}", data=data)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())
