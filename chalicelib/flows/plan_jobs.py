"""Making jobs, and finding them: those that somebody asks for once, and those that stand."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.core.names import Ms
from chalicelib.core.refusals import NotFound
from chalicelib.storage import job_records, keys
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job, JobKind
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Put, Stale, Store, Write

MINUTE_MS = 60_000
DAY_MS = 86_400_000
STANDING: Mapping[JobKind, Ms] = {
    "catch_up": 15 * MINUTE_MS,
    "resolve": 60 * MINUTE_MS,
    "reconcile": DAY_MS,
}
"""What every open connection has, and how often it runs."""

QUIET_HOUR = 3  # UTC, in which reconciliations begin, each connection at a minute of its own
NIGHTLY_DAYS, MONTHLY_DAYS = 3, 31


def plan_jobs(connection: Connection, *, store: Store, now: Ms, opened: bool = True) -> int:
    """The standing jobs of an open connection are made, or started again where they were stopped,
    or (``opened``: it was just authorised) had failed: how many. A repeat changes nothing. A
    connection that cannot be asked by any key has none."""
    if connection.state != "open" or not (connection.sealed_api_key or connection.how == "oauth"):
        return 0
    restarted = ("stopped", "failed") if opened else ("stopped",)
    wanted = [_standing(connection, kind, now) for kind in STANDING if _may(kind, connection)]
    there = store.get([job.key for job in wanted])
    writes = []
    for job in wanted:
        item = there.get(job.key)
        if item is None:
            writes.append(Put(job_records.job_item(job, version=0)))
        elif (known := job_records.read_job(item)).state in restarted:
            params = {**known.params, **job.params}  # the next night may be a whole month's
            again = replace(known, state="waiting", because="", tries=0, params=params)
            again = replace(again, due_at=job.due_at)
            writes.append(Put(job_records.job_item(again, version=item.version)))
    if not writes:
        return 0
    try:
        store.commit(writes)
    except Stale:  # somebody else planned them, or works on one: the next planning looks again
        return 0
    return len(writes)


def make_job(
    kind: JobKind,
    *,
    connection: Connection,
    params: Mapping[str, Any],
    store: Store,
    now: Ms,
    beside: Callable[[Job], Sequence[Write]] = lambda job: (),
) -> Job:
    """A job that runs once, from now on, in one transaction with what is to be written ``beside``
    it, whose conditions may raise ``Stale``."""
    job = Job(
        id=f"job_{secrets.token_hex(8)}",
        program=connection.program,
        livemode=connection.livemode,
        connection=connection.id,
        kind=kind,
        created_at=now,
        params=params,
        due_at=now,
    )
    store.commit([Put(job_records.job_item(job, version=0)), *beside(job)])
    return job


def read_job(scope: Scope, id: str, store: Store) -> Job:
    """A job of that program and mode; raises ``NotFound``."""
    key = keys.job(scope, id)
    item = store.get([key]).get(key)
    if item is None:
        raise NotFound("There is no such job.")
    return job_records.read_job(item)


def jobs_of(
    scope: Scope, kind: JobKind, *, store: Store, limit: int, after: str = ""
) -> tuple[Sequence[Job], str]:
    """A page of a scope's jobs of one kind, newest first, and what to give as ``after`` to go on
    (empty at the end)."""
    page = store.find(
        "records", "listing", keys.jobs(scope, kind), after=after, limit=limit, backwards=True
    )
    items = store.get([found.key for found in page.items]) if page.items else {}
    jobs = [job_records.read_job(items[found.key]) for found in page.items if found.key in items]
    last = page.items[-1].listing if page.items else None
    return jobs, last[1] if page.more and last else ""


def next_run(job: Job, *, now: Ms) -> Job:
    """A standing job as it waits for its next run: a reconciliation for the night, and after the
    turn of a month for a whole one."""
    if job.kind != "reconcile":
        return replace(job, due_at=now + job.every_ms)
    due_at = _next_night(job.connection, now)
    first = datetime.fromtimestamp(due_at / 1000, tz=UTC).day == 1
    days = MONTHLY_DAYS if first else NIGHTLY_DAYS
    return replace(job, due_at=due_at, params={**job.params, "days": days})


def _may(kind: JobKind, connection: Connection) -> bool:
    """A key may lack the right to read events; whoever gave it was told what that means."""
    return kind != "catch_up" or connection.permissions.get("rak_event_read", True)


def _standing(connection: Connection, kind: JobKind, now: Ms) -> Job:
    """The one job of its kind that a connection has: its id is made from both."""
    cause = f"{connection.id} {kind}"
    job = Job(
        id=f"job_{kind}_{hashlib.sha256(cause.encode()).hexdigest()[:16]}",
        program=connection.program,
        livemode=connection.livemode,
        connection=connection.id,
        kind=kind,
        created_at=now,
        every_ms=STANDING[kind],
        due_at=now,
    )
    return next_run(job, now=now) if kind == "reconcile" else job


def _next_night(connection_id: str, now: Ms) -> Ms:
    """The connection's own minute of the quiet hour, the next one from now."""
    minute = int(hashlib.sha256(connection_id.encode()).hexdigest()[:4], 16) % 60
    today = datetime.fromtimestamp(now / 1000, tz=UTC)
    night = today.replace(hour=QUIET_HOUR, minute=minute, second=0, microsecond=0)
    if night <= today:
        night += timedelta(days=1)
    return int(night.timestamp() * 1000)
