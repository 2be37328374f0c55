"""The one runner of jobs: whatever is due, a slice of time each, page by page, until time is up.

A lease of the whole deployment sees to it that no two runners call Stripe at once; each job's own,
and its version, that a page is not counted twice. Whatever dies leaves a job that is due again when
its lease ends, with the cursor of its last page.
"""

from collections.abc import Callable, Iterable
from time import sleep
from typing import TYPE_CHECKING

from chalicelib import flows
from chalicelib.core.names import Ms
from chalicelib.core.refusals import Refusal
from chalicelib.flows.job_desk import Work, work_of
from chalicelib.flows.job_shift import Ran, Shift, due_jobs
from chalicelib.flows.plan_jobs import read_job
from chalicelib.log import log
from chalicelib.storage import keys
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job, JobKind
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store

if TYPE_CHECKING:
    from chalicelib.flows.read_connection import Connections
    from chalicelib.stripe_adapter.calls import StripeCalls
    from chalicelib.stripe_adapter.credentials import Credentials

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
TURN_SECONDS = 2.0  # between two looks at a job that somebody else works on


def run_jobs(
    *,
    store: Store,
    connections: "Connections",
    stripe: "Callable[[Credentials], StripeCalls]",
    now: Callable[[], Ms],
    until: Callable[[], bool],
    work: Callable[[JobKind], Work] = work_of,
    look_after: Callable[[Connection], object] = lambda connection: None,
) -> Ran:
    """Work on the jobs that are due. A minute in which none is costs one query; in the first one of
    each hour every open connection is looked after, and the standing jobs that it lacks are made.
    """
    hourly = now() % HOUR_MS < MINUTE_MS
    if not hourly and not due_jobs(store, now()):
        return Ran()
    shift = Shift(
        store=store, connections=connections, stripe=stripe, now=now, until=until, work_of=work
    )
    if not shift.begin():
        return shift.ran
    try:
        for connection in _to_look_after(store) if hourly else ():
            flows.plan_jobs.plan_jobs(connection, store=store, now=now(), opened=False)
            try:
                look_after(connection)
            except Refusal as refusal:  # one must not keep the others waiting
                log("run_jobs", "away", connection=connection.id, because=refusal.message)
        return shift.work()
    finally:
        shift.end()


def _to_look_after(store: Store) -> "Iterable[Connection]":
    """Every open connection; none in tables that a rebuild made, whose source asks Stripe itself:
    there the giving of a key makes the jobs."""
    mark = keys.rebuild_mark()
    if store.get([mark]):
        return ()
    return flows.show_connections.open_connections(store=store)


def run_job(
    id: str,
    scope: Scope,
    *,
    store: Store,
    connections: "Connections",
    stripe: "Callable[[Credentials], StripeCalls]",
    now: Callable[[], Ms],
    say: Callable[[Job], None],
    until: Callable[[], bool] = lambda: False,
    work: Callable[[JobKind], Work] = work_of,
    pause: Callable[[float], None] = sleep,
) -> Job:
    """Drive one job to its end (of a standing one: of this run), and tell after each page how far
    it is. Others that are due have their turns between; while another runner is at it, its progress
    is told. Raises ``NotFound``."""
    first = job = read_job(scope, id, store)

    def told(done: Job) -> None:
        nonlocal job
        if done.id == id:
            job = done
            say(done)

    def ended() -> bool:
        return job.over or job.runs > first.runs or job.state == "failed" or until()

    while not ended():
        shift = Shift(
            store=store,
            connections=connections,
            stripe=stripe,
            now=now,
            until=ended,
            work_of=work,
            say=told,
        )
        if shift.begin():
            try:
                shift.work()
            finally:
                shift.end()
        if not ended():
            pause(TURN_SECONDS)
            told(read_job(scope, id, store))
    return job
