"""The operator's commands that take their time: a backfill, a reconciliation, with progress.

The command works on its job itself, in turns with the schedule. Stopped by Ctrl-C, it finishes the
page under way and leaves the rest to the schedule.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from chalicelib import flows
from chalicelib.core.names import Ms
from chalicelib.core.refusals import Refusal
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.cli_connection import scope_of
from chalicelib.entrypoints.wiring import House
from chalicelib.storage.job_records import Job

WIDTH = 30  # of the bar, in characters
SAY_EACH_S = 10.0  # where lines are written, not a bar drawn


def add_commands(things: Any) -> None:
    """``backfill`` and ``reconcile``, beside the other commands."""
    filling = things.add_parser("backfill", help=(backfill.__doc__ or "").split("\n")[0])
    filling.add_argument("connection")
    filling.add_argument("--from", dest="since", required=True, help="a day, e.g. 2025-01-01")
    filling.add_argument("--preview", action="store_true", help="say what would come of it")
    filling.set_defaults(run=backfill)
    comparing = things.add_parser("reconcile", help=(reconcile.__doc__ or "").split("\n")[0])
    comparing.add_argument("connection")
    comparing.add_argument("--from", dest="since", help="a day; three days ago, if not said")
    until = "a day, up to its UTC midnight; now, if not said"
    comparing.add_argument("--to", dest="until", help=until)
    comparing.set_defaults(run=reconcile)


def backfill(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Bring in the past of a connection's account, or say what would come of it."""
    from chalicelib.entrypoints.api_bodies import BackfillBody, parsed

    told = {"connection": asked.connection, "from": asked.since, "preview": asked.preview}
    body = parsed(BackfillBody, told)
    job = flows.ask_for_job.ask_for_backfill(
        body.connection,
        since=body.since,
        preview=body.preview,
        scope=scope_of(body.connection, house),
        store=house.store,
        now=now,
    )
    return _driven(job, house)


def reconcile(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Compare a stretch of time with Stripe, and heal what differs."""
    from chalicelib.entrypoints.api_bodies import ReconciliationBody, parsed

    told = {"connection": asked.connection, "from": asked.since, "to": asked.until}
    body = parsed(ReconciliationBody, told)
    job = flows.ask_for_job.ask_for_reconciliation(
        body.connection,
        since=body.since,
        until=body.until,
        scope=scope_of(body.connection, house),
        store=house.store,
        now=now,
    )
    return _driven(job, house)


def _driven(job: Job, house: House) -> dict[str, Any]:
    """Work on a job to its end. Raises ``Refusal`` where it failed, or was stopped before it."""
    from chalicelib.entrypoints import job_shapes

    progress = Progress(sys.stderr, bar=sys.stderr.isatty())
    with until_interrupted() as interrupted, log_beside(progress):
        progress.say(job)
        job = flows.run_jobs.run_job(
            job.id,
            job.scope,
            store=house.store,
            connections=house.connections,
            stripe=house.stripe,
            now=wiring.now_ms,
            say=progress.say,
            until=interrupted,
        )
    progress.end(job)
    if not job.over:
        sys.stderr.write(
            f"Left to the schedule, which goes on within a minute: {job.id}."
            f" See GET /v1/jobs/{job.id}; DELETE stops it.\n"
        )
    if job.state in ("failed", "stopped"):
        what = "failed" if job.state == "failed" else "was stopped"
        raise Refusal(f"The job {job.id} {what}: {job.because}")
    return job_shapes.job(job)


@contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second one ends the program at once."""
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        sys.stderr.write("\nFinishing this page.\n")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(slots=True)
class Progress:
    """A bar on a terminal, else a line now and then: done of total, rate, time left."""

    out: TextIO
    bar: bool
    clock: Callable[[], float] = time.monotonic
    _said_at: float = field(default=float("-inf"))
    _said: str = ""

    def say(self, job: Job) -> None:
        line = progress_line(job, width=WIDTH if self.bar else 0)
        if line == self._said:
            return
        if self.bar:
            self.out.write(f"\r\x1b[K{line}")
        elif self.clock() - self._said_at < SAY_EACH_S:
            return
        else:
            self.out.write(f"{line}\n")
        self._said, self._said_at = line, self.clock()
        self.out.flush()

    def end(self, job: Job) -> None:
        self._said_at = float("-inf")
        self.say(job)
        self.out.write("\n" if self.bar else "")
        self.out.flush()


@contextmanager
def log_beside(progress: Progress) -> Iterator[None]:
    """The log's lines would tear a bar apart: there is none while it is drawn."""
    with Path(os.devnull).open("w") as nowhere:
        into = nowhere if progress.bar else sys.stdout
        with redirect_stdout(into):
            yield


def progress_line(job: Job, *, width: int) -> str:
    """``[####----] 1,200 of about 4,800, 17.5 a second, 3 min left``."""
    parts = [f"{job.done:,} read"]
    bar = ""
    if job.total:
        share = min(1.0, job.done / job.total)
        about = "" if job.state == "done" else "about "
        parts = [f"{job.done:,} of {about}{job.total:,}"]
        filled = int(share * width)
        bar = f"[{'#' * filled}{'-' * (width - filled)}] " if width else ""
    if job.rate:
        parts.append(f"{job.rate:g} a second")
    if job.rate and job.total and not job.over:
        parts.append(_left((job.total - job.done) / job.rate))
    if job.because:
        parts.append(job.because)
    return f"{bar}{', '.join(parts)}"


def _left(seconds: float) -> str:
    if seconds >= 5_400:
        return f"{seconds / 3600:.0f} h left"
    if seconds >= 90:
        return f"{seconds / 60:.0f} min left"
    return f"{max(0, seconds):.0f} s left"
