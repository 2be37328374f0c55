"""Customers: identities joined into persons, and what is known of each.

A ``People`` is a set of facts about identities that hang together in any way. ``persons`` parts it
into persons by one pure function, so the order in which the facts came never matters. Two
different merchant keys are never one person.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from chalicelib.core.facts import (
    Bond,
    Conversion,
    Edge,
    Identity,
    KeepOut,
    Ms,
    Profile,
    SaleId,
    Sighting,
    Touch,
    Way,
    edge,
)
from chalicelib.core.sale import IDENTITY_RANK, join_maps

STRIPE_GRACE_MS = 3_600_000  # a Stripe customer made this shortly before a sign-up is part of it
MAX_CLAIMS = 24  # identities named by unverified sign-ups in one set; more are turned away
MAX_SEEN_CLAIMS = 200  # the same for sign-ups whose click was seen
KEPT_TOUCHES = 20  # of those told with payments: so many of the earliest, and of the latest
KEPT_CONVERSIONS = 50
KEPT_PROFILES = 10  # beside those by the merchant's keys


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Facts about identities. Every map is by the fact's own id."""

    edges: Mapping[str, Edge] = field(default_factory=dict)
    sightings: Mapping[str, Sighting] = field(default_factory=dict)
    touches: Mapping[str, Touch] = field(default_factory=dict)
    conversions: Mapping[str, Conversion] = field(default_factory=dict)
    keep_outs: Mapping[str, KeepOut] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def join(self, other: "People") -> "People":
        joined: dict[str, Any] = {
            f.name: join_maps(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        }
        return replace(self, **joined)

    def identities(self) -> frozenset[Identity]:
        """Every identity that a fact names."""
        named = {sighting.identity for sighting in self.sightings.values()}
        for tie in self.edges.values():
            named |= {tie.one, tie.two}
        return frozenset(named)

    def earliest(self, identity: Identity, *by: str) -> Ms | None:
        """When one of ``by`` first told of the identity."""
        times = [s.at for s in self.sightings.values() if s.identity == identity and s.by in by]
        return min(times, default=None)

    def bounded(self) -> "People":
        """Without what can decide or show nothing any more: of the touches told with payments,
        those that 20 came before and 20 after (a sale keeps its own); of the conversions, those
        that 50 came before; of what Stripe told of names, all but the newest 10. What is kept does
        not depend on the order in which it came."""
        told = sorted((t for t in self.touches.values() if t.sale), key=lambda t: (t.at, t.id))
        converted = sorted(self.conversions.values(), key=lambda c: (c.at, c.id))
        shown = sorted(
            (p for p in self.profiles.values() if not p.identity.startswith("key:")),
            key=lambda p: (p.at, p.identity),
        )
        return replace(
            self,
            touches=_without(self.touches, {t.id for t in told[KEPT_TOUCHES:-KEPT_TOUCHES]}),
            conversions=_without(self.conversions, {c.id for c in converted[KEPT_CONVERSIONS:]}),
            profiles=_without(self.profiles, {p.id for p in shown[:-KEPT_PROFILES]}),
        )

    def made_keys(self) -> frozenset[Identity]:
        """The customer keys that the merchant made, by the API or in Stripe's metadata."""
        return frozenset(
            sighting.identity
            for sighting in self.sightings.values()
            if sighting.by in ("merchant", "metadata") and sighting.identity.startswith("key:")
        )

    @property
    def claims(self) -> int:
        return sum(1 for sighting in self.sightings.values() if sighting.by == "claim")


T = TypeVar("T")


def _without(facts: Mapping[str, T], dropped: set[str]) -> Mapping[str, T]:
    return {id: fact for id, fact in facts.items() if id not in dropped} if dropped else facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One customer: the identities that are his."""

    identities: frozenset[Identity]

    @property
    def main(self) -> Identity:
        """The identity shown: the merchant's key, else Stripe's customer, else the e-mail."""
        return min(self.identities, key=lambda i: (IDENTITY_RANK[i.split(":", 1)[0]], i))

    @property
    def key(self) -> str:
        return next((i[4:] for i in sorted(self.identities) if i.startswith("key:")), "")

    @property
    def emails(self) -> frozenset[str]:
        return frozenset(i[6:] for i in self.identities if i.startswith("email:"))

    @property
    def stripe_ids(self) -> tuple[str, ...]:
        return tuple(sorted(i[7:] for i in self.identities if i.startswith("stripe:")))


def normal_email(text: str) -> str:
    """An e-mail as an identity: trimmed, lower case."""
    return text.strip().lower()


def persons(people: People) -> list[Person]:
    """The set parted into persons: edges in the order of belief, then of time, each taken unless
    it would put two merchant keys into one person or an unverified claim over a known person."""
    parent: dict[Identity, Identity] = {i: i for i in people.identities()}

    def root(identity: Identity) -> Identity:
        while parent[identity] != identity:
            identity = parent[identity]
        return identity

    keys = {i: ({i} if i.startswith("key:") else set()) for i in parent}
    for tie in sorted(people.edges.values(), key=lambda e: _belief(people, e)):
        if not edge_holds(people, tie):
            continue
        one, two = sorted((root(tie.one), root(tie.two)))
        if one == two or len(keys[one] | keys[two]) > 1:
            continue
        parent[two] = one
        keys[one] |= keys[two]
    groups: dict[Identity, set[Identity]] = {}
    for identity in parent:
        groups.setdefault(root(identity), set()).add(identity)
    return sorted(
        (Person(identities=frozenset(group)) for group in groups.values()),
        key=lambda person: person.main,
    )


def _belief(people: People, edge: Edge) -> tuple[Bond, bool, Ms, Identity, Identity]:
    """Edges in the order in which they are believed. Of claims, those whose sign-up came by a
    click that was seen go first: a stranger's bare sign-up cannot sit on an e-mail."""
    bare = edge.bond is Bond.CLAIM and not any(
        touch.click_at is not None and touch.identity in (edge.one, edge.two)
        for touch in people.touches.values()
        if touch.way is Way.SIGNUP
    )
    return (edge.bond, bare, edge.at, edge.one, edge.two)


def edge_holds(people: People, edge: Edge) -> bool:
    """A checkout's reference needs a key that the merchant made; a guest's e-mail and an
    unverified claim need identities that nobody knew before."""
    key, other = (edge.one, edge.two) if edge.one.startswith("key:") else (edge.two, edge.one)
    if edge.bond is Bond.REFERENCE:
        return key in people.made_keys()
    if edge.bond is Bond.GUEST:
        return key in people.made_keys() and not known_before(people, other, edge.at)
    if edge.bond is Bond.CLAIM:
        return not any(known_before(people, i, edge.at) for i in (edge.one, edge.two))
    return True


def known_before(people: People, identity: Identity, at: Ms) -> bool:
    """Whether the merchant's server knew the identity by then, or Stripe for more than an hour:
    Stripe's customer, with the merchant's key in its metadata, is often made with the sign-up."""
    merchant = people.earliest(identity, "merchant")
    stripe = people.earliest(identity, "stripe", "metadata")
    return (merchant is not None and merchant <= at) or (
        stripe is not None and stripe + STRIPE_GRACE_MS < at
    )


def person_of(people: People, identity: Identity) -> Person:
    """The person that an identity belongs to; one of its own if no fact names it."""
    for person in persons(people):
        if identity in person.identities:
            return person
    return Person(identities=frozenset({identity}))


def emails_told(people: People, person: Person) -> frozenset[str]:
    """Every e-mail that was told of a person, also one that belongs to another customer of the
    merchant's; but for those that anybody could have typed."""
    told = set(person.emails)
    for tie in people.edges.values():
        ends = {tie.one, tie.two}
        if tie.bond not in (Bond.CLAIM, Bond.GUEST) and ends & person.identities:
            told |= {end[6:] for end in ends if end.startswith("email:")}
    return frozenset(told)


def customer_facts(
    key: str,
    *,
    email: str,
    name: str,
    tags: tuple[str, ...],
    by: Literal["merchant", "claim"],
    now: Ms,
) -> People:
    """What one telling of a customer says, by the merchant's ``key``: who he is, and that he signed
    up. A ``claim`` is what anybody could have sent."""
    verified = by == "merchant"
    identity = f"key:{key}"
    sightings = [Sighting(identity=identity, by=by, at=now)]
    edges = []
    if email:
        mail = f"email:{normal_email(email)}"
        sightings.append(Sighting(identity=mail, by=by, at=now))
        bond = Bond.MERCHANT_EMAIL if verified else Bond.CLAIM
        edges.append(edge(identity, mail, bond, now))
    conversion = Conversion(id=f"signup:{key}:{by}", identity=identity, at=now, verified=verified)
    profile = Profile(
        identity=identity,
        at=now,
        created_at=now,
        verified=verified,
        email=normal_email(email),
        name=name,
        tags=tags,
    )
    return People(
        edges={told.id: told for told in edges},
        sightings={told.id: told for told in sightings},
        conversions={conversion.id: conversion},
        profiles={identity: profile},
    )


def profile_of(people: People, person: Person) -> Profile | None:
    """What is shown of a person: the newest verified telling under any of its identities."""
    told = [people.profiles[i] for i in person.identities if i in people.profiles]
    if not told:
        return None
    newest = max(told, key=lambda p: (p.verified, p.at, p.identity))
    return replace(newest, created_at=min(p.created_at for p in told))


def earliest_conversions(people: People) -> dict[str, Conversion]:
    """Conversions by whose they are: only the earliest of each decides anything."""
    earliest: dict[str, Conversion] = {}
    for told in people.conversions.values():
        by = f"{told.identity}|{'verified' if told.verified else 'claim'}"
        named = replace(told, id=by)
        earliest[by] = earliest[by].join(named) if by in earliest else named
    return earliest


def kept_out(people: People, identities: Iterable[Identity], at: Ms) -> bool:
    """Whether metadata ``refledger=false`` kept one of the identities out at that time."""
    for identity in identities:
        flips = [k for k in people.keep_outs.values() if k.identity == identity and k.at <= at]
        if flips and max(flips, key=lambda k: (k.at, k.out)).out:
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SalePointer:
    """A customer's sale as the others need to know it: for counting, and to settle it again."""

    sale: SaleId
    paid_at: Ms
    owner: Identity
    amount: int
    currency: str
    counts: bool
    merchant_only: bool = False
    touches: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it stands among the others: by time of payment, ties by id."""
        return f"sale#{self.paid_at:013d}#{self.sale}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """A set of identities that hang together, as stored: what is known of them, and where their
    sales stand. ``parts`` are the partitions that hold the pointers (one for each set that was
    joined into it); ``latest`` is the furthest place of any; ``merchant_sales`` says that some
    sale was told by the merchant alone."""

    id: str
    people: People = field(default_factory=People)
    parts: tuple[str, ...] = ()
    latest: str = ""
    merchant_sales: bool = False

    def join(self, other: "Household") -> "Household":
        return Household(
            id=self.id,
            people=self.people.join(other.people),
            parts=tuple(dict.fromkeys([*self.parts, *other.parts])),
            latest=max(self.latest, other.latest),
            merchant_sales=self.merchant_sales or other.merchant_sales,
        )
