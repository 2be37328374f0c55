"""Webhook delivery: real signatures, retries, and every kind of disorder on demand."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import Inbox, control, flushed, paid_intent

FAST = {"backoff_seconds": [0.02] * 5}


class Receiver(ThreadingHTTPServer):
    """A merchant's server: keeps what comes, answers what `answers` says, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?x=1"


class _Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_delivery_over_http_verifies(fake: FakeStripe, api: Any, receiver: Receiver) -> None:
    fake.clock = time.time  # the SDK compares the signature's time with the real one
    made = api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    api.customers.create({"name": "Zoë 漢字"})
    flushed(fake)
    [(headers, body)] = receiver.got
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], made.secret)
    assert event.type == "customer.created"
    assert event.data.object["name"] == "Zoë 漢字"
    assert "Zoë 漢字".encode() in body
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", headers["Stripe-Signature"], made.secret)


def test_the_signature_carries_the_fakes_time(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    fake.move_clock(86_400)
    api.customers.create({})
    flushed(fake)
    body, headers = inbox.got[-1]
    assert headers["Stripe-Signature"].startswith(f"t={fake.now()},v1=")
    assert json.loads(body)["created"] == fake.now()


def test_only_the_wanted_types_are_sent(fake: FakeStripe, api: Any) -> None:
    some = Inbox()
    url = fake.receive_with("some", some)
    endpoint = api.webhook_endpoints.create({"url": url, "enabled_events": ["charge.succeeded"]})
    paid_intent(api)
    flushed(fake)
    assert some.types == ["charge.succeeded"]
    api.webhook_endpoints.update(endpoint.id, {"disabled": True})
    paid_intent(api)
    flushed(fake)
    assert some.types == ["charge.succeeded"]


@pytest.mark.parametrize("refusal", [500, 400, 302])
def test_anything_but_2xx_is_sent_again(
    fake: FakeStripe, api: Any, receiver: Receiver, refusal: int
) -> None:
    control(fake, "/deliveries", FAST)
    receiver.answers = [refusal, refusal]
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    api.customers.create({})
    flushed(fake)
    assert len(receiver.got) == 3
    assert len({body for _, body in receiver.got}) == 1
    [delivery] = control(fake, "/deliveries")["deliveries"]
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == (
        "delivered",
        3,
        200,
    )


def test_a_closed_door_is_given_up_and_redelivered(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    control(fake, "/deliveries", {"backoff_seconds": [0.01]})
    inbox.status = 503
    api.customers.create({})
    answer = control(fake, "/deliveries/flush", {"timeout_seconds": 5})
    assert (answer["done"], answer["failed"]) == (True, 1)
    inbox.status = 200
    [event] = api.events.list().data
    assert control(fake, "/deliveries/redeliver", {"event": event.id}) == {"queued": 1}
    flushed(fake)
    assert inbox.types == ["customer.created"] * 3


def test_repeats(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/deliveries", {"repeat": 3})
    api.customers.create({})
    flushed(fake)
    assert inbox.types == ["customer.created"] * 3
    assert len({e["id"] for e in inbox.events}) == 1


@pytest.mark.parametrize("order", ["fifo", "reverse", "random"])
def test_held_and_released_in_order(fake: FakeStripe, api: Any, inbox: Inbox, order: str) -> None:
    control(fake, "/deliveries", {"mode": "hold", "order": order, "seed": 7})
    for n in range(6):
        api.customers.create({"name": str(n)})
    assert control(fake, "/deliveries/flush", {})["held"] == 6
    assert inbox.got == []
    assert control(fake, "/deliveries/release", {}) == {"released": 6}
    flushed(fake)
    names = [e["data"]["object"]["name"] for e in inbox.events]
    assert sorted(names) == list("012345")
    assert (names == list("012345")) == (order == "fifo")
    assert (names == list("543210")) == (order == "reverse")


def test_dropped_types_never_arrive(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/deliveries", {"drop": ["charge.succeeded"]})
    paid_intent(api)
    flushed(fake)
    assert "charge.succeeded" not in inbox.types and "payment_intent.succeeded" in inbox.types
    assert control(fake, "/deliveries")["dropped"] == 1


def test_normal_again_sends_what_was_held(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/deliveries", {"mode": "hold"})
    api.customers.create({})
    control(fake, "/deliveries", {"mode": "normal"})
    flushed(fake)
    assert inbox.types == ["customer.created"]


def test_a_deleted_endpoint_gets_nothing_more(fake: FakeStripe, api: Any) -> None:
    gone = Inbox()
    url = fake.receive_with("gone", gone)
    endpoint = api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    control(fake, "/deliveries", {"mode": "hold"})
    api.customers.create({})
    api.webhook_endpoints.delete(endpoint.id)
    control(fake, "/deliveries/release", {})
    flushed(fake)
    assert gone.got == []


def test_several_at_once(fake: FakeStripe, api: Any, receiver: Receiver) -> None:
    control(fake, "/deliveries", {"mode": "hold", "parallel": 8})
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    for _ in range(16):
        api.customers.create({})
    control(fake, "/deliveries/release", {})
    flushed(fake)
    assert len({json.loads(body)["id"] for _, body in receiver.got}) == 16


def test_every_rendering_can_be_had_without_a_receiver(fake: FakeStripe, api: Any) -> None:
    for version in ("2020-08-27", "2025-03-31.basil"):
        given = {"url": "callable:none", "enabled_events": ["*"], "api_version": version}
        api.webhook_endpoints.create(given)
    paid_intent(api)
    account = api.accounts.retrieve_current().id
    rendered = fake.events(account)
    assert {r.api_version for r in rendered} == {"2020-08-27", "2025-03-31.basil"}
    assert all(json.loads(r.body)["api_version"] == r.api_version for r in rendered)
    assert len(fake.events("acme", api_version="2022-11-15")) == 4


def test_control_refuses_nonsense(fake: FakeStripe) -> None:
    for given in ({"mode": "sometimes"}, {"order": "best"}, {"colour": 1}):
        with pytest.raises(Exception, match="400"):
            control(fake, "/deliveries", given)
    with pytest.raises(Exception, match="400"):
        control(fake, "/deliveries/redeliver", {"event": "evt_none"})


def test_health_and_clock(fake: FakeStripe, api: Any) -> None:
    api.customers.create({})
    health = control(fake, "/health")
    assert health["ok"] is True and "acme" in health["accounts"]
    before = control(fake, "/clock")
    after = control(fake, "/clock", {"offset_seconds": 3_600})
    assert after == {"offset_seconds": 3_600, "now": before["now"] + 3_600}
    assert api.customers.create({}).created == after["now"]
