"""The real app behind the local gateway, on a store in memory, with a clock that is moved by hand.

def test_it(doors): assert doors.get("/v1/test").status == 200
"""

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from app import app
from chalicelib.core.program import Mode, Program, Website
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.count_clicks import count_clicks
from chalicelib.flows.manage_programs import create_api_key, create_connection, create_program
from chalicelib.flows.mature_rewards import mature_rewards
from chalicelib.flows.sweep import Swept, sweep
from chalicelib.settings import Settings
from chalicelib.storage.job_records import Job, job_item
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Key, Put, Write
from local.gateway import Gateway
from local.http_wire import Request
from tests.builders.stripe_bodies import as_body, build_event, signed
from tests.builders.world import DAY, MAY_1, twenty_percent
from tests.fakes.memory_store import MemoryStore

BASE_URL = "https://refer.example.com"
SITE = "https://shop.example.com"
NO_STRIPE = "http://127.0.0.1:9"  # nobody listens there, until `with_stripe`
PAYMENT_LINK = "https://buy.stripe.com/test_28o5kD2vC1"
WEBHOOK_SECRET = "whsec_" + "d" * 24
Run = Callable[..., tuple[int, str, str]]  # a command of the operator's
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130 Safari/537.36"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer; ``headers`` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    def says(self, word: str) -> bool:
        """Whether the word stands in it, and not by chance as part of a random id."""
        return bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", self.body.decode()))

    @property
    def errors(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self.json["errors"]
        return found

    @property
    def told(self) -> str:
        """What became of a click."""
        return self.headers.get("x-refledger", "")


@dataclass
class Clock:
    """Unix seconds; moves only when told to."""

    now: float = float(MAY_1)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.now, tz=UTC)

    @property
    def ms(self) -> int:
        return int(self.now * 1000)


@cache
def _gateway() -> Gateway:
    return Gateway(app, base_url=BASE_URL, clock=lambda: wiring.now())


