"""From a decision to the writes of its one transaction, and what it still owes."""

from dataclasses import dataclass, replace

from chalicelib.core.facts import Ms
from chalicelib.core.people import Household
from chalicelib.core.settlement import SettledSale
from chalicelib.flows.decide_sale import Decision
from chalicelib.flows.gather import Gathered, Stored
from chalicelib.flows.owed_since import owed_since
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Check, Item, Put, Remove, Write

MOST_UNKNOWN = 5  # keys put down by one booking
WORK_DUE_MS = 60_000  # the door itself does the work at once; the sweeper what is left of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Writes for one transaction. ``settled`` is the sale as it will stand; ``owes`` says that
    the customer's other sales are to be settled again."""

    writes: tuple[Write, ...]
    settled: SettledSale | None
    owes: bool


def plan_writes(decision: Decision, gathered: Gathered, *, scope: Scope, now: Ms) -> Plan:
    """Nothing to write if nothing changed: a repeat costs only reads."""
    settled = _placed(decision)
    sale_writes = _sale_writes(decision, settled, gathered, scope=scope)
    pointer_writes = _pointer_writes(decision, settled, scope=scope) if sale_writes else []
    household = _with_place(decision, pointer_writes)
    since = owed_since(decision, household, gathered, moved=bool(pointer_writes))
    people_writes = _household_writes(
        household, gathered, scope=scope, now=now, moved=bool(pointer_writes), since=since
    )
    if sale_writes and household and not people_writes:
        main = next(s for s in gathered.households if s.household.id == household.id)
        people_writes = [Check(main.item.key, main.item.version)]
    if (sale_writes or people_writes) and household:
        people_writes += _reference_writes(decision, household, scope=scope)
        people_writes += _unknown_writes(decision, household, gathered, scope=scope)
    writes = (*sale_writes, *pointer_writes, *people_writes)
    return Plan(writes=writes, settled=settled, owes=since is not None)


def _placed(decision: Decision) -> SettledSale | None:
    """The settled sale with its place among its customer's."""
    if decision.settlement is None:
        return None
    after, pointer = decision.settlement.after, decision.pointer
    if pointer is None:
        return replace(after, household="", pointer="", pointer_part="", counts=False)
    kept = [s.pointer_part for s in decision.before if s.pointer == pointer.place]
    part = kept[0] if kept else after.household
    return replace(after, pointer=pointer.place, pointer_part=part, counts=pointer.counts)


def _sale_writes(
    decision: Decision, settled: SettledSale | None, gathered: Gathered, *, scope: Scope
) -> list[Write]:
    if settled is None or decision.settlement is None or decision.before == (settled,):
        return []
    canonical = settled.sale.canonical
    stored = gathered.sale_items.get(canonical)
    item = records.sale_item(
        scope,
        settled,
        decision.summary,
        version=stored.version if stored else 0,
    )
    writes: list[Write] = [Put(item)]
    home = {id: part.sale.canonical for part in decision.before for id in part.sale.ids}
    for id in sorted(settled.sale.ids - {canonical}):
        if home.get(id) == canonical:
            continue
        known = gathered.sale_items.get(id)
        alias = records.sale_alias_item(scope, id, canonical, known.version if known else 0)
        writes.append(Put(alias))
    for entry in decision.settlement.entries:
        writes.append(Put(records.entry_item(scope, entry)))
    for name, changes in decision.settlement.changes.items():
        partner, currency = name.split("|")
        period = decision.periods.get(name, 0)
        writes.append(records.add_to_balance(scope, partner, currency, changes, period=period))
    return writes


def _pointer_writes(
    decision: Decision, settled: SettledSale | None, *, scope: Scope
) -> list[Write]:
    if settled is None:
        return []
    stood = {(s.pointer_part, s.pointer): s for s in decision.before if s.pointer}
    stands = (settled.pointer_part, settled.pointer)
    writes: list[Write] = [
        Remove(keys.pointer(scope, *place), version=1) for place in stood if place != stands
    ]
    if decision.pointer is None:
        return writes
    before = stood.get(stands)
    if before is None or _pointer_facts(before) != _pointer_facts(settled):
        item = records.pointer_item(scope, settled.pointer_part, decision.pointer)
        writes.append(Put(item, blind=True))
    return writes


