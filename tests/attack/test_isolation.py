"""One program's key on another's things, and a live key on test things, at every address.

All is generated from the app's routes and the API's description: a route, a variable, a parameter
or a body that is not attacked here fails a test. What is another's must be answered just as what
is not there at all: same status, headers and words, after the same number of trips to the store.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from app import app
from chalicelib.entrypoints import wiring
from chalicelib.flows.show_people import id_of_key
from chalicelib.storage import keys
from chalicelib.storage.codec import dump
from chalicelib.storage.noted import Note
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Item, Put
from tests.attack.described import document
from tests.builders.stripe_bodies import a_session, an_invoice
from tests.doors_kit import Doors, Reply, token

OPEN = {"/v1/openapi.json"}
ROUTES = [
    (method, route)
    for route, methods in sorted(app.routes.items())
    for method in sorted(methods)
    if route.startswith("/v1/") and route not in OPEN
]
PLAIN_PARAMETERS = {"limit", "page", "status", "remove_endpoint"}  # these name no thing

THINGS: dict[str, list[tuple[str, str]]] = {
    "partner": [("mine", "nune"), ("MINE", "NUNE"), ("{id}", "ptn_" + "0" * 20)],
    "partner_email": [("mine@example.com", "nune@example.com")],
    "customer": [
        ("sam", "sum"),
        (id_of_key("sam"), id_of_key("sum")),
        ("cus_1", "cus_9"),
        ("sam@example.com", "sum@example.com"),
        ("SAM@example.com", "SUM@example.com"),
    ],
    "customer_key": [("sam", "sum")],
    "customer_email": [("sam@example.com", "sum@example.com")],
    "stripe_customer": [("cus_1", "cus_9")],
    "transaction": [
        ("order-1", "order-9"),
        ("in_1", "in_9"),
        ("cs_1", "cs_9"),
        ("tx:order-1",) * 2,
    ],
    "refund": [("refund-1", "refund-9")],
    "payout": [("payout-1", "payout-9")],
    "token": [(token("mine"), token("nune"))],
    "partners_cursor": [("{id}", "ptn_" + "0" * 20)],
    "customers_cursor": [(id_of_key("sam"), id_of_key("sum"))],
    "transactions_cursor": [("order-1", "order-9"), ("in_1", "in_9")],
    "rewards_cursor": [("reward:in_1:mine:eur", "reward:in_9:mine:eur")],
    "ledger_cursor": [("{entry}", "1777593600000~reward:in_9")],
    "connection": [("{connection}", "con_" + "0" * 16)],
    "connections_cursor": [("{connection}", "con_" + "0" * 16)],
    "job": [("{job}", "job_" + "0" * 16)],
    "job_cursor": [("{place}", "1777593600000~in_9")],
    "reports_cursor": [("{report}", "1777593600001~job_" + "0" * 16)],
}
"""By kind: a name of the victim's, and one of the same shape that nobody has."""

