"""A sale: a connected set of ids and all that was told of it, joined.

What one event tells of a payment is itself a (small) ``Sale``; sales that share an id are joined.
What the sale comes to (``summary``) is worked out from the whole set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import reduce
from typing import Any, TypeVar

from chalicelib.core.facts import (
    RELEASED,
    CreditNote,
    Dispute,
    Identity,
    Ms,
    Refund,
    RefundedTotal,
    SaleId,
    Touch,
    View,
    ViewKind,
)

UNCLAIMED_WAIT_MS = 72 * 3_600_000  # how long a payment waits for its invoice or session
DUPLICATE_WITHIN_MS = 3_600_000  # a told payment this near to Stripe's may be the same one
ASK_AFTER_MS = 3_600_000  # how long what Stripe could answer waits to be told without asking
ASK_AGAIN_MS = 86_400_000  # how long an answer stands that settled nothing
UNASKED_MS = UNCLAIMED_WAIT_MS - ASK_AFTER_MS  # how long a question waits for somebody to ask it

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """Facts about one payment. ``views`` by id, the rest by their own ids.

    ``refunds_told`` are the merchant's own (API); Stripe's view of the sale outranks them.
    ``keep_out`` is metadata ``refledger=false``. ``settled_by_stripe`` is set when Stripe was
    asked about an unclaimed payment. ``confirmed`` clears a possible duplicate.
    """

    ids: frozenset[SaleId]
    views: Mapping[str, View] = field(default_factory=dict)
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    refunds_told: Mapping[str, Refund] = field(default_factory=dict)
    refunded_totals: Mapping[str, RefundedTotal] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    credit_notes: Mapping[str, CreditNote] = field(default_factory=dict)
    touches: Mapping[str, Touch] = field(default_factory=dict)
    identities: frozenset[Identity] = frozenset()
    keep_out: bool = False
    settled_by_stripe: bool = False
    confirmed: bool = False

    @property
    def canonical(self) -> SaleId:
        """The id that names the sale: invoice, then session, intent, charge, the merchant's."""
        return min(self.ids, key=id_order)

    @property
    def is_claimed(self) -> bool:
        """Whether an invoice or a session (or only the merchant) tells what the payment is for."""
        return any(_id_rank(id) in (1, 2) for id in self.ids) or all(
            _id_rank(id) == 5 for id in self.ids
        )

    @property
    def only_told_by_merchant(self) -> bool:
        return all(view.kind is ViewKind.API for view in self.views.values())

    def owner_identity(self) -> Identity:
        """The identity that says best whose sale it is; ``payment:<id>`` where nobody is named."""
        ranked = sorted(self.identities, key=lambda i: (IDENTITY_RANK[i.split(":", 1)[0]], i))
        return ranked[0] if ranked else f"payment:{self.canonical}"

    def join(self, other: "Sale") -> "Sale":
        joined: dict[str, Any] = {}
        for name in (f.name for f in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, frozenset | bool):
                joined[name] = mine | theirs
            else:
                joined[name] = join_maps(mine, theirs)
        return replace(self, **joined)


IDENTITY_RANK = {"key": 0, "stripe": 1, "email": 2, "payment": 3}


def join_maps(mine: Mapping[str, F], theirs: Mapping[str, F]) -> dict[str, F]:
    """Two maps of facts by id, joined where both know the fact."""
    joined = dict(mine)
    for id, fact in theirs.items():
        joined[id] = joined[id].join(fact) if id in joined else fact  # type: ignore[attr-defined]
    return joined


def join_all(sales: list[Sale]) -> Sale:
    return reduce(Sale.join, sales)


def _id_rank(id: SaleId) -> int:
    prefix = id.split("_", 1)[0]
    return {"in": 1, "cs": 2, "pi": 3, "ch": 4, "py": 4}.get(prefix, 5)


def id_order(id: SaleId) -> tuple[int, SaleId]:
    """Ids in the order in which they may name a sale."""
    return (_id_rank(id), id)


def is_stripe_sale_id(id: str) -> bool:
    """Whether a merchant's transaction key is one of Stripe's payment ids."""
    return "_" in id and _id_rank(id) != 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a sale comes to. ``net`` is exact and before refunds; ``left`` is the share of the
    amount that was not taken back (0 to 1)."""

    paid: bool
    currency: str = ""
    amount: int = 0
    net: Fraction = Fraction(0)
    outside: int = 0
    paid_at: Ms = 0
    refunded: int = 0
    taken_back: int = 0
    dispute_open: bool = False
    dispute_lost: bool = False
    unresolved: str = ""

    @property
    def left(self) -> Fraction:
        return Fraction(self.amount - self.taken_back, self.amount) if self.amount else Fraction(0)

    @property
    def counts(self) -> bool:
        """Whether it counts as a payment: zero sales do not, refunded ones do."""
        return self.paid and self.amount > 0


def summarise(sale: Sale) -> Summary:
    """The highest-ranking paid view's account of the sale, less what was taken back."""
    paid = sorted(
        (view for view in sale.views.values() if view.paid),
        key=lambda view: (view.kind, view.paid_at, view.id),
    )
    refunded, unresolved = refunded_of(sale)
    dispute_open = any(dispute.open for dispute in sale.disputes.values())
    if not paid:
        return Summary(paid=False, refunded=refunded, dispute_open=dispute_open)
    views = [view for view in paid if view.kind is paid[0].kind]
    best = views[0]
    amount = sum(view.amount for view in views) if _parts(best) else best.amount
    net = sum((_net(view) for view in views), Fraction(0)) if _parts(best) else _net(best)
    refunded = min(refunded, amount)
    lost = sum(dispute.amount for dispute in sale.disputes.values() if dispute.lost)
    noted = sum(note.amount for note in sale.credit_notes.values() if not note.voided)
    return Summary(
        paid=True,
        currency=best.currency,
        amount=amount,
        net=net,
        outside=min(best.outside, amount),
        paid_at=_paid_at(best, paid),
        refunded=refunded,
        taken_back=min(refunded + lost + noted, amount),
        dispute_open=dispute_open,
        dispute_lost=lost > 0,
        unresolved=unresolved,
    )


