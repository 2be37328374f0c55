"""Runs the app's scheduled functions, as EventBridge would, on the local clock.

The schedules are read from the app itself, so a new one needs nothing here. A `rate` runs at its
own pace and a `cron` once an hour, counted by the shifted clock: moving the clock a month ahead
makes each of them due once. Two runs of one schedule never overlap.
"""

import logging
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalice.app import Chalice, ScheduledEventConfig, ScheduleExpression
from chalice.local import LambdaContext

log = logging.getLogger("local.schedules")

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON_PACE = timedelta(hours=1)
_LAMBDA_TIMEOUT_MS = 900_000


@dataclass(slots=True)
class _Schedule:
    name: str
    handler: Callable[[Any, Any], Any]
    pace: timedelta
    due: datetime
    running: threading.Lock = field(default_factory=threading.Lock)


class Schedules:
    """Every schedule of an app. The first run of each comes one pace after the start."""

    def __init__(self, app: Chalice, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._schedules: dict[str, _Schedule] = {}
        for source in app.event_sources:
            if isinstance(source, ScheduledEventConfig):
                pace = pace_of(source.schedule_expression)
                handler = app.handler_map[source.name]
                due = clock() + pace
                self._schedules[source.name] = _Schedule(source.name, handler, pace, due)

    @property
    def names(self) -> list[str]:
        return sorted(self._schedules)

    def run(self, name: str) -> Any:
        """Run one now, after a run under way; returns its result. Raises KeyError, and its own."""
        schedule = self._schedules[name]
        with schedule.running:
            now = self._clock()
            schedule.due = now + schedule.pace
            context = LambdaContext(name, 256, max_runtime_ms=_LAMBDA_TIMEOUT_MS)
            return schedule.handler(_event(name, now), context)

    def run_due(self) -> None:
        for schedule in self._schedules.values():
            if self._clock() >= schedule.due:
                try:
                    self.run(schedule.name)
                except Exception:
                    log.exception("the schedule %s failed", schedule.name)

    def tick_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(1):
            self.run_due()


def pace_of(expression: str | ScheduleExpression) -> timedelta:
    """The time between two runs of a schedule expression; an hour for a cron."""
    text = expression if isinstance(expression, str) else expression.to_string()
    if match := _RATE.fullmatch(text):
        return timedelta(**{f"{match[2]}s": int(match[1])})
    return _CRON_PACE


def _event(name: str, now: datetime) -> dict[str, Any]:
    """What EventBridge hands to a function on schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [f"arn:aws:events:us-east-1:000000000000:rule/{name}"],
        "detail": {},
    }
