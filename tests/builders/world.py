"""A small world for stories: one program on a store in memory, doors called as they are in life."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.core.facts import Ms
from chalicelib.core.ledger import Entry
from chalicelib.core.money import Money
from chalicelib.core.program import Partner, Program, Rule, Website
from chalicelib.core.refusals import Conflict
from chalicelib.flows.count_clicks import count_clicks
from chalicelib.flows.enrol_customer import Enrolment, enrol_customer
from chalicelib.flows.manage_partners import PartnerChange, change_partner, create_partner
from chalicelib.flows.manage_programs import (
    ProgramChange,
    change_program,
    create_connection,
    create_program,
)
from chalicelib.flows.mature_rewards import mature_rewards
from chalicelib.flows.pay_out import PaidOut, pay_out
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.read_program import Programs
from chalicelib.flows.receive_webhook import Received, receive_webhook
from chalicelib.flows.record_click import write_click
from chalicelib.flows.record_sale import ToldSale, confirm_sale, find_sale, record_sale, refund_sale
from chalicelib.flows.sign_up import SignUp, sign_up
from chalicelib.flows.sweep import sweep
from chalicelib.storage import keys, records
from chalicelib.storage.checks import INDEXES
from chalicelib.storage.keys import Scope
from chalicelib.storage.sealing import FileSealer
from chalicelib.storage.store import Item, Key, Store
from tests.builders.stripe_bodies import as_body, build_event, signed
from tests.fakes.memory_store import MemoryStore

MAY_1 = 1_777_593_600  # 2026-05-01T00:00:00Z
DAY = 86_400
SECRET = "whsec_" + "w" * 24


def day(n: float) -> int:
    """Unix seconds of ``n`` days after 1 May 2026."""
    return int(MAY_1 + n * DAY)


def token(partner: str, number: int = 1) -> str:
    return f"{number:022d}_{partner}"


class World:
    """``now`` is unix seconds and moves only when told to."""

    def __init__(self, tmp_path: Path, store: Store | None = None, **settings: Any) -> None:
        self.store: Store = store or MemoryStore()
        self.now = float(MAY_1)
        self.sealer = FileSealer(str(tmp_path / "key"))
        self.programs = Programs(self.store, lambda: self.ms)
        self.connections = Connections(self.store, self.sealer, lambda: self.ms)
        settings.setdefault("reward", twenty_percent())
        self.program = self.a_program("Acme", **settings)
        self.scope = Scope(self.program.id, "test")
        self.connection = self.a_connection(self.program)
        self.ann = self.a_partner("ann")
        self.bob = self.a_partner("bob")
        self._ids = itertools.count(1)

    @property
    def ms(self) -> Ms:
        return int(self.now * 1000)

    def at(self, seconds: float) -> World:
        self.now = max(self.now, float(seconds))
        return self

    def a_program(self, name: str, **settings: Any) -> Program:
        program, self.signing_key = create_program(
            name,
            currency="eur",
            mode="test",
            website=Website(url="https://shop.example.com"),
            settings=settings,
            store=self.store,
            sealer=self.sealer,
            now=self.ms,
        )
        return program

    def a_connection(self, program: Program, **about: Any) -> records.Connection:
        return create_connection(
            program,
            api_key="",
            webhook_secret=SECRET,
            livemode=about.pop("livemode", False),
            store=self.store,
            sealer=self.sealer,
            now=self.ms,
            **about,
        )

    def a_partner(self, key: str, **told: Any) -> Partner:
        told.setdefault("email", f"{key}@example.com")
        return create_partner(
            PartnerChange(key=key, **told),
            program_id=self.program.id,
            store=self.store,
            now=self.ms,
        )

    def change_partner(self, key: str, **told: Any) -> Partner:
        change = PartnerChange(**told)
        return change_partner(
            key, change, program_id=self.program.id, store=self.store, now=self.ms
        )

    def set(self, starts: int | None = None, **settings: Any) -> None:
        told = {name: (value, starts and starts * 1000) for name, value in settings.items()}
        change_program(self.program.id, ProgramChange(settings=told), store=self.store, now=self.ms)

    # what happens

    def click(self, token: str, partner: str) -> Key:
        write_click(
            self.program.id,
            partner,
            token,
            page="https://shop.example.com/",
            referrer="",
            subs=(),
            store=self.store,
            programs=self.programs,
            now=self.ms,
        )
        return keys.click(self.program.id, token)

    def stream(self, *clicks: Key) -> int:
        return count_clicks(clicks, store=self.store, now=self.ms)

    def sign_up(self, key: str, **told: Any) -> None:
        sign_up(
            SignUp(program=self.program.id, key=key, **told),
            store=self.store,
            programs=self.programs,
            sealer=self.sealer,
            now=self.ms,
        )

    def enrol(self, key: str, **told: Any) -> bool:
        if isinstance(told.get("partner"), str):
            told["partner"] = ("key", told["partner"])
        enrolment = Enrolment(key=key, **told)
        return enrol_customer(enrolment, scope=self.scope, store=self.store, now=self.ms).created

    def tell_sale(self, key: str, customer: str, minor: int, currency: str = "eur") -> Any:
        told = ToldSale(
            key=key, customer_key=customer, amount=Money(minor, currency), paid_at=self.ms
        )
        return record_sale(told, scope=self.scope, store=self.store, now=self.ms)

    def tell_refund(self, sale: str, key: str, minor: int) -> None:
        refund_sale(sale, key, minor, scope=self.scope, store=self.store, now=self.ms)

    def confirm(self, sale: str) -> None:
        confirm_sale(sale, scope=self.scope, store=self.store, now=self.ms)

    def event(self, type: str, object: Any, *, created: int, **about: Any) -> dict[str, Any]:
        about.setdefault("id", f"evt_{next(self._ids)}")
        return build_event(type, object, created=created, **about)

    def deliver(self, event: dict[str, Any], connection: Any = None) -> Received:
        body = as_body(event)
        return receive_webhook(
            (connection or self.connection).id,
            body,
            signed(body, SECRET, int(self.now)),
            store=self.store,
            connections=self.connections,
            now=datetime.fromtimestamp(self.now, tz=UTC),
        )

    def tell(self, type: str, object: Any, *, created: int, **about: Any) -> Received:
        """Stripe tells of something: by default just when it happened."""
        self.at(created)
        return self.deliver(self.event(type, object, created=created, **about))

    def mature(self) -> int:
        return mature_rewards(store=self.store, now=self.ms).released

    def sweep(self) -> Any:
        return sweep(store=self.store, connections=self.connections, now=self.ms)

    def pay(self, key: str, partner: str, expected: int, currency: str = "eur") -> PaidOut:
        return pay_out(
            key,
            partner=partner,
            currency=currency,
            expected_minor=expected,
            scope=self.scope,
            store=self.store,
            now=self.ms,
        )

    def pay_all(self) -> None:
        """Everybody is paid what is payable by now, in every currency; the merchant looks again
        where that has changed meanwhile."""
        self.mature()
        for partner, currency in self.balances():
            for attempt in range(20):
                _, payable, _ = self.balance(partner, currency)
                if payable <= 0:
                    break
                with suppress(Conflict):
                    key = f"{partner}-{currency}-{self.ms}-{attempt}"
                    self.pay(key, partner, payable, currency)
                    break

    def signature(self, key: str, email: str) -> str:
        """What the merchant's server signs for a sign-up that it vouches for."""
        message = f"{key}\n{email}".encode()
        return hmac.new(self.signing_key.encode(), message, hashlib.sha256).hexdigest()

    # what stands

    def balances(self) -> list[tuple[str, str]]:
        """Partner and currency of every balance that there is, of the programs' test side."""
        held = f"{self.scope}#balance#"
        found = (key for key in self.everything() if key.pk.startswith(held))
        return sorted((key.pk.removeprefix(held), key.sk) for key in found)

    def everything(self) -> dict[Key, Item]:
        """All that is stored; of a store in memory without a call that its hooks hear."""
        at_once = getattr(self.store, "everything", None)
        if at_once:
            found: dict[Key, Item] = at_once()
            return found
        pages = [self.store.walk(table, limit=1000) for table in INDEXES]
        assert not any(page.more for page in pages)
        return {item.key: item for page in pages for item in page.items}

    def balance(self, partner: str, currency: str = "eur") -> tuple[int, int, int]:
        """Pending, payable, paid."""
        key = keys.balance(self.scope, partner, currency)
        balance = records.read_balance(self.store.get([key]).get(key))
        return balance.pending, balance.payable, balance.paid

    def owed(self, partner: str, currency: str = "eur") -> int:
        return sum(self.balance(partner, currency))

    def entries(self, partner: str) -> list[Entry]:
        page = self.store.query("records", keys.ledger(self.scope, partner), limit=1000)
        return [records.read_entry(item) for item in page.items]

    def sale(self, id: str) -> Any:
        return find_sale(id, scope=self.scope, store=self.store)

    def trace(self, id: str) -> str:
        lines = self.sale(id).trace
        return "\n".join(f"{t.considered} -> {t.verdict}: {t.because}" for t in lines)

    def state(self, event: str) -> records.InboxHead:
        key = keys.inbox(self.connection.id, event)
        return records.read_inbox(self.store.get([key])[key])

    def works(self) -> list[Key]:
        page = self.store.find("records", "due", keys.DUE_WORK, limit=1000)
        return [item.key for item in page.items]


def twenty_percent(**about: Any) -> Rule:
    about.setdefault("lasts", "forever")
    return Rule(kind="percentage", rate_basis_points=2000, **about)
