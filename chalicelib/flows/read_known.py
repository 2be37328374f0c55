"""What is known of many tellings at once: sales by any id, customers by any identity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.core.people import People
from chalicelib.core.sale import Sale
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Told
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore, Item, Key

MOST_HOPS = 8  # from a name to what it stands for; it may be joined into another meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was read, by key; what an alias leads to stands under the alias's key as well."""

    scope: Scope
    items: Mapping[Key, Item]

    def sales(self, told: Told) -> list[Sale]:
        """The sales known under any of the told ids."""
        return [settled.sale for settled in self._settled(told)]

    def people(self, told: Told) -> list[People]:
        """What is known of the sets of people that any told identity is in."""
        return [records.read_household(item).people for item in self._households(told)]

    def households(self, told: Told) -> set[str]:
        """The ids of those sets, and of those whose the sales are."""
        start = keys.household_partition(self.scope, "")
        named = {item.key.pk.removeprefix(start) for item in self._households(told)}
        return named | {settled.household for settled in self._settled(told)} - {""}

    def _settled(self, told: Told) -> list[SettledSale]:
        ids = sorted(told.sale.ids) if told.sale else []
        found = [self.items.get(keys.sale(self.scope, id)) for id in ids]
        return [records.read_sale(i) for i in _once(found) if "of" not in i.body]

    def _households(self, told: Told) -> list[Item]:
        named = sorted(told.people.identities())
        found = [self.items.get(keys.identity(self.scope, identity)) for identity in named]
        ends = [item for item in _once(found) if item.key.sk == "!household"]
        return [item for item in ends if "of" not in item.body]


def _once(items: Iterable[Item | None]) -> list[Item]:
    return list({item.key: item for item in items if item is not None}.values())


def read_known(
    told: Sequence[Told], *, scope: Scope, store: BookStore, beside: Iterable[Key] = ()
) -> Known:
    """In two trips (per 100 keys), or one more for each time that customers were joined. ``beside``
    are keys to be read with the first."""
    sales = {keys.sale(scope, id) for one in told if one.sale for id in one.sale.ids}
    identities = {keys.identity(scope, i) for one in told for i in one.people.identities()}
    wanted = [*sales, *identities, *beside]
    found = dict(store.get(wanted)) if wanted else {}
    leads = {key: key for key in (*sales, *identities) if key in found}
    for _ in range(MOST_HOPS):
        onward = {key: to for key, at in leads.items() if (to := _onward(scope, found.get(at)))}
        if not onward:
            break
        leads |= onward
        missing = set(onward.values()) - found.keys()
        found |= store.get(sorted(missing, key=str)) if missing else {}
    ends = {key: found[at] for key, at in leads.items() if at in found}
    return Known(scope=scope, items={**found, **ends})


def _onward(scope: Scope, item: Item | None) -> Key | None:
    """Where a name leads on to; ``None`` from where it stands for itself."""
    if item is None:
        return None
    if "household" in item.body and item.key.sk == "identity":
        return keys.household(scope, str(item.body["household"]))
    if "of" not in item.body:
        return None
    to = str(item.body["of"])
    return keys.household(scope, to) if item.key.sk == "!household" else keys.sale(scope, to)
