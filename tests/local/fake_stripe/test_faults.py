"""A Stripe that is ill on demand: answers, deliveries, events, signatures, idempotency keys."""

import concurrent.futures
import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException, IncompleteRead
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import KEY, Clock, Inbox, client_of, control, flushed, move, paid_intent

ASKED = {"Authorization": f"Bearer {KEY}"}


def _get(fake: FakeStripe, path: str = "/v1/customers") -> tuple[int, bytes, dict[str, str]]:
    """One call as it comes over the wire, without an SDK that tries again."""
    request = urllib.request.Request(fake.url + path, headers=ASKED)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read(), dict(answer.headers)


def _plan(fake: FakeStripe, *faults: dict[str, Any]) -> None:
    control(fake, "/faults", {"faults": list(faults)})


def test_429_with_and_without_a_time(fake: FakeStripe) -> None:
    _plan(fake, {"kind": "429", "retry_after": 3}, {"kind": "429", "calls": 2})
    answers = [_get(fake) for _ in range(4)]
    assert [a[0] for a in answers] == [429, 429, 429, 200]
    assert [a[2].get("Retry-After") for a in answers[:2]] == ["3", None]
    assert json.loads(answers[0][1])["error"]["code"] == "rate_limit"
    assert control(fake, "/faults")["struck"] == {"429": 3}


def test_a_fault_is_for_its_calls_alone(fake: FakeStripe, api: Any) -> None:
    _plan(fake, {"kind": "500", "method": "POST", "path": "/customers", "skip": 2})
    api.customers.create({})
    api.customers.create({})
    api.products.create({"name": "Plan"})
    assert len(api.customers.list().data) == 2
    with pytest.raises(stripe.APIError) as refused:
        api.customers.create({})
    assert refused.value.http_status == 500
    assert len(api.customers.list().data) == 2
    api.customers.create({})


@pytest.mark.parametrize("kind", ["500_after", "away_after", "cut", "broken"])
def test_what_was_done_although_the_answer_says_nothing(
    fake: FakeStripe, api: Any, kind: str
) -> None:
    _plan(fake, {"kind": kind, "method": "POST"})
    options = {"idempotency_key": "key-1", "max_network_retries": 0}
    with pytest.raises((stripe.APIError, stripe.APIConnectionError)):
        api.customers.create({"name": "Sam"}, options=options)
    [made] = api.customers.list().data
    assert api.customers.create({"name": "Sam"}, options=options).id == made.id
    assert len(api.customers.list().data) == 1


def test_an_answer_that_never_comes(fake: FakeStripe, api: Any) -> None:
    _plan(fake, {"kind": "away"})
    with pytest.raises(HTTPException):
        _get(fake)
    assert _get(fake)[0] == 200


def test_cut_off_and_broken_bodies(fake: FakeStripe, api: Any) -> None:
    api.customers.create({"name": "Sam"})
    _plan(fake, {"kind": "cut"}, {"kind": "broken"})
    with pytest.raises(IncompleteRead):
        _get(fake)
    with pytest.raises(ValueError):
        json.loads(_get(fake)[1])
    assert json.loads(_get(fake)[1])["data"][0]["name"] == "Sam"


def test_a_slow_answer_holds_nobody_else_up(fake: FakeStripe) -> None:
    _plan(fake, {"kind": "slow", "seconds": 1, "path": "/charges"})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = time.monotonic()
        slow = pool.submit(_get, fake, "/v1/charges")
        while not control(fake, "/faults")["struck"]:
            time.sleep(0.01)
        assert _get(fake)[0] == 200 and not slow.done()
        assert slow.result()[0] == 200 and time.monotonic() - before >= 1


def test_a_rate_limit_on_the_fakes_clock(fake: FakeStripe, api: Any) -> None:
    clock = fake.clock
    assert isinstance(clock, Clock)
    control(fake, "/faults", {"rate_limit": {"per_second": 25}})
    assert [_get(fake)[0] for _ in range(27)] == [200] * 25 + [429] * 2
    assert _get(fake, "/v1/charges")[0] == 200
    clock.time += 1
    assert _get(fake)[0] == 200
    control(fake, "/faults", {"rate_limit": {"per_second": 2, "scope": "account"}})
    clock.time += 1
    paths = ("/v1/customers", "/v1/charges", "/v1/refunds")
    assert [_get(fake, p)[0] for p in paths] == [200, 200, 429]
    control(fake, "/faults", {"rate_limit": None})
    assert _get(fake)[0] == 200


