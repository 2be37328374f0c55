"""Counting clicks from the stream of the clicks table: each once, however often it is told.

A click's mark ``counted`` and the additions it makes are one transaction. (The stream's events
do not say which shard they are of, so a checkpoint per shard has nothing to hold on to:
``docs/decisions/0008-click-counters.md``.)
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from chalicelib.core.facts import Ms, Touch
from chalicelib.core.people import People
from chalicelib.core.refusals import Unavailable
from chalicelib.core.sale import Sale
from chalicelib.core.told import Told
from chalicelib.flows.gather import gather
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.settle_work import book_and_settle, discard
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Click
from chalicelib.storage.store import Add, Item, Key, Put, Stale, Store, Write

AT_ONCE = 25  # clicks of one transaction: each its mark, and at most two counters
TRIES = 6
MODES = ("live", "test")


def count_clicks(
    clicks: Iterable[Key],
    *,
    store: Store,
    now: Ms,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Count clicks by their keys, and tell those who waited for one of them. Returns how many
    were counted now."""
    wanted = [key for key in dict.fromkeys(clicks) if key.sk == "click"]
    counted = 0
    for start in range(0, len(wanted), AT_ONCE):
        counted += _count(wanted[start : start + AT_ONCE], store, pause)
    for start in range(0, len(wanted), AT_ONCE):
        _tell_who_waited(wanted[start : start + AT_ONCE], store=store, now=now)
    return counted


def _count(wanted: Sequence[Key], store: Store, pause: Callable[[float], None]) -> int:
    for attempt in range(TRIES):
        items = [item for item in store.get(wanted).values() if "counted" not in item.body]
        if not items:
            return 0
        try:
            store.commit(_additions(items))
        except Stale:
            pause(0.02 * 2**attempt)
            continue
        return len(items)
    raise Unavailable


def _additions(items: Sequence[Item]) -> list[Write]:
    counts: Counter[Key] = Counter()
    writes: list[Write] = []
    for item in items:
        click = records.read_click(item)
        counts[keys.click_count(click.program, click.partner, "total")] += 1
        counts[keys.click_count(click.program, click.partner, utc_day(click.at))] += 1
        counts[keys.click_count(click.program, "", utc_day(click.at))] += 1
        writes.append(Put(records.click_item(replace(click, counted=True), item.version)))
    return [*writes, *(Add(key, {"clicks": number}) for key, number in counts.items())]


def utc_day(at: Ms) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).date().isoformat()


def _tell_who_waited(wanted: Sequence[Key], *, store: Store, now: Ms) -> None:
    """A sign-up or a checkout that came before its click learns of it now."""
    awaited = [Key(key.table, key.pk, f"awaited#{mode}") for key in wanted for mode in MODES]
    found = store.get(awaited)
    if not found:
        return
    clicks = store.get([Key(key.table, key.pk, "click") for key in found])
    for key, item in found.items():
        click = clicks.get(Key(key.table, key.pk, "click"))
        if click is not None:
            seen = records.read_click(click)
            scope = Scope(seen.program, "live" if key.sk == "awaited#live" else "test")
            for identity in item.body["identities"]:
                see_click(seen, str(identity), scope=scope, store=store, now=now)
            discard(item, store=store)


def see_click(click: Click, identity: str, *, scope: Scope, store: Store, now: Ms) -> None:
    """Give the touches that carry the click's token its time."""
    about = Told(people=records.people_about(identity))
    known = until_not_stale(lambda _: gather(about, scope=scope, store=store, pointers=1))
    touches = {
        touch.id: replace(touch, click_at=click.at)
        for stored in known.households
        for touch in stored.household.people.touches.values()
        if touch.token == click.token
    }
    tellings = [Told(people=People(touches=touches))] if touches else []
    tellings += [Told(sale=_sale_with(touch)) for touch in touches.values() if touch.sale]
    for told in tellings:
        book_and_settle(told, scope=scope, store=store, now=now, journal=False)


def _sale_with(touch: Touch) -> Sale:
    """A sale keeps its own evidence, which the household may have let go of by then."""
    named = frozenset(i for i in (touch.identity,) if not i.startswith("payment:"))
    return Sale(ids=frozenset({touch.sale}), identities=named, touches={touch.id: touch})
