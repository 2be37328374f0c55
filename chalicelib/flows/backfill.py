"""An account's past, brought in page by page: the same reading and booking as of what Stripe tells
today. A preview does just the same to a store for trying out, so that it comes to the same result.

First all pages are read, from old to new; then the notes of the sales that changed are added up.
"""

from dataclasses import replace
from typing import Any

from chalicelib.core.refusals import Unavailable
from chalicelib.flows.compare_objects import compare_objects
from chalicelib.flows.job_desk import Desk, Step
from chalicelib.flows.job_sales import AGAIN, added, job_sales, view_of
from chalicelib.flows.walk_past import PAGE_MS, Span, read_past, with_compared
from chalicelib.storage.job_records import Job
from chalicelib.storage.noted import Noted
from chalicelib.storage.store import Store

STRETCH_MS = 30 * 86_400_000
OUTRUN_TRIES = 2  # of a page that cannot be written in a preview
SALES = 50  # sales added up in one step
_ADDING = "adding"


def step(job: Job, desk: Desk) -> Step:
    """One page. ``params``: ``from`` and ``to``, and whether it is a ``preview``."""
    if job.params["preview"] and job.tries >= OUTRUN_TRIES and job.because == Unavailable().message:
        return _anew(job)
    step = _add(job, desk.store) if _ADDING in job.cursor else _read(job, desk)
    again = {name: job.cursor[name] for name in (AGAIN,) if name in job.cursor}
    return replace(step, cursor={**step.cursor, **again})


def _anew(job: Job) -> Step:
    """What is told live changes the books under a preview, and may contradict what it has tried:
    then it is tried from the beginning."""
    return Step(cursor={AGAIN: int(job.cursor.get(AGAIN, 0)) + 1}, done=-job.done, result={})


def _read(job: Job, desk: Desk) -> Step:
    store = Noted(view_of(job, desk.store), job.id, scope=job.scope, now=job.created_at)
    since, until = int(job.params["from"]), int(job.params["to"])
    span = Span(since, until, STRETCH_MS, people=True)
    page = read_past(job.cursor, span, done=job.done, calls=desk.calls)
    compared = compare_objects(
        page.listed.kind,
        page.rows,
        connection=desk.connection,
        calls=desk.calls,
        store=store,
        now=desk.now(),
        since=job.created_at,
        listed_from=span.since,
        until=desk.until_in(PAGE_MS),
    )
    page = page.without(compared.left)
    result: dict[str, Any] = {**job.result}
    result["read"] = with_compared(job.result.get("read", {}), compared)
    cursor = {_ADDING: ""} if page.then is None else page.then
    return Step(cursor=cursor, done=len(page.rows), total=page.total, result=result)


def _add(job: Job, store: Store) -> Step:
    """What the job did, sale by sale, is added up."""
    sales, more = job_sales(job, store=store, after=str(job.cursor[_ADDING]), limit=SALES)
    cursor = {_ADDING: sales[-1].note.place} if more else {}
    result = {**job.result, "sums": added(job.result.get("sums", {}), sales)}
    return Step(cursor=cursor, total=job.done, result=result, ended=not more)
