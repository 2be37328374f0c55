"""The state outlives the process: objects, clock, jobs, idempotency, what is still to be sent."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe, serve

from .conftest import KEY, Clock, Inbox, a_customer, a_monthly_price, client_of, flushed

ROOT = Path(__file__).parents[3]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "stripe.json"
    settings: dict[str, Any] = {"clock": Clock(), "state_file": state}
    options = {"idempotency_key": "key-1"}
    with serve(FakeStripe(**settings)) as fake:
        api = client_of(fake).v1
        url = fake.receive_with("inbox", Inbox())
        secret = api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]}).secret
        fake.deliveries.configure({"mode": "hold"})
        made = api.subscriptions.create(
            {"customer": a_customer(api), "items": [{"price": a_monthly_price(api)}]}
        )
        keyed = api.customers.create({"name": "Sam"}, options=options)
        fake.move_clock(3_600)
        held = len(fake.deliveries.items)
    inbox = Inbox()
    with serve(FakeStripe(**settings)) as fake:
        api = client_of(fake).v1
        fake.receive_with("inbox", inbox)  # before anything is released
        assert api.subscriptions.retrieve(made.id).status == "active"
        assert api.customers.create({"name": "Sam"}, options=options).id == keyed.id
        assert fake.offset_seconds == 3_600
        fake.deliveries.configure({"mode": "normal"})
        flushed(fake)
        assert len(inbox.got) == held
        body, headers = inbox.got[0]
        signed = headers["Stripe-Signature"]
        stripe.WebhookSignature.verify_header(body.decode(), signed, secret)
        fake.move_clock(40 * 86_400)
        renewed = api.subscriptions.retrieve(made.id)["items"].data[0]
        assert renewed.current_period_start == made["items"].data[0].current_period_end
        item = api.subscription_items.update(renewed.id, {"quantity": 5})
        assert item.quantity == 5
        assert api.subscriptions.retrieve(made.id)["items"].data[0].quantity == 5
        assert fake.faults == []


def test_an_open_delivery_survives_a_crash(tmp_path: Path) -> None:
    state = tmp_path / "stripe.json"
    with serve(FakeStripe(clock=Clock(), state_file=state)) as fake:
        api = client_of(fake).v1
        closed = Inbox(status=500)
        url = fake.receive_with("inbox", closed)
        api.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
        fake.deliveries.configure({"backoff_seconds": [60]})
        api.customers.create({})
        while not closed.got:
            time.sleep(0.01)
    kept = json.loads(state.read_text())["deliveries"]["items"]
    assert [d["state"] for d in kept] == ["pending"]
    inbox = Inbox()
    again = FakeStripe(clock=Clock(), state_file=state)
    again.receive_with("inbox", inbox)
    with serve(again) as fake:
        flushed(fake)
    assert inbox.types == ["customer.created"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_saves_when_it_is_told_to_end(tmp_path: Path, how: signal.Signals) -> None:
    state = tmp_path / "stripe.json"
    command = [sys.executable, "-m", "local.fake_stripe", "--port", "0", "--state", str(state)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        api = stripe.StripeClient(KEY, base_addresses={"api": url}).v1
        made = api.customers.create({"name": "Sam"})
        with urllib.request.urlopen(f"{url}/_control/health") as answer:
            assert json.loads(answer.read())["ok"] is True
        process.send_signal(how)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    tables = json.loads(state.read_text())["worlds"]["acme"]["tables"]
    assert tables["customer"][made.id]["name"] == "Sam"
