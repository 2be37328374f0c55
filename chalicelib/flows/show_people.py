"""What the API shows of partners and customers, worked out where it is not stored."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.core.attribution import Case, Payment, Referral, partners_named, referral_of
from chalicelib.core.facts import Identity, Ms, Profile
from chalicelib.core.people import Person, person_of, persons, profile_of
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import NotFound
from chalicelib.flows.gather import Stored, read_household, read_partners
from chalicelib.flows.manage_programs import read_program
from chalicelib.flows.retry import until_not_stale
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Balance
from chalicelib.storage.store import Item, Key, Store

POINTERS = 32
MAX_CURRENCIES = 50


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
        stored = _read(str(item.body["household"]), scope=scope, store=store)
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
        if found.key in items and "of" not in items[found.key].body:
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
    return _read(name, scope=scope, store=store)


def _read(name: str, *, scope: Scope, store: Store) -> Stored:
    return until_not_stale(
        lambda _: read_household(name, scope=scope, store=store, pointers=POINTERS)
    )


def _customer_named(name: str, *, scope: Scope, store: Store) -> tuple[Item, Person]:
    """The stored set of identities in which a customer is, and the customer."""
    meant = identities_meant(name)
    items = store.get([keys.identity(scope, identity) for identity in meant])
    for identity in meant:
        found = items.get(keys.identity(scope, identity))
        if found is None:
            continue
        stored = _read(str(found.body["household"]), scope=scope, store=store)
        return stored.item, person_of(stored.household.people, identity)
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
