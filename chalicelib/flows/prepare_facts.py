"""Making told facts whole before they are booked: whose each touch is, whether its click was seen,
whom a checkout's reference names."""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.core.facts import Bond, Edge, Identity, Ms, Sighting, Touch, edge
from chalicelib.core.people import People, earliest_conversions
from chalicelib.core.sale import Sale
from chalicelib.core.told import Reference, Told
from chalicelib.flows.gather import Gathered, identities_of
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import BookStore, Check, Item, Put, Stale, Write

MAX_AWAITING = 20  # who may await one click


def prepare(
    told: Told, *, scope: Scope, store: BookStore, now: Ms
) -> tuple[Told, tuple[Write, ...]]:
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
        conversions=earliest_conversions(told.people),
    )
    people = _with_identities(people, sale)
    return Told(sale=sale, people=people, references=told.references), awaiting


def _with_identities(people: People, sale: Sale | None) -> People:
    """Every identity that the facts name has a sighting, so that it is found again."""
    named = identities_of(sale) if sale else set()
    named |= {touch.identity for touch in people.touches.values()}
    named -= people.identities()
    sightings = [Sighting(identity=identity, by="named", at=0) for identity in sorted(named)]
    return replace(people, sightings={**people.sightings, **{s.id: s for s in sightings}})


def _clicks(
    touches: Iterable[Touch], *, scope: Scope, store: BookStore, now: Ms
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
    tokens: Iterable[str], *, scope: Scope, store: BookStore
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
    told: Told, *, scope: Scope, store: BookStore
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
