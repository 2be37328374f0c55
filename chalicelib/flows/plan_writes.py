"""From a decision to the writes of its one transaction, and what it still owes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.core.facts import Identity, Ms
from chalicelib.core.people import Household, People, SalePointer
from chalicelib.core.sale import Summary
from chalicelib.core.settlement import SettledSale, Settlement
from chalicelib.core.told import Reference
from chalicelib.flows.gather import Gathered, Stored
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Check, Put, Remove, Write

WORK_DUE_MS = 60_000  # the door itself does the work at once; the sweeper what is left of it
LATE_EVIDENCE_MAX_MS = 90 * 86_400_000  # the longest that a program may set


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a booking decided. ``before`` are the sales as stored, payouts rolled forward.
    ``enough`` says that the customer's sales that were read suffice."""

    household: Household | None = None
    settlement: Settlement | None = None
    summary: Summary = field(default_factory=lambda: Summary(paid=False))
    pointer: SalePointer | None = None
    before: tuple[SettledSale, ...] = ()
    periods: Mapping[str, int] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    enough: bool = True


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
    owes = _owes(decision, household, gathered, moved=bool(pointer_writes))
    people_writes = _household_writes(
        household, gathered, scope=scope, now=now, moved=bool(pointer_writes), owes=owes
    )
    if sale_writes and household and not people_writes:
        main = next(s for s in gathered.households if s.household.id == household.id)
        people_writes = [Check(main.item.key, main.item.version)]
    if (sale_writes or people_writes) and household:
        people_writes += _reference_writes(decision, household, gathered, scope=scope)
    writes = (*sale_writes, *pointer_writes, *people_writes)
    return Plan(writes=writes, settled=settled, owes=owes)


def _placed(decision: Decision) -> SettledSale | None:
    """The settled sale with its place among its customer's."""
    if decision.settlement is None:
        return None
    after, pointer = decision.settlement.after, decision.pointer
    if pointer is None:
        return replace(after, pointer="", pointer_part="", counts=False)
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
        due_at=decision.settlement.due_at,
        version=stored.version if stored else 0,
    )
    writes: list[Write] = [Put(item)]
    home = {id: part.sale.canonical for part in decision.before for id in part.sale.ids}
    for id in sorted(settled.sale.ids - {canonical}):
        if home.get(id) == canonical:
            continue
        known = gathered.sale_items.get(id)
        alias = records.sale_alias_item(scope, id, canonical, known.version if known else 0)
        writes.append(Put(alias, blind=known is None and id in home))
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
    owes: bool,
) -> list[Write]:
    if household is None:
        return []
    main = next((s for s in gathered.households if s.household.id == household.id), None)
    absorbed = [s for s in gathered.households if s is not main]
    if main and not absorbed and main.household == household and not moved and not owes:
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
        writes.append(Remove(other.item.key, other.item.version))
        if other.work:
            writes.append(Remove(other.work.key, other.work.version))
    writes += _identity_writes(household, gathered, main, scope=scope)
    if owes:
        version = main.work.version if main and main.work else 0
        work = records.work_item(scope, household.id, due_at=now + WORK_DUE_MS, version=version)
        writes.append(Put(work))
    return writes


def _identity_writes(
    household: Household, gathered: Gathered, main: Stored | None, *, scope: Scope
) -> list[Write]:
    """The identities that are new to the household, and keys that the merchant has made now."""
    settled = main.household.people.identities() if main else frozenset[Identity]()
    elsewhere = {
        identity
        for stored in gathered.households
        if stored is not main
        for identity in stored.household.people.identities()
    }
    made_keys = household.people.made_keys()
    writes: list[Write] = []
    for identity in sorted(household.people.identities()):
        made = identity in made_keys
        known = gathered.identity_items.get(identity)
        flagged = bool(known and known.body.get("merchant"))
        if identity in settled and (known is None or flagged == made):
            continue
        item = records.identity_item(
            scope, identity, household.id, merchant=made, version=known.version if known else 0
        )
        writes.append(Put(item, blind=known is None and identity in elsewhere))
    return writes


def _reference_writes(
    decision: Decision, household: Household, gathered: Gathered, *, scope: Scope
) -> list[Write]:
    """References that no customer of the merchant answers to yet: kept, on condition that none
    was made in the meantime."""
    writes: list[Write] = []
    for reference in decision.references:
        identity = f"key:{reference.key}"
        known = gathered.identity_items.get(identity)
        writes.append(Put(records.reference_item(scope, reference, household.id), blind=True))
        if identity not in household.people.identities():
            writes.append(Check(keys.identity(scope, identity), known.version if known else 0))
    return writes


def _owes(
    decision: Decision, household: Household | None, gathered: Gathered, *, moved: bool
) -> bool:
    """Whether other sales of the customer may come out differently by now."""
    if household is None:
        return False
    before = [stored.household for stored in gathered.households]
    if _new_merchant_key(household, before):
        return True
    ids = decision.settlement.after.sale.ids if decision.settlement else frozenset()
    if not any(p.sale not in ids for p in gathered.pointers()) and not gathered.more_pointers:
        return False
    if len(before) > 1 or _decisive(household.people, before[0]):
        return True
    if not moved:
        return False
    latest = before[0].latest
    in_order = not any(s.pointer for s in decision.before) and (
        decision.pointer is not None and decision.pointer.place > latest
    )
    return not in_order or household.merchant_sales


def _new_merchant_key(household: Household, before: list[Household]) -> bool:
    """A key that the merchant made just now: checkouts may have named it before."""
    known = {key for stored in before for key in stored.people.made_keys()}
    return bool(household.people.made_keys() - known)


def _decisive(people: People, before: Household) -> bool:
    """Whether something new is known that a referral of earlier sales may depend on. A touch that
    came long after all of them is not."""
    was = before.people
    if replace(people, profiles={}, touches={}) != replace(was, profiles={}, touches={}):
        return True
    changed = [t for id, t in people.touches.items() if was.touches.get(id) != t]
    if not before.latest:
        return bool(changed)
    last_paid = int(before.latest.split("#")[1])
    return any(touch.happened <= last_paid + LATE_EVIDENCE_MAX_MS for touch in changed)
