"""Jobs as the merchant sees them, and the reports of reconciliations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.refusals import Conflict, NotFound
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.job_sales import JobSale, is_noted, job_sales
from chalicelib.flows.plan_jobs import read_job
from chalicelib.storage import keys
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store

REPORT_CURSOR = re.compile(r"[0-9]{13}~[A-Za-z0-9_-]{1,64}")


def find_job(id: str, *, scope: Scope, store: Store) -> Job:
    """A job of that program and mode; raises ``NotFound``."""
    if not PLAIN_ID.fullmatch(id):
        raise NotFound("There is no such job.")
    return read_job(scope, id, store)


def list_job_sales(
    id: str, *, scope: Scope, store: Store, limit: int, after: str = "", skip: int = 0
) -> tuple[Sequence[JobSale], bool]:
    """The sales that a backfill changed, or by a preview would change, by time of payment;
    ``after`` is the cursor of one (``sale_cursor``). Raises ``NotFound``, and ``Conflict`` for a
    job that changes no sales of its own."""
    job = find_job(id, scope=scope, store=store)
    if job.kind != "backfill":
        raise Conflict("Only a backfill lists its sales.")
    place = after.replace("~", "#", 1)
    if after and not is_noted(job, place, store=store):
        raise NotFound("There is no such sale of this job to start after.")
    return job_sales(job, store=store, limit=limit, after=place, skip=skip)


def sale_cursor(sale: JobSale) -> str:
    return sale.note.place.replace("#", "~", 1)


def list_reconciliations(
    *, scope: Scope, store: Store, limit: int, after: str = "", skip: int = 0
) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """The reports, newest first; ``after`` is the cursor of one (``report_cursor``). Raises
    ``NotFound`` for one that is none."""
    place = _place_of_report(after, scope, store) if after else ""
    partition = keys.reconciliation(scope, 0, "").pk
    page = store.query("records", partition, after=place, limit=skip + limit, backwards=True)
    return [item.body for item in page.items[skip:]], page.more


def report_cursor(report: Mapping[str, Any]) -> str:
    return f"{report['at']:013d}~{report['job']}"


def _place_of_report(cursor: str, scope: Scope, store: Store) -> str:
    if REPORT_CURSOR.fullmatch(cursor):
        at, _, job_id = cursor.partition("~")
        key = keys.reconciliation(scope, int(at), job_id)
        if key in store.get([key]):
            return key.sk
    raise NotFound("There is no such reconciliation to start after.")
