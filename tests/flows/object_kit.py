"""A Stripe account in which each kind of object came about, and programs that hear of it by
webhooks, by reads, or by both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from chalicelib.flows.compare_objects import Compared, compare_objects
from chalicelib.stripe_adapter.calls import Kind, StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.objects import LISTED
from chalicelib.stripe_adapter.pace import Pacer
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.fake_stripe import NEWEST, FakeStripe, RenderedEvent
from tests.builders.world import World, day, token
from tests.conformance.at_rest import Outcome, books_of
from tests.local.fake_stripe.conftest import (
    KEY,
    a_customer,
    a_monthly_price,
    a_price,
    browse,
    client_of,
    paid_intent,
    pay,
    session_of,
)

SHOP = "https://shop.example.com"
Wanted = Callable[[RenderedEvent], bool]


class Past:
    """What happens in the account, each at its time on the fake's clock."""

    def __init__(self, fake: FakeStripe) -> None:
        self.fake = fake
        self.api: Any = client_of(fake).v1
        self.price, self.monthly = a_price(self.api), a_monthly_price(self.api)
        lines = [{"price": self.price, "quantity": 1}]
        self.link = self.api.payment_links.create({"line_items": lines})

    def pass_days(self, days: float) -> None:
        self.fake.move_clock(self.fake.offset_seconds + int(days * 86_400))

    def by_link(self, partner: str, number: int, method: str = "pm_card_visa") -> str:
        """A one-off purchase by a guest, through a partner's link: the session."""
        url = f"{self.link.url}?client_reference_id={token(partner, number)}"
        session = session_of(browse(url)[1])
        email = f"guest{number}@example.com"
        assert pay(self.fake, session, email=email, method=method)[0] == 303
        return session

    def checkout(self, **given: Any) -> str:
        told = {"mode": "subscription", "success_url": SHOP}
        if given.get("mode") != "setup":
            told["line_items"] = [{"price": given.pop("price", self.monthly), "quantity": 1}]
        email = given.pop("typed", "sam@example.com")
        session = self.api.checkout.sessions.create({**told, **given}).id
        assert pay(self.fake, session, email=email)[0] == 303
        return str(session)

    def invoice(self, customer: str, amount: int = 2990, **pays: Any) -> str:
        draft = self.api.invoices.create({"customer": customer, "currency": "eur"})
        line = {"customer": customer, "invoice": draft.id, "amount": amount, "currency": "eur"}
        self.api.invoice_items.create(line | {"description": "Work"})
        return str(self.api.invoices.pay(draft.id, pays).id)

    def intent_of(self, session: str) -> str:
        return str(self.api.checkout.sessions.retrieve(session).payment_intent)

    def refund(self, session: str, amount: int) -> str:
        told = {"payment_intent": self.intent_of(session), "amount": amount}
        return str(self.api.refunds.create(told).id)

    def everything(self) -> None:
        """Each kind of object at least once, and each kind of trouble."""
        refunded = self.by_link("ann", 1)
        self.pass_days(1)
        metadata = {"refledger_partner": "bob"}
        told = {"client_reference_id": token("ann", 2)}
        self.checkout(subscription_data={"metadata": metadata}, **told)
        self.pass_days(1)
        failing = self.by_link("bob", 3, "pm_card_refundFail")
        self.refund(refunded, 1000)
        self.pass_days(1)
        self.refund(refunded, 900)
        self.refund(failing, 4900)
        won = self.by_link("ann", 4, "pm_card_createDispute")
        lost = self.by_link("ann", 5, "pm_card_createDispute")
        self.pass_days(1)
        self._answer(won, "winning_evidence")
        self._answer(lost, "losing_evidence")
        self._invoices()
        self._odd_checkouts()
        self._intents()
        self.pass_days(35)  # the subscription's next invoice

    def _answer(self, session: str, evidence: str) -> None:
        [dispute] = self.api.disputes.list({"payment_intent": self.intent_of(session)}).data
        self.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})

    def _invoices(self) -> None:
        known = a_customer(self.api, metadata={"customer_key": "user_7"})
        metadata = {"refledger": "false"}
        out = a_customer(self.api, email="out@example.com", metadata=metadata)
        noted = self.invoice(known, 2000)
        self.invoice(out, 700)
        self.invoice(known, 1500, paid_out_of_band=True)
        self.invoice(known, 0)
        self.pass_days(1)
        line = self.api.invoices.retrieve(noted).lines.data[0].id
        row = {"type": "invoice_line_item", "invoice_line_item": line, "amount": 300}
        given = {"invoice": noted, "lines": [row], "out_of_band_amount": 300}
        self.api.credit_notes.create(given)
        void = self.api.credit_notes.create(given).id
        self.api.credit_notes.void_credit_note(void)
        self.api.credit_notes.create({"invoice": noted, "amount": 500, "refund_amount": 500})

    def _odd_checkouts(self) -> None:
        trial = {"trial_period_days": 14, "metadata": {"customer_key": "user_8"}}
        self.checkout(subscription_data=trial, typed="late@example.com")
        self.checkout(mode="setup", client_reference_id=token("bob", 6), typed="set@example.com")
        self.by_link("bob", 7, "pm_success_at")
        self.by_link("bob", 8, "pm_failed_at")
        self.checkout(
            mode="payment",
            price=self.price,
            client_reference_id="user_7",
            invoice_creation={"enabled": True},
            typed="seven@example.com",
        )
        self.pass_days(1)

    def _intents(self) -> None:
        buyer = a_customer(self.api, email="direct@example.com")
        metadata = {"refledger_partner": "ann"}
        paid_intent(self.api, 3300, customer=buyer, metadata=metadata)
        by_hand = paid_intent(self.api, 4400, customer=buyer, capture_method="manual")
        self.api.payment_intents.create({"amount": 999, "currency": "eur"})  # never paid
        self.pass_days(1)
        self.api.payment_intents.capture(by_hand.id, {"amount_to_capture": 4000})
        self.api.refunds.create({"payment_intent": by_hand.id, "amount": 400})

    def events(self, version: str = NEWEST) -> list[RenderedEvent]:
        """What an endpoint of that version would be sent, in order."""
        told = self.fake.events(KEY, api_version=version)
        return [event for event in told if event.type in ENABLED_EVENTS]


