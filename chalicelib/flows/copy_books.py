"""Copying into empty tables what stands as it was written, and listing what is to be told again.

Of a rebuild the first part: a walk over all tables. Programs, partners, connections, keys, clicks
and their counts are copied; events, tellings and payouts are listed with their time; the rest is
worked out anew from those. What is older than the inbox keeps is taken from the books themselves.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, NamedTuple

from chalicelib.core.facts import Ms
from chalicelib.core.people import People
from chalicelib.core.refusals import Conflict
from chalicelib.core.sale import Sale
from chalicelib.storage import keys, records, visit_records
from chalicelib.storage.records import InboxHead
from chalicelib.storage.store import Add, Item, Key, Page, Put, Stale, Store, TableName, Write

PAGE = 100  # items of one step of a walk; as many keys as one read takes
MOST_AT_ONCE = 50  # writes of one commit
MOST_BYTES_AT_ONCE = 2_000_000  # about; a body of an event has at most 380,000
DAY_MS = 86_400_000
KEPT_MS = min(records.INBOX_TTL_S, visit_records.CLICK_TTL_S) * 1000 - DAY_MS
TABLES: Sequence[TableName] = ("records", "sessions", "clicks", "inbox")

Say = Callable[[str], None]
SealAnew = Callable[[Item], Item]


class Role(IntEnum):
    """What a rebuild does with an item; the told ones in this order, where their times are the
    same."""

    BOOKED_SALE = 1  # older than the inbox keeps: its facts as they stand
    BOOKED_PEOPLE = 2
    EVENT = 3
    TELLING = 4
    PAYOUT = 5
    COPIED = 6
    DERIVED = 7  # worked out anew


class Step(NamedTuple):
    """Something to be told again at its time. Of a whole history these are all that is kept in
    memory."""

    at: Ms
    role: Role
    key: Key


@dataclass(slots=True, kw_only=True)
class Copied:
    """``steps`` in no order; ``items`` copied, by table; ``waiting`` counts the events that the
    source itself has not handled yet."""

    steps: list[Step] = field(default_factory=list)
    items: Counter[str] = field(default_factory=Counter)
    waiting: int = 0


_RECORDS = {
    "partner": Role.COPIED,
    "partner-id": Role.COPIED,
    "partner-email": Role.COPIED,
    "clicks": Role.COPIED,
    "account": Role.COPIED,
    "told": Role.TELLING,
    "reconciliations": Role.COPIED,
    "payout": Role.PAYOUT,
    "sale": Role.BOOKED_SALE,
    "household": Role.BOOKED_PEOPLE,
    "balance": Role.DERIVED,
    "ledger": Role.DERIVED,
    "identity": Role.DERIVED,
    "reference": Role.DERIVED,
    "unknown-partner": Role.DERIVED,
    "terms": Role.DERIVED,
    "backfill-of": Role.DERIVED,
    "job": Role.DERIVED,  # those that stand are planned anew where these tables are worked on
}
OWN = frozenset({keys.rebuild_mark(), keys.deployment(), keys.job_lease()})
"""What tables say of themselves: not copied, and empty tables may hold it."""

_ALONE = dict.fromkeys(
    ("program", "connection", "stream", "platform", "stripe-account"), Role.COPIED
)


def role_of(key: Key) -> Role:
    """What a rebuild does with the item of this key. Raises ``Conflict`` for a kind that it does
    not know: nothing is left out without a word."""
    match key.table:
        case "sessions":
            return Role.DERIVED if key.pk.startswith(keys.OF_JOBS) else Role.COPIED
        case "clicks":
            return Role.COPIED if key.sk == "click" else Role.DERIVED
        case "inbox":
            return Role.EVENT if key.sk == "head" else Role.COPIED
    if key in OWN:
        return Role.DERIVED
    owner, _, rest = key.pk.partition("#")
    role = _ALONE.get(owner) or _RECORDS.get(rest.partition("#")[0])
    if role is None:
        raise Conflict(f"A rebuild does not know what {key.pk} is: nothing more was done.")
    if role is Role.BOOKED_PEOPLE and key.sk != "!household":
        return Role.DERIVED
    return role


def copy_books(
    source: Store, target: Store, *, now: Ms, say: Say, seal_anew: SealAnew = lambda item: item
) -> Copied:
    """Copy what is to be copied, but for what stands there already; ``seal_anew`` is shown each
    item of the records, for secrets that the target opens with another key. Raises ``Conflict``
    when somebody has begun to work with the target."""
    copied = Copied()
    for table in TABLES:
        for page in pages(source, table):
            _copy_page(page.items, copied, target, old=now - KEPT_MS, seal_anew=seal_anew)
            copied.items[table] += len(page.items)
            if copied.items[table] % (20 * PAGE) == 0:
                say(f"{table}: {copied.items[table]} items read")
    return copied


def pages(store: Store, table: TableName) -> Iterator[Page]:
    """A whole table, page by page."""
    page = store.walk(table, limit=PAGE)
    while page.items:
        yield page
        if not page.more:
            return
        page = store.walk(table, after=page.items[-1].key, limit=PAGE)


def _copy_page(
    items: Sequence[Item], copied: Copied, target: Store, *, old: Ms, seal_anew: SealAnew
) -> None:
    roles = {item.key: role_of(item.key) for item in items}
    moved = [i for i in items if roles[i.key] in (Role.COPIED, Role.EVENT, Role.TELLING)]
    there = target.get([item.key for item in moved]) if moved else {}
    writes: list[tuple[int, Write]] = []
    for item in moved:
        write = _copy(seal_anew(item), roles[item.key], there.get(item.key))
        if write is not None:
            writes.append((len(item.blob or b"") + len(str(item.body)), write))
    for item in items:
        at = _told_at(item, roles[item.key], old=old)
        if at is not None:
            copied.steps.append(Step(at, roles[item.key], item.key))
        if roles[item.key] is Role.EVENT and records.read_inbox(item).state == "received":
            copied.waiting += 1
    _write(writes, target)


def _copy(item: Item, role: Role, there: Item | None) -> Write | None:
    """The write that makes a copy, or None where it stands. What was copied by an earlier attempt
    and has changed in the source since is copied again."""
    if item.numbers:
        assert not item.version, "an item has a body or numbers"
        return None if there else Add(item.key, item.numbers, when=dict.fromkeys(item.numbers, 0))
    if role is Role.EVENT:
        return None if there else Put(_unhandled(item))
    if there is None:
        return Put(replace(item, version=0))
    if item.key.table != "records" or replace(there, version=item.version) == item:
        return None
    if there.version > 1:
        raise Conflict(f"The target is in use: {item.key.pk} was changed there. Take empty tables.")
    return Put(item, blind=True)


def _unhandled(item: Item) -> Item:
    """An event as it was on its arrival. It is not due, so that no sweeper takes it before its
    turn."""
    known = records.read_inbox(item)
    if known.kept_out:  # its connection may be open again: told now, it would change the books
        return replace(item, version=0)
    head = InboxHead(
        connection=known.connection,
        id=known.id,
        type=known.type,
        state="received",
        received_at=known.received_at,
    )
    return records.inbox_item(head, version=0, blob=item.blob)


def _write(writes: Sequence[tuple[int, Write]], target: Store) -> None:
    batch: list[Write] = []
    size = 0
    for number, (length, write) in enumerate(writes, 1):
        batch.append(write)
        size += length
        if len(batch) == MOST_AT_ONCE or size > MOST_BYTES_AT_ONCE or number == len(writes):
            try:
                target.commit(batch)
            except Stale as stale:
                raise Conflict("Somebody else writes into the target; stop that first.") from stale
            batch, size = [], 0


def _told_at(item: Item, role: Role, *, old: Ms) -> Ms | None:
    """When the item is to be told again, or None for one that is not."""
    match role:
        case Role.EVENT:
            return records.read_inbox(item).received_at
        case Role.TELLING:
            return int(item.body["at"])
        case Role.PAYOUT:
            return records.read_payout(item).at
        case Role.BOOKED_SALE if "of" not in item.body:
            return _old_sale(records.read_sale(item).sale, old)
        case Role.BOOKED_PEOPLE if "of" not in item.body:
            times = _times(old_people(records.read_household(item).people, old))
            return min(times, default=None)
        case _:
            return None


def _old_sale(sale: Sale, old: Ms) -> Ms | None:
    """When an old sale is to be booked from the books. Old is one of which anything may have been
    told by an event that the inbox keeps no more."""
    views = [at for view in sale.views.values() for at in (view.paid_at, view.told_at) if at]
    clicks = [t.click_at for t in sale.touches.values() if t.click_at is not None]
    first = min([*views, *clicks, *(t.at for t in sale.touches.values())], default=0)
    if first >= old:
        return None
    return min((view.paid_at for view in sale.views.values() if view.paid), default=first)


def old_people(people: People, old: Ms) -> People:
    """The facts that may have been told by an event, or made whole by a click, that is kept no
    more."""

    def is_old(fact: Any) -> bool:
        click_at = getattr(fact, "click_at", None)
        return 0 < fact.at < old or (click_at is not None and click_at < old)

    def of(facts: Any) -> Any:
        return {id: fact for id, fact in facts.items() if is_old(fact)}

    return People(
        edges=of(people.edges),
        sightings=of(people.sightings),
        touches=of(people.touches),
        conversions=of(people.conversions),
        keep_outs=of(people.keep_outs),
        profiles=of(people.profiles),
    )


def _times(people: People) -> list[Ms]:
    every: list[Any] = [
        *people.edges.values(),
        *people.sightings.values(),
        *people.touches.values(),
        *people.conversions.values(),
        *people.keep_outs.values(),
        *people.profiles.values(),
    ]
    return [fact.at for fact in every]