def _parts(best: View) -> bool:
    """Intents joined without their invoice's view are parts of one payment; charges of one
    intent, sessions and invoices are not."""
    return best.kind is ViewKind.PAYMENT_INTENT


def _net(view: View) -> Fraction:
    if view.total <= 0:
        return Fraction(0)
    return Fraction(view.net * min(view.amount, view.total), view.total)


def _paid_at(best: View, paid: list[View]) -> Ms:
    """The best view's own time, else the charge's, else that of the event that told of it."""
    if best.exact:
        return best.paid_at
    charges = [view.paid_at for view in paid if view.kind is ViewKind.CHARGE]
    return min(charges) if charges else best.paid_at


def refunded_of(sale: Sale) -> tuple[int, str]:
    """Minor units refunded, and a reason where the refunds told disagree.

    Per charge: once any refund is known by id, the sum of those that did not fail; else the newest
    cumulative amount. The two are never added.
    """
    by_charge: dict[str, list[Refund]] = {}
    intents = {t.charge: t.intent for t in sale.refunded_totals.values() if t.intent}
    intents |= {r.charge: r.intent for r in sale.refunds.values() if r.charge and r.intent}
    for refund in sale.refunds.values():
        if refund.status == RELEASED:
            continue
        group = refund.intent or intents.get(refund.charge, refund.charge)
        by_charge.setdefault(group, []).append(refund)
    refunded, unresolved = 0, ""
    for refunds in by_charge.values():
        refunded += sum(refund.amount for refund in refunds if refund.counts)
    told: dict[str, list[RefundedTotal]] = {}
    for total in sale.refunded_totals.values():
        told.setdefault(total.intent or intents.get(total.charge, total.charge), []).append(total)
    for group, totals in told.items():
        amount = sum(total.amount for total in totals)
        if group not in by_charge:
            refunded += amount
        elif amount > _explained(by_charge[group], min(total.told_at for total in totals)):
            unresolved = "the refunds told by id are less than the charge says was refunded"
            if any(total.asked for total in totals):
                unresolved += ", and Stripe says so too"
    if not refunded and not any(view.kind is not ViewKind.API for view in sale.views.values()):
        refunded = sum(refund.amount for refund in sale.refunds_told.values() if refund.counts)
    return refunded, unresolved


def _explained(refunds: list[Refund], told_at: Ms) -> int:
    """How much a charge may have said was refunded by then: a refund that failed no sooner was
    still in its total."""
    return sum(r.amount for r in refunds if r.counts or r.told_at >= told_at)


def release_at(sale: Sale, summary: Summary, *, hold_days: int) -> Ms:
    """When the sale's reward may become payable: after the hold, and for a payment that nobody
    claimed not before 72 hours."""
    held_until = summary.paid_at + hold_days * 86_400_000
    if sale.is_claimed or sale.settled_by_stripe:
        return held_until
    return max(held_until, summary.paid_at + UNCLAIMED_WAIT_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What only Stripe can answer of a sale: ``claims`` (what the payment is for), ``refunds``
    (which there were), ``customer`` (who it is). From ``at`` on it is to be asked."""

    at: Ms
    about: tuple[str, ...]


def question_of(sale: Sale, summary: Summary, *, unknown_owner: bool) -> Question | None:
    """What is to be asked about the sale. Of claims and the customer once; of refunds that
    disagree once a day."""
    asked: dict[str, Ms] = {}
    if summary.paid and not sale.settled_by_stripe:
        if not sale.is_claimed:
            asked["claims"] = summary.paid_at + ASK_AFTER_MS
        if unknown_owner:
            asked["customer"] = summary.paid_at + ASK_AFTER_MS
    if summary.unresolved:
        newest = max(sale.refunded_totals.values(), key=lambda total: (total.told_at, total.asked))
        asked["refunds"] = newest.told_at + (ASK_AGAIN_MS if newest.asked else ASK_AFTER_MS)
    return Question(at=min(asked.values()), about=tuple(sorted(asked))) if asked else None
