"""The control surface, `/_control/...`: what no Stripe has. Local, without a key.

GET|POST /_control/clock              {"offset_seconds": n}
GET|POST /_control/deliveries         settings in, the queue out: mode normal|hold, order, repeat,
                                       parallel, backoff_seconds, drop (types), drop_share with
                                       seed, delay_seconds (the fake's clock) with delay_share
POST     /_control/deliveries/release | flush {"timeout_seconds"} | redeliver {"event"}
POST     /_control/buy_buttons        {"key", "payment_link" | "price"}
POST     /_control/pricing_tables     {"key", "prices": [...]}
POST     /_control/accounts           {"key", "api_version"}
POST     /_control/keys               {"key", "permissions": ["rak_..._read"] | null,
                                       "state": "valid" | "expired" | "unknown"}
POST     /_control/platforms          {"key", "client_id", "redirect_uris", "name"}
POST     /_control/oauth/approve      {"client_id", "account": name} -> {"code", "account": id}
POST     /_control/oauth/deauthorize  {"client_id", "account": name}, from the account's side
GET      /_control/oauth/connections
POST     /_control/webhook_endpoints/roll {"endpoint", "hours": 24} -> {"secret"}
GET|POST /_control/faults             {"faults": [{"kind", "calls", "skip", "method", "path",
                                       "retry_after", "seconds"}], "rate_limit": {"per_second",
                                       "scope"}, "never": {"types", "objects",
                                       "times"}, "clear"}: `faults`
POST     /_control/past               {"key", "story", "count", "from", "to"}: seconds; `stories`
POST     /_control/disputes           {"key", "charge", "reason", "inquiry", "amount"}
GET      /_control/health
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import control_connect
from .api import Answer
from .errors import StripeRefusal
from .faults import control_faults
from .keys import account_name_of_key, publishable_key
from .resources.disputes import open_dispute
from .resources.payment_links import make_link
from .versions import SUPPORTED
from .world import public

if TYPE_CHECKING:
    from .fake import FakeStripe

Object = dict[str, Any]
SHOWN_DELIVERIES = 200


def answer(fake: "FakeStripe", method: str, path: str, body: bytes) -> Answer:
    """JSON in and out. A wrong body is 400 with a sentence."""
    handler = _HANDLERS.get((method, path.removeprefix("/_control").rstrip("/")))
    if handler is None:
        return _json(404, {"error": "no such control"})
    try:
        given = json.loads(body) if body.strip() else {}
        if not isinstance(given, dict):
            raise ValueError("the body must be a JSON object")
        return _json(200, handler(fake, given))
    except StripeRefusal as refusal:
        return _json(refusal.status, refusal.body)
    except (ValueError, KeyError, StopIteration) as wrong:
        return _json(400, {"error": f"{type(wrong).__name__}: {wrong}"})


def _clock(fake: "FakeStripe", given: Object) -> Object:
    if "offset_seconds" in given:
        fake.move_clock(int(given["offset_seconds"]))
    return {"offset_seconds": fake.offset_seconds, "now": fake.now()}


def _deliveries(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        fake.deliveries.configure(given)
        fake.touched()
        return _queue(fake)


def _queue(fake: "FakeStripe", given: Object | None = None) -> Object:
    with fake.lock:
        items = fake.deliveries.items
        states = ("pending", "sending", "held", "delivered", "failed", "dropped")
        counts = {s: sum(d["state"] == s for d in items) for s in states}
        shown = [
            {k: v for k, v in d.items() if k != "not_before"} for d in items[-SHOWN_DELIVERIES:]
        ]
        return counts | {"settings": fake.deliveries.settings, "deliveries": shown}


def _release(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        return {"released": fake.deliveries.release()}


def _redeliver(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        return {"queued": fake.deliveries.redeliver(given["event"])}


def _flush(fake: "FakeStripe", given: Object) -> Object:
    fake.run_due()
    done = fake.deliveries.flush(float(given.get("timeout_seconds", 60)))
    queue = _queue(fake)
    return {"done": done} | {k: queue[k] for k in ("pending", "held", "failed", "delivered")}


def _buy_button(fake: "FakeStripe", given: Object) -> Object:
    offers = [{k: given[k]} for k in ("payment_link", "price") if k in given][:1]
    return _embed(fake, "buy_btn_", given["key"], offers)


def _pricing_table(fake: "FakeStripe", given: Object) -> Object:
    return _embed(fake, "prctbl_", given["key"], [{"price": p} for p in given["prices"]])


def _embed(fake: "FakeStripe", prefix: str, key: str, offers: list[Object]) -> Object:
    if not offers:
        raise ValueError("give a payment_link, a price, or prices")
    name = account_name_of_key(key)
    with fake.lock:
        world = fake.world(name)
        links = []
        for offer in offers:
            if "payment_link" in offer:
                links.append(world.get("payment_link", offer["payment_link"], "payment_link"))
            else:
                line = {"price": offer["price"], "quantity": 1}
                links.append(make_link(world, {"line_items": [line]}))
        id_ = prefix + fake.random_text(24)
        fake.embeds[id_] = {"account": name, "links": [link["id"] for link in links]}
        fake.touched()
    return {
        "id": id_,
        "publishable_key": publishable_key(name),
        "payment_links": [link["id"] for link in links],
    }


def _account(fake: "FakeStripe", given: Object) -> Object:
    """Sets an account's default version: events of endpoints without one are rendered in it."""
    with fake.lock:
        world = fake.world(account_name_of_key(given["key"]))
        if "api_version" in given:
            if given["api_version"] not in SUPPORTED:
                raise ValueError(f"api_version is one of {', '.join(SUPPORTED)}")
            world.api_version = given["api_version"]
            fake.touched()
        return {
            "id": world.account_id,
            "api_version": world.api_version,
            "publishable_key": publishable_key(world.name),
        }


