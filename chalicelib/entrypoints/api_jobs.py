"""The API's doors to what takes longer than a request: reconciliations, backfills, their jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chalice.app import Response

from chalicelib import flows
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import base_url, json_body, ok
from chalicelib.entrypoints.api import door, doors
from chalicelib.entrypoints.api_lists import listed
from chalicelib.storage.keys import Scope

if TYPE_CHECKING:
    from chalicelib.flows.job_sales import JobSale
    from chalicelib.storage.job_records import Job


@door("/v1/reconciliations", "POST")
def post_reconciliation(scope: Scope) -> Response:
    """202 with a job that compares a stretch of time with Stripe, and heals."""
    from chalicelib.entrypoints.api_bodies import ReconciliationBody, parsed

    body = parsed(ReconciliationBody, json_body(doors.current_request))
    job = flows.ask_for_job.ask_for_reconciliation(
        body.connection,
        since=body.since,
        until=body.until,
        scope=scope,
        store=wiring.stores().store,
        now=wiring.now_ms(),
    )
    return _taken(job)


@door("/v1/reconciliations", "GET")
def get_reconciliations(scope: Scope) -> Response:
    from chalicelib.entrypoints import job_shapes

    store = wiring.stores().store

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Mapping[str, Any]], bool]:
        return flows.show_jobs.list_reconciliations(
            scope=scope, store=store, limit=limit, after=after, skip=skip
        )

    return listed(
        doors.current_request,
        read,
        cursor=flows.show_jobs.report_cursor,
        shape=job_shapes.reconciliation,
    )


@door("/v1/backfills", "POST")
def post_backfill(scope: Scope) -> Response:
    """202 with a job that brings in the account's past, or says what would come of it."""
    from chalicelib.entrypoints.api_bodies import BackfillBody, parsed

    body = parsed(BackfillBody, json_body(doors.current_request))
    job = flows.ask_for_job.ask_for_backfill(
        body.connection,
        since=body.since,
        preview=body.preview,
        scope=scope,
        store=wiring.stores().store,
        now=wiring.now_ms(),
    )
    return _taken(job)


@door("/v1/jobs/{job}", "GET")
def get_job(scope: Scope, job: str) -> Response:
    return _shown(flows.show_jobs.find_job(job, scope=scope, store=wiring.stores().store))


@door("/v1/jobs/{job}", "DELETE")
def delete_job(scope: Scope, job: str) -> Response:
    """Stop it where it is. What it brought in stays; what it tells can still be asked for."""
    store = wiring.stores().store
    stopped = flows.ask_for_job.stop_job(job, scope=scope, store=store, now=wiring.now_ms())
    return _shown(stopped)


@door("/v1/jobs/{job}/transactions", "GET")
def get_job_transactions(scope: Scope, job: str) -> Response:
    from chalicelib.entrypoints import job_shapes

    store = wiring.stores().store

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[JobSale], bool]:
        return flows.show_jobs.list_job_sales(
            job, scope=scope, store=store, limit=limit, after=after, skip=skip
        )

    return listed(
        doors.current_request,
        read,
        cursor=flows.show_jobs.sale_cursor,
        shape=job_shapes.job_sale,
    )


def _taken(job: Job) -> Response:
    response = _shown(job, status=202)
    response.headers["Location"] = f"{base_url(doors.current_request)}/v1/jobs/{job.id}"
    return response


def _shown(job: Job, *, status: int = 200) -> Response:
    from chalicelib.entrypoints import job_shapes

    return ok(job_shapes.job(job), status=status)
