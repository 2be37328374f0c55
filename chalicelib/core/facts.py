"""What was told, in the house's own words. Facts are frozen, have an identity, and join.

Times are unix milliseconds (``Ms``); a time told by Stripe is whole seconds times 1,000. Amounts
are minor units. ``told_at`` is when the outside says that it told us, never when it arrived.

Each fact that can be told twice has a ``join``: commutative, associative, idempotent. So sets of
facts give one result in whatever order, and however often, they arrive.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from chalicelib.core.names import Identity as Identity
from chalicelib.core.names import Ms as Ms
from chalicelib.core.names import SaleId as SaleId


class ViewKind(IntEnum):
    """Who tells of a payment; the lower outranks the higher, for amounts and for the time."""

    INVOICE = 1
    SESSION = 2
    PAYMENT_INTENT = 3
    CHARGE = 4
    API = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One object's account of a payment.

    ``amount`` was paid of ``total``; ``net`` is what ``total`` is without tax and shipping.
    ``outside`` is the part of ``amount`` paid outside Stripe, which not every telling knows.
    ``exact`` says that the object itself names ``paid_at``; otherwise it is the event's time.
    """

    kind: ViewKind
    id: SaleId
    paid: bool
    currency: str
    total: int = 0
    net: int = 0
    amount: int = 0
    outside: int = 0
    paid_at: Ms = 0
    exact: bool = False
    told_at: Ms = 0

    def join(self, other: "View") -> "View":
        newest = max(self, other, key=_view_order)
        paid = [view for view in (self, other) if view.paid]
        outside = max(view.outside for view in paid or (self, other))
        if not paid:
            return replace(newest, outside=outside)
        exact = [view for view in paid if view.exact]
        earliest = min(view.paid_at for view in exact or paid)
        return replace(newest, paid_at=earliest, exact=bool(exact), outside=outside)


def _view_order(view: View) -> tuple[bool, Ms, int, int, int, str, Ms, bool]:
    return (
        view.paid,
        view.told_at,
        view.amount,
        view.net,
        view.total,
        view.currency,
        view.paid_at,
        view.exact,
    )


