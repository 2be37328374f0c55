"""Doing what a change still owes: settling a customer's sales again, one transaction each."""

import time
from collections.abc import Callable
from contextlib import suppress

from chalicelib.core.facts import Ms
from chalicelib.core.people import Household, People
from chalicelib.core.sale import Sale
from chalicelib.core.told import Told
from chalicelib.flows.book_facts import Booked, Guard, Stamp, book_facts, no_guard, no_stamp
from chalicelib.flows.prepare_facts import reference_edge
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore, Item, Key, Put, Remove, Stale

PAGE = 100
ROUNDS = 5  # times that new work may come in while the old is done
REFERENCES = 100  # checkouts that named a customer's key before the merchant made him


def book_and_settle(
    told: Told,
    *,
    scope: Scope,
    store: BookStore,
    now: Ms,
    stamp: Stamp = no_stamp,
    guard: Guard = no_guard,
    journal: bool = True,
    until: Callable[[], bool] = lambda: False,
) -> Booked:
    """Book, then do the work that the booking owes, as far as ``until`` (time is up) allows. What
    is left stands as a work item for the sweeper."""
    booked = book_facts(
        told, scope=scope, store=store, now=now, stamp=stamp, guard=guard, journal=journal
    )
    if booked.owes:
        settle_work(booked.household, scope=scope, store=store, now=now, until=until)
    return booked


def settle_work(
    household_id: str,
    *,
    scope: Scope,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Settle every sale of a household again and end its work; True if none is left.

    Done anew when more work came in meanwhile. A crash leaves the item, and a repeat of what was
    done posts nothing.
    """
    for _ in range(ROUNDS):
        work = _read(keys.work(scope, household_id), store)
        if work is None or not work.body:
            return True
        # read after its work, not beside it: a batch may show the household from before
        household = _read(keys.household(scope, household_id), store)
        if household is not None and "of" not in household.body:
            known = records.read_household(household)
            joined = _claim_references(known, scope=scope, store=store, now=now)
            if joined:
                household_id = joined
                continue
            done = _settle_all(known, work, scope=scope, store=store, now=now, until=until)
            if done is not None:
                _keep_place(work, done, household_id, scope=scope, store=store, now=now)
                return False
        try:
            store.commit([Put(records.no_work_item(work))])
        except Stale:
            pause(0.01)
    return False


def _read(key: Key, store: BookStore) -> Item | None:
    return store.get([key]).get(key)


def _keep_place(
    work: Item, done: tuple[str, str], household_id: str, *, scope: Scope, store: BookStore, now: Ms
) -> None:
    """Time is up: the next run goes on from here, unless more work has come in."""
    since = int(work.body["since"])
    left = records.work_item(
        scope, household_id, due_at=now, since=since, version=work.version, done=done
    )
    with suppress(Stale):
        store.commit([Put(left)])


def _settle_all(
    household: Household,
    work: Item,
    *,
    scope: Scope,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool],
) -> tuple[str, str] | None:
    """The owed sales in the order of payment, partition by partition, from where the work was
    left. None when all are done; the partition and place reached, if time was up before."""
    left_in, left_at = work.body["done"]
    start = f"sale#{int(work.body['since']):013d}"
    parts = list(household.parts)
    if left_in in parts:
        parts = parts[parts.index(left_in) :]
    for part in parts:
        after, more = left_at if part == left_in else start, True
        while more:
            page = store.query(
                "records", keys.household_partition(scope, part), after=after, limit=PAGE
            )
            more = page.more
            for item in page.items:
                if until():
                    return part, after
                pointer = records.read_pointer(item)
                told = Told(sale=Sale(ids=frozenset({pointer.sale})))
                book_facts(told, scope=scope, store=store, now=now)
                after = item.key.sk
    return None


def _claim_references(household: Household, *, scope: Scope, store: BookStore, now: Ms) -> str:
    """Checkouts that named a key before the merchant made the customer are joined to him now.
    Returns the household that this made, empty if there was nothing to join."""
    made = {identity[4:] for identity in household.people.made_keys()}
    joined = ""
    for key in sorted(made):
        partition = keys.reference(scope, key, "").pk
        page = store.query("records", partition, limit=REFERENCES)
        for item in page.items:
            reference = records.read_reference(item)
            tie = reference_edge(reference)
            told = Told(people=People(edges={tie.id: tie}))
            booked = book_facts(told, scope=scope, store=store, now=now, journal=False)
            joined = booked.household
            discard(item, store=store)
    return joined


def discard(item: Item, *, store: BookStore) -> None:
    """Remove what has been dealt with; somebody else may have done so already."""
    with suppress(Stale):
        store.commit([Remove(item.key, item.version)])
