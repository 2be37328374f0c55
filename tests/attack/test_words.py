"""Odd words in every place where the API takes one: variables, queries, each field of each body.

The places are read from the API's description. Nothing is a 5xx, no answer or log line is broken
in two, and no word finds a thing that it only resembles.
"""

import gzip
import json
import re
import tracemalloc
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from app import app
from chalicelib.entrypoints.api_bodies import SETTINGS
from tests.attack.described import document
from tests.doors_kit import Doors, Reply, token

pytestmark = pytest.mark.slow

WORDS = {
    "slash": "a/b",
    "encoded slash": "a%2Fb",
    "hash": "a#b",
    "a key of the store": "ann#partner",
    "null": "a\x00b",
    "encoded null": "a%00b",
    "dots": "..",
    "way up": "../../v1/test",
    "encoded dots": "%2e%2e%2f",
    "line": "a\r\nX-Evil: 1\r\n\r\n<script>",
    "line separator": "a\u2028b\u2029c\u0085d",
    "cyrillic": "\u0430nn",
    "full width": "ａｎｎ",
    "combining": "ann\u0301",
    "combined": "\u00e1nn",
    "zero width": "an\u200bn",
    "soft hyphen": "an\u00adn",
    "right to left": "\u202eann\u202c",
    "kelvin": "\u212aann",
    "dotted I": "\u0130ann",
    "sharp s": "\u1e9eann",
    "ligature": "\ufb01ann",
    "lone surrogate": "ann\ud800",
    "lone low surrogate": "\udfffann",
    "emoji": "😀" * 60,
    "10,000": "x" * 10_000,
    "10,000 wide": "ä" * 10_000,
    "blank": " ",
    "tab": "\tann",
    "blank at the end": "ann\u00a0",
    "quotes": "'\";--",
    "template": "{{7*7}}${7*7}%(x)s{0}",
    "formula": "=1+1",
    "markup": "<b>ann</b>",
    "word of the store": "sha256:" + "0" * 64,
    "kinds": "email:sam@example.com",
    "mark": "tx:ann",
    "proto": "__proto__",
    "number": "9" * 400,
    "backslash": "a\\u0000b",
    "private": "\ue000ann",
    "not a character": "ann\ufffe",
}
LOOKALIKES = [
    word
    for word in WORDS.values()
    if "ann" in unicodedata.normalize("NFKD", word) and word.strip() != "ann"
]
KEYED = [
    (method.upper(), route, told)
    for route, methods in document()["paths"].items()
    for method, told in methods.items()
    if route.startswith("/v1/") and route != "/v1/openapi.json"
]
GOOD: dict[str, Any] = {
    "/v1/program": {"name": "Acme", "website": {"url": "https://shop.example.com"}},
    "/v1/partners": {"email": "new@example.com", "key": "new", "name": "N", "tags": ["a"]},
    "/v1/partners/{partner}": {"name": "N", "surname": "S", "status": "active"},
    "/v1/customers": {"key": "c", "email": "c@example.com", "partner": {"key": "ann"}},
    "/v1/transactions": {"key": "t", "customer": {"key": "sam"}, "amount": "1"},
    "/v1/transactions/{transaction}/refund": {"key": "r", "amount": "1"},
    "/v1/payouts": {"key": "p", "partner": {"key": "ann"}, "currency": "eur", "expected_minor": 1},
    "/v1/connections": {},
    "/v1/connections/oauth": {},
    "/v1/connections/{connection}/rotate": {"webhook_secret": "whsec_" + "n" * 24},
    "/v1/reconciliations": {"connection": "con_sam", "from": "2026-04-01", "to": "2026-04-02"},
    "/v1/backfills": {"connection": "con_sam", "from": "2026-04-01", "preview": True},
}
NAMES = {
    "partner": "ann",
    "customer": "sam",
    "transaction": "paid",
    "connection": "con_sam",
    "job": "job_sam",
}


