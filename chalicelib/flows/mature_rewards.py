"""The scheduled job that turns pending rewards payable once their hold has passed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import Refusal
from chalicelib.core.sale import UNASKED_MS, Sale
from chalicelib.core.told import Told
from chalicelib.flows.book_facts import book_facts
from chalicelib.log import log
from chalicelib.storage import keys
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Matured:
    """How many sales were released, how many were looked at and stayed, and how many failed;
    ``finished`` is False when time was up first."""

    released: int
    stayed: int
    failed: int
    finished: bool


def mature_rewards(*, store: Store, now: Ms, until: Callable[[], bool] = lambda: False) -> Matured:
    """Release every sale that is due by now, one transaction each; those last about which Stripe
    should have been asked and was not in time. A sale that fails is counted and left for the next
    run; it does not stop the others."""
    released = stayed = failed = 0
    for scope, id in _due(store, now):
        if until():
            return Matured(released=released, stayed=stayed, failed=failed, finished=False)
        told = Told(sale=Sale(ids=frozenset({id})))
        try:
            booked = book_facts(told, scope=scope, store=store, now=now, release=True)
        except Refusal:
            failed += 1
            continue
        except Exception as error:  # a bug in one must not keep the others waiting for ever
            log("mature_rewards", "bug", error=type(error).__name__)
            failed += 1
            continue
        if booked.changed and booked.settled and booked.settled.released:
            released += 1
        else:
            stayed += 1
    return Matured(released=released, stayed=stayed, failed=failed, finished=True)


def _due(store: Store, now: Ms) -> Iterator[tuple[Scope, str]]:
    """The sales that are due, page by page."""
    for kind, by in ((keys.DUE_RELEASE, now), (keys.DUE_ASK, now - UNASKED_MS)):
        after, more, until = "", by > 0, keys.due(max(by, 0), "\U0010ffff")
        while more:
            page = store.find("records", "due", kind, after=after, until=until, limit=PAGE)
            more = page.more
            for found in page.items:
                assert found.due is not None
                after = found.due[1]
                yield _place(after)


def _place(due: str) -> tuple[Scope, str]:
    """Scope and sale of a due key: ``<time>#<program>/<mode>#<sale>``."""
    _, scope, id = due.split("#", 2)
    program, mode = scope.rsplit("/", 1)
    return Scope(program, "live" if mode == "live" else "test"), id
