"""Answers one request of the Stripe API: key, idempotency, parameters, handler, paging, version."""

import hashlib
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from . import checks, permissions
from .calls import Call, Listed, Route, Rows
from .errors import StripeRefusal, invalid
from .events import pictured
from .expanding import expand
from .faults import AFTER, headers_of, refusal_of
from .form import decode
from .jobs import run_due
from .keys import account_name, account_name_of_key, base_name, key_of, masked
from .paging import page
from .resources import ROUTES
from .versions import NEWEST, render, shown_event
from .world import Object, World, public

if TYPE_CHECKING:
    from .fake import FakeStripe

MAX_KEY_LENGTH = 255


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    late_seconds: float = 0
    sent_bytes: int | None = None  # fewer than the body has: then the connection ends


def answer(
    fake: "FakeStripe", method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Answer:
    """`headers` have lower-case names. Never raises: a bug of the fake is Stripe's 500."""
    with fake.lock:
        request_id = "req_" + fake.random_text(14)
        try:
            key = key_of(headers.get("authorization", ""))
            world = _world(fake, key, headers)
            permissions.check(world, key, method, path)
            raw = decode(body.decode() if method == "POST" else query)
            world.request = {
                "id": request_id,
                "idempotency_key": headers.get("idempotency-key"),
            }
            fake.illness.check_rate(fake.now(), world.account_id, path)
            act = partial(_once, world, method, path, raw, headers)
            made = ill(fake, method, path, act)
        except StripeRefusal as refusal:
            made = Answer(refusal.status, _json(refusal.body))
        except ValueError as unreadable:
            made = Answer(400, _json(invalid(f"Unreadable request: {unreadable}").body))
        except Exception as bug:  # the border: a bug of the fake must reach the caller as a 500
            trace = traceback.format_exc(limit=20)
            fake.faults.append(trace)
            wrong = StripeRefusal(f"The fake Stripe is wrong: {bug}", status=500, type_="api_error")
            made = Answer(500, _json(wrong.body), {"Stripe-Should-Retry": "false"})
        finally:
            for world in fake.worlds.values():
                world.request = {"id": None, "idempotency_key": None}
        if method != "GET":
            fake.touched()
    made.headers |= {"Request-Id": request_id, "Content-Type": "application/json"}
    made.headers["Stripe-Version"] = headers.get("stripe-version", fake.api_version)
    return made


def ill(fake: "FakeStripe", method: str, path: str, act: Callable[[], Answer]) -> Answer:
    """The call itself, or what a planned fault makes of it."""
    fault = fake.illness.strike(method, path)
    if fault is None:
        return act()
    refusal = refusal_of(fault)
    if fault["kind"] not in AFTER:
        if refusal is None:
            return Answer(200, b"", sent_bytes=0)
        return Answer(refusal.status, _json(refusal.body), headers_of(fault))
    try:
        made = act()
    except StripeRefusal as refused:
        made = Answer(refused.status, _json(refused.body))
    match fault["kind"]:
        case "500_after":
            assert refusal is not None
            return Answer(500, _json(refusal.body), headers_of(fault))
        case "away_after":
            made.sent_bytes = 0
        case "slow":
            made.late_seconds = float(fault["seconds"])
        case "cut":
            made.sent_bytes = max(1, len(made.body) // 2)
        case "broken":
            made.body = made.body[: len(made.body) // 2] + b"<html>"
    return made


def _world(fake: "FakeStripe", key: str, headers: dict[str, str]) -> World:
    world = fake.world(account_name(key, fake.ended_keys))
    other = headers.get("stripe-account")
    if other is None or other == world.account_id:
        return world
    connected = fake.connect.reaches(world, other)
    if connected is not None:
        return connected
    raise StripeRefusal(
        f"The provided key '{masked(key)}' does not have access to account '{other}' (or that "
        "account does not exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def _once(world: World, method: str, path: str, raw: Object, headers: dict[str, str]) -> Answer:
    """Idempotency, docs.stripe.com/api/idempotent_requests: POST alone; the first answer is kept
    for 24 hours unless its parameters were refused before anything began."""
    key = headers.get("idempotency-key")
    if method != "POST" or not key:
        return _perform(world, method, path, raw, headers)
    if len(key) > MAX_KEY_LENGTH:
        raise invalid("Idempotency keys cannot be longer than 255 characters.")
    print_ = hashlib.sha256(json.dumps([path, raw], sort_keys=True).encode()).hexdigest()
    kept = world.idempotency.get(key)
    if kept is not None and kept["at"] > world.fake.now() - 86_400:
        if kept["print"] != print_:
            raise StripeRefusal(
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                type_="idempotency_error",
            )
        return Answer(kept["status"], kept["body"].encode(), {"Idempotent-Replayed": "true"})
    try:
        made = _perform(world, method, path, raw, headers)
    except StripeRefusal as refusal:
        if refusal.status != 402:
            raise
        made = Answer(refusal.status, _json(refusal.body))
    world.idempotency[key] = {
        "at": world.fake.now(),
        "print": print_,
        "status": made.status,
        "body": made.body.decode(),
    }
    return made


def _perform(world: World, method: str, path: str, raw: Object, headers: dict[str, str]) -> Answer:
    route, ids = _route(method, path)
    wanted = _paths(raw.get("expand", {}))
    if route.params:
        params = checks.read_params(route.params, raw)
    else:
        params = checks.read_params("CustomerRetrieveParams", raw)
    version = headers.get("stripe-version", world.api_version)
    run_due(world, world.fake.now())
    clock_id, time = _clock_of(world, ids, params)
    call = Call(world=world, ids=ids, params=params, version=version)
    with world.at(time, clock_id):
        made: Any = route.handler(call)
        if isinstance(made, Rows | Listed):
            made = page(world, made, params)
        run_due_at_once(world)
        shown = pictured(world, made)
        expand(world, shown, wanted)
    caller = account_name_of_key(key_of(headers["authorization"]))
    return Answer(200, _json(_shown(world, shown, version, caller)))


def _shown(world: World, shown: Object, version: str, caller: str) -> Object:
    """In the caller's version; but an event stays in the version it was made in. A platform is
    told which account an event is of."""

    def told(event: Object) -> Object:
        of = {"account": world.account_id} if base_name(caller) != base_name(world.name) else {}
        return shown_event(event | of, event["api_version"])

    if shown["object"] == "event":
        return told(shown)
    if shown["object"] == "list" and all(r["object"] == "event" for r in shown["data"]):
        events = [told(e) for e in shown["data"]]
        return public({k: v for k, v in shown.items() if k != "data"}) | {"data": events}
    newest = public(shown)
    if world.fake.check:
        checks.check_object(newest)
    return newest if version >= NEWEST else render(shown, version)


def run_due_at_once(world: World) -> None:
    """What a request made due in the same second, on the clock it works on, happens before its
    answer goes out when that clock is a test clock (it does not tick by itself)."""
    if world.clock_id is not None:
        run_due(world, world.now, world.clock_id)


def _clock_of(world: World, ids: list[str], params: Object) -> tuple[str | None, int]:
    """A call that concerns a customer on a test clock happens at that clock's time."""
    customer = params.get("customer")
    for id_ in ids:
        found = world.find(id_) or {}
        customer = id_ if found.get("object") == "customer" else customer or found.get("customer")
    owner = world.peek("customer", customer) if isinstance(customer, str) else None
    clock = owner.get("test_clock") if owner else None
    if clock and clock in world.table("test_helpers.test_clock"):
        return clock, world.table("test_helpers.test_clock")[clock]["frozen_time"]
    return None, world.fake.now()


def _route(method: str, path: str) -> tuple[Route, list[str]]:
    for route in ROUTES:
        if route.method == method and (found := route.pattern.fullmatch(path)):
            return route, list(found.groups())
    raise StripeRefusal(
        f"Unrecognized request URL ({method}: {path}). The fake Stripe knows a part of the API.",
        status=404,
    )


def _paths(raw: Any) -> list[str]:
    return [v for v in raw.values() if isinstance(v, str)] if isinstance(raw, dict) else []


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
