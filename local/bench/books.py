"""Whether what clients were promised is what is stored: nothing lost, nothing doubled."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chalicelib.core.ledger import Entry
from chalicelib.core.refusals import NotFound
from chalicelib.flows.record_sale import find_sale
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Key, Store
from local.bench.purchases import REWARD, event_of, visit_token
from local.bench.scene import Ids

PAGE = 1_000


@dataclass(slots=True, kw_only=True)
class Promised:
    """What was answered with a 2xx: clicks and purchases by number and partner, events by id."""

    clicks: list[tuple[int, str]] = field(default_factory=list)
    purchases: list[tuple[int, str]] = field(default_factory=list)
    events: set[str] = field(default_factory=set)


def check_books(promised: Promised, *, ids: Ids, store: Store) -> list[str]:
    """A sentence for each thing that is wrong in the program's books, which hold nothing else."""
    return [
        *_wrong_clicks(promised, ids, store),
        *_wrong_events(promised, ids, store),
        *_wrong_sales(promised, _scope(ids), store),
        *_wrong_balances(promised, _scope(ids), store),
        *_owed(store),
    ]


def _scope(ids: Ids) -> Scope:
    return Scope(ids.program, "test")


def _wrong_clicks(promised: Promised, ids: Ids, store: Store) -> Iterator[str]:
    wanted = [keys.click(ids.program, visit_token(*click)) for click in promised.clicks]
    stored = _get(store, wanted)
    if missing := [key for key in wanted if key not in stored]:
        yield f"{len(missing)} clicks are lost, one is {missing[0].pk}"
    for partner, number in Counter(partner for _, partner in promised.clicks).items():
        key = keys.click_count(ids.program, partner, "total")
        item = _get(store, [key]).get(key)
        found = item.numbers["clicks"] if item else 0
        if found != number:
            yield f"{partner} has {number} clicks, and {found} are counted"


def _wrong_events(promised: Promised, ids: Ids, store: Store) -> Iterator[str]:
    wanted = {keys.inbox(ids.connection, id): id for id in promised.events}
    stored = _get(store, list(wanted))
    if missing := [id for key, id in wanted.items() if key not in stored]:
        yield f"{len(missing)} events are lost, one is {missing[0]}"
    states = Counter(records.read_inbox(item).state for item in stored.values())
    if unhandled := {state: n for state, n in states.items() if state != "handled"}:
        yield f"events are not handled: {unhandled}"


def _wrong_sales(promised: Promised, scope: Scope, store: Store) -> Iterator[str]:
    for number, partner in promised.purchases:
        try:
            settled = find_sale(event_of("invoice.paid", number), scope=scope, store=store)
        except NotFound:
            yield f"purchase {number} of {partner} is lost"
            continue
        earned = {name: p.total for name, p in settled.positions.items() if p.total}
        if earned != {f"{partner}|eur": REWARD}:
            yield f"purchase {number} of {partner} earned {earned or settled.because}"


def _wrong_balances(promised: Promised, scope: Scope, store: Store) -> Iterator[str]:
    for partner, number in Counter(partner for _, partner in promised.purchases).items():
        key = keys.balance(scope, partner, "eur")
        balance = records.read_balance(_get(store, [key]).get(key))
        entries: Counter[str] = Counter()
        for entry in _entries(partner, scope, store):
            if sum(posting.minor for posting in entry.postings):
                yield f"an entry of {partner} does not sum to zero: {entry.id}"
            for posting in entry.postings:
                entries[posting.account] += posting.minor
        buckets = {name: entries[name] for name in ("pending", "payable", "paid")}
        stands = {name: getattr(balance, name) for name in buckets}
        if buckets != stands:
            yield f"the balance of {partner} is {stands}, its entries come to {buckets}"
        if sum(stands.values()) != number * REWARD:
            yield f"{partner} has {stands} for {number} purchases of {REWARD}"


def _entries(partner: str, scope: Scope, store: Store) -> Iterator[Entry]:
    partition = keys.ledger(scope, partner)
    after, more = "", True
    while more:
        page = store.query("records", partition, after=after, limit=PAGE)
        yield from (records.read_entry(item) for item in page.items)
        more = page.more
        after = page.items[-1].key.sk if page.items else ""


def _owed(store: Store) -> Iterator[str]:
    if store.find("records", "due", keys.DUE_WORK, limit=1).items:
        yield "work is left undone"
    if store.find("inbox", "due", keys.DUE_INBOX, limit=1).items:
        yield "an event is left unhandled"


def _get(store: Store, wanted: Sequence[Key]) -> dict[Key, Item]:
    found: dict[Key, Item] = {}
    for start in range(0, len(wanted), PAGE):
        found |= store.get(wanted[start : start + PAGE])
    return found
