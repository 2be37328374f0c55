"""Lists of the API: a page by cursor or by number, with its links and meta."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from chalice.app import Request, Response

from chalicelib.core.refusals import Invalid, NotFound, Refusal
from chalicelib.entrypoints import api_shapes as shapes
from chalicelib.entrypoints.answers import base_url, ok, query, requested_path

MAX_LIMIT = 250
DEFAULT_LIMIT = 15
PAGED_ROWS = 1_000  # as far as ``page`` goes; ``starting_after`` goes on


def listed(
    request: Request,
    read: Callable[[int, str, int], tuple[Sequence[Any], bool]],
    *,
    cursor: Callable[[Any], str],
    shape: Callable[[Any], shapes.Shape],
) -> Response:
    """A page of a list. ``read(limit, after, skip)`` gives rows and whether more follow; pages by
    number are found from the start, so they end at 1,000 rows."""
    asked = query(request)
    limit = _whole_number(asked, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    after = asked.get("starting_after", "")
    page = _whole_number(asked, "page", 1, PAGED_ROWS)
    if page > 1 and after:
        raise Invalid({"page": ["Give page or starting_after, not both."]})
    if page * limit > PAGED_ROWS and page > 1:
        raise Invalid({"page": ["Pages end at 1,000 rows; go on with starting_after."]})
    try:
        rows, more = read(limit, after, (page - 1) * limit)
    except NotFound as refusal:
        raise _bad_cursor(refusal, asked) from refusal
    return _page(request, rows, page, limit, more=more, cursor=cursor, shape=shape)


def _bad_cursor(refusal: NotFound, asked: Any) -> Refusal:
    if not asked.get("starting_after"):
        return refusal
    return Invalid({"starting_after": [refusal.message]})


def _page(
    request: Request,
    rows: Sequence[Any],
    page: int,
    limit: int,
    *,
    more: bool,
    cursor: Callable[[Any], str],
    shape: Callable[[Any], shapes.Shape],
) -> Response:
    last = cursor(rows[-1]) if rows and more else None
    kept = {n: v for n, v in query(request).items() if n not in ("page", "starting_after")}
    here = f"{base_url(request)}{requested_path(request)}"
    link = f"{here}?{urlencode({**kept, 'starting_after': last})}" if last else None
    return ok(
        [shape(row) for row in rows],
        links={"next": link},
        meta={"limit": limit, "page": page, "has_more": more, "next": last},
    )


def _whole_number(asked: Any, name: str, default: int, most: int) -> int:
    text = asked.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise Invalid({name: [f"A whole number from 1 to {most}."]})
    return int(text)
