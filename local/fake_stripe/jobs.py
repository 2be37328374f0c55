"""What happens later: renewals, trials' ends, delayed payments, refunds that settle.

A job belongs to the fake's clock or to one test clock. It runs at its own due time: whatever it
makes is dated then, even when the clock jumped far past it, so a year moved at once gives the same
objects as twelve months moved one by one.
"""

from collections.abc import Callable
from typing import Any

from .world import World

Handler = Callable[..., None]
HANDLERS: dict[str, Handler] = {}
MAX_JOBS_A_MOVE = 100_000


def job(handler: Handler) -> Handler:
    """Registers a handler under its own name: `world.schedule("renew_subscription", at, id)`."""
    HANDLERS[handler.__name__] = handler
    return handler


def run_due(world: World, until: int, clock_id: str | None = None) -> int:
    """Runs every job of that clock due by `until`, in order of time. Returns how many."""
    for done in range(MAX_JOBS_A_MOVE):
        due = [j for j in world.jobs if j["clock"] == clock_id and j["at"] <= until]
        if not due:
            return done
        first: dict[str, Any] = min(due, key=lambda j: (j["at"], j["n"]))
        world.jobs.remove(first)
        with world.at(first["at"], clock_id):
            HANDLERS[first["do"]](world, *first["args"])
    raise RuntimeError("a job keeps making jobs that are due at once")
