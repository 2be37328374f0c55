"""Jobs as stored items, and back: what is asked of Stripe apart from any request, page by page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chalicelib.core.names import Ms
from chalicelib.storage import keys
from chalicelib.storage.codec import dump, load
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Key

JobKind = Literal["catch_up", "resolve", "reconcile", "backfill"]
JobState = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a connection. With ``every_ms`` it stands: when a run ends it waits for the next.

    ``cursor`` is where the work goes on, ``result`` all that this run found so far. ``done`` and
    ``total`` count objects (``total`` is an estimate; 0: not known), ``busy_ms`` the time worked on
    them. ``started_at`` is the beginning of this run, ``ended_at`` its end (0: under way); ``runs``
    counts those that ended. ``tries`` counts failures since the last page that went well.
    ``due_at`` is when somebody is to work on it (0: never); while one does, when another may.
    ``because`` says why it failed, was stopped, or waits to be tried again.
    """

    id: str
    program: str
    livemode: bool
    connection: str
    kind: JobKind
    created_at: Ms
    params: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = "waiting"
    cursor: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    started_at: Ms = 0
    updated_at: Ms = 0
    ended_at: Ms = 0
    because: str = ""
    tries: int = 0
    every_ms: Ms = 0
    runs: int = 0
    busy_ms: Ms = 0
    due_at: Ms = 0

    @property
    def scope(self) -> Scope:
        return Scope(self.program, "live" if self.livemode else "test")

    @property
    def key(self) -> Key:
        return keys.job(self.scope, self.id)

    @property
    def rate(self) -> float:
        """Objects a second of the time worked, to one decimal; 0 before there is any."""
        return round(self.done * 1000 / self.busy_ms, 1) if self.busy_ms else 0.0

    @property
    def over(self) -> bool:
        """Whether nobody will work on it again by itself."""
        return self.state in ("done", "failed", "stopped") and not self.due_at


def job_item(job: Job, *, version: int) -> Item:
    """A job; listed with its scope's of the same kind, due while it is to be worked on."""
    return Item(
        key=job.key,
        body=dump(job),
        version=version,
        listing=(keys.jobs(job.scope, job.kind), f"{job.created_at:013d}#{job.id}"),
        due=(keys.DUE_JOB, keys.due(job.due_at, job.key.pk)) if job.due_at else None,
    )


def read_job(item: Item) -> Job:
    return load(Job, item.body)


def lease_item(until: Ms, *, version: int) -> Item:
    """Somebody runs jobs until then."""
    return Item(key=keys.job_lease(), body={"until": until}, version=version)


def leased_until(item: Item | None) -> Ms:
    return int(item.body["until"]) if item else 0
