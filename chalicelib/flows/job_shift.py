"""One runner's time at the desk: jobs that are due, in turns, each for a slice of time.

What comes of a page is stored with the job before the next one is asked for. What may pass is tried
again later, what would repeat ends the job, and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chalicelib import flows
from chalicelib.core.names import Ms
from chalicelib.core.refusals import KeyRefused, NotFound, Refusal, Unavailable
from chalicelib.flows.job_desk import Desk, Step, Work
from chalicelib.flows.job_lease import LEASE_MS, Lease
from chalicelib.log import log
from chalicelib.storage import job_records, keys, records
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job, JobKind
from chalicelib.storage.store import Key, Put, Stale, Store

if TYPE_CHECKING:
    from chalicelib.flows.read_connection import Connections
    from chalicelib.stripe_adapter.calls import StripeCalls
    from chalicelib.stripe_adapter.credentials import Credentials

SLICE_MS = 15_000  # a job's, before it is the next one's turn
PAGE = 50
PAUSES_MS = (60_000, 300_000, 900_000, 3_600_000)
"""After a failure that may pass, by how many there were; the last one again and again."""

MOST_TRIES = 5  # of a page that ends in a bug, or with the process
A_DAY_MS = 86_400_000  # until a standing job that failed is tried again


@dataclass(slots=True, kw_only=True)
class Ran:
    """What one runner did: slices worked, pages, jobs (or runs of standing ones) that ended, that
    failed, that were stopped. ``busy``: another runner was at it. ``finished`` is False when time
    was up first."""

    slices: int = 0
    pages: int = 0
    ended: int = 0
    failed: int = 0
    stopped: int = 0
    busy: bool = False
    finished: bool = True


@dataclass(slots=True)
class _Held:
    """A job that is ours until its lease ends, and the version under which it is stored."""

    job: Job
    version: int


@dataclass(slots=True, kw_only=True)
class Shift:
    """``begin`` takes the lease, ``work`` serves what is due, ``end`` gives the lease back."""

    store: Store
    connections: "Connections"
    stripe: "Callable[[Credentials], StripeCalls]"
    now: Callable[[], Ms]
    until: Callable[[], bool]
    work_of: Callable[[JobKind], Work]
    say: Callable[[Job], None] = lambda job: None
    ran: Ran = field(default_factory=Ran)
    lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        self.lease = Lease(self.store)

    def begin(self) -> bool:
        """Whether nobody else runs jobs now."""
        self.ran.busy = not self.lease.take(self.now())
        return not self.ran.busy

    def end(self) -> None:
        self.lease.give_back()

    def work(self) -> Ran:
        """Serve what is due, round and round, until nothing is or time is up."""
        again: dict[Key, None] = {}  # what the index may not show yet as due once more
        while True:
            served = False
            turn, again = dict.fromkeys([*due_jobs(self.store, self.now()), *again]), {}
            for key in turn:
                if self.until() or not self._still_ours():
                    self.ran.finished = False
                    return self.ran
                before = self.ran.slices
                if self._serve(key):
                    again[key] = None
                served |= self.ran.slices > before
            if not served:
                return self.ran

    def _still_ours(self) -> bool:
        return self.lease.keep(self.now())

    def _serve(self, key: Key) -> bool:
        """Work on one job for a slice; whether it is to go on when the others had their turn."""
        try:
            held = self._take(key)
            if held is None:
                return False
            self.ran.slices += 1
            before = held.job.done
            again = self._slice(held)
        except Stale:  # somebody else has it
            return False
        except Unavailable:  # what is due again when its lease ends
            log("run_jobs", "away", job=key.pk)
            return False
        job = held.job
        told = {"job": job.id, "type": job.kind, "connection": job.connection}
        log("run_jobs", job.state, because=job.because, count=job.done - before, **told)
        return again

    def _take(self, key: Key) -> _Held | None:
        """The job, if it is due; one that was left behind running counts a try more."""
        item = self.store.get([key]).get(key)
        now = self.now()
        job = job_records.read_job(item) if item else None
        if item is None or job is None or not 0 < job.due_at <= now:
            return None
        lease = now + LEASE_MS
        fresh = not job.started_at or bool(job.ended_at)
        if fresh:
            job = replace(job, started_at=now, ended_at=0, done=0, total=0, busy_ms=0)
        tries = job.tries + (job.state == "running")
        held = _Held(job, item.version)
        taken = replace(job, state="running", tries=tries, due_at=lease)
        self._put(held, taken)
        if tries >= MOST_TRIES and job.state == "running":
            self._fail(held, "the process ended each time while it worked on this page")
            return None
        return held

    def _slice(self, held: _Held) -> bool:
        end = self.now() + SLICE_MS
        try:
            desk = self._desk(held.job)
        except Unavailable as away:
            self._later(held, away.message)
            return False
        except Refusal as refusal:
            self._stop(held, refusal.message)
            return False
        while True:
            began = self.now()
            step = self._step(held, desk)
            if step is None:
                return False
            self.ran.pages += 1
            if any(said.startswith(flows.disconnect.REFUSED) for said in desk.connection.warnings):
                flows.disconnect.note_refusal(held.job.connection, "", store=self.store)
            over = step.ended or self.now() >= end or self.until() or not self._still_ours()
            self._note(held, step, began=began, over=over)
            if over:
                return not step.ended

    def _desk(self, job: Job) -> Desk:
        """Raises ``Conflict`` or ``NotFound`` where the account cannot be asked any more."""
        connection = self._connection(job.connection)
        calls = self.stripe(self.connections.credentials(connection))
        return Desk(
            store=self.store,
            connections=self.connections,
            connection=connection,
            calls=calls,
            now=self.now,
            until=self.until,
            stripe=self.stripe,
        )

    def _connection(self, id: str) -> Connection:
        """As it stands now, past the cache of the doors."""
        item = self.store.get([keys.connection(id)]).get(keys.connection(id))
        if item is None:
            raise NotFound("The connection is gone.")
        return records.read_connection(item)

    def _step(self, held: _Held, desk: Desk) -> Step | None:
        """A page, or None where it went wrong and the job was put aside."""
        try:
            return self.work_of(held.job.kind)(held.job, desk)
        except (Unavailable, Stale) as away:
            self._later(held, getattr(away, "message", "The store is busy."))
        except KeyRefused as refused:
            self._refused(held, desk.connection, refused.message)
        except Refusal as refusal:
            self._fail(held, refusal.message)
        except Exception as error:
            log("run_jobs", "bug", job=held.job.id, type=held.job.kind, error=type(error).__name__)
            because = f"bug: {type(error).__name__}"
            if held.job.tries + 1 >= MOST_TRIES:
                self._fail(held, because)
            else:
                self._later(held, because)
        return None

    def _note(self, held: _Held, step: Step, *, began: Ms, over: bool) -> None:
        now = self.now()
        job = replace(
            held.job,
            cursor=step.cursor,
            done=held.job.done + step.done,
            total=step.total or held.job.total,
            result=step.result,
            updated_at=now,
            busy_ms=held.job.busy_ms + max(0, now - began),
            tries=0,
            because="",
        )
        if over:
            job = replace(job, state="waiting", due_at=now)
        if step.ended:
            self.ran.ended += 1
            job = replace(job, state="done", due_at=0, ended_at=now, runs=job.runs + 1)
            if job.every_ms:
                job = flows.plan_jobs.next_run(replace(job, state="waiting"), now=now)
        self._put(held, job)

    def _later(self, held: _Held, because: str) -> None:
        job = held.job
        pause = PAUSES_MS[min(job.tries, len(PAUSES_MS) - 1)]
        later = replace(job, state="waiting", tries=job.tries + 1, because=because)
        self._put(held, replace(later, due_at=self.now() + pause))

    def _stop(self, held: _Held, because: str) -> None:
        """A standing job goes on from here when the account is authorised again."""
        self.ran.stopped += 1
        ended_at = 0 if held.job.every_ms else self.now()
        stopped = replace(held.job, state="stopped", because=because, due_at=0)
        self._put(held, replace(stopped, ended_at=ended_at))

    def _fail(self, held: _Held, because: str) -> None:
        """For good; a standing job is tried again in a day, where it stood."""
        self.ran.failed += 1
        now, stands = self.now(), bool(held.job.every_ms)
        failed = replace(held.job, state="failed", because=because, tries=0)
        due_at, ended_at = (now + A_DAY_MS, 0) if stands else (0, now)
        self._put(held, replace(failed, due_at=due_at, ended_at=ended_at))

    def _refused(self, held: _Held, connection: Connection, because: str) -> None:
        """Stripe does not take what the connection calls by, unless it was given another key
        meanwhile. One by OAuth is over; one by a key still receives, and says so."""
        now_by = self._connection(connection.id)
        if (now_by.how, now_by.sealed_api_key) != (connection.how, connection.sealed_api_key):
            self._later(held, because)
            return
        if connection.how == "oauth":
            flows.disconnect.close(connection.id, because, store=self.store, now=self.now())
        else:
            flows.disconnect.note_refusal(connection.id, because, store=self.store)
        log("run_jobs", "refused", connection=connection.id, because=because)
        self._stop(held, because)

    def _put(self, held: _Held, job: Job) -> None:
        job = replace(job, updated_at=self.now())
        self.store.commit([Put(job_records.job_item(job, version=held.version))])
        held.job, held.version = job, held.version + 1
        self.say(job)


def due_jobs(store: Store, now: Ms) -> list[Key]:
    """Those that are due, the longest due first; at most a page."""
    until = keys.due(now, "\U0010ffff")
    page = store.find("records", "due", keys.DUE_JOB, until=until, limit=PAGE)
    return [found.key for found in page.items]
