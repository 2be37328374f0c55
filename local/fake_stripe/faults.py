"""A Stripe that is ill, on demand: refused, late, broken or missing answers, and events that are
never made.

A planned fault strikes the next `calls` API calls that fit its `method` and `path` (a prefix below
/v1, or one that begins with /oauth), after `skip` of them went through:

429, 500, 503   nothing is done; 429 with `retry_after` seconds in its header, or without
500_after       the call is done, its answer is a 500
away            the connection ends without an answer; nothing is done
away_after      the same, and the call is done
slow            the answer comes `seconds` (real ones) later
cut             the call is done, its answer ends in the middle
broken          the call is done, its answer is not JSON

Besides, a rate limit: at most `per_second` calls an account, or an account's resource, in one
second of the fake's own clock. docs.stripe.com/rate-limits.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import StripeRefusal

if TYPE_CHECKING:
    from .fake import FakeStripe

Object = dict[str, Any]
KINDS = ("429", "500", "503", "500_after", "away", "away_after", "slow", "cut", "broken")
AFTER = ("500_after", "away_after", "slow", "cut", "broken")
_FIELDS = {"kind", "calls", "skip", "method", "path", "retry_after", "seconds", "should_retry"}


@dataclass(slots=True)
class Illness:
    """All of it is called with the fake's lock held. Nothing here outlives the process."""

    planned: list[Object] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)
    per_second: int = 0
    scope: str = "resource"
    never: Object = field(default_factory=dict)
    _second: int = 0
    _seen: dict[str, int] = field(default_factory=dict)

    def plan(self, given: Object) -> None:
        """Raises `ValueError` for a fault that is none."""
        unknown = set(given) - _FIELDS
        if unknown or given.get("kind") not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}; unknown: {sorted(unknown)}")
        self.planned.append({"calls": 1, "skip": 0, "method": "", "path": ""} | given)

    def limit(self, per_second: int, scope: str) -> None:
        """`per_second` 0 ends it."""
        if scope not in ("resource", "account"):
            raise ValueError("scope is resource or account")
        self.per_second, self.scope = per_second, scope

    def strike(self, method: str, path: str) -> Object | None:
        """The fault of this call, if one is planned."""
        for fault in self.planned:
            below = "" if fault["path"].startswith("/oauth") else "/v1"
            fits = path.startswith(below + fault["path"]) and fault["method"] in ("", method)
            if not fits or fault["calls"] <= 0:
                continue
            if fault["skip"] > 0:
                fault["skip"] -= 1
                return None
            fault["calls"] -= 1
            self._count(fault["kind"])
            return fault
        return None

    def check_rate(self, now: int, account: str, path: str) -> None:
        """Raises Stripe's 429 for a call above the limit."""
        if not self.per_second:
            return
        if now != self._second:
            self._second, self._seen = now, {}
        resource = path.split("/")[2] if self.scope == "resource" and path.count("/") > 1 else ""
        key = f"{account}/{resource}"
        self._seen[key] = self._seen.get(key, 0) + 1
        if self._seen[key] > self.per_second:
            self._count("rate_limit")
            raise rate_limited()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Nothing that happens inside makes an event."""
        before, self.never = self.never, {"types": ["*"]}
        try:
            yield
        finally:
            self.never = before

    def silences(self, type_: str, object_id: str) -> bool:
        """Whether this event is one of those that are never made."""
        never = self.never
        types, objects = never.get("types", ()), never.get("objects", ())
        if never.get("times", 1) <= 0 or not ({type_, "*"} & set(types) or object_id in objects):
            return False
        if "times" in never:
            never["times"] -= 1
        self._count("never")
        return True

    def _count(self, what: str) -> None:
        self.struck[what] = self.struck.get(what, 0) + 1


def rate_limited() -> StripeRefusal:
    return StripeRefusal(
        "Request rate limit exceeded. Learn more about rate limits here "
        "https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
    )


def refusal_of(fault: Object) -> StripeRefusal | None:
    """What is answered instead of doing anything, or None for a fault that comes later."""
    match fault["kind"]:
        case "429":
            return rate_limited()
        case "500" | "503" | "500_after":
            return StripeRefusal(
                "An unknown error occurred", status=int(fault["kind"][:3]), type_="api_error"
            )
    return None


def headers_of(fault: Object) -> dict[str, str]:
    headers = {}
    if fault.get("retry_after") is not None:
        headers["Retry-After"] = str(fault["retry_after"])
    if "should_retry" in fault:
        headers["Stripe-Should-Retry"] = "true" if fault["should_retry"] else "false"
    return headers


def lot(seed: int, *names: str) -> float:
    """A number from 0 to below 1, the same for the same names: what a `share` is held against."""
    digest = hashlib.sha256(":".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


# -- the control surface's part ----------------------------------------------------------------


def control_faults(fake: "FakeStripe", given: Object) -> Object:
    """Plans the given faults, or (GET, or `clear`) shows or forgets what is planned."""
    with fake.lock:
        if given.get("clear"):
            fake.illness.planned.clear()
            fake.illness.limit(0, "resource")
            fake.illness.never = {}
        for fault in given.get("faults", []):
            fake.illness.plan(fault)
        if "rate_limit" in given:
            wanted = given["rate_limit"] or {"per_second": 0}
            fake.illness.limit(int(wanted["per_second"]), wanted.get("scope", "resource"))
        if "never" in given:
            fake.illness.never = dict(given["never"] or {})
        left = [f for f in fake.illness.planned if f["calls"] > 0]
        return {"planned": left, "struck": dict(fake.illness.struck)}
