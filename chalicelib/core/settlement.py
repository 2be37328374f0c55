"""Settling one sale: from what is known of it to the entries that bring its reward there.

Pure. The flow reads what this needs, and writes what it returns in one transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from chalicelib.core.attribution import Considered
from chalicelib.core.facts import Identity, Ms
from chalicelib.core.ledger import Entry, Position, difference, postings
from chalicelib.core.program import Program
from chalicelib.core.rewards import Target
from chalicelib.core.sale import (
    DUPLICATE_WITHIN_MS,
    UNASKED_MS,
    Question,
    Sale,
    Summary,
    join_all,
    question_of,
    release_at,
    summarise,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSale:
    """A sale as it stands: its facts, and what was posted for it.

    ``positions`` are by ``<partner key>|<currency>``. ``released`` says that its hold has passed.
    ``entries`` counts the entries ever posted for it: the next one's id is made from it.
    ``due_at`` is when its reward may be released, 0 while nothing waits for that. ``question`` is
    what Stripe is to be asked about it; ``unasked`` when a question was to be asked that nobody
    asked in time (0: none).
    ``household`` and ``pointer`` say where the sale stands among its customer's.
    """

    sale: Sale
    positions: Mapping[str, Position] = field(default_factory=dict)
    released: bool = False
    entries: int = 0
    household: str = ""
    pointer: str = ""
    pointer_part: str = ""
    counts: bool = False
    owner: Identity = ""
    credited: str = ""
    because: str = ""
    held: str = ""
    possible_duplicate: bool = False
    due_at: Ms = 0
    question: Question | None = None
    unasked: Ms = 0
    trace: tuple[Considered, ...] = ()

    def summary(self) -> Summary:
        return summarise(self.sale)

    def partners(self) -> frozenset[str]:
        return frozenset(name.split("|")[0] for name in self.positions)


def joined(parts: Iterable[SettledSale], told: Sale) -> SettledSale:
    """Settled sales that turn out to be one, with what was just told: facts joined, postings
    added up. Parts whose payout periods differ must have been brought to one first."""
    before = list(parts)
    sale = join_all([*(part.sale for part in before), told])
    if not before:
        return SettledSale(sale=sale)
    main = max(before, key=lambda part: (part.sale.canonical == sale.canonical, part.entries))
    positions: dict[str, Position] = {}
    for part in before:
        for name, position in part.positions.items():
            known = positions.get(name, Position(period=position.period))
            positions[name] = Position(
                pending=known.pending + position.pending,
                payable=known.payable + position.payable,
                paid=known.paid + position.paid,
                period=position.period,
            )
    return replace(
        main,
        sale=sale,
        positions=positions,
        released=any(part.positions for part in before)
        and all(part.released for part in before if part.positions),
        entries=max(part.entries for part in before),
    )


def position_name(partner: str, currency: str) -> str:
    return f"{partner}|{currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The sale after settling, its new entries, and what each balance changes by
    (``<partner>|<currency>`` to bucket to minor units)."""

    after: SettledSale
    entries: tuple[Entry, ...]
    changes: Mapping[str, Mapping[str, int]]


def settle(
    before: SettledSale,
    *,
    summary: Summary,
    target: Target,
    program: Program,
    periods: Mapping[str, int],
    possible_duplicate: bool,
    release: bool,
    now: Ms,
    unknown_owner: bool = False,
) -> Settlement:
    """Post the difference between the target and what was posted so far.

    ``periods`` are the payout periods of the balances concerned, by position name. ``release``
    lets a reward whose hold has passed become payable (the scheduled job alone asks for it), and a
    question that nobody asked lapse. ``unknown_owner`` says that nothing is known of the customer
    but Stripe's id.
    """
    held = _held(summary, possible_duplicate and not before.sale.confirmed)
    hold_days = program.terms(summary.paid_at).hold_days
    due_at = release_at(before.sale, summary, hold_days=hold_days)
    released = not held and (before.released or (release and due_at <= now))
    wanted = {position_name(target.partner, target.currency): target.amount_minor}
    if not target.partner:
        wanted = {}
    positions: dict[str, Position] = {}
    changes: dict[str, Mapping[str, int]] = {}
    entries: list[Entry] = []
    number = before.entries
    for name in sorted({*before.positions, *wanted}):
        period = periods.get(name, 0)
        stood = before.positions.get(name, Position(period=period)).in_period(period)
        stands = stood.settled(wanted.get(name, 0), released=released)
        moved = difference(stood, stands)
        if name in before.positions or moved:
            positions[name] = stands
        if not moved:
            continue
        number += 1
        changes[name] = moved
        entries.append(
            _entry(before.sale.canonical, number, name, moved, stood, held or target.because, now)
        )
    waits = bool(any(position.pending for position in positions.values())) and not held
    question = question_of(before.sale, summary, unknown_owner=unknown_owner)
    unasked = before.unasked
    if release and question and question.at + UNASKED_MS <= now:
        unasked = question.at
    if question and (question.at <= unasked or (waits and _would_wait(question, due_at))):
        question = None
    after = replace(
        before,
        positions=positions,
        released=released and bool(positions),
        entries=number,
        credited=target.partner,
        because=target.because,
        held=held,
        possible_duplicate=possible_duplicate and not before.sale.confirmed,
        due_at=due_at if waits else 0,
        question=question,
        unasked=unasked,
        trace=target.trace,
    )
    return Settlement(after=after, entries=tuple(entries), changes=changes)


def _would_wait(question: Question, due_at: Ms) -> bool:
    """Whether a reward that is due would wait for an answer that decides nothing about it."""
    return question.about == ("customer",) and due_at < question.at + UNASKED_MS


def _held(summary: Summary, possible_duplicate: bool) -> str:
    """Why the reward may not become payable whatever its age, or an empty string."""
    if summary.dispute_open:
        return "held while the dispute is open"
    if possible_duplicate:
        return "held as a possible duplicate of a payment that Stripe told; confirm it"
    return summary.unresolved and f"held until it is known: {summary.unresolved}"


def _entry(
    sale: str,
    number: int,
    name: str,
    moved: Mapping[str, int],
    stood: Position,
    because: str,
    now: Ms,
) -> Entry:
    partner, currency = name.split("|")
    total = sum(moved.values())
    if total == 0:
        kind = "released" if moved.get("payable", 0) > 0 else "held"
    elif stood == Position(period=stood.period) and number == 1:
        kind = "reward"
    else:
        kind = "reversal" if total < 0 else "adjustment"
    return Entry(
        id=f"{sale}:{number}:{partner}:{currency}",
        at=now,
        partner=partner,
        currency=currency,
        kind=kind,
        because="the hold has passed" if kind == "released" else because,
        postings=postings(moved),
        sale=sale,
    )


def may_be_duplicate(
    sale: Sale, summary: Summary, others: Iterable[tuple[str, int, str, Ms, bool]]
) -> bool:
    """Whether a sale that only the merchant told may be one that Stripe told as well: the same
    customer and amount within the hour. ``others`` are (sale, amount, currency, paid at, told by
    the merchant only) of the customer's other sales."""
    if not sale.only_told_by_merchant or not summary.paid:
        return False
    return any(
        not merchant_only
        and amount == summary.amount
        and currency == summary.currency
        and abs(paid_at - summary.paid_at) <= DUPLICATE_WITHIN_MS
        for other, amount, currency, paid_at, merchant_only in others
        if other not in sale.ids
    )
