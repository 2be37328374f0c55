"""From a decision to the writes of its one transaction, and what it still owes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.core.facts import Ms
from chalicelib.core.people import Household, People, SalePointer, emails_told, persons
from chalicelib.core.program import Program
from chalicelib.core.sale import DUPLICATE_WITHIN_MS, Summary
from chalicelib.core.settlement import SettledSale, Settlement
from chalicelib.core.told import Reference
from chalicelib.flows.gather import Gathered, Stored
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Check, Item, Put, Remove, Write

MOST_UNKNOWN = 5  # keys put down by one booking
WORK_DUE_MS = 60_000  # the door itself does the work at once; the sweeper what is left of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a booking decided. ``before`` are the sales as stored, payouts rolled forward.
    ``enough`` says that the customer's sales that were read suffice; ``still_bound`` that the
    customer was credited to a partner before and still is. ``references`` name keys that no
    customer of the merchant's has, with the version at which each was read; ``unknown_partners``
    are keys that its touches name and no partner has."""

    household: Household | None = None
    settlement: Settlement | None = None
    summary: Summary = field(default_factory=lambda: Summary(paid=False))
    pointer: SalePointer | None = None
    before: tuple[SettledSale, ...] = ()
    periods: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[Reference, int] = field(default_factory=dict)
    enough: bool = True
    still_bound: bool = False
    unknown_partners: frozenset[str] = frozenset()


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
    since = _owed_since(decision, household, gathered, moved=bool(pointer_writes))
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
    owed = [int(s.work.body["since"]) for s in gathered.households if s.work]
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


def _owed_since(
    decision: Decision, household: Household | None, gathered: Gathered, *, moved: bool
) -> Ms | None:
    """From which time of payment on other sales of the customer may come out differently by now;
    None if none does."""
    if household is None:
        return None
    before = [stored.household for stored in gathered.households]
    if _new_merchant_key(household, before):
        return 0
    ids = decision.settlement.after.sale.ids if decision.settlement else frozenset()
    if not any(p.sale not in ids for p in gathered.pointers()) and not gathered.more_pointers:
        return None
    if len(before) > 1:
        return 0
    since = [_decisive_since(household.people, before[0], gathered, decision)]
    if moved:
        since.append(_moved_since(decision, household, before[0], gathered.program))
        if _opens(decision, gathered, ids):
            since.append(0)
    return min((at for at in since if at is not None), default=None)


def _moved_since(
    decision: Decision, household: Household, before: Household, program: Program
) -> Ms | None:
    """A sale that stands in another place now changes those behind it; the newest of all changes
    none, but for the merchant's own sales that it may be a duplicate of. Evidence on it that was
    known before counts as of its payment now, as far back as late evidence reaches."""
    places = [s.pointer for s in decision.before if s.pointer]
    if decision.pointer is not None:
        places.append(decision.pointer.place)
    first = min(_paid_at(place) for place in places)
    back = DUPLICATE_WITHIN_MS if household.merchant_sales else 0
    sale = decision.settlement.after.sale if decision.settlement else None
    if sale and sale.touches.keys() & before.people.touches.keys():
        back = max(back, max(program.ever("late_evidence_hours")) * 3_600_000)
    in_order = len(places) == 1 and decision.pointer is not None and places[0] > before.latest
    return None if in_order and not back else max(0, first - back)


def _opens(decision: Decision, gathered: Gathered, ids: frozenset[str]) -> bool:
    """Whether the customer's first payment that counts is another now, with others before it that
    do not count: they say how it stands to what brought the customer."""
    mine = [s.pointer for s in decision.before if s.pointer and s.counts]
    if decision.pointer is not None and decision.pointer.counts:
        mine.append(decision.pointer.place)
    others = [p for p in gathered.pointers() if p.sale not in ids]
    first = min((p.place for p in others if p.counts), default="~")
    return any(m < first and any(p.place < max(mine) for p in others) for m in mine)


def _paid_at(place: str) -> Ms:
    return int(place.split("#")[1])


def _new_merchant_key(household: Household, before: list[Household]) -> bool:
    """A key that the merchant made just now: checkouts may have named it before."""
    known = {key for stored in before for key in stored.people.made_keys()}
    return bool(household.people.made_keys() - known)


def _decisive_since(
    people: People, before: Household, gathered: Gathered, decision: Decision
) -> Ms | None:
    """From which time of payment on a referral may depend on what is new; None: nowhere.

    Who is who: only if identities that were known are parted otherwise, or e-mails are new. When
    somebody was seen: only beside unverified sign-ups. A touch: for payments no earlier than it
    (evidence on a payment counts as of that payment), less the hours that late evidence may take
    where the place is still empty.
    """
    was = before.people
    claimed = any(not touch.verified for touch in people.touches.values())
    if people.conversions != was.conversions or people.keep_outs != was.keep_outs:
        return 0
    if claimed and (people.sightings != was.sightings or people.edges != was.edges):
        return 0
    if people.edges != was.edges or people.identities() != was.identities():
        old = was.identities()
        parted = [
            (p.identities & old, emails_told(people, p))
            for p in persons(people)
            if p.identities & old
        ]
        if parted != [(p.identities, emails_told(was, p)) for p in persons(was)]:
            return 0
    changed = [t for id, t in people.touches.items() if was.touches.get(id) != t]
    if not changed:
        return None
    pointers = [*gathered.pointers(), *([decision.pointer] if decision.pointer else [])]
    paid_at = {id: pointer.paid_at for pointer in pointers for id in pointer.touches}
    if gathered.more_pointers and any(t.sale and t.id not in paid_at for t in changed):
        return 0
    first = min(min(t.happened, paid_at.get(t.id, t.happened)) for t in changed)
    hours = max(gathered.program.ever("late_evidence_hours"))
    late = 0 if decision.still_bound else hours * 3_600_000
    since = first - first % 1000 - late
    return max(0, since) if before.latest and _paid_at(before.latest) >= since else None
