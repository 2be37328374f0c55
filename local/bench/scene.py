"""A program with partners and a connection, and the app's own doors in this process.

What is measured goes the whole way: gateway, door, flow, store, and a DynamoDB over the wire.
"""

import contextlib
import hashlib
import hmac
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import boto3

from app import app
from chalicelib.core.program import Rule, Website
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.count_clicks import count_clicks
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import create_api_key, create_connection, create_program
from chalicelib.settings import read_settings
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store
from local.bench.purchases import Event, visit_token
from local.gateway import Gateway
from local.http_wire import Answer, Request
from local.place import TABLE_VARIABLES, Place
from local.tables import create_missing

SITE = "https://shop.example.com"
SECRET = "whsec_" + "b" * 24
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130 Safari/537.36"


def told_where(folder: Path, dynamodb: str) -> dict[str, str]:
    """The environment of the app: this machine's, with its DynamoDB there, and no real account."""
    environment = Place(port=0, state_dir=folder).environment()
    return environment | {"AWS_ENDPOINT_URL": dynamodb}


@contextlib.contextmanager
def in_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's environment, for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What a client must know to use the program."""

    program: str
    connection: str
    api_key: str


def make_program(house: House, *, partners: tuple[str, ...] = ("ann", "bob")) -> Ids:
    """A program that pays 20 % forever, its partners, an API key and a connection."""
    now = int(time.time() * 1000)
    program, _ = create_program(
        "Acme",
        currency="eur",
        mode="test",
        website=Website(url=SITE),
        settings={"reward": Rule(kind="percentage", rate_basis_points=2000, lasts="forever")},
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    for key in partners:
        told = PartnerChange(key=key, email=f"{key}@example.com")
        create_partner(told, program_id=program.id, store=house.store, now=now)
    connection = create_connection(
        program,
        api_key="",
        webhook_secret=SECRET,
        livemode=False,
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    key = create_api_key(program, mode="test", name="", store=house.store, now=now)
    return Ids(program=program.id, connection=connection.id, api_key=key)


def make_tables(environment: Mapping[str, str]) -> None:
    names = {logical_id: environment[name] for logical_id, name in TABLE_VARIABLES.items()}
    create_missing(boto3.client("dynamodb", endpoint_url=environment["AWS_ENDPOINT_URL"]), names)


class Scene:
    """The app in this process; made inside ``in_environment``. On DynamoDB, or on ``store``."""

    def __init__(self, store: Store | None = None) -> None:
        self.house = House(read_settings(), store)
        wiring.set_house(self.house)
        self.ids = make_program(self.house)
        self.scope = Scope(self.ids.program, "test")

    def enter(self) -> None:
        """From now on the doors are this scene's."""
        wiring.set_house(self.house)

    def cold(self) -> None:
        """A process that has just started: nothing is remembered."""
        self.house = House(self.house.settings)
        wiring.set_house(self.house)

    def click(self, number: int, partner: str = "ann") -> None:
        answer = self._post("/t/click", click_body(self.ids.program, number, partner))
        said = dict(answer.headers).get("X-Refledger")
        if answer.status != 204 or said != "recorded":
            raise RuntimeError(f"a click was answered {answer.status}: {said}")

    def count_click(self, number: int, partner: str = "ann") -> None:
        """What the stream's function does a moment later."""
        key = keys.click(self.ids.program, visit_token(number, partner))
        count_clicks([key], store=self.house.store, now=int(time.time() * 1000))

    def sign_up(self, number: int, email: str, partner: str = "ann") -> None:
        body = sign_up_body(self.ids.program, number, email, partner)
        answer = self._post("/t/signup", body)
        if answer.status != 200:
            raise RuntimeError(f"a sign-up was answered {answer.status}: {answer.body!r}")

    def deliver(self, event: Event) -> str:
        """What became of it."""
        answer = self._post(
            f"/stripe/webhooks/{self.ids.connection}",
            event.body,
            Content_Type="application/json",
            Stripe_Signature=signed(event.body),
        )
        if answer.status != 200:
            raise RuntimeError(f"{event.type} was answered {answer.status}: {answer.body!r}")
        state: str = json.loads(answer.body)["data"]["state"]
        return state

    def read(self, target: str) -> bytes:
        """What the API answers to the program's key."""
        headers = {"Authorization": f"Bearer {self.ids.api_key}"}
        answer = self._ask("GET", target, b"", headers)
        if answer.status != 200:
            raise RuntimeError(f"{target} was answered {answer.status}: {answer.body!r}")
        return answer.body

    def balance(self, partner: str = "ann") -> records.Balance:
        key = keys.balance(self.scope, partner, "eur")
        return records.read_balance(self.house.store.get([key]).get(key))

    def pending(self, partner: str = "ann") -> int:
        """What the partner is owed and not yet payable, in minor units."""
        return self.balance(partner).pending

    def _post(self, target: str, body: bytes, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask("POST", target, body, {"Content-Type": "text/plain", **named})

    def _ask(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        request = Request(
            method=method,
            target=target,
            headers=list({"User-Agent": BROWSER, **headers}.items()),
            body=body,
            peer="203.0.113.7",
            keep_alive=True,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            return _gateway().answer(request)


@cache
def _gateway() -> Gateway:
    """One for all scenes: it makes the app a local one, which goes once."""
    return Gateway(app, base_url="https://refer.example.com", clock=wiring.now)


def click_body(program: str, number: int, partner: str = "ann") -> bytes:
    """What the tracker posts for a page of usual length."""
    page = f"{SITE}/pricing?utm_source=newsletter&utm_medium=email&via={partner}"
    body = {
        "p": program,
        "t": visit_token(number, partner),
        "u": page,
        "r": "https://blog.example.com/a-review-of-cups",
    }
    return json.dumps(body, separators=(",", ":")).encode()


def sign_up_body(program: str, number: int, email: str, partner: str) -> bytes:
    """What the page posts when somebody signs up who came through a click."""
    token = visit_token(number, partner)
    return json.dumps({"p": program, "t": token, "key": f"u{number}", "email": email}).encode()


def signed(body: bytes) -> str:
    """The `Stripe-Signature` header of a body, as of now."""
    t = int(time.time())
    digest = hmac.new(SECRET.encode(), b"%d.%s" % (t, body), hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"
