"""Catching up with Stripe's list of events: what it could not deliver, then all since the last that
was seen, so that an outage of ours, or an endpoint that Stripe switched off, loses nothing.

Both walks go from the oldest on, a window of time after the other; inside one a page is read as
Stripe lists it, newest first. Whatever is not in the inbox is taken in, its object read again: a
listed event has the shape of the day on which it was made. The cursor is exact at every page: all
that was made before ``seen_through`` is in the inbox. https://docs.stripe.com/api/events/list
"""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from chalicelib.core.refusals import PermissionMissing, StripeRefused
from chalicelib.flows.job_desk import Desk, Step
from chalicelib.flows.keep_object import take_in
from chalicelib.log import log
from chalicelib.storage import keys, records
from chalicelib.storage.job_records import Job
from chalicelib.stripe_adapter.calls import PATHS, Rows
from chalicelib.stripe_adapter.objects import EXPAND, with_object
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

Walk = Literal["undelivered", "seen"]
Event = Mapping[str, Any]
Counts = MutableMapping[str, int]

KEPT_S = 30 * 86_400  # Stripe lists events for so long; what is older is the backfill's
GRACE_S = 300  # what is younger is left to its own delivery
OVERLAP_S = 3_600  # of what was not delivered: an event may turn up in the list late
WINDOW_S = 6 * 3_600
MOST_TYPES = 20  # of one request
MOST_CALLS = 20  # pages with nothing missing that one step looks at
TYPES = tuple(ENABLED_EVENTS[i : i + MOST_TYPES] for i in range(0, len(ENABLED_EVENTS), MOST_TYPES))
FETCHED = frozenset(PATHS) - {"event"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a run stands, in unix seconds: in the window of one walk from ``start`` to ``stop``
    (without that second), at the types of that number, behind the event ``after``. The run ends at
    ``end``. The first two say how far each walk has come; they alone stay for the next run."""

    undelivered_through: int
    seen_through: int
    walk: Walk | Literal[""] = ""
    start: int = 0
    stop: int = 0
    end: int = 0
    types: int = 0
    after: str = ""


def step(job: Job, desk: Desk) -> Step:
    """Look at pages until one has something missing, and take that in. ``params`` may say
    ``grace_s`` and ``overlap_s`` (of what was seen), for somebody who looks every few seconds."""
    made, now_s = desk.connection.created_at // 1000, desk.now() // 1000
    place = _Place(**{"undelivered_through": made, "seen_through": made, **job.cursor})
    counts: Counts = dict(job.result)
    if not place.walk:
        counts = _not_listed(place, now_s - KEPT_S)
        place = _begin(place, job.params, now_s=now_s)
    looked_at = 0
    for _ in range(MOST_CALLS):
        if not place.walk or desk.until():
            break
        page = _page(place, desk)
        missing = _missing(page.rows, desk)
        if not _take_in(missing, desk, counts):
            break  # time is up; the rest of the page is missing at the next look
        looked_at += len(page.rows)
        place = _next(place, page, job.params, oldest=now_s - KEPT_S)
        if missing:
            break
    counts["seen"] = counts.get("seen", 0) + looked_at
    cursor = {name: value for name, value in asdict(place).items() if value or place.walk}
    return Step(cursor=cursor, done=looked_at, result=counts, ended=not place.walk)


def _not_listed(place: _Place, oldest: int) -> Counts:
    """What is lost to this list, after an outage of more than 30 days."""
    if place.seen_through >= oldest:
        return {}
    return {"not_listed_from": place.seen_through, "not_listed_until": oldest}


def _begin(place: _Place, params: Mapping[str, Any], *, now_s: int) -> _Place:
    end = now_s - int(params.get("grace_s", GRACE_S))
    start = max(place.undelivered_through - OVERLAP_S, now_s - KEPT_S)
    undelivered = _window(replace(place, walk="undelivered", end=end), start)
    return undelivered if undelivered.walk else _see(undelivered, params, oldest=now_s - KEPT_S)


def _see(place: _Place, params: Mapping[str, Any], *, oldest: int) -> _Place:
    start = max(place.seen_through - int(params.get("overlap_s", 0)), oldest)
    return _window(replace(place, walk="seen"), start)


def _window(place: _Place, start: int) -> _Place:
    """The window that begins there; no walk at all where there is nothing left before the end."""
    if start >= place.end:
        return _Place(
            undelivered_through=place.undelivered_through, seen_through=place.seen_through
        )
    return replace(place, start=start, stop=min(start + WINDOW_S, place.end), types=0, after="")


def _next(place: _Place, page: Rows, params: Mapping[str, Any], *, oldest: int) -> _Place:
    if page.more and page.rows:
        return replace(place, after=str(page.rows[-1].get("id", "")))
    if place.types + 1 < len(TYPES):
        return replace(place, types=place.types + 1, after="")
    if place.walk == "seen":
        return _window(replace(place, seen_through=max(place.seen_through, place.stop)), place.stop)
    come = max(place.undelivered_through, place.stop)
    place = replace(place, undelivered_through=come)
    further = _window(place, place.stop)
    return further if further.walk else _see(place, params, oldest=oldest)


def _page(place: _Place, desk: Desk) -> Rows:
    params: dict[str, Any] = {
        "types": list(TYPES[place.types]),
        "created": {"gte": place.start, "lt": place.stop},
    }
    if place.walk == "undelivered":
        params["delivery_success"] = False
    try:
        return desk.calls.page("event", params=params, after=place.after)
    except StripeRefused as refused:
        if not place.after or refused.stripe_code != "resource_missing":
            raise
    return desk.calls.page("event", params=params)  # that event is listed no more


def _missing(events: Sequence[Event], desk: Desk) -> list[Event]:
    """Those that are not in the inbox, oldest first. What came while the connection was closed,
    and was kept out, is missing as well."""
    places = {event["id"]: keys.inbox(desk.connection.id, event["id"]) for event in events}
    there = desk.store.get(list(places.values())) if places else {}
    known = {key for key, item in there.items() if not records.read_inbox(item).kept_out}
    return [event for event in reversed(events) if places[event["id"]] not in known]


def _take_in(events: Sequence[Event], desk: Desk, counts: Counts) -> bool:
    """Each with its object as it is now. False if time was up before the last."""
    objects: dict[tuple[str, str], Event | None] = {}
    for event in events:
        if desk.until():
            return False
        body = _body(event, objects, desk)
        received = take_in(
            body, connection=desk.connection, store=desk.store, now=desk.now(), until=desk.until
        )
        name = "taken_in" if received.state == "handled" else received.state
        counts[name] = counts.get(name, 0) + 1
        if received.state == "failed":
            told = {"event": received.event, "type": received.type}
            because = received.because
            log("catch_up", "failed", connection=desk.connection.id, because=because, **told)
    return True


def _body(event: Event, objects: dict[tuple[str, str], Event | None], desk: Desk) -> bytes:
    """The event with its object read again, where there is such a read; read once for all events
    of a page. What is gone, or not to be read with this key, is as the event has it."""
    about = event.get("data", {}).get("object", {})
    kind, id = str(about.get("object", "")), str(about.get("id", ""))
    if kind in FETCHED and id:
        if (kind, id) not in objects:
            try:
                found = desk.calls.retrieve(kind, id, expand=EXPAND.get(kind, ()))
            except (PermissionMissing, StripeRefused):
                found = None
            objects[kind, id] = found
        object = objects[kind, id]
        if object is not None:
            return with_object(event, object)
    return json.dumps(event, separators=(",", ":"), default=str).encode()
