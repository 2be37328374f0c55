"""The ledger: entries whose postings sum to zero, and where a reward stands.

Nothing is edited or deleted. What a reward should be is posted as the difference to what was
posted before, so a repeat posts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.core.facts import Ms

BUCKETS = ("pending", "payable", "paid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Minor units moved to an account (negative: from it): a partner's ``pending``, ``payable``
    or ``paid``, or the program's ``rewards``."""

    account: str
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. Its id is made from its cause, so it is written once."""

    id: str
    at: Ms
    partner: str
    currency: str
    kind: str
    because: str
    postings: tuple[Posting, ...]
    sale: str = ""
    payout: str = ""

    def __post_init__(self) -> None:
        if sum(posting.minor for posting in self.postings) != 0:
            raise AssertionError(f"the postings of {self.id} do not sum to zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where one sale's reward stands for one partner and currency, in minor units.

    ``payable`` became so in the partner's payout period ``period``; once a payout has ended that
    period, it was paid.
    """

    pending: int = 0
    payable: int = 0
    paid: int = 0
    period: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.payable + self.paid

    def in_period(self, period: int) -> "Position":
        """The same position once the partner's payout period is ``period``."""
        if period == self.period:
            return self
        return Position(
            pending=self.pending, paid=self.paid + self.payable, payable=0, period=period
        )

    def settled(self, target: int, *, released: bool) -> "Position":
        """The position that the target asks for. What was paid stays paid: the rest is pending
        until released; what was paid too much is owed back at once."""
        unpaid = target - self.paid
        payable = unpaid if released or unpaid < 0 else 0
        return Position(
            pending=unpaid - payable, payable=payable, paid=self.paid, period=self.period
        )

    def status(self) -> str:
        """``pending``, ``payable``, ``paid``, or ``reversed`` when nothing is left of it."""
        if self.total == 0:
            return "reversed"
        if self.pending:
            return "pending"
        return "payable" if self.payable else "paid"


def difference(before: Position, after: Position) -> Mapping[str, int]:
    """What each bucket changes by; empty if nothing does. Both positions are of one period."""
    changes = {name: getattr(after, name) - getattr(before, name) for name in BUCKETS}
    return {name: minor for name, minor in changes.items() if minor}


def postings(changes: Mapping[str, int]) -> tuple[Posting, ...]:
    """Changes of a partner's buckets as postings that sum to zero: the rest is the program's."""
    lines = [Posting(account=name, minor=minor) for name, minor in changes.items() if minor]
    rest = sum(posting.minor for posting in lines)
    if rest:
        lines.append(Posting(account="rewards", minor=-rest))
    return tuple(lines)
