"""What one outside event (or one call) tells, before anything is looked up."""

from dataclasses import dataclass, field

from chalicelib.core.facts import Identity, Ms
from chalicelib.core.people import People
from chalicelib.core.sale import Sale


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A checkout's reference that may be the merchant's own customer key, and whose checkout."""

    identity: Identity
    key: str
    at: Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Facts of a payment, of people, or both."""

    sale: Sale | None = None
    people: People = field(default_factory=People)
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing in it is for us, and why."""

    because: str
