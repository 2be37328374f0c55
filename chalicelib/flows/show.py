"""What the API shows: values read together, worked out where they are not stored."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.core.attribution import Case, Payment, Referral, partners_named, referral_of
from chalicelib.core.facts import Identity, Ms, Profile
from chalicelib.core.ledger import Entry, Position
from chalicelib.core.people import Person, person_of, persons, profile_of
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import NotFound
from chalicelib.core.sale import Summary
from chalicelib.core.settlement import SettledSale
from chalicelib.flows.gather import Stored, read_household, read_partners
from chalicelib.flows.manage_programs import read_program
from chalicelib.flows.record_sale import find_sale
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Balance
from chalicelib.storage.store import IndexName, Item, Key, Store

POINTERS = 32
MAX_CURRENCIES = 50
REWARD_PAGES = 50
SALES_AT_ONCE = 100
MAX_ENTRY_ID_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A page of a list; ``more`` says that there is another behind it."""

    rows: Sequence[object]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPartner:
    partner: Partner
    balances: dict[str, Balance]
    clicks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """Who a customer is, as a sale names him."""

    id: str
    person: Person
    profile: Profile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCustomer(ShownPerson):
    referral: Referral
    partner: Partner | None
    created_at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReward:
    id: str
    sale: str
    partner: str
    partner_id: str
    position: Position
    currency: str
    because: str
    paid_at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSale:
    settled: SettledSale
    summary: Summary
    customer: ShownPerson | None
    partner: Partner | None
    rewards: tuple[ShownReward, ...]


def show_partner(partner: Partner, *, scope: Scope, store: Store) -> ShownPartner:
    """A partner with its balances and its clicks ever."""
    return _shown_partners([partner], scope=scope, store=store)[0]


def _shown_partners(
    partners: Sequence[Partner], *, scope: Scope, store: Store
) -> list[ShownPartner]:
    """A query for each one's balances, whatever their currencies, and one trip for all clicks."""
    totals = [keys.click_count(scope.program, partner.key, "total") for partner in partners]
    counted = store.get(totals) if totals else {}
    shown = []
    for partner, total in zip(partners, totals, strict=True):
        page = store.query("records", keys.balance(scope, partner.key, "").pk, limit=MAX_CURRENCIES)
        shown.append(
            ShownPartner(
                partner=partner,
                balances={item.key.sk: records.read_balance(item) for item in page.items},
                clicks=counted[total].numbers.get("clicks", 0) if total in counted else 0,
            )
        )
    return shown


def customer_id(person: Person) -> str:
    """An opaque id made from the person's main identity; it is found as long as any of the
    identities is."""
    packed = base64.urlsafe_b64encode(person.main.encode()).decode().rstrip("=")
    return f"cst_{packed}"


def id_of_key(key: str) -> str:
    """The id of the customer whom the merchant made under ``key``."""
    return customer_id(Person(identities=frozenset({f"key:{key}"})))


def identities_meant(name: str) -> list[Identity]:
    """What a customer's name in an address may mean: our id, the merchant's key, Stripe's id, an
    e-mail."""
    meant = [f"key:{name}", f"stripe:{name}", f"email:{name.strip().lower()}", f"payment:{name}"]
    if name.startswith("cst_"):
        packed = name[4:]
        try:
            identity = base64.b64decode(
                packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True
            ).decode()
        except (binascii.Error, ValueError):
            return meant
        if identity.split(":", 1)[0] in ("key", "stripe", "email", "payment"):
            meant.insert(0, identity)
    return meant


def find_customer(name: str, *, scope: Scope, store: Store) -> ShownCustomer:
    """A customer under any of its names; raises ``NotFound``."""
    meant = identities_meant(name)
    items = store.get([keys.identity(scope, identity) for identity in meant])
    for identity in meant:
        item = items.get(keys.identity(scope, identity))
        if item is None:
            continue
        stored = read_household(
            str(item.body["household"]), scope=scope, store=store, pointers=POINTERS
        )
        program = read_program(scope.program, store=store)
        person = person_of(stored.household.people, identity)
        return _shown(person, stored, program, scope, store)
    raise NotFound("There is no such customer.")


def _shown(
    person: Person, stored: Stored, program: Program, scope: Scope, store: Store
) -> ShownCustomer:
    household = stored.household
    pointers = sorted(stored.pointers, key=lambda p: p.place)
    payments = [
        Payment(sale=p.sale, paid_at=p.paid_at, touches=frozenset(p.touches))
        for p in pointers
        if p.counts and p.owner in person.identities
    ]
    partners, _ = read_partners(partners_named(household.people), [], scope=scope, store=store)
    case = Case(
        people=household.people,
        person=person,
        program=program,
        partners=partners,
        payments=payments,
    )
    referral = referral_of(case)
    profile = profile_of(household.people, person)
    return ShownCustomer(
        id=customer_id(person),
        person=person,
        profile=profile,
        referral=referral,
        partner=partners.get(getattr(referral, "partner", "")),
        created_at=profile.created_at if profile else int(stored.item.body["created_at"]),
    )


