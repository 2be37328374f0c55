"""What the API shows of sales, their rewards, and the ledger."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.core.facts import Identity, Ms
from chalicelib.core.ledger import Entry, Position
from chalicelib.core.people import person_of, profile_of
from chalicelib.core.program import Partner
from chalicelib.core.refusals import NotFound
from chalicelib.core.sale import Summary
from chalicelib.core.settlement import SettledSale
from chalicelib.flows.gather import household_items, read_partners
from chalicelib.flows.record_sale import find_sale
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.show_people import Rows, ShownPerson, customer_id
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Balance
from chalicelib.storage.store import IndexName, Store

REWARD_PAGES = 50
SALES_AT_ONCE = 100
MAX_ENTRY_ID_BYTES = 512


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
        owner: str(found[key].body["household"]) for owner, key in owners.items() if key in found
    }
    items = until_not_stale(lambda _: household_items(homes.values(), scope=scope, store=store))
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
