"""Reading what a booking is decided from: the sale, its customer's household, who is named.

Trips: one for ids and identities, one per household, one for partners and balances.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.core.facts import (
    Bond,
    Conversion,
    Edge,
    Identity,
    Ms,
    SaleId,
    Sighting,
    Touch,
    edge,
)
from chalicelib.core.people import Household, People, SalePointer
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import NotFound
from chalicelib.core.sale import Sale, id_order
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Reference, Told
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Check, Item, Key, Put, Stale, Store, Write

MAX_AWAITING = 20  # who may await one click
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


def gather(told: Told, *, scope: Scope, store: Store, pointers: int) -> Gathered:
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
    known = {identity for part in gathered.sales for identity in _identities(part.sale)}
    if missing := known - identities:
        found = store.get([keys.identity(scope, identity) for identity in missing])
        _add_identities(gathered, missing, found, scope=scope)
    names = {str(item.body["household"]) for item in gathered.identity_items.values()}
    for name in sorted(names):
        stored = read_household(name, scope=scope, store=store, pointers=pointers)
        if all(stored.household.id != other.household.id for other in gathered.households):
            gathered.households.append(stored)
    return gathered


def _identities(sale: Sale) -> set[Identity]:
    return {*sale.identities, *(touch.identity for touch in sale.touches.values())}


def _add_sales(
    gathered: Gathered, ids: set[SaleId], items: Mapping[Key, Item], *, scope: Scope, store: Store
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


def read_household(name: str, *, scope: Scope, store: Store, pointers: int) -> Stored:
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


def household_items(names: Iterable[str], *, scope: Scope, store: Store) -> dict[str, Item]:
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
    household: Household, *, since: Ms, until: Ms, scope: Scope, store: Store
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
    names: Iterable[str], currencies: Iterable[str], *, scope: Scope, store: Store
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


def prepare(told: Told, *, scope: Scope, store: Store, now: Ms) -> tuple[Told, tuple[Write, ...]]:
    """The told facts made whole: each touch with its owner and, where its click was seen, with
    the click's time.

    A token whose click was not seen is put down as awaited by the writes that come with it. They
    belong into the booking's own transaction and hold only while there is no click, so that the
    click is found whichever of the two is written first.
    """
    touches = dict(told.people.touches)
    owned: dict[str, Touch] = {}
    if told.sale:
        owner = told.sale.owner_identity()
        for id, touch in told.sale.touches.items():
            owned[id] = replace(
                touch, identity=touch.identity or owner, sale=touch.sale or told.sale.canonical
            )
    clicks, awaiting = _clicks({**touches, **owned}.values(), scope=scope, store=store, now=now)

    def seen(touch: Touch) -> Touch:
        return replace(touch, click_at=clicks.get(touch.token, touch.click_at))

    owned = {id: seen(touch) for id, touch in owned.items()}
    sale = replace(told.sale, touches=owned) if told.sale else None
    people = replace(
        told.people,
        touches={**{i: seen(t) for i, t in touches.items()}, **owned},
        conversions=_earliest_conversions(told.people),
    )
    people = _with_identities(people, sale)
    return Told(sale=sale, people=people, references=told.references), awaiting


def _earliest_conversions(people: People) -> dict[str, Conversion]:
    """Conversions by whose they are: only the earliest of each decides anything."""
    earliest: dict[str, Conversion] = {}
    for told in people.conversions.values():
        by = f"{told.identity}|{'verified' if told.verified else 'claim'}"
        named = replace(told, id=by)
        earliest[by] = earliest[by].join(named) if by in earliest else named
    return earliest


def _with_identities(people: People, sale: Sale | None) -> People:
    """Every identity that the facts name has a sighting, so that it is found again."""
    named = _identities(sale) if sale else set()
    named |= {touch.identity for touch in people.touches.values()}
    named -= people.identities()
    sightings = [Sighting(identity=identity, by="named", at=0) for identity in sorted(named)]
    return replace(people, sightings={**people.sightings, **{s.id: s for s in sightings}})


def _clicks(
    touches: Iterable[Touch], *, scope: Scope, store: Store, now: Ms
) -> tuple[dict[str, Ms], tuple[Write, ...]]:
    """The times of the clicks that were seen, and the writes by which the others are awaited."""
    owners: dict[str, set[Identity]] = {}
    for touch in touches:
        if touch.token and touch.click_at is None:
            owners.setdefault(touch.token, set()).add(touch.identity)
    if not owners:
        return {}, ()
    found, awaited = _seen(owners, scope=scope, store=store)
    writes: list[Write] = []
    for token in sorted(owners.keys() - found.keys()):
        writes.append(Check(keys.click(scope.program, token), 0))
        item = awaited.get(token)
        known = list(item.body["identities"]) if item else []
        new = [*known, *sorted(owners[token] - set(known))][:MAX_AWAITING]
        if new != known:
            version = item.version if item else 0
            writes.append(Put(records.awaited_item(scope, token, new, now=now, version=version)))
    return found, tuple(writes)


def _seen(
    tokens: Iterable[str], *, scope: Scope, store: Store
) -> tuple[dict[str, Ms], dict[str, Item]]:
    """The times of the clicks that were seen, and who awaits those that were not."""
    clicks = {token: keys.click(scope.program, token) for token in tokens}
    waits = {token: keys.awaited_click(scope.program, token, scope.mode) for token in clicks}
    items = store.get([*clicks.values(), *waits.values()])
    return (
        {t: records.read_click(items[key]).at for t, key in clicks.items() if key in items},
        {t: items[key] for t, key in waits.items() if key in items},
    )


def resolved_references(
    told: Told, *, scope: Scope, store: Store
) -> tuple[People, dict[Reference, int]]:
    """A checkout's reference that is the key of a customer whom the merchant made is an edge; the
    others are returned as still unknown, with the version at which the key was read (a visitor may
    have signed up under it)."""
    if not told.references:
        return told.people, {}
    by_key = {keys.identity(scope, f"key:{r.key}"): r for r in told.references}
    items = store.get(list(by_key))
    people, unknown = told.people, dict[Reference, int]()
    for key, reference in by_key.items():
        item = items.get(key)
        if item is None or not item.body.get("merchant"):
            unknown[reference] = item.version if item else 0
            continue
        tie = reference_edge(reference)
        people = replace(people, edges={**people.edges, tie.id: tie})
    return people, unknown


def check_unknown(unknown: Iterable[Reference], gathered: Gathered) -> None:
    """Raises ``Stale`` where the merchant has made a key between the look-up and the gathering."""
    made = {key for s in gathered.households for key in s.household.people.made_keys()}
    if any(f"key:{reference.key}" in made for reference in unknown):
        raise Stale


def reference_edge(reference: Reference) -> Edge:
    """The tie between a buyer and the merchant's customer whom the checkout named; a guest's
    e-mail is what somebody typed, and is believed less than Stripe's customer."""
    guest = reference.identity.startswith("email:")
    bond = Bond.GUEST if guest else Bond.REFERENCE
    return edge(reference.identity, f"key:{reference.key}", bond, reference.at)