def list_customers(
    *, scope: Scope, store: Store, limit: int, after: str = "", skip: int = 0
) -> Rows:
    """Customers in the order in which they were first seen, newest first."""
    place, left = "", list[tuple[Item, Person]]()
    if after:
        item, known = _customer_named(after, scope=scope, store=store)
        left = [(i, person) for i, person in _people_of(item) if person.main > known.main]
        place = _listed_at(item)
    page = store.find(
        "records",
        "listing",
        f"{scope}#customers",
        after=place,
        limit=skip + limit,
        backwards=True,
    )
    items = store.get([found.key for found in page.items])
    for found in page.items:
        if found.key in items:
            left += _people_of(items[found.key])
    program = read_program(scope.program, store=store)
    rows = [
        _shown(person, _with_sales(item, scope=scope, store=store), program, scope, store)
        for item, person in left[skip : skip + limit]
    ]
    return Rows(rows=rows, more=page.more or len(left) > skip + limit)


def _people_of(item: Item) -> list[tuple[Item, Person]]:
    """The customers of a stored set of identities, in a lasting order."""
    return [(item, person) for person in persons(records.read_household(item).people)]


def _with_sales(item: Item, *, scope: Scope, store: Store) -> Stored:
    name = records.read_household(item).id
    return read_household(name, scope=scope, store=store, pointers=POINTERS)


def _customer_named(name: str, *, scope: Scope, store: Store) -> tuple[Item, Person]:
    """The stored set of identities in which a customer is, and the customer."""
    meant = identities_meant(name)
    items = store.get([keys.identity(scope, identity) for identity in meant])
    for identity in meant:
        found = items.get(keys.identity(scope, identity))
        if found is None:
            continue
        key = keys.household(scope, str(found.body["household"]))
        item = store.get([key]).get(key)
        if item is not None:
            return item, person_of(records.read_household(item).people, identity)
    raise NotFound("There is no such customer to start after.")


def _listed_at(item: Item | None) -> str:
    if item is None or item.listing is None:
        raise NotFound("There is nothing such to start after.")
    return item.listing[1]


def list_partners(
    *, scope: Scope, store: Store, limit: int, after: Key | None = None, skip: int = 0
) -> Rows:
    """Partners, newest first."""
    place = _listed_at(store.get([after]).get(after)) if after else ""
    page = store.find(
        "records",
        "listing",
        f"{scope.program}#partners",
        after=place,
        limit=skip + limit,
        backwards=True,
    )
    found = [item.key for item in page.items[skip:]]
    items = store.get(found) if found else {}
    partners = [records.read_partner(items[key]) for key in found if key in items]
    return Rows(rows=_shown_partners(partners, scope=scope, store=store), more=page.more)


def show_sale(settled: SettledSale, *, scope: Scope, store: Store) -> ShownSale:
    """A sale with its customer, partner and rewards."""
    return _shown_sales([settled], scope=scope, store=store)[0]


def _shown_sales(sales: Sequence[SettledSale], *, scope: Scope, store: Store) -> list[ShownSale]:
    """Four trips for a page: identities, customers, partners with balances."""
    buyers = _buyers(sales, scope=scope, store=store)
    partners, balances = _people_of_sales(sales, scope=scope, store=store)
    return [
        ShownSale(
            settled=settled,
            summary=settled.summary(),
            customer=buyers.get(settled.owner),
            partner=partners.get(settled.credited),
            rewards=rewards_of(settled, partners, balances),
        )
        for settled in sales
    ]


def _buyers(
    sales: Sequence[SettledSale], *, scope: Scope, store: Store
) -> dict[Identity, ShownPerson]:
    """The customers who own these sales, by the owning identity."""
    owners = {settled.owner: keys.identity(scope, settled.owner) for settled in sales}
    owners.pop("", None)
    found = store.get(list(owners.values())) if owners else {}
    homes = {
        owner: keys.household(scope, str(found[key].body["household"]))
        for owner, key in owners.items()
        if key in found
    }
    items = store.get(list(homes.values())) if homes else {}
    buyers: dict[Identity, ShownPerson] = {}
    for owner, home in homes.items():
        if home in items:
            people = records.read_household(items[home]).people
            person = person_of(people, owner)
            profile = profile_of(people, person)
            buyers[owner] = ShownPerson(id=customer_id(person), person=person, profile=profile)
    return buyers