@pytest.fixture
def filled(doors: Doors) -> Doors:
    doors.a_customer("sam", email="sam@example.com", partner={"key": "ann"})
    doors.a_sale("paid", customer="sam")
    api_key = "sk_" + "test_sam_1"
    connection = doors.a_connection(id="con_sam", account="acct_sam", api_key=api_key)
    doors.a_backfill("job_sam", connection)
    return doors


def sound(reply: Reply) -> Reply:
    """An answer in the envelope, with no header broken in two."""
    assert reply.status < 500, reply.body
    for value in reply.headers.values():
        assert not re.search(r"[\r\n\x00]", value)
    assert reply.body.isascii()
    assert reply.json["status"] == (1 if reply.status < 300 else 0)
    assert "x-evil" not in reply.headers
    return reply


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Each line of the log is one line of JSON, whatever was asked."""
    yield
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        assert {"door", "outcome"} <= set(told)
        assert line.isascii() and "X-Evil" not in line


def addressed(word: str) -> str:
    """A word as a segment of an address; a lone surrogate by its three bytes."""
    return quote(word.encode(errors="surrogatepass"), safe="")


def path_of(route: str, **other: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: {**NAMES, **other}[found[1]], route)


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("method", "route", "variable"),
    [(method, route, name) for method, route, _ in KEYED for name in re.findall(r"{(\w+)}", route)],
)
def test_in_every_variable(filled: Doors, method: str, route: str, variable: str) -> None:
    for word in WORDS.values():
        for form in {addressed(word), quote(addressed(word), safe="")}:
            target = path_of(route, **{variable: form})
            reply = sound(filled.call(method, target, GOOD.get(route)))
            assert reply.status == 404, (word, reply.json)


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("method", "route"),
    [
        (method, route)
        for route, methods in sorted(app.routes.items())
        for method in sorted(methods)
        if "{" in route and not route.startswith("/v1/")
    ],
)
def test_in_every_variable_of_the_website_and_stripe(doors: Doors, method: str, route: str) -> None:
    """Nothing is there by that name: no script, no connection, a link to nobody."""
    known = {"program": doors.program.id, "partner": "ann", "file": "x", "connection": "con_1"}
    for name in re.findall(r"{(\w+)}", route):
        for word in WORDS.values():
            for form in {addressed(word), quote(addressed(word), safe="")}:
                target = path_of(route, **{**known, name: form})
                reply = doors.ask(method, target, b"{}")
                assert reply.status == (302 if name == "partner" else 404), word
                assert not re.search(r"[\r\n]", str(list(reply.headers.values())))
                if reply.status == 302:
                    assert reply.headers["location"] == "https://shop.example.com/"
    assert doors.items("clicks") == []


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("field", ["p", "t", "u", "r", "s"])
def test_in_every_field_of_a_click(doors: Doors, field: str) -> None:
    for number, word in enumerate(WORDS.values()):
        for value in (word, [word], {word: word}, {"sub1": word}, number, None):
            reply = doors.click(**{"t": token("ann", number), field: value})
            assert reply.status == 204
            assert reply.told == "recorded" or reply.told.startswith("ignored; ")
            assert "broke" not in reply.told
    for key in doors.items("clicks"):
        item = doors.store.everything()[key]
        assert json.dumps(item.body).isascii()
        assert len(json.dumps(item.body)) + len(key.pk) + len(key.sk) < 1_000


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("field", ["p", "t", "key", "email", "name", "tags", "signature"])
def test_in_every_field_of_a_sign_up(doors: Doors, field: str) -> None:
    for word in WORDS.values():
        for value in (word, [word], {word: word}, 10**400, -1.5, None, True):
            reply = sound(doors.sign_up(**{field: value}))
            assert reply.status in (200, 404, 422)


@pytest.mark.usefixtures("lines")
def test_unencoded_in_every_variable(filled: Doors) -> None:
    """As a raw client sends it. A further segment is another address, or none."""
    for method, route, _ in KEYED:
        if "{" not in route:
            continue
        for form in ("..", ".", "a/b", "//", ";a=b", "%", "%zz", "%c0%af", "%ff", "a+b", "%25"):
            target = re.sub(r"{\w+}", form, route)
            reply = filled.call(method, target, GOOD.get(route))
            assert reply.status in (404, 422), (target, reply.body)


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("route", "name"),
    [
        (route, known["name"])
        for method, route, told in KEYED
        for known in told["parameters"]
        if known["in"] == "query" and method == "GET"
    ],
)
def test_in_every_query(filled: Doors, route: str, name: str) -> None:
    for word in WORDS.values():
        reply = sound(filled.get(f"{path_of(route)}?{name}={addressed(word)}"))
        assert reply.status in (404, 422), (word, reply.json)
    for query in (f"{name}=a&{name}=b", f"{name}[]=a", f"{name}=%", f"{name}=%zz", "=&&==", "&"):
        sound(filled.get(f"{path_of(route)}?{query}"))
    sound(filled.get(f"{path_of(route)}?" + "&".join(f"x{n}=1" for n in range(500))))
    reply = sound(filled.get(f"{path_of(route)}?{addressed(WORDS['line'])}=1&limit=1"))
    assert "\r" not in str(reply.json.get("links"))


def fields_of(schema: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields of a described body."""
    components = document()["components"]["schemas"]
    if "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    for part in schema.get("anyOf", []):
        yield from (path for path in fields_of(part, at) if path != at)
    for name, part in schema.get("properties", {}).items():
        yield (*at, name)
        if len(at) < 2:
            yield from fields_of(part, (*at, name))


