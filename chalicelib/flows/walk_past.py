"""Walking through an account's past: stretches of time from old to new, in each every kind of
object that tells of money, page by page. A cursor says where to go on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chalicelib.core.names import Ms
from chalicelib.core.refusals import StripeRefused
from chalicelib.stripe_adapter.objects import LISTED, Listed

if TYPE_CHECKING:
    from chalicelib.flows.compare_objects import Compared
    from chalicelib.stripe_adapter.calls import Rows, StripeCalls

PAGE = 100  # as many as Stripe gives at once
PAGE_MS = 60_000  # after which the rest of it is the next page
MOST_REASONS = 100
OTHERS = "other reasons"
_FOUND = ("seen", "found", "healed", "explained", "unexplained", "amounts", "examples")

Cursor = Mapping[str, Any]
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` up to and with ``until``, in stretches of ``stretch_ms`` (0: in one). With
    ``people`` all customers and subscriptions are read first, however old: who somebody is, is as
    old as he is. Else only those made within."""

    since: Ms
    until: Ms
    stretch_ms: Ms = 0
    people: bool = False

    def end_of(self, begin: Ms) -> Ms:
        return min(begin + self.stretch_ms, self.until) if self.stretch_ms else self.until

    @property
    def whole(self) -> Sequence[Listed]:
        """What is read first, however old."""
        return [listed for listed in LISTED if self.people and not listed.window]

    @property
    def parted(self) -> Sequence[Listed]:
        """What is read stretch by stretch."""
        return [listed for listed in LISTED if not self.people or listed.window]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPage:
    """``rows`` of one kind. ``then`` is the cursor of what follows, None at the end. ``total`` is
    how many objects there may be in all, from the share of the time that was covered; 0: no idea
    yet. ``at`` is the cursor that led here."""

    listed: Listed
    rows: Sequence[Mapping[str, Any]]
    then: Cursor | None
    total: int
    at: Cursor

    def without(self, left: int) -> "PastPage":
        """The page up to its last rows, with which the next one then begins."""
        if not left:
            return self
        rows = self.rows[: len(self.rows) - left]
        then = dict(self.at)
        if rows:
            apart = 0 if "begin" in self.at else len(rows)
            then |= {"after": str(rows[-1]["id"]), "apart": int(self.at["apart"]) + apart}
        return replace(self, rows=rows, then=then)


def read_past(cursor: Cursor, span: Span, *, done: int, calls: "StripeCalls") -> PastPage:
    """The page at the cursor (empty: the first), when so many objects were read before it.

    A cursor has the ``kind`` by its number, the object ``after`` which to go on, and the stretch's
    ``begin`` once what is whole was read: ``apart`` counts that, which has no share of the time.

    Within a stretch Stripe lists newest first, so what is made meanwhile is not met. A cursor whose
    object was deleted begins its list anew: what was taken in is known.
    """
    apart = int(cursor.get("apart", 0))
    if span.whole and "begin" not in cursor:
        number = int(cursor.get("kind", 0))
        at = {"kind": number, "after": cursor.get("after", ""), "apart": apart}
        listed = span.whole[number]
        found = _page(listed, {"lte": span.until // 1000}, cursor, calls)
        after = _after(found)
        apart += len(found.rows)
        then: Cursor = {"begin": span.since, "kind": 0, "apart": apart}
        if after or number + 1 < len(span.whole):
            then = {"kind": number if after else number + 1, "after": after, "apart": apart}
        return PastPage(listed=listed, rows=found.rows, then=then, total=0, at=at)
    begin, number = int(cursor.get("begin", span.since)), int(cursor.get("kind", 0))
    at = {"begin": begin, "kind": number, "after": cursor.get("after", ""), "apart": apart}
    end, listed = span.end_of(begin), span.parted[number]
    within = {"gte": begin // 1000, "lte" if end >= span.until else "lt": end // 1000}
    found = _page(listed, within, cursor, calls)
    after = _after(found)
    kinds = (number + (0.5 if after else 1)) / len(span.parted)
    share = (begin - span.since + (end - begin) * kinds) / max(1, span.until - span.since)
    done += len(found.rows)
    return PastPage(
        listed=listed,
        rows=found.rows,
        then=_then(span, begin, number, after, apart),
        total=apart + int((done - apart) / share) if done > apart else 0,
        at=at,
    )


def _page(
    listed: Listed, created: Mapping[str, int], cursor: Cursor, calls: "StripeCalls"
) -> "Rows":
    params = {**listed.params, "created": created}
    after = str(cursor.get("after", ""))
    if after:
        with suppress(StripeRefused):
            return calls.page(listed.kind, params=params, after=after, limit=PAGE)
    return calls.page(listed.kind, params=params, limit=PAGE)


def _after(found: "Rows") -> str:
    return str(found.rows[-1]["id"]) if found.more and found.rows else ""


def _then(span: Span, begin: Ms, number: int, after: str, apart: int) -> Cursor | None:
    if after:
        return {"begin": begin, "kind": number, "after": after, "apart": apart}
    if number + 1 < len(span.parted):
        return {"begin": begin, "kind": number + 1, "apart": apart}
    end = span.end_of(begin)
    return {"begin": end, "kind": 0, "apart": apart} if end < span.until else None


def with_compared(result: Result, compared: "Compared") -> dict[str, Any]:
    """What was found so far, with one page more; at most 100 reasons by name."""
    from chalicelib.flows.compare_objects import Compared

    before = {name: result[name] for name in _FOUND if name in result}
    found = Compared(**before).plus(compared)
    explained: dict[str, int] = {}
    for because, count in found.explained.items():
        name = because if because in explained or len(explained) < MOST_REASONS else OTHERS
        explained[name] = explained.get(name, 0) + count
    told = {name: getattr(found, name) for name in _FOUND}
    return {**told, "explained": explained, "examples": list(found.examples)}
