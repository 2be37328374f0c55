"""What holds for every address of the API: keys, envelopes, lists, whose data is whose."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app import app
from chalicelib.entrypoints import wiring
from tests.doors_kit import BASE_URL, Doors

ROUTES = [
    (method, route)
    for route, methods in sorted(app.routes.items())
    for method in sorted(methods)
    if route.startswith("/v1/") and route != "/v1/openapi.json"
]
LISTS = ["/v1/partners", "/v1/customers", "/v1/transactions", "/v1/rewards"]
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/partners"): {"email": "new@example.com"},
    ("PUT", "/v1/partners/{partner}"): {"name": "Mallory"},
    ("POST", "/v1/customers"): {"key": "c1", "partner": {"key": "mine"}},
    ("POST", "/v1/transactions"): {"key": "t", "customer": {"key": "mine"}, "amount": 1},
    ("POST", "/v1/transactions/{transaction}/refund"): {"key": "r", "amount": 1},
    ("POST", "/v1/payouts"): {
        "key": "p",
        "partner": {"key": "mine"},
        "currency": "eur",
        "expected_minor": 980,
    },
    ("PUT", "/v1/program"): {},
    ("POST", "/v1/connections/{connection}/rotate"): {"webhook_secret": "whsec_" + "n" * 24},
    ("POST", "/v1/reconciliations"): {"connection": "con_mine"},
    ("POST", "/v1/backfills"): {"connection": "con_mine", "from": "2026-04-01"},
}
NAMES = {
    "partner": "mine",
    "customer": "mine",
    "transaction": "mine",
    "connection": "con_mine",
    "job": "job_mine",
}


@pytest.fixture
def filled(doors: Doors) -> Doors:
    """Acme's test side has a partner, a customer and a sale, all by the name ``mine``."""
    doors.post("/v1/partners", {"email": "mine@example.com", "key": "mine"})
    doors.a_customer("mine", email="sam@example.com", partner={"key": "mine"})
    doors.a_sale("mine", customer="mine")
    api_key = "sk_" + "test_mine_1"
    connection = doors.a_connection(id="con_mine", account="acct_mine", api_key=api_key)
    doors.a_backfill("job_mine", connection)
    return doors


def target(route: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: NAMES[found[1]], route)


@pytest.mark.parametrize(("method", "route"), ROUTES)
@pytest.mark.parametrize(
    ("case", "header"),
    [
        ("none", None),
        ("empty", "Bearer "),
        ("basic", "Basic abc"),
        ("unknown", "Bearer rfl_test_" + "x" * 43),
        ("not ours", "Bearer sesame"),
        ("not ASCII", "Bearer rfl_test_é"),
        ("too long", "Bearer rfl_test_" + "x" * 300),
    ],
)
def test_without_a_known_key_every_address_is_401(
    doors: Doors, method: str, route: str, case: str, header: str | None
) -> None:
    before = doors.writes()
    reply = doors.ask(
        method, target(route), b"{}", [("Authorization", header)] if header is not None else ()
    )
    assert reply.status == 401
    assert reply.json["status"] == 0
    assert "API key" in reply.json["message"]
    assert doors.writes() == before


@pytest.mark.parametrize(("method", "route"), ROUTES)
@pytest.mark.parametrize("side", ["another program", "the live side"])
def test_another_key_sees_and_changes_nothing(
    filled: Doors, method: str, route: str, side: str
) -> None:
    """Generated from the routes: a new address is held to this from its first day."""
    key = filled.other_key if side == "another program" else filled.live_key
    stood = {k: v for k, v in filled.store.everything().items() if f"{filled.program.id}" in k.pk}
    reply = filled.call(method, target(route), BODIES.get((method, route)), key)
    shared = "/partners" in route or route in ("/v1/test", "/v1/program")
    if side == "the live side" and shared:
        assert reply.status < 300  # a program and its partners are one, their money is not
        assert not reply.says("980")
        return
    if "{" in route:
        assert reply.status == 404
    for word in ("sam@example.com", "4900", filled.ann["id"]):
        assert not reply.says(word)
    if route in LISTS and method == "GET":
        assert reply.data == []
    if side == "another program":
        now = {k: v for k, v in filled.store.everything().items() if f"{filled.program.id}" in k.pk}
        assert now == stood
        assert '"key":"mine"' not in reply.body.decode()


@pytest.mark.parametrize("route", LISTS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=%C2%B2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("page=0", "page"),
        ("page=1001", "page"),
        ("page=101&limit=10", "page"),
        ("page=2&starting_after=x", "page"),
        ("starting_after=nobody", "starting_after"),
        ("starting_after=" + "x" * 3000, "starting_after"),
        ("starting_after=%00", "starting_after"),
        ("starting_after=cst_%ff", "starting_after"),
    ],
)
def test_a_list_says_what_is_wrong_with_its_parameters(
    doors: Doors, route: str, query: str, field: str
) -> None:
    reply = doors.get(f"{route}?{query}")
    assert reply.status == 422
    assert list(reply.errors) == [field]