FIELDS = sorted(
    {
        (method, route, path)
        for method, route, told in KEYED
        if "requestBody" in told
        for path in fields_of(told["requestBody"]["content"]["application/json"]["schema"])
    }
)


def with_value(body: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    body = body if isinstance(body, dict) else {}
    return {**body, path[0]: with_value(body.get(path[0]), path[1:], value)}


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("method", "route", "path"),
    FIELDS,
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else part,
)
def test_in_every_field(filled: Doors, method: str, route: str, path: tuple[str, ...]) -> None:
    lists = [[word] for word in WORDS.values()] if path[0] in ("tags", "website") else []
    for value in [*WORDS.values(), *lists, *ODD]:
        body = with_value(GOOD[route], path, value)
        raw = value.raw(body, path) if isinstance(value, Raw) else body
        reply = filled.call(method, path_of(route), raw)
        if (path, value) == (("webhook_secret",), None):
            assert reply.json["code"] == "stripe_away"  # it was asked for a new one
            continue
        assert sound(reply).status in (200, 201, 202, 409, 422), reply.json


class Raw:
    """A value that ``json.dumps`` would not write."""

    def __init__(self, text: str) -> None:
        self.text = text

    def raw(self, body: Any, path: tuple[str, ...]) -> bytes:
        return json.dumps(body, default=lambda _: "@here@").replace('"@here@"', self.text).encode()


ODD: list[Any] = [
    None, True, False, 0, -1, 10**30, 1.5, "", [], {}, [[]], [None], {"": {}}, {"a": [{}]},
    ["x"] * 5_000,
    {str(number): number for number in range(5_000)},
    *map(Raw, [
        "1e999999", "-1e999999", "1e-999999", "9" * 4_000, "9" * 5_000, "-" + "9" * 5_000,
        "0." + "0" * 5_000 + "1", "NaN", "Infinity", "-Infinity", "1E400", "-0", "0e0",
        "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500, '"\\ud800"', '"\\u0000"',
    ]),
]  # fmt: skip


@pytest.mark.parametrize("word", LOOKALIKES)
def test_what_resembles_a_partner_is_none(filled: Doors, word: str) -> None:
    """In addresses, links, tokens and bodies."""
    assert len(LOOKALIKES) > 8
    assert filled.get(f"/v1/partners/{addressed(word)}").status == 404
    link = filled.ask("GET", f"/r/{filled.program.id}/{addressed(word)}")
    assert (link.status, link.told) == (302, "ignored; unknown partner")
    assert filled.click(t=token(word)).told in (
        "ignored; the token is malformed",
        "ignored; the body is not JSON",
    )
    told = {"key": "c9", "partner": {"key": word}}
    assert filled.post("/v1/customers", told).status == 422
    assert filled.post("/v1/partners", {"email": "x@example.com", "key": word}).status == 422


