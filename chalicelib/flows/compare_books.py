"""Comparing two sets of tables: balances, sales with their reasons, customers with their referrals;
and each set with itself: a balance is the sum of its entries.

Both are walked once, page by page, so that it takes no memory for the whole.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.ledger import BUCKETS
from chalicelib.core.people import persons
from chalicelib.core.refusals import NotFound
from chalicelib.flows.copy_books import Role, Say, pages, role_of
from chalicelib.flows.replay_books import scope_of
from chalicelib.flows.show_people import ShownCustomer, customer_id, find_customer
from chalicelib.storage import records
from chalicelib.storage.codec import dump
from chalicelib.storage.store import Item, Key, Store

LISTED = 100
SAID = 300  # characters of one side of a difference

Facts = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Compared:
    """``counts`` says how much was compared. ``differences`` are sentences, at most 100 of them;
    ``different`` counts all. ``moved`` counts balances of equal sums of which another part is
    pending: that depends on when the schedules ran."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    different: int = 0
    moved: int = 0

    @property
    def equal(self) -> bool:
        return self.different == 0

    def differs(self, what: str) -> None:
        self.different += 1
        if len(self.differences) < LISTED:
            self.differences.append(what)


def compare_books(source: Store, target: Store, *, say: Say) -> Compared:
    """What the target says otherwise than the source, or says alone."""
    done = Compared()
    old, new = _Sums(), _Sums()
    for page in pages(source, "records"):
        old.add(page.items)
        kept = [item for item in page.items if _is_compared(item)]
        there = target.get([item.key for item in kept]) if kept else {}
        for item in kept:
            _compare(item, there.get(item.key), done, source=source, target=target)
    say(f"compared: {dict(done.counts)}")
    for page in pages(target, "records"):
        new.add(page.items)
        kept = [item for item in page.items if _is_compared(item)]
        there = source.get([item.key for item in kept]) if kept else {}
        for item in kept:
            if item.key not in there and not _is_nothing(item):
                done.differs(f"{item.key.pk} stands in the new tables alone")
    for where, sums in (("the old", old), ("the new", new)):
        for name in sums.unequal():
            done.differs(f"{name}: in {where} tables the balance is not the sum of its entries")
    return done


class _Sums:
    """What is left of each bucket of each balance when its entries are taken from it."""

    def __init__(self) -> None:
        self._left: Counter[tuple[str, str]] = Counter()

    def add(self, items: Iterable[Item]) -> None:
        for item in items:
            scope, kind, partner = _kind(item)
            if kind == "balance":
                name = f"{scope}#balance#{partner} {item.key.sk}"
                for bucket in BUCKETS:
                    self._left[name, bucket] += item.numbers.get(bucket, 0)
            if kind == "ledger":
                entry = records.read_entry(item)
                name = f"{scope}#balance#{partner} {entry.currency}"
                for posting in entry.postings:
                    if posting.account in BUCKETS:
                        self._left[name, posting.account] -= posting.minor

    def unequal(self) -> list[str]:
        return sorted({name for (name, _), left in self._left.items() if left})


def _kind(item: Item) -> tuple[str, str, str]:
    scope, _, rest = item.key.pk.partition("#")
    kind, _, of = rest.partition("#")
    return scope, kind, of


def _is_compared(item: Item) -> bool:
    """Sales and their other ids, identities, balances."""
    return _kind(item)[1] in _COMPARED or _is_household(item)


def _is_household(item: Item) -> bool:
    return role_of(item.key) is Role.BOOKED_PEOPLE and "of" not in item.body


def _is_nothing(item: Item) -> bool:
    """Which id a set of customers is kept under says nothing; nor does an empty balance."""
    return _is_household(item) or (not any(item.numbers.values()) and not item.body)


def _compare(
    item: Item, there: Item | None, done: Compared, *, source: Store, target: Store
) -> None:
    if _is_household(item):
        return _compare_customers(item, done, source=source, target=target)
    kind = _kind(item)[1]
    done.counts[kind] += 1
    facts = _COMPARED[kind]
    if there is None:
        if not _is_nothing(item):
            done.differs(f"{item.key.pk} is missing in the new tables")
        return None
    old, new = facts(item), facts(there)
    if kind == "balance" and old == new and item.numbers != there.numbers:
        done.moved += _buckets(item) != _buckets(there)
    return _tell(_name(item.key), old, new, done)


def _tell(name: str, old: Facts, new: Facts, done: Compared) -> None:
    for part in sorted(old.keys() | new.keys()):
        if old.get(part) != new.get(part):
            was, now = str(old.get(part))[:SAID], str(new.get(part))[:SAID]
            done.differs(f"{name}: {part} was {was}, by the new tables {now}")


def _name(key: Key) -> str:
    return f"{key.pk} {key.sk}" if "#balance#" in key.pk else key.pk


def _sale_facts(item: Item) -> Facts:
    if "of" in item.body:
        return {"is": item.body["of"]}
    settled = records.read_sale(item)
    return {
        "ids": sorted(settled.sale.ids),
        "credited": settled.credited,
        "because": settled.because,
        "held": settled.held,
        "trace": [dump(line) for line in settled.trace],
        "earned": {name: p.total for name, p in sorted(settled.positions.items()) if p.total},
    }


def _balance_facts(item: Item) -> Facts:
    balance = records.read_balance(item)
    return {"sum": balance.pending + balance.payable + balance.paid, "paid": balance.paid}


def _buckets(item: Item) -> tuple[int, int]:
    balance = records.read_balance(item)
    return balance.pending, balance.payable


def _identity_facts(item: Item) -> Facts:
    """That it is known, and whether the merchant made it; whose it is, the customers say."""
    return {"made by the merchant": bool(item.body.get("merchant"))}


_COMPARED: dict[str, Callable[[Item], Facts]] = {
    "sale": _sale_facts,
    "balance": _balance_facts,
    "identity": _identity_facts,
}


def _compare_customers(item: Item, done: Compared, *, source: Store, target: Store) -> None:
    scope = scope_of(item.key)
    for person in persons(records.read_household(item).people):
        done.counts["customer"] += 1
        id = customer_id(person)
        old = find_customer(id, scope=scope, store=source)
        try:
            new = find_customer(id, scope=scope, store=target)
        except NotFound:
            done.differs(f"{scope} customer {id} is missing in the new tables")
            continue
        _tell(f"{scope} customer {id}", _customer_facts(old), _customer_facts(new), done)


def _customer_facts(shown: ShownCustomer) -> Facts:
    profile = shown.profile
    return {
        "identities": _listed(shown.person.identities),
        "partner": getattr(shown.referral, "partner", ""),
        "because": shown.referral.because,
        "trace": [dump(line) for line in shown.referral.trace],
        "profile": (profile.email, profile.name, profile.tags) if profile else None,
    }


def _listed(names: Iterable[str]) -> Sequence[str]:
    return sorted(names)
