"""The API fuzzed by schemathesis from its own description, through the real app in this process.

    fuzz(500, seed=1) -> Counter({200: 181, 422: 240, …})

Half of the names and keys that schemathesis makes up are replaced by ones that are there, so that
requests get further than "there is no such thing". Each chunk has a house of its own, filled a
little, so that the store stays small, and a fake Stripe beside it. A failure is raised with the
call as a curl line.
"""

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chalicelib.entrypoints import wiring
from local.fake_stripe import running_fake_stripe
from tests.attack.described import document
from tests.builders.world import DAY, MAY_1
from tests.doors_kit import Doors

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CHUNK = 60  # requests to one operation in one house
THERE = {
    "partner": ["ann", "BOB", "ann"],
    "customer": ["sam", "sam@example.com", "cus_1", "friend"],
    "transaction": ["paid", "pending", "in_1"],
}
STRIPE_KEY = "sk_" + "test_acme_1"
Answer = Iterable[bytes]


def fuzz(requests: int, *, seed: int) -> Counter[int]:
    """At least that many requests; raises at the first answer that breaks a promise."""
    fuzzed = Fuzzed()
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", fuzzed.answer)
    operations = [result.ok() for result in schema.include(path_regex="^/v1/").get_all_operations()]
    turn = 0
    while fuzzed.statuses.total() < requests:
        with fuzzed.fresh_house():
            for number, operation in enumerate(operations):
                left = requests - fuzzed.statuses.total()
                size = max(1, min(CHUNK, left // (len(operations) - number)))
                wrong = size // 3  # of what is sent is not as described
                for mode, count in ((POSITIVE, size - wrong), (NEGATIVE, wrong)):
                    fuzzed.attack(operation, mode, count, seed=seed * 10_000 + turn)
        turn += 1
    assert fuzzed.with_query > requests // 20, "the queries get lost on their way"
    return fuzzed.statuses


class Fuzzed:
    """The house under attack, as a WSGI app."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self._folder = tempfile.TemporaryDirectory()
        self._doors: Doors | None = None
        self._key = ""
        self.with_query = 0

    def fresh_house(self) -> "Fuzzed":
        return self

    def __enter__(self) -> None:
        self._stripe = running_fake_stripe(check=False)
        doors = Doors(Path(self._folder.name)).with_stripe(self._stripe.__enter__().url)
        self._doors = filled(doors)
        self._there = {**THERE, **things(doors)}

    def __exit__(self, *error: object) -> None:
        self._doors = None
        self._stripe.__exit__(None, None, None)
        wiring.set_house(None)
        wiring.set_clock(lambda: datetime.now(UTC))

    def attack(self, operation: Any, mode: GenerationMode, size: int, *, seed: int) -> None:
        if not size:
            return

        @hypothesis.seed(seed)
        @settings(
            max_examples=size,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def knock(case: Any, data: st.DataObject) -> None:
            _with_known_names(case, data, self._there)
            self._key = data.draw(st.sampled_from(self._keys()))
            case.call_and_validate(checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):  # where nothing can be sent, nothing is wrong
            knock()

    def _keys(self) -> list[str]:
        """Mostly a right one; one that nobody has; none, or what schemathesis thinks of."""
        assert self._doors
        return [*[self._doors.key] * 17, self._doors.live_key, "rfl_test_nobody", ""]

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        """The app as WSGI has it; the target as it was sent, still encoded."""
        if self._doors is None:
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(document()).encode()]
        headers = [
            (name[5:].replace("_", "-").title(), value)
            for name, value in environ.items()
            if name.startswith("HTTP_") and not (self._key and name == "HTTP_AUTHORIZATION")
        ]
        if self._key:
            headers.append(("Authorization", f"Bearer {self._key}"))
        if environ.get("CONTENT_TYPE"):
            headers.append(("Content-Type", environ["CONTENT_TYPE"]))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target = environ["REQUEST_URI"].partition("?")[0]
        if environ["QUERY_STRING"]:
            self.with_query += 1
            target += "?" + environ["QUERY_STRING"]
        reply = self._doors.ask(environ["REQUEST_METHOD"], target, body, headers)
        self.statuses[reply.status] += 1
        start(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers.items()))
        return [reply.body]


def filled(doors: Doors) -> Doors:
    """A paid and a pending sale of a referred customer, a sale of Stripe's, a few more people."""
    from tests.builders.stripe_bodies import an_invoice

    doors.a_customer("sam", email="sam@example.com", partner={"key": "ann"})
    doors.a_customer("friend", stripe_customer_id="cus_1", partner={"key": "Bob"})
    doors.a_sale("paid", customer="sam")
    doors.deliver(doors.event("invoice.paid", an_invoice()))
    doors.days(40).mature()
    doors.a_sale("pending", customer="sam")
    return doors


def things(doors: Doors) -> dict[str, list[str]]:
    """Names that are made up anew in each house."""
    made = doors.post("/v1/connections", {"api_key": STRIPE_KEY})
    assert made.status == 201, made.body
    id = made.data["id"]
    job = doors.post("/v1/backfills", {"connection": id, "from": "2026-01-01"}).data["id"]
    return {"connection": [id, id, doors.connection.id], "job": [job]}


def _with_known_names(case: Any, data: st.DataObject, there: dict[str, list[str]]) -> None:
    """Half of the time names that are there in the place of made-up ones."""
    sometimes = st.booleans()
    for place in (case.path_parameters, case.query):
        for name in place or {}:
            if name in there and data.draw(sometimes):
                place[name] = data.draw(st.sampled_from(there[name]))
    if isinstance(case.body, dict):
        if str(case.body.get("api_key")).startswith("rk_") and data.draw(st.integers(0, 9)):
            case.body["api_key"] = STRIPE_KEY  # what a restricted key may do takes a second
        if data.draw(sometimes):
            _tamed(case.body, data)
            if "connection" in case.body:
                case.body["connection"] = data.draw(st.sampled_from(there["connection"]))


def _tamed(body: dict[str, Any], data: st.DataObject) -> None:
    """Values that fit together, where chance would rarely make them."""
    for name in ("customer", "partner"):
        if name in body:
            body[name] = {"key": THERE[name][data.draw(st.integers(0, 1))]}
    if "partner" in body:
        body.pop("token", None)
    if "api_key" in body:
        body["api_key"] = STRIPE_KEY
        body.pop("webhook_secret", None)
    if "key" in body:
        body["key"] = data.draw(st.sampled_from(["ann", "sam", "paid", "one", "two", "three"]))
    for name in ("currency", "amount_units"):
        if name in body:
            body[name] = data.draw(st.sampled_from(["eur", "eur", "usd", "jpy", "kwd"]))
            break
    if "amount" in body and data.draw(st.booleans()):
        body["amount"] = "12"
        body.pop("amount_minor", None)
    if body.get("amount_minor") is not None:
        body.pop("amount", None)
    if "created_at" in body:
        body["created_at"] = data.draw(st.integers(MAY_1, MAY_1 + 40 * DAY))
    if "expected_minor" in body:
        body["expected_minor"] = 980