VICTIMS = ("4900", "3920", "980", "49.00", "payout-1", "refund-1")
"""What only the victim's own key may ever be told."""
OWN = "own"  # the attacker's own partner and customer
SALE = {"customer": {"key": OWN}, "amount": "1.00"}
BODIES: dict[tuple[str, str], list[tuple[str, Any]]] = {
    ("PUT", "/v1/program"): [],
    ("POST", "/v1/partners"): [
        ("partner_email", {"email": "NAME"}),
        ("partner", {"email": "new@example.com", "key": "NAME"}),
    ],
    ("PUT", "/v1/partners/{partner}"): [("partner_email", {"email": "NAME"})],
    ("POST", "/v1/customers"): [
        ("customer_key", {"key": "NAME"}),
        ("customer_email", {"key": "new", "email": "NAME"}),
        ("stripe_customer", {"key": "new", "stripe_customer_id": "NAME"}),
        ("partner", {"key": "new", "partner": {"key": "NAME"}}),
        ("partner", {"key": "new", "partner": {"id": "NAME"}}),
        ("partner_email", {"key": "new", "partner": {"email": "NAME"}}),
        ("token", {"key": "new", "token": "NAME"}),
    ],
    ("POST", "/v1/transactions"): [
        ("customer_key", {"key": "new", "amount": 1, "customer": {"key": "NAME"}}),
        ("transaction", {"key": "NAME", **SALE}),
    ],
    ("POST", "/v1/transactions/{transaction}/refund"): [("refund", {"key": "NAME", "amount": 1})],
    ("POST", "/v1/payouts"): [
        (kind, {"key": "new", "partner": {by: "NAME"}, "currency": "eur", "expected_minor": 7})
        for kind, by in (("partner", "key"), ("partner", "id"), ("partner_email", "email"))
    ]
    + [
        ("payout", {"key": "NAME", "partner": {"key": OWN}, "currency": "eur", "expected_minor": 1})
    ],
}
BODIES |= {
    ("POST", "/v1/connections"): [],  # names an account of Stripe's, by the key to it
    ("POST", "/v1/connections/oauth"): [],
    ("POST", "/v1/connections/{connection}/rotate"): [],
    ("POST", "/v1/reconciliations"): [("connection", {"connection": "NAME"})],
    ("POST", "/v1/backfills"): [("connection", {"connection": "NAME", "from": "2026-01-01"})],
}
NEW_SECRET = "whsec_" + "n" * 24
PLAIN_BODIES = {
    ("POST", "/v1/connections/{connection}/rotate"): {"webhook_secret": NEW_SECRET},
    ("PUT", "/v1/partners/{partner}"): {"name": "x"},
    ("POST", "/v1/transactions/{transaction}/refund"): {"key": "r", "amount": 1},
}
CURSORS = {
    "/v1/partners": "partners_cursor",
    "/v1/customers": "customers_cursor",
    "/v1/transactions": "transactions_cursor",
    "/v1/rewards": "rewards_cursor",
    "/v1/partners/{partner}/ledger": "ledger_cursor",
    "/v1/connections": "connections_cursor",
    "/v1/reconciliations": "reports_cursor",
    "/v1/jobs/{job}/transactions": "job_cursor",
}


@dataclass(frozen=True)
class Attack:
    """``NAME`` in target or body is what is tried."""

    method: str
    route: str
    kind: str
    target: str
    body: Any = None

    def __str__(self) -> str:
        where = f" {json.dumps(self.body)[:60]}" if self.body else f" {self.target}"
        return f"{self.method} {self.route}{where} {self.kind}"


def attacks() -> Iterator[Attack]:
    for method, route in ROUTES:
        variables = re.findall(r"{(\w+)}", route)
        own = re.sub(r"{\w+}", OWN, route)
        for name in variables:
            tried = route.replace(f"{{{name}}}", "NAME")
            yield Attack(method, route, name, tried, PLAIN_BODIES.get((method, route)))
        for name in sorted(parameters(method, route) - PLAIN_PARAMETERS):
            kind = CURSORS[route] if name == "starting_after" else name
            yield Attack(method, route, kind, f"{own}?{name}=NAME")
        for kind, body in BODIES.get((method, route), []):
            yield Attack(method, route, kind, own, body)


def parameters(method: str, route: str) -> set[str]:
    operation = document()["paths"][route][method.lower()]
    return {known["name"] for known in operation["parameters"] if known["in"] == "query"}


ATTACKS = list(attacks())


@dataclass(kw_only=True)
class Tried:
    """What an attempt came to: the answer, trips to the store, the partitions written to."""

    reply: Reply
    trips: int
    written: set[str]


@dataclass(kw_only=True)
class Scene:
    """A victim whose things are there, and the keys of those who would like to see them."""

    doors: Doors
    victim: str
    attackers: dict[str, str]
    scope: str
    names: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        for word, known in self.names.items():
            name = name.replace(f"{{{word}}}", known)
        return name

    def tried(self, attack: Attack, name: str, key: str) -> Tried:
        """The house is then as it was."""
        store = self.doors.store
        rows = dict(store._rows)
        orders = {place: list(order) for place, order in store._orders.items()}
        self.doors.cold()
        before = store.calls.total()
        body = attack.body and json.loads(json.dumps(attack.body).replace("NAME", name))
        reply = self.doors.call(attack.method, attack.target.replace("NAME", name), body, key)
        trips = store.calls.total() - before
        written = {known for known, row in store._rows.items() if rows.get(known) is not row}
        written |= rows.keys() - store._rows.keys()
        store._rows, store._orders = rows, orders
        return Tried(reply=reply, trips=trips, written={known.pk for known in written})


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """The victim is Acme's test side, or its live side; the attacker has a thing or two himself."""
    made = {}
    for side in ("test", "live"):
        doors = Doors(tmp_path_factory.mktemp(side))
        keys = {"test": doors.key, "live": doors.live_key}
        scene = Scene(
            doors=doors,
            victim=keys.pop(side),
            scope=f"{doors.program.id}/{side}#",
            attackers={
                "another program": doors.other_key,
                "another program, live": doors.a_key(doors.other, "live"),
                "the other side": next(iter(keys.values())),
            },
        )
        _fill(scene, livemode=side == "live")
        for key in scene.attackers.values():
            doors.post("/v1/partners", {"email": "own@example.com", "key": OWN}, key)
            doors.post("/v1/customers", {"key": OWN}, key)
        made[side] = scene
    yield made
    wiring.set_house(None)
    wiring.set_clock(lambda: datetime.now(UTC))


