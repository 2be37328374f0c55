"""Joining what was told with what is stored: one sale, and one household of its customer."""

from dataclasses import replace

from chalicelib.core.facts import Bond, Identity, edge
from chalicelib.core.people import Household, person_of
from chalicelib.core.sale import Sale
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Told
from chalicelib.flows.gather import Gathered

LAST_BRIDGE_AT = 4_102_444_800_000  # an edge made by us is believed after every told one


def joined_sale(before: list[SettledSale], told: Told) -> Sale | None:
    if told.sale is None:
        return None
    sale = told.sale
    for part in before:
        sale = part.sale.join(sale)
    return sale


def owner_of(sale: Sale) -> Identity:
    if sale.identities:
        return sale.owner_identity()
    named = [touch.identity for touch in sale.touches.values() if touch.identity]
    return min(named, default="")


def joined_household(gathered: Gathered, told: Told, sale: Sale | None) -> Household | None:
    """The households that hang together by now, as one; a new one where there is none yet."""
    stored = [s.household for s in gathered.households]
    identities = told.people.identities()
    if not stored and not identities:
        return None
    if stored:
        main = max(stored, key=lambda h: (len(h.people.identities()), h.id))
        household = main
        for other in stored:
            household = household.join(other) if other is not main else household
    else:
        household = Household(id=min(identities))
    if household.id not in household.parts:
        household = replace(household, parts=(household.id, *household.parts))
    household = replace(household, people=household.people.join(told.people).bounded())
    return _bridged(household, sale) if sale else household


def _bridged(household: Household, sale: Sale) -> Household:
    """The identities that one sale names are one person's, even if no event named them
    together."""
    people = household.people
    named = sorted({*sale.identities, *(t.identity for t in sale.touches.values() if t.identity)})
    if len(named) < 2:
        return household
    owner = owner_of(sale)
    together = person_of(people, owner).identities
    ties = [
        edge(owner, other, Bond.STRIPE_EMAIL, LAST_BRIDGE_AT)
        for other in named
        if other not in together and not _typed_beside_a_key(owner, other)
    ]
    fresh = {tie.id: tie for tie in ties if tie.id not in people.edges}
    return replace(household, people=replace(people, edges={**people.edges, **fresh}))


def _typed_beside_a_key(owner: Identity, other: Identity) -> bool:
    """A guest's e-mail is no proof of being the merchant's customer of that key."""
    return owner.startswith("key:") and other.startswith("email:")
