"""What the API shows: values read together, worked out where they are not stored."""

import base64
import binascii
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
from chalicelib.storage.store import Item, Key, Store

POINTERS = 32
MAX_CURRENCIES = 50
REWARD_PAGES = 100  # of 50 sales


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
class ShownCustomer:
    id: str
    person: Person
    profile: Profile | None
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
    customer: ShownCustomer | None
    partner: Partner | None
    rewards: tuple[ShownReward, ...]


def show_partner(partner: Partner, *, scope: Scope, store: Store) -> ShownPartner:
    """A partner with its balances and its clicks ever."""
    page = store.query("records", keys.balance(scope, partner.key, "").pk, limit=MAX_CURRENCIES)
    total = keys.click_count(scope.program, partner.key, "total")
    counted = store.get([total]).get(total)
    return ShownPartner(
        partner=partner,
        balances={item.key.sk: records.read_balance(item) for item in page.items},
        clicks=counted.numbers.get("clicks", 0) if counted else 0,
    )


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
        return _shown(person, stored, program, scope=scope, store=store)
    raise NotFound("There is no such customer.")


def _shown(
    person: Person,
    stored: Stored,
    program: Program,
    *,
    scope: Scope,
    store: Store,
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


def list_customers(*, scope: Scope, store: Store, limit: int, after: str) -> Rows:
    """Customers in the order in which they were first seen, newest first."""
    program = read_program(scope.program, store=store)
    page = store.find(
        "records",
        "listing",
        f"{scope}#customers",
        after=after and _place_of_customer(after, scope=scope, store=store),
        limit=limit,
        backwards=True,
    )
    rows: list[ShownCustomer] = []
    for found in page.items:
        name = found.key.pk.rsplit("#household#", 1)[1]
        if found.key not in store.get([found.key]):
            continue
        stored = read_household(name, scope=scope, store=store, pointers=POINTERS)
        for person in persons(stored.household.people):
            rows.append(_shown(person, stored, program, scope=scope, store=store))
    return Rows(rows=rows, more=page.more)


def _place_of_customer(name: str, *, scope: Scope, store: Store) -> str:
    for identity in identities_meant(name):
        key = keys.identity(scope, identity)
        item = store.get([key]).get(key)
        if item is not None:
            household = keys.household(scope, str(item.body["household"]))
            return _listed_at(store.get([household]).get(household))
    raise NotFound("There is no such customer to start after.")


def _listed_at(item: Item | None) -> str:
    if item is None or item.listing is None:
        raise NotFound("There is nothing such to start after.")
    return item.listing[1]


def list_partners(*, scope: Scope, store: Store, limit: int, after: Key | None) -> Rows:
    """Partners, newest first."""
    place = _listed_at(store.get([after]).get(after)) if after else ""
    page = store.find(
        "records",
        "listing",
        f"{scope.program}#partners",
        after=place,
        limit=limit,
        backwards=True,
    )
    items = store.get([found.key for found in page.items])
    rows = [
        show_partner(records.read_partner(items[found.key]), scope=scope, store=store)
        for found in page.items
        if found.key in items
    ]
    return Rows(rows=rows, more=page.more)


def show_sale(settled: SettledSale, *, scope: Scope, store: Store) -> ShownSale:
    """A sale with its customer, partner and rewards."""
    partners, periods = _people_of_sales([settled], scope=scope, store=store)
    customer = None
    if settled.owner:
        try:
            customer = find_customer(settled.owner.split(":", 1)[1], scope=scope, store=store)
        except NotFound:
            customer = None
    return _shown_sale(settled, customer, partners, periods)


def _people_of_sales(
    sales: Sequence[SettledSale], *, scope: Scope, store: Store
) -> tuple[dict[str, Partner], dict[str, Balance]]:
    names = {name for settled in sales for name in settled.partners()}
    names |= {settled.credited for settled in sales if settled.credited}
    currencies = {n.split("|")[1] for settled in sales for n in settled.positions}
    return read_partners(names, currencies, scope=scope, store=store)


def _shown_sale(
    settled: SettledSale,
    customer: ShownCustomer | None,
    partners: dict[str, Partner],
    balances: dict[str, Balance],
) -> ShownSale:
    return ShownSale(
        settled=settled,
        summary=settled.summary(),
        customer=customer,
        partner=partners.get(settled.credited),
        rewards=rewards_of(settled, partners, balances),
    )


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


def list_sales(*, scope: Scope, store: Store, limit: int, after: str, partner: str = "") -> Rows:
    """Sales by time of payment, newest first; of one partner (lower-case key) where given."""
    index, pk = ("partner", f"{scope}#{partner}") if partner else ("listing", f"{scope}#sales")
    page = store.find(
        "records",
        "partner" if index == "partner" else "listing",
        pk,
        after=after,
        limit=limit,
        backwards=True,
    )
    items = store.get([found.key for found in page.items])
    sales = [
        records.read_sale(items[found.key])
        for found in page.items
        if found.key in items and "of" not in items[found.key].body
    ]
    partners, balances = _people_of_sales(sales, scope=scope, store=store)
    rows = []
    for settled in sales:
        customer = None
        if settled.owner:
            try:
                customer = find_customer(settled.owner.split(":", 1)[1], scope=scope, store=store)
            except NotFound:
                customer = None
        rows.append(_shown_sale(settled, customer, partners, balances))
    return Rows(rows=rows, more=page.more)


def list_rewards(
    *,
    scope: Scope,
    store: Store,
    limit: int,
    after: str,
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
    for _ in range(REWARD_PAGES):
        page = list_sales(scope=scope, store=store, limit=50, after=place, partner=partner)
        for sold in page.rows:
            assert isinstance(sold, ShownSale)
            rows.extend(r for r in sold.rewards if wanted(r))
            place = place_of_sale(sold.settled)
        if len(rows) > limit or not page.more:
            break
    return rows[:limit], len(rows) > limit


def place_of_sale(settled: SettledSale) -> str:
    """Where a sale stands in the lists of sales."""
    return f"{settled.summary().paid_at:013d}#{settled.sale.canonical}"


def list_entries(
    partner: str, *, scope: Scope, store: Store, limit: int, after: str
) -> tuple[list[Entry], bool]:
    """A partner's ledger, newest first; ``after`` is an entry's id."""
    place = ""
    if after:
        place = _place_of_entry(partner, after, scope=scope, store=store)
    page = store.query(
        "records", keys.ledger(scope, partner), after=place, limit=limit, backwards=True
    )
    return [records.read_entry(item) for item in page.items], page.more


def _place_of_entry(partner: str, place: str, *, scope: Scope, store: Store) -> str:
    at, _, id = place.partition("~")
    if not at.isdigit() or not id:
        raise NotFound("There is no such entry to start after.")
    key = keys.entry(scope, partner, int(at), id)
    if key not in store.get([key]):
        raise NotFound("There is no such entry to start after.")
    return key.sk
