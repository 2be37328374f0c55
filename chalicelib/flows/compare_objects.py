"""Stripe's objects against what we know: what is missing is taken in, and all is counted.

A page of at most 100 objects costs two or three trips to the store when all of it is known, and a
booking for each that is not.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core.facts import Ms
from chalicelib.core.lacking import lacking
from chalicelib.core.told import Ignored, Told
from chalicelib.flows.keep_object import take_in
from chalicelib.flows.read_claims import account_told, read_claims
from chalicelib.flows.read_known import Known, read_known
from chalicelib.flows.receive_webhook import BUG, read_told
from chalicelib.flows.settle_work import settle_work
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.store import BookStore, Key
from chalicelib.stripe_adapter.envelope import Unreadable, read_envelope
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.objects import EXPAND, event_of, money_of, untold

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.calls import Kind, StripeCalls

EXAMPLES = 20
Became = Literal["matched", "healed", "explained", "unexplained"]
Amounts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``seen`` objects; of these ``found`` were not known in full, and are ``healed`` by now, or
    explained, or not. ``explained`` counts by reason, also objects that tell nothing. ``amounts``
    are minor units by currency, of found, healed, explained and unexplained ones. ``examples`` are
    at most 20, the worst first: kind, id, what lacked, what became of it. ``left`` is how many of
    the objects given were not looked at before time was up."""

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
    looked = [_Looked.at(kind, row, connection) for row in rows]
    known = _known(looked, connection, store)
    beside = [
        _Looked.at(of, row, connection)
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
    missing: list[_Looked] = []
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
    _look_again(missing, connection, store)
    left = len(beside) + len(rows) - len(looked)
    return replace(_compared(looked), left=min(left, len(rows)))


def _finish(looked: Iterable["_Looked"], known: Known, *, store: BookStore, now: Ms) -> None:
    """What this very job took in before a crash may still owe the settling of other sales."""
    began = [look for look in looked if look.found and not look.lacks]
    for household in sorted({id for look in began for id in known.households(look.told)}):
        settle_work(household, scope=known.scope, store=store, now=now)


def _read_beside(
    looked: Iterable["_Looked"], known: Known, calls: "StripeCalls"
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


@dataclass(slots=True)
class _Looked:
    """One object: the event that it makes, what that tells, and what became of it. ``place`` is
    the event's in the inbox."""

    kind: "Kind"
    row: Body
    place: Key | None = None
    body: bytes = b""
    told: Told = field(default_factory=Told)
    because: str = ""
    unread: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    found: bool = False
    again: tuple[str, ...] = ()

    @classmethod
    def at(cls, kind: "Kind", row: Body, connection: Connection) -> "_Looked":
        look = cls(kind, row)
        account = account_told(connection)
        body = event_of(kind, row, livemode=connection.livemode, account=account)
        if body is None:
            look.because = untold(kind, row)
            return look
        told = read_told(body)
        if isinstance(told, Unreadable):  # taken in, it is put down as failed
            look.unread, told = ("anything that can be read",), Told()
        if isinstance(told, Ignored):
            look.because = told.because
            return look
        look.body, look.told = body, told
        look.place = keys.inbox(connection.id, read_envelope(body).id)
        return look

    def is_since(self, known: Known, since: Ms) -> bool:
        """Whether just this was taken in since then."""
        head = known.items.get(self.place) if self.place else None
        return head is not None and records.read_inbox(head).received_at >= since

    @property
    def intent(self) -> str:
        """The payment intent that the object is about, empty where it is about none."""
        ids = self.told.sale.ids if self.told.sale else frozenset[str]()
        return min((id for id in ids if id.startswith("pi_")), default="")

    def lacking_in(self, known: Known) -> tuple[str, ...]:
        return self.unread or lacking(self.told, known.sales(self.told), known.people(self.told))

    def needs_claims(self, known: Known) -> bool:
        """Whether it is a payment of which nobody told what it is for."""
        if self.kind not in ("payment_intent", "charge") or not self.intent:
            return False
        return not any(s.is_claimed or s.settled_by_stripe for s in known.sales(self.told))

    @property
    def became(self) -> Became:
        if self.again:
            bug = self.because.startswith(BUG)
            return "explained" if self.because and not bug else "unexplained"
        if self.found:
            return "healed"
        return "explained" if self.because else "matched"

    def example(self) -> dict[str, Any]:
        said = {"because": self.because} if self.because else {}
        lacks = list(self.again or self.lacks)
        id = str(self.row.get("id"))
        return {"kind": self.kind, "id": id, "lacking": lacks, "became": self.became, **said}


def _known(looked: Sequence[_Looked], connection: Connection, store: BookStore) -> Known:
    telling = [look for look in looked if look.place is not None]
    places = [look.place for look in telling if look.place is not None]
    told = [look.told for look in telling]
    return read_known(told, scope=connection.scope, store=store, beside=places)


def _look_again(missing: Sequence[_Looked], connection: Connection, store: BookStore) -> None:
    """What is known by now of what lacked; where it still does, why: as the inbox has it."""
    if not missing:
        return
    known = _known(missing, connection, store)
    for look in missing:
        look.again = look.lacking_in(known)
        head = known.items.get(look.place) if look.place else None
        if look.again and not look.because and head:
            look.because = records.read_inbox(head).because


def _compared(looked: Sequence[_Looked]) -> Compared:
    became = Counter(look.became for look in looked)
    amounts: dict[str, Counter[str]] = defaultdict(Counter)
    for look in looked:
        currency, minor = money_of(look.kind, look.row)
        names = {look.became, "found"} if look.found else {look.became}
        for name in names - {"matched"} if currency else ():
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
