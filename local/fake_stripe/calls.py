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
    """A handler's answer that is a list, newest first; paging is the API's own work."""

    data: list[Object]
    url: str


def retrieving(kind: str) -> Handler:
    """A handler that answers the object of the path."""

    def retrieve(call: Call) -> Object:
        found = call.world.table(kind).get(call.id)
        if kind == "customer" and found is not None and found.get("deleted"):
            return found
        return call.world.get(kind, call.id)

    return retrieve


def listing_of(kind: str, url: str, *filters: str) -> Callable[[Call], Rows]:
    """A handler that lists a kind, filtered by equality on the named fields and by `created`."""

    def rows(call: Call) -> Rows:
        def keep(row: Object) -> bool:
            same = all(row.get(f) == call.params[f] for f in filters if f in call.params)
            return same and within(row.get("created"), call.params.get("created"))

        return Rows(call.world.rows(kind, keep), url)

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
