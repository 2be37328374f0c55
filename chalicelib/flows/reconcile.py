"""A reconciliation, page by page: what Stripe says of a stretch of time against the books. What is
missing is taken in; what still differs then, without a reason, is ``unexplained``, and is told.

Twice changes nothing: what is known is read and left alone. Each run's report is kept for good.
"""

from typing import Any

from chalicelib.core.names import Ms
from chalicelib.flows.compare_objects import compare_objects
from chalicelib.flows.job_desk import Desk, Step
from chalicelib.flows.walk_past import PAGE_MS, Span, read_past, with_compared
from chalicelib.log import log
from chalicelib.storage import keys
from chalicelib.storage.job_records import Job
from chalicelib.storage.store import Item, Put, Store

DAY_MS = 86_400_000
DAYS = 3
MONTH_MS = 28 * DAY_MS
UNDER_WAY_MS = 600_000  # what is younger may be told by a webhook any moment


def step(job: Job, desk: Desk) -> Step:
    """One page. ``params``: ``from`` and ``to`` where somebody asked; else the last ``days``."""
    span = span_of(job, desk.now())
    before = job.result if job.cursor else {"from": span.since, "to": span.until}
    page = read_past(job.cursor, span, done=job.done, calls=desk.calls)
    compared = compare_objects(
        page.listed.kind,
        page.rows,
        connection=desk.connection,
        calls=desk.calls,
        store=desk.store,
        now=desk.now(),
        since=job.started_at or job.created_at,
        listed_from=span.since,
        until=desk.until_in(PAGE_MS),
    )
    page = page.without(compared.left)
    result = {**before, **with_compared(before, compared)}
    done = len(page.rows)
    if page.then is not None:
        return Step(cursor=page.then, done=done, total=page.total, result=result)
    _report(job, result, store=desk.store, now=desk.now())
    return Step(cursor={}, done=done, total=job.done + done, result=result, ended=True)


def span_of(job: Job, now: Ms) -> Span:
    """The stretch of time of this run, the same for each of its pages. A month looks at all
    customers; a few days at those who are new."""
    if "from" in job.params:
        since, until = int(job.params["from"]), int(job.params["to"])
    elif job.cursor:
        since, until = int(job.result["from"]), int(job.result["to"])
    else:
        until = (job.started_at or now) - UNDER_WAY_MS
        since = until - int(job.params.get("days", DAYS)) * DAY_MS
    return Span(since, until, people=until - since >= MONTH_MS)


def _report(job: Job, result: dict[str, Any], *, store: Store, now: Ms) -> None:
    """Kept under the run's own time: a repeat of the last page writes the same again."""
    at = job.started_at or job.created_at
    body = {"job": job.id, "connection": job.connection, "at": at, "ended_at": now, **result}
    store.commit([Put(Item(key=keys.reconciliation(job.scope, at, job.id), body=body), blind=True)])
    about = {"connection": job.connection, "program": job.program, "job": job.id}
    if result["unexplained"]:
        log("reconcile", "unexplained", count=result["unexplained"], **about)
    log("reconcile", "ran", count=result["seen"], **about)