def _fill(scene: Scene, *, livemode: bool) -> None:
    doors, key = scene.doors, scene.victim

    def post(target: str, body: Any) -> Any:
        reply = doors.post(target, body, key)
        assert reply.status in (200, 201), reply.json
        return reply.data

    made = post("/v1/partners", {"email": "mine@example.com", "key": "mine"})
    scene.names["id"] = made["id"]
    mode = "live" if livemode else "test"
    connection = doors.a_connection(
        account="acct_mine", livemode=livemode, api_key=f"sk_{mode}_mine_1"
    )
    scene.names["connection"] = connection.id
    doors.click(t=token("mine"))
    told = {"email": "sam@example.com", "stripe_customer_id": "cus_1", "partner": {"key": "mine"}}
    post("/v1/customers", {"key": "sam", **told})
    doors.clock.now += 86_400
    for type, object in (
        ("invoice.paid", an_invoice(paid_at=int(doors.clock.now))),
        ("checkout.session.completed", a_session(id="cs_1", payment_intent="pi_2")),
    ):
        event = doors.event(type, object, livemode=livemode)
        assert doors.deliver(event, connection=connection).data["state"] == "handled"
    doors.days(40).mature()
    held = doors.get("/v1/partners/mine", key).data["balances"]["eur"]["payable_minor"]
    named = {"partner": {"key": "mine"}, "currency": "eur", "expected_minor": held}
    post("/v1/payouts", {"key": "payout-1", **named})
    post("/v1/transactions", {"key": "order-1", "customer": {"key": "sam"}, "amount": "49.00"})
    post("/v1/transactions/order-1/refund", {"key": "refund-1", "amount": "9.00"})
    scene.names["entry"] = doors.get("/v1/partners/mine/ledger", key).data[0]["id"]
    _fill_jobs(scene, connection)


def _fill_jobs(scene: Scene, connection: Connection) -> None:
    """A backfill that changed a sale, and the report of a reconciliation."""
    asked = {"connection": connection.id, "from": "2026-01-01"}
    job = scene.doors.post("/v1/backfills", asked, scene.victim).data["id"]
    at = scene.doors.clock.ms
    note = Note(sale="in_1", place=f"{at:013d}#in_1")
    times = {"at": at, "ended_at": at, "from": at, "to": at}
    told = {"job": job, "connection": connection.id, **times}
    scene.doors.store.commit(
        [
            Put(Item(key=keys.job_sale(job, note.place), body=dump(note))),
            Put(Item(key=keys.reconciliation(connection.scope, at, job), body=told)),
        ]
    )
    scene.names |= {"job": job, "place": note.place.replace("#", "~"), "report": f"{at:013d}~{job}"}


def said(reply: Reply, name: str) -> tuple[int, dict[str, str], str]:
    """An answer without what differs by itself: the name that was asked for, ids made up."""
    text = reply.body.decode()
    for form in (name, name.lower(), id_of_key(name)):
        text = text.replace(form, "NAME")
    text = re.sub(r"\b(mine|nune)(-[0-9a-f]{6})?", "KEY", text)  # of a token, of an e-mail
    text = re.sub(r"(ptn|cst)_[A-Za-z0-9_-]+|(NAME|KEY)@example.com", "ID", text)
    return reply.status, reply.headers, text