def test_nonsense_is_refused(fake: FakeStripe) -> None:
    for given in (
        {"faults": [{"kind": "flood"}]},
        {"faults": [{"kind": "429", "colour": 1}]},
        {"rate_limit": {"per_second": 1, "scope": "moon"}},
    ):
        with pytest.raises(Exception, match="400"):
            control(fake, "/faults", given)
    with pytest.raises(Exception, match="400"):
        control(fake, "/deliveries", {"drop_share": 2})


def test_a_share_is_dropped_and_stays_undelivered(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/deliveries", {"drop_share": 0.3, "seed": 11})
    for _ in range(200):
        api.customers.create({})
    flushed(fake)
    lost = control(fake, "/deliveries")["dropped"]
    assert 35 <= lost <= 85 and len(inbox.got) == 200 - lost
    missing = list(api.events.list({"delivery_success": False, "limit": 100}).auto_paging_iter())
    arrived = {e["id"] for e in inbox.events}
    assert len(missing) == lost and not arrived & {e.id for e in missing}
    control(fake, "/deliveries", {"drop_share": 0})
    api.customers.create({})
    flushed(fake)
    assert len(inbox.got) == 201 - lost


def test_a_delayed_delivery_comes_by_the_fakes_clock(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    control(fake, "/deliveries", {"delay_seconds": 7_200})
    api.customers.create({})
    control(fake, "/deliveries", {"delay_seconds": 0})
    api.products.create({"name": "Plan"})
    flushed(fake)
    assert inbox.types == ["product.created"]
    assert len(api.events.list({"delivery_success": False}).data) == 1
    move(fake, seconds=7_199)
    api.products.create({"name": "Plan"})
    flushed(fake)
    assert inbox.types == ["product.created"] * 2
    move(fake, seconds=1)
    assert inbox.types[2:] == ["customer.created"]


def test_an_event_that_is_never_made(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    control(fake, "/faults", {"never": {"types": ["payment_intent.succeeded"]}})
    intent = paid_intent(api)
    assert intent.status == "succeeded"
    kept = api.customers.create({})
    control(fake, "/faults", {"never": {"objects": [kept.id]}})
    assert api.customers.update(kept.id, {"name": "Sam"}).name == "Sam"
    flushed(fake)
    types = [e.type for e in api.events.list({"limit": 100}).data]
    assert "payment_intent.succeeded" not in types + inbox.types
    assert "customer.updated" not in types and "charge.succeeded" in types
    control(fake, "/faults", {"never": {"types": ["customer.updated"], "times": 1}})
    for name in ("Ann", "Bob"):
        api.customers.update(kept.id, {"name": name})
    flushed(fake)
    assert [c["name"] for c in inbox.objects("customer.updated")] == ["Bob"]
    control(fake, "/faults", {"clear": True})
    api.customers.update(kept.id, {"name": "Ann"})
    flushed(fake)
    assert inbox.types[-1] == "customer.updated"


def test_a_rolled_secret_signs_beside_the_new_one_for_a_day(fake: FakeStripe, api: Any) -> None:
    fake.clock = time.time  # the SDK compares the signature's time with the real one
    got = Inbox()
    url = fake.receive_with("rolled", got)
    made = api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    new = control(fake, "/webhook_endpoints/roll", {"endpoint": made.id})["secret"]
    assert new != made.secret

    def verified(secret: str) -> bool:
        body, headers = got.got[-1]
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), headers["Stripe-Signature"], secret
            )
        except stripe.SignatureVerificationError:
            return False
        return True

    api.customers.create({})
    flushed(fake)
    assert verified(made.secret) and verified(new)
    assert got.got[-1][1]["Stripe-Signature"].count("v1=") == 2
    move(fake, days=1)
    api.customers.create({})
    flushed(fake)
    assert verified(new) and not verified(made.secret)


def test_an_idempotency_key_is_forgotten_after_a_day(fake: FakeStripe, api: Any) -> None:
    options = {"idempotency_key": "key-1"}
    first = api.customers.create({"name": "Sam"}, options=options).id
    fake.move_clock(86_399)
    assert api.customers.create({"name": "Sam"}, options=options).id == first
    fake.move_clock(86_400)
    again = api.customers.create({"name": "Ann"}, options=options)
    assert again.id != first
    assert len(client_of(fake).v1.customers.list().data) == 2