class Hears:
    """A program that is connected to the account."""

    def __init__(self, past: Past, folder: Path, **settings: Any) -> None:
        folder.mkdir()
        self.past = past
        self.world = World(folder, **settings)
        self.calls = StripeCalls(
            Credentials(api_key=KEY, livemode=False),
            api_base=past.fake.url,
            pacer=Pacer(per_second=100_000, sleep=lambda seconds: None),
        )

    def webhooks(self, version: str = NEWEST, wanted: Wanted = lambda event: True) -> None:
        for event in self.past.events(version):
            if wanted(event):
                told = json.loads(event.body)
                received = self.world.at(told["created"]).deliver(told)
                assert received.state in ("handled", "ignored", "duplicate"), received

    def compare(self, *kinds: Kind, since: int | None = None) -> Compared:
        """All that is listed, of those kinds or of all, page by page."""
        self.world.at(self.past.fake.now())
        whole = Compared()
        for listed in LISTED:
            if kinds and listed.kind not in kinds:
                continue
            after, more = "", True
            while more:
                page = self.calls.page(listed.kind, params=listed.params, after=after, limit=7)
                whole = whole.plus(self.rows(listed.kind, page.rows, since=since))
                more, after = page.more, page.rows[-1]["id"] if page.rows else ""
        self.world.sweep()
        return whole

    def rows(
        self, kind: Kind, rows: Iterable[Any], *, since: int | None = None, **about: Any
    ) -> Compared:
        return compare_objects(
            kind,
            list(rows),
            connection=self.world.connection,
            calls=self.calls,
            store=self.world.store,
            now=self.world.ms,
            since=self.world.ms + 1 if since is None else since,
            **about,
        )

    def books(self) -> Outcome:
        """Sales and balances once everything has come to rest."""
        world = self.world.at(day(400))
        for _ in range(5):
            world.sweep()
        assert not world.works()
        world.mature()
        return books_of(world.scope, world.everything())


def past_rows(past: Past, kind: Kind) -> list[Any]:
    """What is listed of that kind, as a reconciliation would read it."""
    calls = StripeCalls(Credentials(api_key=KEY, livemode=False), api_base=past.fake.url)
    [listed] = [listed for listed in LISTED if listed.kind == kind]
    return list(calls.page(kind, params=listed.params).rows)