def test_an_empty_list(doors: Doors) -> None:
    assert doors.get("/v1/transactions").json == {
        "data": [],
        "links": {"next": None},
        "meta": {"limit": 15, "page": 1, "has_more": False, "next": None},
        "status": 1,
    }


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Forty customers with a sale each, all at one instant but for every fourth. Only read from."""
    doors = Doors(tmp_path_factory.mktemp("long"))
    for number in range(40):
        doors.clock.now += number % 4 == 0
        doors.post("/v1/partners", {"email": f"p{number}@example.com", "key": f"p{number}"})
        doors.a_customer(f"c{number}", partner={"key": "ann"})
        doors.a_sale(f"s{number}", customer=f"c{number}")
    yield doors
    wiring.set_house(None)


@pytest.mark.parametrize(
    ("route", "count"),
    [
        ("/v1/partners", 42),
        ("/v1/customers", 40),
        ("/v1/transactions", 40),
        ("/v1/transactions?partner=ann", 40),
        ("/v1/rewards", 40),
        ("/v1/rewards?partner=ann&status=pending", 40),
        ("/v1/partners/ann/ledger", 40),
    ],
)
def test_lists_page_by_cursor_and_by_number_in_one_order(
    long: Doors, route: str, count: int
) -> None:
    long.cold()
    joint = "&" if "?" in route else "?"
    whole = long.get(f"{route}{joint}limit=250")
    assert len(whole.data) == count
    assert whole.json["meta"]["has_more"] is False
    assert long.get(route).data == whole.data[:15]
    by_number = [
        row for page in (1, 2, 3, 4) for row in long.get(f"{route}{joint}limit=13&page={page}").data
    ]
    assert by_number == whole.data
    by_cursor: list[Any] = []
    link = f"{BASE_URL}{route}{joint}limit=13"
    while link:
        reply = long.get(link.removeprefix(BASE_URL))
        by_cursor += reply.data
        assert len(reply.data) <= 13
        assert reply.json["meta"]["has_more"] is (len(by_cursor) < count)
        link = reply.json["links"]["next"]
        assert link is None or link.startswith(BASE_URL + route.split("?")[0])
    assert by_cursor == whole.data
    times = [row.get("paid_at") or row.get("created_at") or row["at"] for row in whole.data]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("route", "most"),
    [
        ("/v1/transactions?limit=40", 8),
        ("/v1/transactions?limit=10&page=4", 8),
        ("/v1/rewards?limit=40", 5),
        ("/v1/partners/ann/ledger?limit=40", 5),
        ("/v1/partners?limit=10&page=4", 10 + 6),
        ("/v1/customers?limit=10&page=4", 2 * 10 + 6),
    ],
)
def test_a_page_costs_few_trips_and_a_later_one_no_more(long: Doors, route: str, most: int) -> None:
    long.cold()
    before = sum(long.store.calls.values())
    assert long.get(route).status == 200
    assert sum(long.store.calls.values()) - before <= most


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"\xff\xfe",
        b'{"email": NaN}',
        b'{"email": 1e99999999999999999999}',
        b'{"email": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"email": "' + b"x" * 1_000_001 + b'"}',
    ],
    ids=lambda body: body[:12].decode(errors="replace"),
)
@pytest.mark.parametrize(
    ("method", "route"), [r for r in ROUTES if r in BODIES], ids=lambda part: part
)
def test_a_body_that_is_not_a_json_object_is_422(
    filled: Doors, method: str, route: str, body: bytes
) -> None:
    before = filled.writes()
    reply = filled.call(method, target(route), body)
    assert reply.status == 422
    assert reply.json["message"]
    assert reply.errors
    assert filled.writes() == before


@pytest.mark.parametrize(("method", "route"), list(BODIES), ids=lambda part: part)
def test_an_unknown_field_is_refused_by_its_name(filled: Doors, method: str, route: str) -> None:
    before = filled.writes()
    reply = filled.call(method, target(route), {**BODIES[method, route], "emial": 1})
    assert reply.status == 422
    assert "emial" in reply.errors
    assert filled.writes() == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_it_calls_itself(doors: Doors, kind: str) -> None:
    reply = doors.ask(
        "POST",
        "/v1/customers",
        b'{"key": "c1"}',
        [("Authorization", f"Bearer {doors.key}"), ("Content-Type", kind)],
    )
    assert reply.status == 201


def test_answers_are_json_that_nobody_keeps(doors: Doors) -> None:
    for reply in (doors.get("/v1/test"), doors.get("/v1/partners/nobody")):
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_refusal_has_message_errors_and_status_0(doors: Doors) -> None:
    assert doors.get("/v1/partners/nobody").json == {
        "message": "There is no such partner.",
        "errors": {},
        "code": "not_found",
        "status": 0,
    }


def test_a_bug_is_a_plain_500(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(call: str, writes: object) -> None:
        raise KeyError("a secret thing")

    doors.store.before = broken
    reply = doors.get("/v1/test")
    assert (reply.status, reply.json["status"], reply.json["errors"]) == (500, 0, {})
    assert "secret" not in reply.body.decode() + capsys.readouterr().out


def test_no_answer_speaks_of_the_inside(filled: Doors) -> None:
    filled.sign_up(key="u2", email="sam@example.com")
    filled.get("/v1/transactions/mine")
    for route in [*LISTS, "/v1/program", "/v1/partners/mine/ledger", "/v1/customers/mine"]:
        text = filled.get(route).body.decode()
        for word in ("household", 'tx:mine"', "canonical", "pointer", "version", "sealed"):
            assert word not in text, (route, word)


def test_the_key_says_which_program_and_side(doors: Doors) -> None:
    assert doors.get("/v1/test").data == {
        "program": {"id": doors.program.id, "name": "Acme"},
        "mode": "test",
    }
    assert doors.get("/v1/test", doors.live_key).data["mode"] == "live"
    assert doors.get("/v1/test", doors.other_key).data["program"]["name"] == "Beta"
