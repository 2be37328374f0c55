"""A call of the API: what a handler gets, and the table of routes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .world import Object, World


@dataclass(slots=True, kw_only=True)
class Call:
    """One request: its account, the path's ids in order and the checked parameters."""

    world: World
    ids: list[str]
    params: dict[str, Any]
    version: str

    @property
    def id(self) -> str:
        return self.ids[-1]


Handler = Callable[[Call], Object]


@dataclass(frozen=True, slots=True)
class Route:
    """`params` names the class below `stripe.params`; "" takes no parameters but `expand`."""

    method: str
    path: str
    handler: Handler
    params: str = ""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(self.path.replace("{}", "([^/]+)")))


@dataclass(frozen=True, slots=True)
class Rows:
    """A handler's answer that is a short list, newest first; paging is `paging`'s work."""

    data: list[Object]
    url: str


FOREVER = 1 << 62
# The filters that name one object of the account: a past copy names none but its own.
OWNERS = ("charge", "customer", "invoice", "payment_intent", "subscription")


@dataclass(frozen=True, slots=True)
class Listed:
    """A handler's answer that lists a kind: `paging` walks it, in the tables and in the past.

    `keep` looks at what all copies of a story have in common, unless `owner` (an id) or `text`
    (with a copy's number in it) says which copies to look at. `created` is the request's filter."""

    kind: str
    url: str
    keep: Callable[[Object], bool]
    created: Any = None
    owner: str | None = None
    text: str | None = None
    oldest: int = 0

    def in_time(self, time: int | None) -> bool:
        return within(time, self.created) and (time is None or time >= self.oldest)

    def bounds(self) -> tuple[int, int]:
        """The first and the last second that can fit."""
        if isinstance(self.created, int):
            return max(self.oldest, self.created), self.created
        wanted = self.created or {}
        low = max(self.oldest, wanted.get("gte", 0), wanted.get("gt", -1) + 1)
        return low, min(wanted.get("lte", FOREVER), wanted.get("lt", FOREVER) - 1)


def owner_in(params: dict[str, Any]) -> str | None:
    """The id of the one object whose own the request lists, if it names one."""
    return next((params[name] for name in OWNERS if name in params), None)


def retrieving(kind: str) -> Handler:
    """A handler that answers the object of the path."""

    def retrieve(call: Call) -> Object:
        found = call.world.peek(kind, call.id)
        if found is not None and (kind == "customer" or not found.get("deleted")):
            return found
        return call.world.get(kind, call.id)

    return retrieve


def listing_of(kind: str, url: str, *filters: str) -> Callable[[Call], Listed]:
    """A handler that lists a kind, filtered by equality on the named fields and by `created`."""

    def rows(call: Call) -> Listed:
        params = call.params

        def keep(row: Object) -> bool:
            return all(row.get(f) == params[f] for f in filters if f in params)

        return Listed(kind, url, keep, params.get("created"), owner_in(params), params.get("email"))

    return rows


def within(time: int | None, wanted: Any) -> bool:
    """Stripe's time filter: a second, or any of gt, gte, lt, lte."""
    if wanted is None or time is None:
        return True
    if isinstance(wanted, int):
        return time == wanted
    return (
        time > wanted.get("gt", -1)
        and time >= wanted.get("gte", 0)
        and time < wanted.get("lt", 1 << 62)
        and time <= wanted.get("lte", 1 << 62)
    )


def merge_metadata(obj: Object, given: Any) -> None:
    """'' empties all, a key with '' goes, the rest is laid over: docs.stripe.com/metadata."""
    if given is None:
        return
    if given == "":
        obj["metadata"] = {}
        return
    merged = (obj.get("metadata") or {}) | given
    obj["metadata"] = {k: v for k, v in merged.items() if v != ""}


def lay_over(obj: Object, params: dict[str, Any], *names: str) -> None:
    """Sets the named parameters that were given; '' becomes null."""
    for name in names:
        if name in params:
            obj[name] = None if params[name] == "" else params[name]