RELEASED = "released"  # the rest of an authorisation, which looks like a refund
REFUND_RANK = {
    "pending": 0,
    "requires_action": 1,
    "succeeded": 2,
    "failed": 3,
    "canceled": 4,
    RELEASED: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund by its id. ``charge`` and ``intent`` say of which payment, where known;
    ``told_at`` is when its status was first told."""

    id: str
    amount: int
    status: str
    told_at: Ms = 0
    charge: str = ""
    intent: str = ""

    @property
    def counts(self) -> bool:
        return self.status not in ("failed", "canceled", RELEASED)

    def join(self, other: "Refund") -> "Refund":
        def rank(refund: Refund) -> tuple[int, int, str]:
            return (REFUND_RANK.get(refund.status, 1), refund.amount, refund.status)

        further = max(self, other, key=rank)
        told = [r.told_at for r in (self, other) if rank(r) == rank(further)]
        return replace(
            further,
            told_at=min(told),
            charge=max(self.charge, other.charge),
            intent=max(self.intent, other.intent),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundedTotal:
    """What a charge says was refunded of it so far (cumulative). ``asked``: when it was asked, and
    all its refunds were told by their ids."""

    charge: str
    amount: int
    told_at: Ms
    intent: str = ""
    asked: bool = False

    def join(self, other: "RefundedTotal") -> "RefundedTotal":
        newest = max(self, other, key=lambda total: (total.told_at, total.amount, total.asked))
        return replace(newest, intent=max(self.intent, other.intent))


DISPUTE_RANK = {
    "warning_needs_response": 1,
    "warning_under_review": 2,
    "warning_closed": 3,
    "needs_response": 4,
    "under_review": 5,
    "prevented": 6,
    "lost": 7,
    "won": 8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute by its id (``du_…`` or ``dp_…``). A ``warning_…`` is an inquiry: no money moved."""

    id: str
    amount: int
    status: str

    @property
    def open(self) -> bool:
        return not self.inquiry and self.status not in ("won", "lost", "prevented")

    @property
    def inquiry(self) -> bool:
        return self.status.startswith("warning_")

    @property
    def lost(self) -> bool:
        return self.status == "lost"

    def join(self, other: "Dispute") -> "Dispute":
        def rank(dispute: Dispute) -> tuple[int, int, str]:
            return (DISPUTE_RANK.get(dispute.status, 5), dispute.amount, dispute.status)

        return max(self, other, key=rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """A credit note after payment that no refund covers, by its id."""

    id: str
    amount: int
    voided: bool = False

    def join(self, other: "CreditNote") -> "CreditNote":
        return max(self, other, key=lambda note: (note.voided, note.amount))


class Way(IntEnum):
    """How a touch was told; at the same instant the higher wins."""

    SIGNUP = 1
    API = 2
    REFERENCE = 3
    METADATA = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """Evidence that a partner brought a customer.

    ``partner`` is the partner's key in lower case, as the token or the metadata has it. ``at`` is
    when the evidence happened; ``click_at`` the time of the token's click, once that was seen.
    ``identity`` says whose touch it is. ``sale`` names the sale for evidence that stands on the
    payment itself. ``verified`` is False for what anybody could have sent.
    """

    id: str
    way: Way
    at: Ms
    partner: str
    identity: Identity = ""
    token: str = ""
    click_at: Ms | None = None
    sale: SaleId = ""
    verified: bool = True

    @property
    def happened(self) -> Ms:
        """A click counts from the click, evidence on a payment as of that payment."""
        if self.click_at is None or self.sale:
            return self.at
        return min(self.click_at, self.at)

    def join(self, other: "Touch") -> "Touch":
        first = min(self, other, key=_touch_order)
        clicks = [touch.click_at for touch in (self, other) if touch.click_at is not None]
        return replace(first, click_at=min(clicks) if clicks else None)


def _touch_order(touch: Touch) -> tuple[Ms, str, str, str, str, int, bool]:
    return (
        touch.at,
        touch.sale,
        touch.identity,
        touch.partner,
        touch.token,
        touch.way,
        touch.verified,
    )


class Bond(IntEnum):
    """Why two identities are one person; the lower is believed first."""

    GIVEN = 1  # the merchant's server named key and Stripe customer together
    METADATA = 2  # Stripe metadata names the merchant's key
    REFERENCE = 3  # a checkout's client_reference_id is the merchant's own customer key
    MERCHANT_EMAIL = 4  # the merchant's server named key and e-mail together
    STRIPE_EMAIL = 5  # Stripe told customer and e-mail together
    GUEST = 6  # a guest's checkout named the key, beside an e-mail that anybody can type
    CLAIM = 7  # an unverified sign-up named key and e-mail together


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Two identities told to be one person's, ``one`` < ``two``."""

    one: Identity
    two: Identity
    bond: Bond
    at: Ms

    @property
    def id(self) -> str:
        return f"{self.one}|{self.two}|{int(self.bond)}"

    def join(self, other: "Edge") -> "Edge":
        return min(self, other, key=lambda edge: edge.at)


def edge(one: Identity, two: Identity, bond: Bond, at: Ms) -> Edge:
    """An edge with its ends in order."""
    first, second = sorted((one, two))
    return Edge(one=first, two=second, bond=bond, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The earliest time at which somebody told of an identity; ``by`` is ``merchant`` (the API),
    ``metadata`` (the merchant's key, in Stripe), ``stripe``, ``claim`` (an unverified sign-up), or
    ``named`` (only mentioned)."""

    identity: Identity
    by: str
    at: Ms

    @property
    def id(self) -> str:
        return f"{self.identity}|{self.by}"

    def join(self, other: "Sighting") -> "Sighting":
        return min(self, other, key=lambda sighting: sighting.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A sign-up or a checkout of a person; payments are conversions too, told by the sales."""

    id: str
    identity: Identity
    at: Ms
    verified: bool = True

    def join(self, other: "Conversion") -> "Conversion":
        return min(self, other, key=lambda conversion: (conversion.at, conversion.identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOut:
    """Metadata ``refledger`` of a Stripe customer: from ``at`` on its sales stay out, or not."""

    identity: Identity
    at: Ms
    out: bool

    @property
    def id(self) -> str:
        return f"{self.identity}|{self.at}"

    def join(self, other: "KeepOut") -> "KeepOut":
        return max(self, other, key=lambda keep: keep.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the merchant shows of a customer, by identity. The newest verified telling stands."""

    identity: Identity
    at: Ms
    created_at: Ms
    verified: bool
    email: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.identity

    def join(self, other: "Profile") -> "Profile":
        newest = max(self, other, key=lambda p: (p.verified, p.at, p.email, p.name, p.tags))
        return replace(newest, created_at=min(self.created_at, other.created_at))
