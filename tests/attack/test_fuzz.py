"""The description against the routes; the API against the description; every door against bytes."""

import json
from typing import Any
from urllib.parse import quote, urlsplit

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import app
from chalicelib.entrypoints import api_bodies
from chalicelib.entrypoints.openapi_routes import OPERATIONS
from tests.attack.described import document
from tests.attack.fuzz import fuzz
from tests.builders.stripe_bodies import a_session, an_invoice, as_body, build_event, signed
from tests.doors_kit import BASE_URL, WEBHOOK_SECRET, Doors, token

MUCH = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class TestTheDescription:
    def test_it_is_served_without_a_key(self, doors: Doors) -> None:
        reply = doors.get("/v1/openapi.json", key="")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json == document()
        assert reply.json["openapi"] == "3.1.0"
        assert reply.json["servers"] == [{"url": BASE_URL}]
        assert doors.get("/v1/openapi.json", key="nonsense").status == 200

    def test_it_knows_every_route_and_no_other(self) -> None:
        there = {(method, path) for path, methods in app.routes.items() for method in methods}
        assert set(OPERATIONS) == there
        paths = document()["paths"]
        assert {(m.upper(), path) for path, found in paths.items() for m in found} == there

    def test_each_operation_is_told_in_full(self) -> None:
        ids = []
        for route, methods in document()["paths"].items():
            for method, told in methods.items():
                ids.append(told["operationId"])
                assert told["summary"]
                named = {known["name"] for known in told["parameters"] if known["in"] == "path"}
                assert {f"{{{name}}}" for name in named} == {
                    part for part in route.split("/") if part.startswith("{")
                }
                keyed = route.startswith("/v1/") and route != "/v1/openapi.json"
                assert ("security" in told) == (not keyed), "a key is asked for just below /v1/"
                assert ("401" in told["responses"]) == keyed
                if method in ("post", "put") and not route.endswith("/confirm"):
                    assert told["requestBody"]["content"]
        assert len(ids) == len(set(ids))

    def test_its_schemas_are_schemas(self) -> None:
        components = document()["components"]
        for name, schema in components["schemas"].items():
            jsonschema_rs.meta.validate(schema)
            jsonschema_rs.Draft202012Validator({**schema, "components": components})
            assert name in json.dumps(document()["paths"]) + json.dumps(components)

    def test_each_field_of_each_body_is_in_it(self) -> None:
        schemas = document()["components"]["schemas"]
        for name, made in vars(api_bodies).items():
            if not (isinstance(made, type) and issubclass(made, api_bodies.Body)):
                continue
            if name in ("Body", "_WithAmount", "Setting", "SettingsValues"):
                continue  # what others are made of
            fields = {known.alias or field for field, known in made.model_fields.items()}
            assert set(schemas[name]["properties"]) == fields, name
            assert schemas[name]["additionalProperties"] is False

    @pytest.mark.parametrize(
        ("model", "body"),
        [
            ("ProgramBody", {"window_days": 60}),
            ("ProgramBody", {"window_days": {"value": 60, "starts_on": "2026-06-01"}}),
            ("ProgramBody", {"reward": {"type": "fixed", "amounts_minor": {"eur": 500}}}),
            ("ProgramBody", {"website": {"url": "https://shop.example.com", "cookie_days": 3}}),
            ("PartnerBody", {"email": "ann@example.com", "key": 5, "tags": ["a"]}),
            ("PartnerChangeBody", {"reward": None, "status_starts_on": 1_777_593_600}),
            ("CustomerBody", {"key": "c", "partner": {"key": "ann"}}),
            ("TransactionBody", {"key": "t", "customer": {"key": "c"}, "amount": 29}),
            ("TransactionBody", {"key": "t", "customer": {"key": "c"}, "amount": "29.90"}),
            ("RefundBody", {"key": "r", "amount_minor": 500}),
        ],
    )
    def test_what_the_api_takes_it_allows(self, doors: Doors, model: str, body: Any) -> None:
        components = document()["components"]
        schema = {"$ref": f"#/components/schemas/{model}", "components": components}
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(body)
        api_bodies.parsed(getattr(api_bodies, model), body)
        assert not jsonschema_rs.Draft202012Validator(schema).is_valid({**body, "emial": 1})


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_api_keeps_to_its_description(seed: int) -> None:
    """A sample; ``make attack`` sends 20,000."""
    statuses = fuzz(350, seed=seed)
    assert statuses.total() >= 350
    assert not [status for status in statuses if status >= 500]
    assert {200, 201, 401, 404, 422} <= set(statuses)


# the website's doors and Stripe's

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
HEADER_TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=200)


