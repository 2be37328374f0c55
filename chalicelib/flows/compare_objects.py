"""Stripe's objects against what we know: what is missing is taken in, and all is counted.

A page of at most 100 objects costs two or three trips to the store when all of it is known, and a
booking for each that is not.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chalicelib.core.facts import Ms
from chalicelib.flows.keep_object import take_in
from chalicelib.flows.look_at_object import Look, look_at
from chalicelib.flows.read_claims import read_claims
from chalicelib.flows.read_known import Known, read_known
from chalicelib.flows.settle_work import settle_work
from chalicelib.storage import records
from chalicelib.storage.records import Connection
from chalicelib.storage.store import BookStore
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.objects import EXPAND, money_of

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.calls import Kind, StripeCalls

EXAMPLES = 20
Amounts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``seen`` objects; of these ``found`` were not known in full, and are ``healed`` by now, or
    explained, or not. ``explained`` counts by reason, also objects that tell nothing. ``amounts``
    are minor units by currency, of found, healed, explained and unexplained ones; of a payment that
    several objects are about, one has its amount. ``examples`` are at most 20, the worst first:
    kind, id, what lacked, what became of it. ``left`` is how many of the objects given were not
    looked at before time was up."""

    seen: int = 0
    found: int = 0
    healed: int = 0
    explained: Mapping[str, int] = field(default_factory=dict)
    unexplained: int = 0
    amounts: Amounts = field(default_factory=dict)
    examples: tuple[dict[str, Any], ...] = ()
    left: int = 0

    def plus(self, other: "Compared") -> "Compared":
        return Compared(
            seen=self.seen + other.seen,
            found=self.found + other.found,
            healed=self.healed + other.healed,
            explained=dict(Counter(self.explained) + Counter(other.explained)),
            unexplained=self.unexplained + other.unexplained,
            amounts=_added(self.amounts, other.amounts),
            examples=_worst((*self.examples, *other.examples)),
            left=self.left + other.left,
        )


def compare_objects(
    kind: "Kind",
    rows: Sequence[Body],
    *,
    connection: Connection,
    calls: "StripeCalls",
    store: BookStore,
    now: Ms,
    since: Ms,
    listed_from: Ms | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Compared:
    """Match each object against the store; take in what lacks, and look at it again. ``since`` is
    when the job began: what this very job took in before a crash counts as found and healed again.
    ``listed_from``: what was made from then on is listed itself, and not read beside its charge.
    Once ``until`` says that time is up no further object is taken in, after the first.

    Raises ``Unavailable``, and what ``StripeCalls`` raises: nothing taken in is lost then.
    """
    looked = [look_at(kind, row, connection) for row in rows]
    known = _known(looked, connection, store)
    beside = [
        look_at(of, row, connection)
        for of, row in _read_beside(looked, known, calls)
        if listed_from is None or int(row.get("created") or 0) < listed_from // 1000
    ]
    if beside:
        looked = [*beside, *looked]
        known = _known(looked, connection, store)
    for look in looked:
        look.lacks = look.lacking_in(known) if look.body else ()
        look.found = bool(look.lacks) or look.is_since(known, since)
    _finish(looked, known, store=store, now=now)
    asked: set[str] = set()
    missing: list[Look] = []
    for number, look in enumerate(looked):
        if not look.lacks:
            continue
        if missing and until():
            looked = looked[:number]
            break
        missing.append(look)
        if look.needs_claims(known) and look.intent not in asked:
            asked.add(look.intent)
            for body in read_claims(look.intent, calls=calls, connection=connection):
                take_in(body, connection=connection, store=store, now=now)
        received = take_in(look.body, connection=connection, store=store, now=now)
        look.because = received.because
    if missing:
        again = _look_again(missing, connection, store)
        known = replace(known, items={**known.items, **again.items})
    left = len(beside) + len(rows) - len(looked)
    return replace(_compared(looked, known), left=min(left, len(rows)))


def _finish(looked: Iterable[Look], known: Known, *, store: BookStore, now: Ms) -> None:
    """What this very job took in before a crash may still owe the settling of other sales."""
    began = [look for look in looked if look.found and not look.lacks]
    for household in sorted({id for look in began for id in known.households(look.told)}):
        settle_work(household, scope=known.scope, store=store, now=now)


def _read_beside(
    looked: Iterable[Look], known: Known, calls: "StripeCalls"
) -> Iterator[tuple["Kind", Body]]:
    """What charges belong to, and nobody told of: the invoice that one is known to have paid, its
    payment intent. Lists go by when an object was made, and either may be older than its charge."""
    wanted: dict[str, Kind] = {}
    for look in looked:
        if look.kind == "charge" and look.body:
            sales = known.sales(look.told)
            told = {id for sale in sales for id in sale.views}
            named = {id for sale in sales for id in sale.ids if id.startswith("in_")}
            wanted |= dict.fromkeys(sorted(named - told), "invoice")
            if look.intent and look.intent not in told:
                wanted[look.intent] = "payment_intent"
    for id, kind in wanted.items():
        row = calls.retrieve(kind, id, expand=EXPAND.get(kind, ()))
        if row is not None:
            yield kind, row


def _known(looked: Sequence[Look], connection: Connection, store: BookStore) -> Known:
    telling = [look for look in looked if look.place is not None]
    places = [look.place for look in telling if look.place is not None]
    told = [look.told for look in telling]
    return read_known(told, scope=connection.scope, store=store, beside=places)


def _look_again(missing: Sequence[Look], connection: Connection, store: BookStore) -> Known:
    """What is known by now of what lacked; where it still does, why: as the inbox has it."""
    known = _known(missing, connection, store)
    for look in missing:
        look.again = look.lacking_in(known)
        head = known.items.get(look.place) if look.place else None
        if look.again and not look.because and head:
            look.because = records.read_inbox(head).because
    return known


def _compared(looked: Sequence[Look], known: Known) -> Compared:
    became = Counter(look.became for look in looked)
    amounts: dict[str, Counter[str]] = defaultdict(Counter)
    for look in looked:
        currency, minor = money_of(look.kind, look.row)
        names = {look.became, "found"} if look.found else {look.became}
        for name in names - {"matched"} if currency and look.has_the_amount(known) else ():
            amounts[name][currency] += minor
    found = [look for look in looked if look.found]
    return Compared(
        seen=len(looked),
        found=len(found),
        healed=became["healed"],
        explained=dict(Counter(k.because for k in looked if k.became == "explained")),
        unexplained=became["unexplained"],
        amounts={name: dict(sums) for name, sums in amounts.items()},
        examples=_worst(look.example() for look in found),
    )


_RANK = {"unexplained": 0, "explained": 1, "healed": 2}


def _worst(examples: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(examples, key=lambda told: _RANK[str(told["became"])])[:EXAMPLES])


def _added(one: Amounts, other: Amounts) -> Amounts:
    return {
        name: dict(Counter(one.get(name, {})) + Counter(other.get(name, {})))
        for name in [*one, *(name for name in other if name not in one)]
    }
