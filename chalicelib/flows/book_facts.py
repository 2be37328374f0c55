"""Booking facts: join what was told with what is known, settle the sale, write it all at once.

Every door that learns something ends here. One transaction holds the facts, the entries, the
balances, the customer's standing, the stamp of the event and the work that is still owed; it is
conditioned on every version that was read, and tried again from the reading when one has moved.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from chalicelib.core.facts import Ms
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Told
from chalicelib.flows.decide_sale import decide
from chalicelib.flows.gather import FIRST_POINTERS, Gathered, gather
from chalicelib.flows.plan_writes import plan_writes
from chalicelib.flows.prepare_facts import check_unknown, prepare, resolved_references
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore, Put, Write

Stamp = Callable[[int, bool], Sequence[Write]]
Guard = Callable[[Gathered], None]


def no_stamp(attempt: int, changes: bool) -> Sequence[Write]:
    return ()


def no_guard(gathered: Gathered) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What a booking came to. ``household`` owes work if ``owes``."""

    settled: SettledSale | None = None
    household: str = ""
    owes: bool = False
    changed: bool = False


def book_facts(
    told: Told,
    *,
    scope: Scope,
    store: BookStore,
    now: Ms,
    stamp: Stamp = no_stamp,
    guard: Guard = no_guard,
    release: bool = False,
    journal: bool = True,
    pause: Callable[[float], None] = time.sleep,
) -> Booked:
    """Book what was told. Before anything is written ``stamp`` is asked, with the number of the
    attempt (from 0) and whether the booking changes anything; what it gives is written in the same
    transaction. ``guard`` sees what is stored of sale and customer, and may refuse.
    Facts that change anything are put down as told, too, for a rebuild to tell again; ``journal``
    is False where they stand elsewhere (the inbox) or are worked out from others.

    Raises ``Unavailable`` when the store is away, or others kept writing the same sale through
    all tries; then nothing of this booking was lost: the caller is told to come again.
    """

    says = journal and told.says_anything

    def book(attempt: int) -> Booked:
        prepared, awaiting = prepare(told, scope=scope, store=store, now=now)
        telling = records.Telling(told=prepared, at=now)
        return _book(
            prepared,
            scope,
            store,
            now=now,
            beside=(*awaiting, Put(records.telling_item(scope, telling), blind=True))
            if says
            else awaiting,
            stamp=partial(stamp, attempt),
            guard=guard,
            release=release,
        )

    return until_not_stale(book, pause=pause)


def _book(
    told: Told,
    scope: Scope,
    store: BookStore,
    *,
    now: Ms,
    beside: Sequence[Write],
    stamp: Callable[[bool], Sequence[Write]],
    guard: Guard,
    release: bool,
) -> Booked:
    people, unknown = resolved_references(told, scope=scope, store=store)
    told = replace(told, people=people)
    pointers = FIRST_POINTERS
    while True:
        gathered = gather(told, scope=scope, store=store, pointers=pointers)
        check_unknown(unknown, gathered)
        guard(gathered)
        decision = decide(told, gathered, scope, store, now=now, release=release)
        if decision.enough or not gathered.more_pointers:
            break
        pointers *= 4
    decision = replace(decision, references=unknown)
    plan = plan_writes(decision, gathered, scope=scope, now=now)
    stamped = stamp(bool(plan.writes))
    if plan.writes:
        store.commit([*plan.writes, *beside, *stamped])
    elif stamped:
        store.commit(stamped)
    return Booked(
        settled=plan.settled,
        household=decision.household.id if decision.household else "",
        owes=plan.owes,
        changed=bool(plan.writes),
    )
