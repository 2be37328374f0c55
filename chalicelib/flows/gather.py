"""Reading what a booking is decided from: the sale, its customer's household, who is named.

Trips: one for ids and identities, one per household, one for partners and balances.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.core.facts import (
    Identity,
    Ms,
    SaleId,
)
from chalicelib.core.people import Household, SalePointer
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import NotFound
from chalicelib.core.sale import Sale, id_order
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Told
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore, Item, Key, Stale

FIRST_POINTERS = 32  # of a customer's sales, in order of payment, read at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One household as read: its item, the work it owes, and its earliest sales."""

    household: Household
    item: Item
    work: Item | None
    pointers: Sequence[SalePointer]
    more: bool


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What was read. ``sale_items`` are by id, ``identity_items`` by identity, where they exist."""

    program: Program
    sales: list[SettledSale] = field(default_factory=list)
    sale_items: dict[SaleId, Item] = field(default_factory=dict)
    identity_items: dict[Identity, Item] = field(default_factory=dict)
    households: list[Stored] = field(default_factory=list)

    @property
    def more_pointers(self) -> bool:
        return any(stored.more for stored in self.households)

    def pointers(self) -> list[SalePointer]:
        found = [p for stored in self.households for p in stored.pointers]
        return sorted(found, key=lambda p: p.place)


def gather(told: Told, *, scope: Scope, store: BookStore, pointers: int) -> Gathered:
    """Everything stored that a booking of these facts touches."""
    ids = set(told.sale.ids) if told.sale else set()
    identities = set(told.people.identities())
    program_key = keys.program(scope.program)
    items = store.get(
        [
            program_key,
            *(keys.sale(scope, id) for id in ids),
            *(keys.identity(scope, identity) for identity in identities),
        ]
    )
    if program_key not in items:
        raise NotFound("There is no such program.")
    gathered = Gathered(program=records.read_program(items[program_key]))
    _add_sales(gathered, ids, items, scope=scope, store=store)
    _add_identities(gathered, identities, items, scope=scope)
    known = {identity for part in gathered.sales for identity in identities_of(part.sale)}
    if missing := known - identities:
        found = store.get([keys.identity(scope, identity) for identity in missing])
        _add_identities(gathered, missing, found, scope=scope)
    names = {str(item.body["household"]) for item in gathered.identity_items.values()}
    for name in sorted(names):
        stored = read_household(name, scope=scope, store=store, pointers=pointers)
        if all(stored.household.id != other.household.id for other in gathered.households):
            gathered.households.append(stored)
    return gathered


def identities_of(sale: Sale) -> set[Identity]:
    return {*sale.identities, *(touch.identity for touch in sale.touches.values())}


def _add_sales(
    gathered: Gathered,
    ids: set[SaleId],
    items: Mapping[Key, Item],
    *,
    scope: Scope,
    store: BookStore,
) -> None:
    """The sales that the ids lead to. When they are about to become one, all their aliases are
    read as well, since each is written anew on its version. Raises ``Stale`` where an alias was
    moved between two reads."""
    found = {id: items[key] for id in ids if (key := keys.sale(scope, id)) in items}
    elsewhere = {str(item.body["of"]) for item in found.values() if "of" in item.body} - set(found)
    if elsewhere:
        more = store.get([keys.sale(scope, id) for id in elsewhere])
        found |= {id: more[key] for id in elsewhere if (key := keys.sale(scope, id)) in more}
        if any(id not in found or "of" in found[id].body for id in elsewhere):
            raise Stale
    sales = [records.read_sale(i) for _, i in sorted(found.items()) if "of" not in i.body]
    known = {id for part in sales for id in part.sale.ids}
    canonical = min(known | ids, key=id_order, default="")
    if any(part.sale.canonical != canonical for part in sales) and (known - set(found)):
        more = store.get([keys.sale(scope, id) for id in known - set(found)])
        found |= {id: more[key] for id in known if (key := keys.sale(scope, id)) in more}
    gathered.sale_items, gathered.sales = found, sales


def _add_identities(
    gathered: Gathered, identities: set[Identity], items: Mapping[Key, Item], *, scope: Scope
) -> None:
    for identity in identities:
        if (key := keys.identity(scope, identity)) in items:
            gathered.identity_items[identity] = items[key]


def read_household(name: str, *, scope: Scope, store: BookStore, pointers: int) -> Stored:
    """A household with its first ``pointers`` sales, in one trip per partition. Where a partition
    has more, nothing behind its last one read is given of any: the sales are without a gap."""
    page = store.query("records", keys.household_partition(scope, name), limit=pointers + 2)
    by_sort_key = {item.key.sk: item for item in page.items}
    item = by_sort_key.get("!household")
    if item is None:
        raise Stale
    if "of" in item.body:
        return read_household(str(item.body["of"]), scope=scope, store=store, pointers=pointers)
    household = records.read_household(item)
    found = [i for i in page.items if i.key.sk.startswith("sale#")]
    ends = [page.items[-1].key.sk] if page.more else []
    for part in household.parts:
        if part == name:
            continue
        page = store.query(
            "records", keys.household_partition(scope, part), after="sale#", limit=pointers
        )
        found.extend(page.items)
        ends += [page.items[-1].key.sk] if page.more else []
    return Stored(
        household=household,
        item=item,
        work=by_sort_key.get("!work"),
        pointers=[records.read_pointer(i) for i in found if not ends or i.key.sk <= min(ends)],
        more=bool(ends),
    )


def household_items(names: Iterable[str], *, scope: Scope, store: BookStore) -> dict[str, Item]:
    """Each name's household, where it was joined into another that one."""
    leads = {name: name for name in names}
    found: dict[str, Item] = {}
    while missing := set(leads.values()) - set(found):
        items = store.get([keys.household(scope, name) for name in missing])
        for name in missing:
            if (key := keys.household(scope, name)) not in items:
                raise Stale
            found[name] = items[key]
        leads = {n: str(found[to].body.get("of", to)) for n, to in leads.items()}
    return {name: found[to] for name, to in leads.items()}


def pointers_near(
    household: Household, *, since: Ms, until: Ms, scope: Scope, store: BookStore
) -> list[SalePointer]:
    """A customer's sales paid between two moments, at most 200 of each partition."""
    found: list[SalePointer] = []
    for part in household.parts:
        page = store.query(
            "records",
            keys.household_partition(scope, part),
            after=f"sale#{since:013d}",
            until=f"sale#{until:013d}$",
            limit=200,
        )
        found.extend(records.read_pointer(item) for item in page.items)
    return found


def read_partners(
    names: Iterable[str], currencies: Iterable[str], *, scope: Scope, store: BookStore
) -> tuple[dict[str, Partner], dict[str, records.Balance]]:
    """Partners by lower-case key, and their balances by position name, in one trip."""
    names, currencies = sorted(set(names)), sorted(set(currencies))
    wanted = [keys.partner(scope.program, name) for name in names]
    held = {
        f"{name}|{currency}": keys.balance(scope, name, currency)
        for name in names
        for currency in currencies
    }
    items = store.get([*wanted, *held.values()]) if names else {}
    partners = {
        name: records.read_partner(items[key])
        for name in names
        if (key := keys.partner(scope.program, name)) in items
    }
    balances = {name: records.read_balance(items.get(key)) for name, key in held.items()}
    return partners, balances