def test_keys_that_look_alike_are_two_customers(filled: Doors) -> None:
    """Composed or decomposed, a key is the bytes that the merchant said."""
    for key in ("caf\u00e9", "cafe\u0301", "CAF\u00c9", "s\u00e4m", "\u0455am", "sam\u0301"):
        reply = filled.post("/v1/customers", {"key": key})
        assert reply.status == 201, reply.json
        assert filled.get(f"/v1/customers/{addressed(key)}").data["key"] == key


ROUTES_WITH_BODY = [(method, route) for method, route, told in KEYED if "requestBody" in told]
BOMBS = {
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 lists, unclosed": b"[" * 100_000,
    "100,000 objects": b'{"key":' * 100_000 + b"1" + b"}" * 100_000,
    "900 objects": b'{"key":' * 900 + b"1" + b"}" * 900,
    "in a field": b'{"key":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many digits": b'{"key":' + b"9" * 900_000 + b"}",
    "a far exponent": b'{"key":1e999999999,"amount":1e-999999999}',
    "many fields": b"{" + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}",
    "many values": b'{"tags":[' + b"1," * 400_000 + b"1]}",
    "a long text": b'{"key":"' + b"x" * 900_000 + b'"}',
    "escapes": b'{"key":"' + b"\\u0000" * 100_000 + b'"}',
    "not UTF-8": b'{"key":"\xff\xfe"}',
    "UTF-7": b'{"key":"+ADw-script+AD4-"',
    "half a letter": b'{"key":"\xe2\x82"}',
    "a surrogate in bytes": b'{"key":"\xed\xa0\x80"}',
    "UTF-16": '{"emial":"x"}'.encode("utf-16"),
    "UTF-32": '{"emial":"x"}'.encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf{}x",
    "NaN": b'{"amount":NaN}',
    "two values": b"{}{}",
    "a comment": b"{}/**/",
    "one quote": b"{'key':1}",
    "too large": b'{"key":"' + b"x" * 1_000_001 + b'"}',
    "gzip": gzip.compress(b'{"key":"c"}'),
    "nothing but blanks": b"\n" * 1_000 + b"[",
}


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(("method", "route"), ROUTES_WITH_BODY, ids=str)
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(filled: Doors, method: str, route: str, bomb: str) -> None:
    before = filled.writes()
    reply = sound(filled.call(method, path_of(route), BOMBS[bomb]))
    assert reply.status == 422
    assert len(reply.body) < 8_000, "an answer repeats what it refuses"
    assert filled.writes() == before


@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "9" * 4_000 + "e9"])
def test_a_number_is_not_written_out_to_fill_the_memory(filled: Doors, number: str) -> None:
    body = b'{"key":"t","customer":{"key":"sam"},"amount":%s}' % number.encode()
    filled.post("/v1/transactions", body)  # what is imported at first use is imported
    tracemalloc.start()
    try:
        assert filled.post("/v1/transactions", body).status == 422
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_on_the_website(filled: Doors, bomb: str) -> None:
    before = filled.writes()
    assert filled.click(BOMBS[bomb]).told.startswith("ignored; ")
    assert filled.sign_up(BOMBS[bomb]).status == 422
    assert filled.writes() == before


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_nothing_is_refused(filled: Doors, name: str) -> None:
    """Stored, it would break every sale that reads it."""
    before = filled.writes()
    for given in (None, {"value": None}, {"value": None, "starts_on": "2026-06-01"}):
        reply = sound(filled.put("/v1/program", {name: given}))
        assert (reply.status, list(reply.errors)) == (422, [name])
    assert filled.writes() == before


def test_an_answer_does_not_grow_with_what_it_refuses(filled: Doors) -> None:
    """Lambda answers at most 6 MB."""
    many = {"rate_basis_points": 1, **{f"x{number}": 1 for number in range(99)}}
    for body in (
        {f"x{number}": 1 for number in range(20_000)},
        {"email": "x@example.com", "reward": {"type": "percentage", **many}},
        {"email": "x@example.com", "reward": {"amounts_minor": {f"{n}": 1 for n in range(20_000)}}},
        {"email": "x@example.com", "tags": [[]] * 20_000},
        {"email": "x@example.com", "y" * 100_000: 1},
    ):
        reply = sound(filled.post("/v1/partners", body))
        assert reply.status == 422
        assert 1 <= len(reply.errors) <= 20
        assert len(reply.body) < 4_000


