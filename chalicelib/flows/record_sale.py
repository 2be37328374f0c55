"""Sales that the merchant's server tells of: paid outside Stripe, or before Stripe tells."""

from dataclasses import dataclass

from chalicelib.core.facts import Identity, Ms, Refund, SaleId, View, ViewKind
from chalicelib.core.money import Money
from chalicelib.core.people import People, person_of
from chalicelib.core.refusals import Conflict, Invalid, NotFound
from chalicelib.core.sale import Sale, is_stripe_sale_id
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Told
from chalicelib.flows.book_facts import Booked
from chalicelib.flows.gather import Gathered
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSale:
    """A sale by the merchant's ``key`` (one of Stripe's ids makes it that sale's alias)."""

    key: str
    customer_key: str
    amount: Money
    action: str = "sale"
    paid_at: Ms


def sale_id(key: str) -> SaleId:
    """The id under which a sale stands: Stripe's own, or the merchant's with a mark."""
    return key if is_stripe_sale_id(key) else f"tx:{key}"


def record_sale(told: ToldSale, *, scope: Scope, store: Store, now: Ms) -> tuple[Booked, bool]:
    """Book the sale; returns what stands, and whether it is new. The key again with the same
    content changes nothing, with another amount or customer it raises ``Conflict``."""
    identity = f"key:{told.customer_key}"
    key = keys.identity(scope, identity)
    if key not in store.get([key]):
        raise Invalid({"customer.key": ["There is no such customer; make it first."]})
    id = sale_id(told.key)
    view = View(
        kind=ViewKind.API,
        id=f"api:{told.key}",
        paid=True,
        currency=told.amount.currency,
        total=told.amount.minor,
        net=told.amount.minor,
        amount=told.amount.minor,
        paid_at=told.paid_at,
        exact=True,
        told_at=told.paid_at,
    )
    known = _stored(id, scope=scope, store=store)
    before = known.sale.views.get(view.id) if known else None
    if before is not None and known is not None:
        if not _same(before, view) or identity not in known.sale.identities:
            raise Conflict("This key was used before for another amount or customer.")
        return Booked(settled=known), False

    created = True

    def guard(gathered: Gathered) -> None:
        nonlocal created
        for part in gathered.sales:
            stands = part.sale.views.get(view.id)
            created = stands is None
            if stands is not None and not _same(stands, view):
                raise Conflict("This key was used before for another amount or customer.")
            if _is_of_another(part, gathered, identity):
                raise Conflict("This transaction is of another customer.")

    sale = Sale(ids=frozenset({id}), views={view.id: view}, identities=frozenset({identity}))
    booked = book_and_settle(
        Told(sale=sale, people=People()), scope=scope, store=store, now=now, guard=guard
    )
    return booked, created


def _same(one: View, other: View) -> bool:
    return (one.amount, one.currency) == (other.amount, other.currency)


def _is_of_another(part: SettledSale, gathered: Gathered, identity: Identity) -> bool:
    """Whether the sale is known to be of another customer of the merchant's."""
    owners = {part.owner, *(i for i in part.sale.identities if i.startswith("key:"))} - {""}
    for stored in gathered.households:
        for owner in owners:
            if owner in stored.household.people.identities():
                key = person_of(stored.household.people, owner).key
                if key and f"key:{key}" != identity:
                    return True
    return False


def refund_sale(
    id: str, refund_key: str, amount_minor: int, *, scope: Scope, store: Store, now: Ms
) -> Booked:
    """Take back a part of a sale that the merchant told. The same key again changes nothing.

    Raises ``NotFound``, ``Conflict`` (the key was used for another amount; Stripe tells this
    sale, so it is refunded there), ``Invalid`` (more than is left of it).
    """
    settled = find_sale(id, scope=scope, store=store)
    canonical = settled.sale.canonical
    refund = Refund(id=f"api:{refund_key}", amount=amount_minor, status="succeeded")

    def guard(gathered: Gathered) -> None:
        for part in gathered.sales:
            stands = part.sale.refunds_told.get(refund.id)
            if stands is not None and stands.amount != amount_minor:
                raise Conflict("This key was used before for another amount.")
            if stands is not None:
                return
            if not part.sale.only_told_by_merchant:
                raise Conflict("Stripe tells of this sale: refund it in Stripe.")
            summary = part.summary()
            if amount_minor > summary.amount - summary.taken_back:
                raise Invalid({"amount": ["This is more than is left of the sale."]})

    told = Told(sale=Sale(ids=frozenset({canonical}), refunds_told={refund.id: refund}))
    return book_and_settle(told, scope=scope, store=store, now=now, guard=guard)


def confirm_sale(id: str, *, scope: Scope, store: Store, now: Ms) -> Booked:
    """The merchant says that a possible duplicate is a sale of its own."""
    settled = find_sale(id, scope=scope, store=store)
    told = Told(sale=Sale(ids=frozenset({settled.sale.canonical}), confirmed=True))
    return book_and_settle(told, scope=scope, store=store, now=now)


def find_sale(id: str, *, scope: Scope, store: Store) -> SettledSale:
    """A sale under any of its ids; raises ``NotFound``."""
    for candidate in dict.fromkeys([sale_id(id), id if id.startswith("tx:") else sale_id(id)]):
        found = _stored(candidate, scope=scope, store=store)
        if found is not None:
            return found
    raise NotFound("There is no such transaction.")


def _stored(id: SaleId, *, scope: Scope, store: Store) -> SettledSale | None:
    for _ in range(2):
        item = store.get([keys.sale(scope, id)]).get(keys.sale(scope, id))
        if item is None:
            return None
        if "of" not in item.body:
            return records.read_sale(item)
        id = str(item.body["of"])
    return None