def _people_of_sales(
    sales: Sequence[SettledSale], *, scope: Scope, store: Store
) -> tuple[dict[str, Partner], dict[str, Balance]]:
    names = {name for settled in sales for name in settled.partners()}
    names |= {settled.credited for settled in sales if settled.credited}
    currencies = {n.split("|")[1] for settled in sales for n in settled.positions}
    return read_partners(names, currencies, scope=scope, store=store)


def rewards_of(
    settled: SettledSale, partners: dict[str, Partner], balances: dict[str, Balance]
) -> tuple[ShownReward, ...]:
    """What a sale has posted, per partner and currency, as it stands after the payouts since."""
    shown = []
    for name, position in sorted(settled.positions.items()):
        partner, currency = name.split("|")
        balance = balances.get(name)
        known = partners.get(partner)
        current = partner == settled.credited
        shown.append(
            ShownReward(
                id=f"reward:{settled.sale.canonical}:{partner}:{currency}",
                sale=settled.sale.canonical,
                partner=known.key if known else partner,
                partner_id=known.id if known else "",
                position=position.in_period(balance.period if balance else position.period),
                currency=currency,
                because=settled.because if current else "another partner is credited by now",
                paid_at=settled.summary().paid_at,
            )
        )
    return tuple(shown)


def list_sales(
    *, scope: Scope, store: Store, limit: int, after: str = "", skip: int = 0, partner: str = ""
) -> Rows:
    """Sales by time of payment, newest first; of one partner (lower-case key) where given.
    ``after`` is a place as ``place_of_sale`` gives it."""
    sales, more = _read_sales(
        scope=scope, store=store, limit=limit, after=after, skip=skip, partner=partner
    )
    return Rows(rows=_shown_sales(sales, scope=scope, store=store), more=more)


def _read_sales(
    *, scope: Scope, store: Store, limit: int, after: str, skip: int = 0, partner: str
) -> tuple[list[SettledSale], bool]:
    index: IndexName = "partner" if partner else "listing"
    page = store.find(
        "records",
        index,
        f"{scope}#{partner or 'sales'}",
        after=after,
        limit=skip + limit,
        backwards=True,
    )
    found = [item.key for item in page.items[skip:]]
    items = store.get(found) if found else {}
    sales = [
        records.read_sale(items[key])
        for key in found
        if key in items and "of" not in items[key].body
    ]
    return sales, page.more


def list_rewards(
    *,
    scope: Scope,
    store: Store,
    limit: int,
    after: str,
    skip: int = 0,
    partner: str,
    wanted: Callable[[ShownReward], bool],
) -> tuple[list[ShownReward], bool]:
    """Rewards that are ``wanted``, by their sale's time of payment, newest first. ``after`` is a
    reward's id. Looks through at most 5,000 sales for one page."""
    place = ""
    rows: list[ShownReward] = []
    if after:
        sale = after.removeprefix("reward:").rsplit(":", 2)[0]
        settled = find_sale(sale, scope=scope, store=store)
        place = place_of_sale(settled)
        shown = show_sale(settled, scope=scope, store=store).rewards
        rows = [r for r in shown if r.id > after and wanted(r)]
    more = True
    for _ in range(REWARD_PAGES):
        if not more or len(rows) > skip + limit:
            break
        sales, more = _read_sales(
            scope=scope, store=store, limit=SALES_AT_ONCE, after=place, partner=partner
        )
        partners, balances = _people_of_sales(sales, scope=scope, store=store)
        for settled in sales:
            rows.extend(r for r in rewards_of(settled, partners, balances) if wanted(r))
            place = place_of_sale(settled)
    return rows[skip : skip + limit], len(rows) > skip + limit or (more and bool(rows[skip:]))


def place_of_sale(settled: SettledSale) -> str:
    """Where a sale stands in the lists of sales."""
    return f"{settled.summary().paid_at:013d}#{settled.sale.canonical}"


def list_entries(
    partner: str, *, scope: Scope, store: Store, limit: int, after: str = "", skip: int = 0
) -> tuple[list[Entry], bool]:
    """A partner's ledger, newest first; ``after`` is ``<time>~<id>`` of an entry."""
    place = _place_of_entry(partner, after, scope=scope, store=store) if after else ""
    page = store.query(
        "records", keys.ledger(scope, partner), after=place, limit=skip + limit, backwards=True
    )
    return [records.read_entry(item) for item in page.items[skip:]], page.more


def _place_of_entry(partner: str, place: str, *, scope: Scope, store: Store) -> str:
    at, _, id = place.partition("~")
    if not re.fullmatch(r"[0-9]{1,13}", at) or not 0 < len(id.encode()) <= MAX_ENTRY_ID_BYTES:
        raise NotFound("There is no such entry to start after.")
    key = keys.entry(scope, partner, int(at), id)
    if key not in store.get([key]):
        raise NotFound("There is no such entry to start after.")
    return key.sk
