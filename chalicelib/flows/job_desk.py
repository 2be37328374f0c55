"""What a job works with, what a page of it answers, and where each kind's work is found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chalicelib.core.names import Ms
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job, JobKind
from chalicelib.storage.store import Store

if TYPE_CHECKING:
    from chalicelib.flows.read_connection import Connections
    from chalicelib.stripe_adapter.calls import StripeCalls
    from chalicelib.stripe_adapter.credentials import Credentials


@dataclass(slots=True, kw_only=True)
class Desk:
    """What a job works with. ``until`` says that time is up: a step then ends as soon as it can.
    ``stripe`` opens other accounts' calls, where a job needs them."""

    store: Store
    connections: "Connections"
    connection: Connection
    calls: "StripeCalls"
    now: Callable[[], Ms]
    until: Callable[[], bool]
    stripe: "Callable[[Credentials], StripeCalls]"

    def until_in(self, ms: Ms) -> Callable[[], bool]:
        """As ``until``, and no later than so much from now: leases are longer than a page."""
        end = self.now() + ms
        return lambda: self.until() or self.now() >= end


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one page brought: ``done`` is added, ``result`` is the whole of this run so far. The
    cursor of the step that ends a standing job's run is that with which its next run begins."""

    cursor: Mapping[str, Any]
    done: int = 0
    total: int = 0
    result: Mapping[str, Any]
    ended: bool = False


Work = Callable[[Job, Desk], Step]


def work_of(kind: JobKind) -> Work:
    """The step of that kind: of the flow of that name, imported when it is first asked for."""
    step: Work = import_module(f"chalicelib.flows.{kind}").step
    return step
