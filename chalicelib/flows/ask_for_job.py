"""Asking for work that takes longer than a request: a reconciliation, a backfill; and stopping it.

A connection has one backfill at a time, so that a preview is not outrun by the run that it is for.
"""

from dataclasses import replace

from chalicelib.core.names import Ms
from chalicelib.core.refusals import Conflict, Invalid, NotFound
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.plan_jobs import make_job, read_job
from chalicelib.flows.show_jobs import find_job
from chalicelib.storage import job_records, keys, records
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Put, Stale, Store, Write

DAY_MS = 86_400_000
RECONCILED_DAYS = 3  # where nobody says from when
STOP_TRIES = 5


def ask_for_reconciliation(
    connection_id: str,
    *,
    since: Ms | None,
    until: Ms | None,
    scope: Scope,
    store: Store,
    now: Ms,
) -> Job:
    """A job that compares a stretch of time with Stripe, from now on; the last three days where
    nothing is said. Raises ``Invalid``, ``Conflict``."""
    end = until if until is not None else now
    begin = since if since is not None else end - RECONCILED_DAYS * DAY_MS
    _check_times({"from": begin, "to": end}, now)
    connection = _asked(connection_id, scope, store)
    params = {"from": begin, "to": end}
    return make_job("reconcile", connection=connection, params=params, store=store, now=now)


def ask_for_backfill(
    connection_id: str, *, since: Ms, preview: bool, scope: Scope, store: Store, now: Ms
) -> Job:
    """A job that brings in the account's past from a day to now, or says what would come of it.
    Raises ``Conflict`` where one of the connection's is under way, by its id."""
    _check_times({"from": since}, now)
    connection = _asked(connection_id, scope, store)
    place = keys.connection_backfill(scope, connection_id)
    last = store.get([place]).get(place)
    if last is not None:
        _check_over(str(last.body["job"]), scope, store)
    version = last.version if last else 0

    def named(job: Job) -> list[Write]:
        return [Put(Item(key=place, body={"job": job.id}, version=version))]

    params = {"from": since, "to": now, "preview": preview}
    try:
        return make_job(
            "backfill", connection=connection, params=params, store=store, now=now, beside=named
        )
    except Stale:
        raise Conflict("A backfill of this connection was just asked for.") from None


def stop_job(id: str, *, scope: Scope, store: Store, now: Ms) -> Job:
    """No further page of it is read; what was brought in stays. One that is over stays as it is.
    Raises ``NotFound``, and ``Conflict`` for one that stands: a connection's own."""
    find_job(id, scope=scope, store=store)
    for _ in range(STOP_TRIES):
        item = store.get([keys.job(scope, id)]).get(keys.job(scope, id))
        if item is None:
            raise NotFound("There is no such job.")
        job = job_records.read_job(item)
        if job.every_ms:
            raise Conflict("This job stands: it runs for as long as its connection is open.")
        if job.over:
            return job
        stopped = replace(
            job,
            state="stopped",
            because="stopped by the merchant",
            due_at=0,
            updated_at=now,
            ended_at=now,
        )
        try:
            store.commit([Put(job_records.job_item(stopped, version=item.version))])
        except Stale:  # a page was done meanwhile
            continue
        return stopped
    raise Conflict("The job is busy. Ask again.")


def _check_times(times: dict[str, Ms], now: Ms) -> None:
    for name, at in times.items():
        if at > now:
            raise Invalid({name: ["This lies in the future."]})
    if times["from"] >= times.get("to", now):
        raise Invalid({"from": ["This is not before the end. (A day is its UTC midnight.)"]})


def _asked(connection_id: str, scope: Scope, store: Store) -> Connection:
    """The connection, if it is of this program and mode, open, and Stripe can be asked by it."""
    item = None
    if PLAIN_ID.fullmatch(connection_id):
        key = keys.connection(connection_id)
        item = store.get([key]).get(key)
    connection = records.read_connection(item) if item else None
    if connection is None or connection.scope != scope:
        raise Invalid({"connection": ["There is no such connection."]})
    if connection.state != "open":
        raise Conflict(f"This connection is not open: {connection.closed_because or 'under way'}")
    if connection.how == "key" and not connection.sealed_api_key:
        raise Conflict("This connection has no API key of Stripe: it receives, and cannot ask.")
    return connection


def _check_over(job_id: str, scope: Scope, store: Store) -> None:
    try:
        job = read_job(scope, job_id, store)
    except NotFound:
        return
    if not job.over:
        raise Conflict(f"A backfill of this connection is under way: {job.id}.")