def _pointer_facts(settled: SettledSale) -> tuple[object, ...]:
    """What a pointer is made from, but for its place."""
    summary = settled.summary()
    return (
        settled.sale.canonical,
        settled.owner,
        settled.counts,
        summary.amount,
        summary.currency,
        settled.sale.only_told_by_merchant,
        tuple(sorted(settled.sale.touches)),
    )


def _with_place(decision: Decision, moved: list[Write]) -> Household | None:
    household, pointer = decision.household, decision.pointer
    if household is None or pointer is None or not moved:
        return household
    return replace(
        household,
        latest=max(household.latest, pointer.place),
        merchant_sales=household.merchant_sales or pointer.merchant_only,
    )


def _household_writes(
    household: Household | None,
    gathered: Gathered,
    *,
    scope: Scope,
    now: Ms,
    moved: bool,
    since: Ms | None,
) -> list[Write]:
    if household is None:
        return []
    main = next((s for s in gathered.households if s.household.id == household.id), None)
    absorbed = [s for s in gathered.households if s is not main]
    if main and not absorbed and main.household == household and not moved and since is None:
        return []
    created = [int(s.item.body["created_at"]) for s in gathered.households]
    item = records.household_item(
        scope,
        household,
        created_at=min(created, default=now),
        version=main.item.version if main else 0,
    )
    writes: list[Write] = [Put(item)]
    for other in absorbed:
        id, version = other.household.id, other.item.version
        writes.append(Put(records.forwarding_item(scope, id, household.id, version=version)))
        if other.work:
            writes.append(Remove(other.work.key, other.work.version))
    writes += _identity_writes(household, gathered, scope=scope)
    if since is not None:
        writes.append(_work_write(household, gathered, main, since, scope=scope, now=now))
    return writes


def _work_write(
    household: Household,
    gathered: Gathered,
    main: Stored | None,
    since: Ms,
    *,
    scope: Scope,
    now: Ms,
) -> Write:
    """The work that this booking owes, on top of what is owed already."""
    owed = [int(s.work.body["since"]) for s in gathered.households if s.work and s.work.body]
    version = main.work.version if main and main.work else 0
    return Put(
        records.work_item(
            scope,
            household.id,
            due_at=now + WORK_DUE_MS,
            since=min([since, *owed]),
            version=version,
        )
    )


def _identity_writes(household: Household, gathered: Gathered, *, scope: Scope) -> list[Write]:
    """The identities that are new, and the keys that the merchant has made now. Those of a
    household that is joined into this one still lead to it, which forwards."""
    known = {i for s in gathered.households for i in s.household.people.identities()}
    made_keys = household.people.made_keys()
    writes: list[Write] = []
    for identity in sorted(household.people.identities()):
        made = identity in made_keys
        item = gathered.identity_items.get(identity)
        flagged = bool(item and item.body.get("merchant"))
        if identity in known and (item is None or flagged == made):
            continue
        home = str(item.body["household"]) if item else household.id
        version = item.version if item else 0
        identified = records.identity_item(scope, identity, home, merchant=made, version=version)
        writes.append(Put(identified))
    return writes


def _reference_writes(decision: Decision, household: Household, *, scope: Scope) -> list[Write]:
    """References that no customer of the merchant answers to yet: kept, on condition that none
    was made in the meantime."""
    writes: list[Write] = []
    for reference, version in decision.references.items():
        identity = f"key:{reference.key}"
        writes.append(Put(records.reference_item(scope, reference, household.id), blind=True))
        if identity not in household.people.identities():
            writes.append(Check(keys.identity(scope, identity), version))
    return writes


def _unknown_writes(
    decision: Decision, household: Household, gathered: Gathered, *, scope: Scope
) -> list[Write]:
    """Keys that touches name and no partner has: put down once, on condition that none was made
    in the meantime, so that one who is made later finds what was his."""
    known = {t.partner for s in gathered.households for t in s.household.people.touches.values()}
    named = {touch.partner for touch in household.people.touches.values()}
    writes: list[Write] = []
    for key in sorted(decision.unknown_partners & (named - known))[:MOST_UNKNOWN]:
        item = Item(key=keys.unknown_partner(scope, key, household.id))
        writes += [Put(item, blind=True), Check(keys.partner(scope.program, key), 0)]
    return writes