def _dispute(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        world = fake.world(account_name_of_key(given["key"]))
        made = open_dispute(
            world,
            world.get("charge", given["charge"], "charge"),
            given.get("reason", "fraudulent"),
            inquiry=bool(given.get("inquiry", False)),
            amount=given.get("amount"),
        )
        fake.touched()
        return public(made)


def _past(fake: "FakeStripe", given: Object) -> Object:
    """A past for an account: how many objects of each kind it has now, and the seconds it spans."""
    story = {k: v for k, v in given.items() if k not in ("key", "count", "from", "to")}
    begin, end = int(given["from"]), int(given.get("to", fake.now()))
    made = fake.make_past(given["key"], count=int(given["count"]), begin=begin, end=end, **story)
    kinds = [slot.kind for slot in made.slots]
    return {
        "objects": {kind: kinds.count(kind) * made.count for kind in sorted(set(kinds))},
        "first": made.first,
        "last": made.last,
    }


def _keys(fake: "FakeStripe", given: Object) -> Object:
    """Restricts a key to the named permissions (null: everything again), or ends it: `expired` as
    a rolled key is, `unknown` as a deleted one."""
    key, state = given["key"], given.get("state", "valid")
    account_name_of_key(key)
    if state not in ("valid", "expired", "unknown"):
        raise ValueError("state is valid, expired or unknown")
    with fake.lock:
        if "permissions" in given:
            fake.restricted.pop(key, None)
            if given["permissions"] is not None:
                fake.restricted[key] = list(given["permissions"])
        if "state" in given:
            fake.ended_keys.pop(key, None)
            if state != "valid":
                fake.ended_keys[key] = state
        fake.touched()
        return {
            "permissions": fake.restricted.get(key),
            "state": fake.ended_keys.get(key, "valid"),
        }


def _health(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        return {
            "ok": not fake.faults,
            "now": fake.now(),
            "accounts": {w.name: w.account_id for w in fake.worlds.values()},
            "waiting_deliveries": fake.deliveries.waiting(),
            "faults": fake.faults[-5:],
        }


def _json(status: int, value: Object) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


_HANDLERS: dict[tuple[str, str], Callable[["FakeStripe", Object], Object]] = {
    ("GET", "/clock"): _clock,
    ("POST", "/clock"): _clock,
    ("GET", "/deliveries"): _queue,
    ("POST", "/deliveries"): _deliveries,
    ("POST", "/deliveries/release"): _release,
    ("POST", "/deliveries/redeliver"): _redeliver,
    ("POST", "/deliveries/flush"): _flush,
    ("POST", "/buy_buttons"): _buy_button,
    ("POST", "/pricing_tables"): _pricing_table,
    ("POST", "/accounts"): _account,
    ("POST", "/keys"): _keys,
    ("POST", "/disputes"): _dispute,
    ("POST", "/past"): _past,
    ("POST", "/platforms"): control_connect.platforms,
    ("POST", "/oauth/approve"): control_connect.approve,
    ("POST", "/oauth/deauthorize"): control_connect.deauthorize,
    ("POST", "/webhook_endpoints/roll"): control_connect.roll_secret,
    ("GET", "/faults"): control_faults,
    ("POST", "/faults"): control_faults,
    ("GET", "/oauth/connections"): control_connect.connections,
    ("GET", "/health"): _health,
}
