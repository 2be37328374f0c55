"""Settling a whole program's sales again, from a time on: a setting, a partner's rule or status was
told to hold from then. Done by the sweeper, page by page."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode
from chalicelib.core.sale import Sale
from chalicelib.core.told import Told
from chalicelib.flows.book_facts import book_facts
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Put, Stale, Store, Write

PAGE = 50
WAIT_MS = 30_000  # an index may be that late to show a sale that was settled by the old terms
MODES: Sequence[Mode] = ("live", "test")


def owe_since(program_id: str, since: Ms | None, *, store: Store, now: Ms) -> list[Write]:
    """The work that a change from ``since`` on owes, for the transaction of the change; none for a
    change that has yet to begin, or of nothing that sales depend on (``since`` None)."""
    if since is None:
        return []
    scopes = [Scope(program_id, mode) for mode in MODES]
    items = store.get([keys.program_work(scope) for scope in scopes])
    writes: list[Write] = []
    for scope in scopes:
        owed = items.get(keys.program_work(scope))
        first = min(since, int(owed.body["from"])) if owed and owed.body else since
        version = owed.version if owed else 0
        item = records.program_work_item(
            scope, since=first, after="", due_at=now + WAIT_MS, version=version
        )
        writes.append(Put(item))
    return writes


def owe_to_new_partner(program_id: str, key: str, *, store: Store, now: Ms) -> list[Write]:
    """The work that making a partner owes, for the transaction that makes it: his key may have been
    used before he was there. None if it was not."""
    for mode in MODES:
        partition = keys.unknown_partner(Scope(program_id, mode), key, "").pk
        if store.query("records", partition, limit=1).items:
            return owe_since(program_id, 0, store=store, now=now)
    return []


def settle_since(
    work: Item, *, store: Store, now: Ms, until: Callable[[], bool] = lambda: False
) -> bool:
    """Settle the sales paid since the work's day again; True when all are done and the work is
    ended. Where time is up first, the next run goes on from there."""
    scope = Scope(work.body["program"], work.body["mode"])
    since = int(work.body["from"])
    of_program = keys.program(scope.program)
    program = records.read_program(store.get([of_program])[of_program])
    late = max(program.ever("late_evidence_hours")) * 3_600_000  # evidence told since may be older
    after = str(work.body["after"]) or f"{max(0, since - late):013d}"
    more = True
    while more:
        page = store.find("records", "listing", f"{scope}#sales", after=after, limit=PAGE)
        more = page.more
        for found in page.items:
            assert found.listing is not None
            if until():
                left = records.program_work_item(
                    scope, since=since, after=after, due_at=now, version=work.version
                )
                with suppress(Stale):
                    store.commit([Put(left)])
                return False
            id = found.listing[1].split("#", 1)[1]
            told = Told(sale=Sale(ids=frozenset({id})))
            book_facts(told, scope=scope, store=store, now=now)
            after = found.listing[1]
    try:
        store.commit([Put(records.no_work_item(work))])
    except Stale:
        return False
    return True
