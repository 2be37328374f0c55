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

    @property
    def says_anything(self) -> bool:
        """Whether there is any fact in it; the ids of a sale alone only name it."""
        return bool(
            self.references
            or self.people != People()
            or (self.sale is not None and self.sale != Sale(ids=self.sale.ids))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing in it is for us, and why."""

    because: str