def test_of_a_field_told_twice_the_last_counts(filled: Doors) -> None:
    """And not one for the check and the other for the deed."""
    reply = filled.post("/v1/customers", b'{"key":"first","key":"second"}')
    assert (reply.status, reply.data["key"]) == (201, "second")
    assert filled.get("/v1/customers/first").status == 404


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "\\x00"])
def test_an_encoding_that_is_told_is_not_believed(filled: Doors, encoding: str) -> None:
    """A body is read as it stands: there is nothing to blow up."""
    packed = gzip.compress(b'{"key":"' + b"x" * 5_000_000 + b'"}')
    head = [("Authorization", f"Bearer {filled.key}"), ("Content-Encoding", encoding)]
    assert filled.ask("POST", "/v1/customers", packed, head).status == 422
    assert filled.ask("POST", "/v1/customers", b'{"key":"plain"}', head).status == 201


@pytest.mark.parametrize(
    "kind",
    ["text/html", "multipart/form-data; boundary=x", "application/xml", "a", "", "x" * 5_000,
     "application/json\u00e9", "image/png"],
)  # fmt: skip
@pytest.mark.parametrize(("method", "route"), ROUTES_WITH_BODY, ids=str)
def test_what_calls_itself_something_else_is_415(
    filled: Doors, method: str, route: str, kind: str
) -> None:
    before = filled.writes()
    head = [("Authorization", f"Bearer {filled.key}"), ("Content-Type", kind)]
    reply = filled.ask(method, path_of(route), json.dumps(GOOD[route]).encode(), head)
    assert reply.status == 415
    assert reply.headers["content-type"] == "application/json"
    assert filled.writes() == before


HEADERS = {
    "Authorization": "Bearer {}\r\nX-Evil: 1",
    "User-Agent": "x\x00\u0085\u2028",
    "Referer": "https://a.example.com/\r\nX-Evil: 1",
    "X-Forwarded-Proto": "javascript",
    "X-Forwarded-Host": "evil.example.com",
    "Host": "evil.example.com",
    "If-None-Match": '"' * 5_000,
    "Accept": "text/html\r\nX-Evil: 1",
    "Origin": "null\r\nX-Evil: 1",
    "Accept-Encoding": "gzip;q=\x00",
}


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_break_lines(filled: Doors, name: str) -> None:
    for method, target in (
        ("GET", "/v1/program"),
        ("GET", "/v1/customers?limit=1"),
        ("GET", f"/r/{filled.program.id}/ann"),
        ("GET", f"/t/{filled.program.id}.js"),
        ("POST", "/t/click"),
        ("POST", "/t/signup"),
        ("POST", f"/stripe/webhooks/{filled.connection.id}"),
    ):
        head = {"Authorization": f"Bearer {filled.key}", name: HEADERS[name]}
        reply = filled.ask(method, target, b"{}", list(head.items()))
        assert reply.status < 500
        assert "x-evil" not in reply.headers
        assert all(not re.search(r"[\r\n]", value) for value in reply.headers.values())
        text = reply.body.decode() + str(reply.headers)
        assert "evil.example.com" not in text and "javascript:" not in text


@pytest.mark.usefixtures("lines")
def test_what_stripe_signed_breaks_no_line_of_the_log(
    filled: Doors, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, word in enumerate(WORDS.values()):
        event = filled.event("x", {"id": "x"}, id=f"evt_{number}_{word}"[:255])
        event["type"] = word[:255] or "x"
        raw = json.dumps(event).encode()
        reply = filled.deliver(raw)
        assert reply.status == 200
        assert reply.body.isascii()
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if '"door": "webhook"' in line]) == 2 * len(WORDS)
    for line in told:
        json.loads(line)
