"""Lists: newest first, at most 100 a page, cursors are ids. docs.stripe.com/api/pagination.

A list of a kind merges what is in the account's table with what lies in its past, by time of
creation; only what a page shows is drawn.
"""

import re
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Any

from .blanks import listing
from .calls import Listed, Rows
from .errors import StripeRefusal, invalid
from .past import DIGITS, Spot
from .world import Object, World

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
# Stripe's filters that the fake lacks: refused, since an answer without them would be wrong.
UNKNOWN = {
    "automatic_tax", "current_period_end", "current_period_start", "customer_account", "due_date",
    "plan",
}  # fmt: skip
_NUMBERS = re.compile(rf"(?<!\d)\d{{{DIGITS}}}(?!\d)")
# When a list breaks a tie: what lies in the past is older than what was made in this process.
Key = tuple[int, ...]


def page(world: World, rows: Rows | Listed, params: Object) -> Object:
    """Stripe's list object. Raises 400 for a limit or a cursor that is none."""
    if unknown := UNKNOWN & set(params):
        raise invalid(f"The fake Stripe does not filter by {sorted(unknown)}.")
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid("Invalid limit: must be between 1 and 100", "limit")
    after, before = params.get("starting_after"), params.get("ending_before")
    up = after is None and before is not None
    if isinstance(rows, Rows):
        data = sorted(rows.data, key=lambda row: row.get("created", 0), reverse=True)
        walked = _through(data, after, before)
    else:
        walked = _merged(world, rows, after, before, up=up)
    found = list(islice(walked, limit + 1))
    data = found[:limit]
    return listing(data[::-1] if up else data, rows.url, has_more=len(found) > limit)


def _through(data: list[Object], after: str | None, before: str | None) -> Iterator[Object]:
    if after is not None:
        return iter(data[_index(data, after, "starting_after") + 1 :])
    if before is not None:
        return iter(data[: _index(data, before, "ending_before")][::-1])
    return iter(data)


def _index(data: list[Object], id_: str, param: str) -> int:
    for place, row in enumerate(data):
        if row["id"] == id_:
            return place
    raise _no_such(id_, param)


def _merged(
    world: World, rows: Listed, after: str | None, before: str | None, *, up: bool
) -> Iterator[Object]:
    """All that the list holds beyond the cursor, in order; `up` walks towards the newer ones."""
    table = world.tables.get(rows.kind, {})
    places = {id_: n for n, id_ in enumerate(table)} if after or before else {}

    def key_of(id_: str, created: int, place: int) -> Key:
        spot = world.past.find(id_)
        return (created, 0, *spot) if spot else (created, 1, place)

    edge: Key | None = None
    if (cursor := after or before) is not None:
        found = world.peek(rows.kind, cursor)
        if found is None:
            raise _no_such(cursor, "ending_before" if up else "starting_after")
        edge = key_of(cursor, found.get("created", 0), places.get(cursor, 0))

    here: list[tuple[Key, Any]] = []
    for place, row in enumerate(table.values()):
        if not row.get("deleted") and rows.keep(row) and rows.in_time(row.get("created")):
            here.append((key_of(row["id"], row.get("created", 0), place), row))
    here.sort(key=lambda pair: pair[0], reverse=not up)
    sources = [iter(here), *_past(world, rows, edge, up=up)]
    for key, item in merge(*sources, key=lambda pair: pair[0], reverse=not up):
        if edge is None or (key > edge if up else key < edge):
            yield world.past.draw(item) if isinstance(item, Spot) else item


def _past(
    world: World, rows: Listed, edge: Key | None, *, up: bool
) -> Iterator[Iterator[tuple[Key, Spot]]]:
    """What was not brought into the tables. A filter that does not look for one owner or text asks
    each kind of object of a story once: its copies differ in nothing else."""
    past, table = world.past, world.tables.get(rows.kind, {})
    if not past.batches:
        return

    def keyed(spots: Iterator[Spot]) -> Iterator[tuple[Key, Spot]]:
        for spot in spots:
            if not table or not dict.__contains__(table, _id_at(world, spot)):
                yield (past.created(spot), 0, *spot), spot

    if rows.owner is not None or rows.text is not None:
        yield iter(sorted(keyed(_few(world, rows)), reverse=not up))
        return
    low, high = rows.bounds()
    if edge is not None:
        low, high = (max(low, edge[0]), high) if up else (low, min(high, edge[0]))
    samples = [s for b in past.batches for s in b.samples if s["object"] == rows.kind]
    for sample, spots in zip(samples, past.spots(rows.kind, low, high, up=up), strict=True):
        if rows.keep(sample):
            yield keyed(spots)


def _few(world: World, rows: Listed) -> Iterator[Spot]:
    past = world.past
    if rows.owner is not None:
        owner = past.find(rows.owner)
        near = past.copies_near(rows.kind, {owner.copy}) if owner else iter(())
        near = (s for s in near if owner and s.batch == owner.batch)
    else:
        near = past.copies_near(rows.kind, {int(n) for n in _NUMBERS.findall(rows.text or "")})
    for spot in near:
        if rows.in_time(past.created(spot)) and rows.keep(past.draw(spot)):
            yield spot


def _id_at(world: World, spot: Spot) -> str:
    batch = world.past.batches[spot.batch]
    return batch.samples[spot.slot]["id"][:-DIGITS] + f"{spot.copy:0{DIGITS}d}"


def _no_such(id_: str, param: str) -> StripeRefusal:
    return StripeRefusal(
        f"No such object: '{id_}'", status=400, code="resource_missing", param=param
    )
