"""A program whose account lives while a test goes on, on the fake Stripe: what it tells is
delivered, but for what is lost on the way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stripe

from chalicelib.flows.receive_webhook import receive_webhook
from chalicelib.flows.show_jobs import list_reconciliations
from local.fake_stripe import FakeStripe
from tests.builders.stripe_bodies import signed
from tests.builders.world import SECRET
from tests.flows.past_kit import KEY, MAY_1, PastWorld, day
from tests.local.fake_stripe.conftest import control

INCLUDE = {"pending_invoice_items_behavior": "include"}
AS_WELL = "invoice.payment_succeeded"  # tells what invoice.paid tells
PAYMENT = (
    "invoice.paid",
    AS_WELL,
    "invoice_payment.paid",
    "payment_intent.succeeded",
    "charge.succeeded",
)


class Live(PastWorld):
    """Whatever the account tells is delivered at once, but for what is ``lost``."""

    def __init__(self, tmp_path: Path, fake: FakeStripe, **settings: Any) -> None:
        super().__init__(tmp_path, fake, **settings)
        self.lost: set[str] = set()
        self.numbers = itertools.count()
        self.api = stripe.StripeClient(KEY, base_addresses={"api": fake.url}).v1
        made = fake.receive_with("inbox", self._receive)
        self.api.webhook_endpoints.create({"url": made, "enabled_events": ["*"]})

    def _receive(self, body: bytes, headers: dict[str, str]) -> int:
        if json.loads(body)["type"] in self.lost:
            return 200
        told = receive_webhook(
            self.connection.id,
            body,
            signed(body, SECRET, int(self.now)),
            store=self.store,
            connections=self.connections,
            now=datetime.fromtimestamp(self.now, tz=UTC),
        )
        assert told.state != "failed", told
        return 200

    @contextmanager
    def losing(self, *types: str) -> Iterator[None]:
        """Whatever is told of these types is lost on the way."""
        assert self.fake.deliveries.flush(10)
        self.lost = set(types)
        yield
        assert self.fake.deliveries.flush(10)
        self.lost = set()

    def to(self, on: float) -> None:
        assert self.fake.deliveries.flush(10)
        self.fake.move_clock(day(on) - MAY_1)
        assert self.fake.deliveries.flush(10)
        self.at(day(on))

    def buys(self, minor: int = 4900, **metadata: str) -> Any:
        """A customer with an invoice that is paid at once."""
        email = f"buyer-{self.fake.now()}-{next(self.numbers)}@example.com"
        customer = self.api.customers.create({"email": email}).id
        card = self.api.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        self.api.invoice_items.create({"customer": customer, "amount": minor, "currency": "eur"})
        invoice = self.api.invoices.create(
            {**INCLUDE, "customer": customer, "metadata": metadata}
        ).id
        self.api.invoices.finalize_invoice(invoice)
        return self.api.invoices.pay(invoice, {"payment_method": card})

    def compare(self, since: float = 0, until: float | None = None) -> dict[str, Any]:
        assert self.fake.deliveries.flush(10)
        return dict(self.work(self.reconciliation(since=since, until=until)).result)

    def sales(self) -> list[str]:
        """Ann's sales, by id."""
        sales = f"{self.scope}#sale#"
        found = [i for k, i in self.everything().items() if k.pk.startswith(sales)]
        return sorted(
            item.key.pk.removeprefix(sales)
            for item in found
            if item.partner and item.partner[0].endswith("#ann")
        )

    def reports(self) -> list[Any]:
        return list(list_reconciliations(scope=self.scope, store=self.store, limit=50)[0])


def a_few_days(world: Live) -> None:
    """Sales, a refund, a dispute, an invoice of long before that is paid late."""
    for on in (1, 2, 3):
        world.to(on)
        world.buys(refledger_partner="ann")
    refunded = world.buys(refledger_partner="bob")
    disputed = world.buys(refledger_partner="bob")
    world.to(3.5)
    intents = [paid_by(world, invoice.id) for invoice in (refunded, disputed)]
    world.api.refunds.create({"payment_intent": intents[0], "amount": 1900})
    charge = world.api.payment_intents.retrieve(intents[1]).latest_charge
    control(world.fake, "/disputes", {"key": KEY, "charge": charge, "reason": "fraudulent"})
    world.to(4)


def paid_by(world: Live, invoice_id: str) -> str:
    rows = world.api.invoice_payments.list({"invoice": invoice_id}).data
    return str(rows[0].payment.payment_intent)