@MUCH
@given(data=st.data())
def test_a_click_is_204_whatever_is_sent(doors: Doors, data: st.DataObject) -> None:
    good = {
        "p": doors.program.id,
        "t": token("ann"),
        "u": "https://a.example.com",
        "r": "",
        "s": {},
    }
    told = {name: data.draw(JSON_VALUES | st.just(value)) for name, value in good.items()}
    body = data.draw(st.binary(max_size=300) | st.just(json.dumps(told).encode()))
    agent = data.draw(HEADER_TEXT)
    headers = [("Content-Type", "text/plain"), ("User-Agent", agent)]
    reply = doors.ask("POST", "/t/click", body, headers)
    assert reply.status == 204
    assert reply.told == "recorded" or reply.told.startswith("ignored; ")
    assert "broke" not in reply.told
    for key in doors.items("clicks"):
        item = doors.store.everything()[key]
        assert len(json.dumps(item.body)) + len(key.pk) + len(key.sk) < 1_000


@MUCH
@given(data=st.data())
def test_a_sign_up_is_taken_or_refused(doors: Doors, data: st.DataObject) -> None:
    good: dict[str, Any] = {
        "p": doors.program.id,
        "t": token("ann"),
        "key": "u1",
        "email": "sam@example.com",
    }
    good |= {"name": "Sam", "tags": ["a"], "signature": "0" * 64}
    told = {name: data.draw(JSON_VALUES | st.just(value)) for name, value in good.items()}
    body = data.draw(st.binary(max_size=300) | st.just(json.dumps(told).encode()))
    reply = doors.sign_up(body)
    assert reply.status in (200, 404, 422)
    assert reply.json["status"] in (0, 1)


@MUCH
@given(
    program=st.text(max_size=80),
    partner=st.text(max_size=80),
    query=st.text(max_size=120),
    known=st.booleans(),
)
def test_a_link_leads_to_the_site_or_nowhere(
    doors: Doors, program: str, partner: str, query: str, known: bool
) -> None:
    name = doors.program.id if known else quote(program, safe="") or "x"
    who = quote(partner, safe="") or "ann"
    reply = doors.ask("GET", f"/r/{name}/{who}?to={quote(query, safe='')}")
    assert reply.status == 302 if known else reply.status in (302, 404)
    if reply.status == 302:
        assert urlsplit(reply.headers["location"]).netloc == "shop.example.com"
        assert all(" " < letter <= "~" for letter in reply.headers["location"])


@MUCH
@given(file=st.text(max_size=80), etag=HEADER_TEXT)
def test_a_script_is_served_or_not_there(doors: Doors, file: str, etag: str) -> None:
    path = f"/t/{quote(file, safe='') or 'x'}"
    assert doors.ask("GET", path, b"", [("If-None-Match", etag)]).status == 404
    served = doors.ask("GET", f"/t/{doors.program.id}.js", b"", [("If-None-Match", etag)])
    assert served.status in (200, 304)


@MUCH
@given(body=st.binary(max_size=300), signature=HEADER_TEXT)
def test_a_webhook_that_nobody_signed_is_400(doors: Doors, body: bytes, signature: str) -> None:
    reply = doors.deliver(body, signature=signature)
    assert reply.status == 400
    assert doors.items("inbox") == []


def mutated(data: st.DataObject, value: Any) -> Any:
    """The same with one part of it, somewhere, replaced or left out."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        name = data.draw(st.sampled_from(sorted(value)))
        if not data.draw(st.integers(0, 9)):
            return {n: v for n, v in value.items() if n != name}
        return {**value, name: mutated(data, value[name])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(data, value[place]), *value[place + 1 :]]
    return data.draw(JSON_VALUES)


@MUCH
@given(data=st.data())
def test_a_signed_webhook_is_200_whatever_it_holds(doors: Doors, data: st.DataObject) -> None:
    """Stripe's own bodies with parts replaced: handled, ignored or failed with a reason."""
    kind, about = data.draw(
        st.sampled_from(
            [
                ("invoice.paid", an_invoice()),
                ("checkout.session.completed", a_session(client_reference_id=token("ann"))),
            ]
        )
    )
    event = build_event(kind, about, id=f"evt_{data.draw(st.integers(0, 10**9))}")
    event = (
        mutated(data, event)
        if data.draw(st.booleans())
        else {**event, "data": mutated(data, event["data"])}
    )
    body = data.draw(st.just(json.dumps(event).encode()) | st.binary(max_size=200))
    signature = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
    reply = doors.deliver(body, signature=signature)
    assert reply.status == 200
    assert reply.data["state"] in ("handled", "ignored", "failed", "duplicate")
    assert "bug" not in reply.data["reason"], body


def test_the_builders_bodies_are_handled(doors: Doors) -> None:
    """Or the test above would mutate what is refused anyway."""
    event = build_event("invoice.paid", an_invoice())
    assert doors.deliver(as_body(event)).data["state"] == "handled"
