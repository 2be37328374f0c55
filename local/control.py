"""The doors below `/_local/`: the clock, the schedules, the inbox and the work that is owed.

They stand in front of the app on this machine only. They are no part of the Chalice app, so they
cannot be deployed.
"""

import json
import logging
import math
from collections.abc import Callable
from typing import Any, Protocol

from local.clock import ShiftedClock, tell_fake_stripe
from local.http_wire import Answer, Request
from local.schedules import Schedules
from local.streams import Streams

log = logging.getLogger("local.control")

PREFIX = "/_local/"
SECONDS_A_DAY = 86_400
MOST_DAYS = 36_500


class Listing(Protocol):
    def list_all_for_operator(self) -> list[dict[str, Any]]: ...


class Stores(Protocol):
    @property
    def inbox(self) -> Listing: ...
    @property
    def work(self) -> Listing: ...


class Control:
    """Answers `/_local/` requests. `stores` is called when first needed."""

    def __init__(
        self,
        *,
        clock: ShiftedClock,
        schedules: Schedules,
        streams: Streams,
        stores: Callable[[], Stores],
        fake_stripe_url: str | None,
    ) -> None:
        self._clock = clock
        self._schedules = schedules
        self._streams = streams
        self._stores = stores
        self._fake_stripe_url = fake_stripe_url

    def answer(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        match request.method, path.removeprefix(PREFIX).split("/"):
            case "POST", ["clock"]:
                return self._move_clock(request.body)
            case "POST", ["run", name]:
                return self._run(name)
            case "GET", ["inbox"]:
                return self._listed(lambda: self._stores().inbox)
            case "GET", ["work"]:
                return self._listed(lambda: self._stores().work)
            case "GET", ["health"]:
                return _json(200, {"ready": True})
            case _:
                return _refusal(404, f"There is no {request.method} {path} on this machine.")

    def _listed(self, listing: Callable[[], Listing]) -> Answer:
        try:
            return _json(200, listing().list_all_for_operator())
        except Exception as error:
            log.exception("a listing failed")
            return _refusal(500, f"The list failed: {type(error).__name__}. The log says more.")

    def _move_clock(self, body: bytes) -> Answer:
        days = _days_in(body)
        if isinstance(days, str):
            return _refusal(422, days)
        if days:
            offset = self._clock.offset_seconds + days * SECONDS_A_DAY
            if self._fake_stripe_url:
                try:
                    tell_fake_stripe(self._fake_stripe_url, offset)
                except OSError as error:
                    log.warning("the fake Stripe's clock did not move: %s", error)
                    return _refusal(502, "The fake Stripe did not answer; no clock was moved.")
            self._clock.set_offset(offset)
        return _json(200, {"now": int(self._clock().timestamp())})

    def _run(self, name: str) -> Answer:
        known = [*self._schedules.names, *self._streams.names]
        if name not in known:
            message = f"There is no schedule {name!r}. There are: {', '.join(known)}."
            return _json(404, {"message": message, "schedules": known, "status": 0})
        try:
            if name in self._streams.names:
                result: Any = {"records": self._streams.drain(name)}
            else:
                result = self._schedules.run(name)
        except Exception as error:
            log.exception("%s failed", name)
            return _refusal(500, f"{name} failed: {type(error).__name__}. The log says more.")
        return _json(200, {"ran": name, "result": result})


def _days_in(body: bytes) -> float | str:
    """The days to advance by, or the sentence that says what is wrong."""
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        return "The body is not JSON."
    days = asked.get("advance_days") if isinstance(asked, dict) else None
    if isinstance(days, bool) or not isinstance(days, int | float):
        return "advance_days must be a number; 0 only reads the clock."
    if not math.isfinite(days) or days < 0:
        return "advance_days must not be negative: the clock only goes forward."
    if days > MOST_DAYS:
        return f"advance_days must be at most {MOST_DAYS}."
    return float(days)


def _refusal(status: int, message: str) -> Answer:
    return _json(status, {"message": message, "status": 0})


def _json(status: int, value: Any) -> Answer:
    body = json.dumps(value, default=str).encode() + b"\n"
    return Answer(status=status, headers=[("Content-Type", "application/json")], body=body)