@pytest.mark.parametrize("side", ["test", "live"])
@pytest.mark.parametrize("who", ["another program", "another program, live", "the other side"])
@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_what_is_anothers_is_as_what_is_not_there(
    scenes: dict[str, Scene], attack: Attack, who: str, side: str
) -> None:
    scene = scenes[side]
    wiring.set_clock(scene.doors.clock)
    key = scene.attackers[who]
    sides = who == "the other side"  # a program's two sides share its partners, and these alone
    shared = sides and (
        attack.kind.startswith(("partner", "token")) or attack.target.startswith("/v1/partners")
    )
    for name, absent in THINGS[attack.kind]:
        name = scene.named(name)
        attempt = scene.tried(attack, name, key)
        mine = scene.scope if sides else scene.doors.program.id
        assert not [place for place in attempt.written if mine in place]
        for word in VICTIMS:
            assert word in name or not attempt.reply.says(word)
        if not shared:
            nothing = scene.tried(attack, absent, key)
            assert said(attempt.reply, name) == said(nothing.reply, absent)
            assert attempt.trips == nothing.trips


@pytest.mark.parametrize("side", ["test", "live"])
def test_with_the_right_key_each_name_is_known(scenes: dict[str, Scene], side: str) -> None:
    """Or the test above would prove nothing."""
    scene = scenes[side]
    wiring.set_clock(scene.doors.clock)
    for attack in ATTACKS:
        if attack.body or attack.kind in ("refund", "payout"):
            continue
        if "{" in attack.route and "?" in attack.target:
            owner = scene.names["job"] if "{job}" in attack.route else "mine"
            attack = Attack("GET", attack.route, attack.kind, attack.target.replace(OWN, owner))
        for name, absent in THINGS[attack.kind]:
            there = scene.tried(attack, scene.named(name), scene.victim).reply
            assert there.status == 200, (attack, name, there.json)
            if name != absent:
                reply = scene.tried(attack, absent, scene.victim).reply
                assert reply.status in (404, 422), (attack, absent)


@pytest.mark.parametrize("route", [r for m, r in ROUTES if m == "GET" and "{" not in r])
@pytest.mark.parametrize("side", ["test", "live"])
def test_lists_and_overviews_show_only_ones_own(
    scenes: dict[str, Scene], route: str, side: str
) -> None:
    scene = scenes[side]
    wiring.set_clock(scene.doors.clock)
    for who, key in scene.attackers.items():
        reply = scene.tried(Attack("GET", route, "", f"{route}?limit=250"), "", key).reply
        text = reply.body.decode()
        assert reply.status == 200
        words = {*VICTIMS, "sam", "in_1", "order-1", *scene.names.values()}
        words -= {scene.names["id"]}  # of the partner, whom both sides share
        if who != "the other side":
            words |= {"mine", scene.doors.program.id, "Acme"}
        for word in words:
            assert f'"{word}' not in text and f":{word}" not in text, (who, word)


def test_nothing_that_names_a_thing_is_forgotten() -> None:
    """A new route has its variables, parameters and bodies attacked, or this fails."""
    for method, route in ROUTES:
        for name in re.findall(r"{(\w+)}", route):
            assert name in THINGS, f"{route}: what does {{{name}}} name?"
        for name in parameters(method, route) - PLAIN_PARAMETERS:
            assert name in THINGS or (name == "starting_after" and route in CURSORS), (route, name)
        operation = document()["paths"][route][method.lower()]
        assert ("requestBody" in operation) == ((method, route) in BODIES), (method, route)
    assert len(ATTACKS) >= 30


def test_every_field_of_a_body_that_names_a_thing_is_tried() -> None:
    """By the fields of the described bodies; those listed here name nothing."""
    naming = {"key", "id", "email", "token", "stripe_customer_id", "partner", "customer"}
    naming |= {"connection"}
    plain = set(
        """
        name surname tags status status_starts_on reward amount amount_minor amount_units currency
        action created_at expected_minor api_key webhook_secret from to preview
        """.split()
    )
    schemas = document()["components"]["schemas"]
    for (method, route), bodies in BODIES.items():
        if route == "/v1/program":
            continue
        content = document()["paths"][route][method.lower()]["requestBody"]["content"]
        [media] = content.values()
        schema = media["schema"]
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
        fields = set(schema["properties"])
        assert fields <= naming | plain, (route, fields - naming - plain)
        tried_fields = {field for _, body in bodies for field in body if "NAME" in str(body[field])}
        missing = (fields & naming) - tried_fields - ({"key"} if method == "PUT" else set())
        assert not missing - {"customer" if "customer" in tried_fields else ""}, (route, missing)
