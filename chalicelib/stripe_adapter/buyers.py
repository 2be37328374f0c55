"""Who an object is about, and what its metadata says: the parts that all kinds share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chalicelib.core.facts import (
    Bond,
    Conversion,
    Edge,
    Identity,
    KeepOut,
    Ms,
    Profile,
    Sighting,
    Touch,
    Way,
    edge,
)
from chalicelib.core.people import People, normal_email
from chalicelib.stripe_adapter.envelope import Unreadable
from chalicelib.stripe_adapter.fields import Body

CUSTOMER_KEYS = ("refledger_customer", "customer_key")
PARTNER_KEYS = ("refledger_partner", "partner_key")
KEEP_OUT_KEY = "refledger"
MAX_KEY = 64  # of a merchant's customer key and of a partner's key
MAX_EMAIL = 320  # RFC 3696: 64 of local part, the sign, 255 of domain; nothing longer is an address


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """A person as one object names him; each is empty where it does not."""

    key: Identity = ""
    stripe: Identity = ""
    email: Identity = ""

    @property
    def identities(self) -> frozenset[Identity]:
        return frozenset({self.key, self.stripe, self.email} - {""})

    @property
    def best(self) -> Identity:
        return self.key or self.stripe or self.email


def buyer(*, metadata: Sequence[Body], customer: str, email: str) -> Buyer:
    """The buyer under the merchant's key in metadata, Stripe's customer id, and e-mail."""
    key = metadata_text(metadata, *CUSTOMER_KEYS)
    address = normal_email(email)
    return Buyer(
        key=f"key:{key}" if 0 < len(key) <= MAX_KEY else "",
        stripe=f"stripe:{customer}" if customer else "",
        email=f"email:{address}" if 0 < len(address) <= MAX_EMAIL else "",
    )


def people_of(
    buyer: Buyer,
    at: Ms,
    *,
    touches: Iterable[Touch] = (),
    conversions: Iterable[Conversion] = (),
    keep_outs: Iterable[KeepOut] = (),
    profiles: Iterable[Profile] = (),
) -> People:
    """What was told of the buyer at that time; nothing where nobody is named."""
    if not buyer.best:
        return People()
    sightings = [Sighting(identity=i, by="stripe", at=at) for i in (buyer.stripe, buyer.email) if i]
    if buyer.key:
        sightings.append(Sighting(identity=buyer.key, by="metadata", at=at))
    return People(
        edges={told.id: told for told in _edges(buyer, at)},
        sightings={told.id: told for told in sightings},
        touches={told.id: told for told in touches},
        conversions={told.id: told for told in conversions},
        keep_outs={told.id: told for told in keep_outs},
        profiles={told.id: told for told in profiles},
    )


def _edges(buyer: Buyer, at: Ms) -> list[Edge]:
    """Stripe names customer and e-mail together; metadata ties the merchant's key to Stripe's
    customer, or to the e-mail of a guest."""
    edges = []
    if buyer.stripe and buyer.email:
        edges.append(edge(buyer.stripe, buyer.email, Bond.STRIPE_EMAIL, at))
    if buyer.key and buyer.stripe:
        edges.append(edge(buyer.key, buyer.stripe, Bond.METADATA, at))
    elif buyer.key and buyer.email:
        edges.append(edge(buyer.key, buyer.email, Bond.GUEST, at))
    return edges


def partner_touch(
    metadata: Sequence[Body], *, of: str, at: Ms, identity: Identity = ""
) -> list[Touch]:
    """The touch that metadata ``refledger_partner`` (or ``partner_key``) is, if it is there."""
    partner = metadata_text(metadata, *PARTNER_KEYS).lower()
    if not 0 < len(partner) <= MAX_KEY:
        return []
    return [Touch(id=f"metadata:{of}", way=Way.METADATA, at=at, partner=partner, identity=identity)]


def keeps_out(metadata: Sequence[Body]) -> bool | None:
    """Metadata ``refledger``: whether it says no; ``None`` where it says nothing."""
    told = metadata_text(metadata, KEEP_OUT_KEY).lower()
    return told in ("false", "0", "no") if told else None


def metadata_text(metadata: Sequence[Body], *names: str) -> str:
    """The first of the names that says something, in the nearest metadata that has it; trimmed.

    Stripe keeps metadata as texts; a number or a truth value is taken as its text.
    """
    for name in names:
        for place in metadata:
            value = place.get(name)
            if isinstance(value, bool | int):
                value = str(value)
            if value is not None and not isinstance(value, str):
                raise Unreadable(f"metadata.{name} is not a text")
            if value and value.strip():
                return value.strip()
    return ""
