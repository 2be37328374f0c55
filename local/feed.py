"""Fills the inbox from Stripe's list of events, every few seconds: nobody reaches this machine.

It is the step with which a deployment catches up, on every connection that has a key and no webhook
endpoint. Stripe's clock cannot be moved, so the list is read on the real one.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chalicelib.core.refusals import Refusal
from chalicelib.entrypoints.wiring import House
from chalicelib.flows import catch_up
from chalicelib.flows.job_desk import Desk
from chalicelib.flows.show_connections import open_connections
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job

log = logging.getLogger("local.feed")

EVERY_SECONDS = 4
OVERLAP_SECONDS = 120  # an event may turn up in the list a little after it was made
LOOK_BACK_SECONDS = 900  # at the start; before that it is the job that catches up


class Feed:
    """`house` is called when first needed; `clock` gives the real unix seconds."""

    def __init__(
        self, house: Callable[[], House], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._house, self._clock = house, clock
        self._cursors: dict[str, Mapping[str, Any]] = {}

    def look_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(EVERY_SECONDS):
            try:
                self.look(stopping.is_set)
            except Refusal as refusal:
                log.warning("Stripe's events could not be read: %s", refusal.message)
            except Exception as error:
                log.warning("Stripe's events could not be read: %s", type(error).__name__)

    def look(self, until: Callable[[], bool] = lambda: False) -> int:
        """Take in what is new; returns how much that was."""
        house = self._house()
        return sum(
            self._look(connection, house, until)
            for connection in open_connections(store=house.store)
            if connection.sealed_api_key and not connection.endpoint
        )

    def _look(self, connection: Connection, house: House, until: Callable[[], bool]) -> int:
        now = int(self._clock())
        begin = max(connection.created_at // 1000, now - LOOK_BACK_SECONDS)
        known = self._cursors.get(
            connection.id, {"undelivered_through": begin, "seen_through": begin}
        )
        job = Job(
            id="feed",
            program=connection.program,
            livemode=connection.livemode,
            connection=connection.id,
            kind="catch_up",
            created_at=now * 1000,
            params={"grace_s": 0, "overlap_s": OVERLAP_SECONDS},
            cursor=known,
        )
        desk = Desk(
            store=house.store,
            connections=house.connections,
            connection=connection,
            calls=house.stripe(house.connections.credentials(connection)),
            now=lambda: int(self._clock() * 1000),
            until=until,
            stripe=house.stripe,
        )
        while not until():
            step = catch_up.step(job, desk)
            job = replace(job, cursor=step.cursor, result=step.result)
            if step.ended:
                self._cursors[connection.id] = step.cursor
                break
        return int(job.result.get("taken_in", 0))
