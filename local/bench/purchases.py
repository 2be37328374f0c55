"""What Stripe sends for a first subscription payment, as often as it is asked for.

The fake Stripe makes one purchase, in full bodies; every other is the same with ids of its own.
"""

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import stripe

from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.fake_stripe import running_fake_stripe

AMOUNT = 4900
REWARD = 980  # 20 %
EMAIL = "sam@example.com"
REFERENCE = "R" * 22 + "_ann"
RECORDED_AT = 1_760_000_000
_TIME = re.compile(rf"\b{RECORDED_AT // 10_000_000}\d{{7}}\b")
_ID = re.compile(r"\b((?:evt|in|pi|ch|cus|sub|si|il|cs_test|pm|inpay|txn)_[A-Za-z0-9_]{14,})")
_NUMBER_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One delivery's raw body, and the type that it tells."""

    type: str
    body: bytes


def purchase(number: int, *, partner: str = "") -> list[Event]:
    """The events of the `number`-th purchase, made now, in the order Stripe makes them: by the
    link of `partner` where one is given, else without a reference. Its customer has its number."""
    token, now = visit_token(number, partner) if partner else "", int(time.time())
    return [_numbered(event, number, number, token, now) for event in _recorded()]


def invoice_paid(number: int, *, customer: int | None = None, bytes_at_most: int = 0) -> Event:
    """The event of a purchase that earns the reward, of a `customer` who has bought before where
    one is given; shortened, where asked for, to the fields that are read."""
    event = next(event for event in _recorded() if event.type == "invoice.paid")
    of = number if customer is None else customer
    event = _numbered(event, number, of, "", int(time.time()))
    return _shortened(event, bytes_at_most) if bytes_at_most else event


def event_of(type: str, number: int) -> str:
    """The id of the object that an event of the `number`-th purchase is about."""
    event = next(event for event in purchase(number) if event.type == type)
    id: str = json.loads(event.body)["data"]["object"]["id"]
    return id


def visit_token(number: int, partner: str) -> str:
    return f"{number:022d}_{partner}"


def buyer(number: int) -> str:
    return f"sam+{number}@example.com"


@cache
def _recorded() -> Sequence[Event]:
    """The events of one purchase by a subscription's Payment Page, those that an endpoint asks
    for."""
    got: list[bytes] = []

    def receive(body: bytes, _: dict[str, str]) -> int:
        got.append(body)
        return 200

    with running_fake_stripe(clock=lambda: RECORDED_AT, seed=1) as fake:
        client = stripe.StripeClient("sk_" + "test_acme_1", base_addresses={"api": fake.url}).v1
        url = fake.receive_with("bench", receive)
        wanted: Any = list(ENABLED_EVENTS)
        client.webhook_endpoints.create({"url": url, "enabled_events": wanted})
        product = client.products.create({"name": "Plan"})
        price = client.prices.create(
            {
                "product": product.id,
                "unit_amount": AMOUNT,
                "currency": "eur",
                "recurring": {"interval": "month"},
            }
        )
        session = client.checkout.sessions.create(
            {
                "mode": "subscription",
                "line_items": [{"price": price.id, "quantity": 1}],
                "success_url": fake.url,
                "client_reference_id": REFERENCE,
            }
        )
        _pay(f"{fake.url}/c/pay/{session.id}")
        if not fake.deliveries.flush(10):
            raise RuntimeError("the fake Stripe did not deliver its events")
    return [Event(type=json.loads(body)["type"], body=body) for body in got]


def _pay(url: str) -> None:
    form = urllib.parse.urlencode({"email": EMAIL, "name": "Sam", "method": "pm_card_visa"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    try:
        opener.open(url, data=form.encode(), timeout=10).close()
    except urllib.error.HTTPError as answer:
        if answer.code not in (302, 303):
            raise


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _numbered(event: Event, number: int, customer: int, token: str, now: int) -> Event:
    """The event as of ``now``, with ids and an e-mail of its own."""

    def own(found: re.Match[str]) -> str:
        of_customer = found[1].startswith(("cus_", "sub_", "pm_"))
        mark = customer if of_customer else number
        return f"{found[1][:-_NUMBER_WIDTH]}{mark:0{_NUMBER_WIDTH}d}"

    later = now - RECORDED_AT
    text = _ID.sub(own, event.body.decode()).replace(EMAIL, buyer(customer))
    text = _TIME.sub(lambda found: str(int(found[0]) + later), text)
    text = text.replace(f'"{REFERENCE}"', json.dumps(token or None))
    return Event(type=event.type, body=text.encode())


def _as_sent(told: Any) -> bytes:
    return json.dumps(told, indent=2, ensure_ascii=False).encode()


_NEEDED = """
    id object currency customer customer_email status total total_excluding_tax amount_paid
    amount_shipping status_transitions parent total_taxes created livemode metadata lines
    """.split()


def _shortened(event: Event, bytes_at_most: int) -> Event:
    told = json.loads(event.body)
    invoice = told["data"]["object"]
    for name in [name for name in invoice if name not in _NEEDED]:
        if len(_as_sent(told)) <= bytes_at_most:
            break
        del invoice[name]
    else:
        told["data"]["object"]["lines"]["data"] = []
    return Event(type=event.type, body=_as_sent(told))