@dataclass
class Doors:
    """A program "Acme" with a key for test and one for live, partners ann and Bob, a connection;
    and a second program with a key of its own."""

    folder: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.house = House(
            Settings(
                stage="test",
                tables={},
                key_file=str(self.folder / "key"),
                stripe_api_base=NO_STRIPE,
            ),
            self.store,
        )
        wiring.set_house(self.house)
        wiring.set_clock(self.clock)
        self.program, self.signing_key = self.a_program("Acme")
        self.key = self.a_key(self.program, "test")
        self.live_key = self.a_key(self.program, "live")
        self.other, _ = self.a_program("Beta")
        self.other_key = self.a_key(self.other, "test")
        self.connection = self.a_connection()
        self.ann = self.post("/v1/partners", {"email": "ann@example.com", "key": "ann"}).data
        self.bob = self.post("/v1/partners", {"email": "bob@example.com", "key": "Bob"}).data

    def a_program(self, name: str, mode: Mode = "test") -> tuple[Program, str]:
        return create_program(
            name,
            currency="eur",
            mode=mode,
            website=Website(url=SITE, payment_links=(PAYMENT_LINK,)),
            settings={"reward": twenty_percent()},
            store=self.store,
            sealer=self.house.sealer,
            now=self.clock.ms,
        )

    def a_key(self, program: Program, mode: Mode) -> str:
        return create_api_key(program, mode=mode, name="", store=self.store, now=self.clock.ms)

    def a_connection(
        self,
        *,
        id: str = "",
        account: str = "acct_1",
        livemode: bool = False,
        secret: str = WEBHOOK_SECRET,
        api_key: str = "",
    ) -> Connection:
        return create_connection(
            self.program,
            id=id,
            api_key=api_key,
            webhook_secret=secret,
            livemode=livemode,
            account=account,
            store=self.store,
            sealer=self.house.sealer,
            now=self.clock.ms,
        )

    def a_backfill(self, id: str, connection: Connection) -> None:
        """A job that somebody asked for and that has not begun."""
        job = Job(
            id=id,
            program=connection.program,
            livemode=connection.livemode,
            connection=connection.id,
            kind="backfill",
            created_at=self.clock.ms,
            params={"from": 0, "to": self.clock.ms, "preview": False},
            due_at=self.clock.ms,
        )
        self.store.commit([Put(job_item(job, version=0))])

    def cold(self) -> None:
        """A process that has just started: nothing is remembered."""
        self.house = House(self.house.settings, self.store)
        wiring.set_house(self.house)
        wiring.set_clock(self.clock)

    def with_stripe(self, url: str) -> "Doors":
        """A fake Stripe stands at that address."""
        self.house.settings = replace(self.house.settings, stripe_api_base=url)
        return self

    # asking

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        sent = [("User-Agent", BROWSER), ("Content-Type", "application/json"), *headers]
        named = {name.lower(): (name, value) for name, value in sent}
        answer = _gateway().answer(
            Request(
                method=method,
                target=target,
                headers=list(named.values()),
                body=body,
                peer="203.0.113.7",
                keep_alive=True,
            )
        )
        return Reply(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers},
            body=answer.body,
        )

    def call(self, method: str, target: str, body: Any = None, key: str | None = None) -> Reply:
        """The API with a key (the test key by default; "" for none). Bytes are sent as they are."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        used = self.key if key is None else key
        return self.ask(method, target, raw, [("Authorization", f"Bearer {used}")] if used else ())

    def get(self, target: str, key: str | None = None) -> Reply:
        return self.call("GET", target, key=key)

    def post(self, target: str, body: Any = None, key: str | None = None) -> Reply:
        return self.call("POST", target, body, key)

    def delete(self, target: str, key: str | None = None) -> Reply:
        return self.call("DELETE", target, key=key)

    def put(self, target: str, body: Any = None, key: str | None = None) -> Reply:
        return self.call("PUT", target, body, key)

    # what happens

    def click(self, body: Any = None, **about: Any) -> Reply:
        """What the tracker posts; fields by their letters, or the raw body."""
        if body is None:
            body = {"p": self.program.id, "t": token("ann"), "u": SITE, "r": "", **about}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/t/click", raw, [("Content-Type", "text/plain;charset=UTF-8")])

    def sign_up(self, body: Any = None, **about: Any) -> Reply:
        if body is None:
            body = {"p": self.program.id, "t": token("ann"), "key": "u1", **about}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/t/signup", raw, [("Content-Type", "text/plain;charset=UTF-8")])

    def deliver(
        self,
        event: Any,
        *,
        connection: Connection | None = None,
        secret: str = WEBHOOK_SECRET,
        at: float | None = None,
        signature: str | None = None,
    ) -> Reply:
        """Stripe's delivery of an event (or of raw bytes), signed at ``at``."""
        body = event if isinstance(event, bytes) else as_body(event)
        if signature is None:
            signature = signed(body, secret, int(self.clock.now if at is None else at))
        id = (connection or self.connection).id
        return self.ask("POST", f"/stripe/webhooks/{id}", body, [("Stripe-Signature", signature)])

    def event(self, type: str, object: Any, **about: Any) -> dict[str, Any]:
        about.setdefault("id", "evt_" + secrets.token_hex(6))
        about.setdefault("created", int(self.clock.now))
        return build_event(type, object, **about)

    def a_customer(self, key: str = "c1", **about: Any) -> Any:
        reply = self.post("/v1/customers", {"key": key, **about})
        assert reply.status in (200, 201), reply.json
        return reply.data

    def a_sale(self, key: str = "s1", *, customer: str = "c1", **about: Any) -> Any:
        about.setdefault("amount", "49.00")
        reply = self.post("/v1/transactions", {"key": key, "customer": {"key": customer}, **about})
        assert reply.status in (200, 201), reply.json
        return reply.data

    def days(self, number: float) -> "Doors":
        self.clock.now += number * DAY
        return self

    def mature(self) -> int:
        return mature_rewards(store=self.store, now=self.clock.ms).released

    def sweep(self) -> Swept:
        return sweep(
            store=self.store,
            connections=self.house.connections,
            now=self.clock.ms,
            until=lambda: False,
        )

    def stream(self) -> int:
        clicks = [key for key in self.store.everything() if key.table == "clicks"]
        return count_clicks(clicks, store=self.store, now=self.clock.ms)

    # what stands

    def balance(self, partner: str = "ann", currency: str = "eur") -> tuple[int, int, int]:
        """Pending, payable, paid, as the API tells them."""
        held = self.get(f"/v1/partners/{partner}").data["balances"].get(currency, {})
        return tuple(held.get(f"{n}_minor", 0) for n in ("pending", "payable", "paid"))

    def writes(self) -> int:
        return self.store.calls["commit"]

    def items(self, table: str) -> list[Key]:
        return [key for key in self.store.everything() if key.table == table]


def token(partner: str, number: int = 1) -> str:
    return f"{number:022d}_{partner}"


def failing(error: BaseException, *, at: int = 1, call: str = "") -> Any:
    """A hook that raises at the ``at``-th call (of one name, where given), once."""
    seen = 0

    def hook(name: str, writes: Sequence[Write]) -> None:
        nonlocal seen
        if call in ("", name):
            seen += 1
            if seen == at:
                raise error

    return hook
