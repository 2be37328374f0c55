"""The merchant's server tells of a customer: who he is, and who brought him."""

from dataclasses import dataclass, replace

from chalicelib.core.attribution_token import parse_token
from chalicelib.core.facts import (
    Bond,
    Identity,
    Ms,
    Sighting,
    Touch,
    Way,
    edge,
)
from chalicelib.core.people import Household, People, customer_facts
from chalicelib.core.refusals import Conflict, Invalid
from chalicelib.core.told import Told
from chalicelib.flows.gather import Gathered, gather
from chalicelib.flows.read_partner import find_partner
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A customer as the merchant's server tells of him; ``partner`` is any of a partner's names
    (``{"key"}``, ``{"id"}``, ``{"email"}``), or else ``token`` the tracker's."""

    key: str
    email: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    partner: tuple[str, str] | None = None
    token: str = ""
    stripe_customer_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """``created`` is False if the merchant had made the customer before."""

    created: bool


def enrol_customer(told: Enrolment, *, scope: Scope, store: Store, now: Ms) -> Enrolled:
    """Book the customer. The same content again changes nothing; another partner than the
    merchant named before raises ``Conflict``; an unknown partner raises ``Invalid``."""
    partner_key = _partner_key(told, scope=scope, store=store)
    people = _people(told, partner_key, now=now)
    created = True

    def guard(gathered: Gathered) -> None:
        nonlocal created
        stored = [s.household for s in gathered.households]
        known = [h for h in stored if h.people.earliest(f"key:{told.key}", "merchant") is not None]
        created = not known
        for household in known:
            _refuse_another(household, told.key, partner_key)

    known_people = _already_told(people, told, partner_key, scope=scope, store=store)
    book_and_settle(Told(people=known_people), scope=scope, store=store, now=now, guard=guard)
    return Enrolled(created=created)


def _already_told(
    people: People, told: Enrolment, partner_key: str, *, scope: Scope, store: Store
) -> People:
    """Without the profile if it says nothing new, so that a repeat writes nothing."""
    told_people = Told(people=people)
    stored = until_not_stale(
        lambda _: gather(told_people, scope=scope, store=store, pointers=1)
    ).households
    for household in (s.household for s in stored):
        _refuse_another(household, told.key, partner_key)
        profile = household.people.profiles.get(f"key:{told.key}")
        if profile is None or not profile.verified:
            continue
        fresh = people.profiles[f"key:{told.key}"]
        merged = replace(
            fresh,
            email=fresh.email or profile.email,
            name=fresh.name or profile.name,
            tags=fresh.tags or profile.tags,
        )
        same = replace(merged, at=profile.at, created_at=profile.created_at) == profile
        return replace(people, profiles={} if same else {profile.id: merged})
    return people


def _refuse_another(household: Household, key: str, partner: str) -> None:
    """Raises ``Conflict`` if the merchant named a partner for this key, and another than now."""
    named = {
        touch.partner
        for touch in household.people.touches.values()
        if touch.way is Way.API and touch.identity == f"key:{key}"
    }
    if partner and named and partner not in named:
        raise Conflict("The merchant named another partner for this customer before.")


def plain_token(text: str) -> str:
    """The token of a cookie's value, which has the time of its expiry behind a point."""
    return text.split(".")[0]


def _partner_key(told: Enrolment, *, scope: Scope, store: Store) -> str:
    """The lower-case key of the partner that the call names, or empty."""
    if told.partner is not None:
        by, name = told.partner
        partner = find_partner(scope.program, {by: name}, store=store)
        if partner is None:
            raise Invalid({f"partner.{by}": ["There is no such partner."]})
        return partner.key.lower()
    if told.token:
        parsed = parse_token(plain_token(told.token))
        if parsed is None:
            raise Invalid({"token": ["This is not a token of the tracker."]})
        return parsed[1]
    return ""


def _people(told: Enrolment, partner_key: str, *, now: Ms) -> People:
    key: Identity = f"key:{told.key}"
    people = customer_facts(
        told.key, email=told.email, name=told.name, tags=told.tags, by="merchant", now=now
    )
    if told.stripe_customer_id:
        stripe = f"stripe:{told.stripe_customer_id}"
        seen = Sighting(identity=stripe, by="merchant", at=now)
        tie = edge(key, stripe, Bond.GIVEN, now)
        people = people.join(People(sightings={seen.id: seen}, edges={tie.id: tie}))
    if not partner_key:
        return people
    touch = Touch(
        id=f"api:{told.key}:{plain_token(told.token) or partner_key}",
        way=Way.API,
        at=now,
        partner=partner_key,
        token="" if told.partner else plain_token(told.token),
        identity=key,
    )
    return replace(people, touches={touch.id: touch})
