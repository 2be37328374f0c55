"""The sales that a backfill changed: shown one by one, each with reward and reason, and added up.

What is added up is what is shown: a line per sale, and one per sale that became part of another,
which keeps what was posted under it. All of them together are what the balances moved by.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.names import Ms
from chalicelib.core.settlement import SettledSale
from chalicelib.core.validation import is_text
from chalicelib.flows.show_sales import place_of_sale
from chalicelib.storage import keys, noted, records, what_if
from chalicelib.storage.job_records import Job
from chalicelib.storage.keys import Scope
from chalicelib.storage.noted import Note, notes_of
from chalicelib.storage.store import BookStore, Item, Key
from chalicelib.storage.what_if import WhatIf

MOST_PARTNERS = 500  # lines of one result, by partner and currency; the rest is one line
MOST_REASONS = 100
DAY_MS = 86_400_000
PLACE = re.compile(r"[0-9]{13}#")
MAX_PLACE_BYTES = 1_000
AGAIN = "again"  # in the cursor: how often a preview began anew
OTHERS = "(others)"  # no partner has such a key

Lines = dict[tuple[str, str], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSale:
    """A note with the sale as it stands. ``holds``: the note is at the sale's own place; else the
    sale is shown elsewhere, and here only what was posted under an earlier name or time."""

    note: Note
    settled: SettledSale
    holds: bool


def view_of(job: Job, store: BookStore) -> BookStore:
    """The books as the job sees and leaves them; of a preview they are its own, and others each
    time that it began anew."""
    again = job.cursor.get(AGAIN)
    name = f"{job.id}-{again}" if again else job.id
    return WhatIf(store, name, job.created_at) if job.params["preview"] else store


def kept_until(job: Job) -> Ms:
    """Until when the single sales of the job can be seen."""
    days = what_if.KEPT_DAYS if job.params["preview"] else noted.KEPT_DAYS
    return job.created_at + days * DAY_MS


def job_sales(
    job: Job, *, store: BookStore, limit: int, after: str = "", skip: int = 0
) -> tuple[Sequence[JobSale], bool]:
    """A page of what the job changed, by time of payment, and whether more follows; ``after`` is
    the place of a note."""
    view = view_of(job, store)
    notes, more = notes_of(job.id, store=view, after=after, limit=skip + limit)
    return _looked_up(notes[skip:], scope=job.scope, store=view), more


def is_noted(job: Job, place: str, *, store: BookStore) -> bool:
    """Whether the job has a note at that place."""
    if not PLACE.match(place) or not is_text(place) or len(place.encode()) > MAX_PLACE_BYTES:
        return False
    key = keys.job_sale(job.id, place)
    return key in view_of(job, store).get([key])


def _looked_up(notes: Sequence[Note], *, scope: Scope, store: BookStore) -> list[JobSale]:
    by_note = {note.place: keys.sale(scope, note.sale) for note in notes}
    items = store.get(list(by_note.values())) if notes else {}
    became = {_became(scope, item) for item in items.values() if "of" in item.body}
    items |= store.get(list(became)) if became else {}
    return [_job_sale(note, by_note[note.place], items, scope) for note in notes]


def _became(scope: Scope, alias: Item) -> Key:
    return keys.sale(scope, str(alias.body["of"]))


def _job_sale(note: Note, key: Key, items: Mapping[Key, Item], scope: Scope) -> JobSale:
    item = items[key]
    settled = records.read_sale(items[_became(scope, item)] if "of" in item.body else item)
    return JobSale(note=note, settled=settled, holds=place_of_sale(settled) == note.place)


def added(sums: Mapping[str, Any], sales: Sequence[JobSale]) -> dict[str, Any]:
    """The sums with some sales more: how many were found and how many of the known ones changed,
    what was paid, who gets what, and why; who gets nothing, and why."""
    counts = {name: int(sums.get(name, 0)) for name in ("found", "changed")}
    amounts = dict(sums.get("amounts", {}))
    partners = _lines(sums, "partners", "partner")
    reasons, nobody = (_lines(sums, name, "because") for name in ("reasons", "nobody"))
    for sale in sales:
        summary, settled = sale.settled.summary(), sale.settled
        if sale.holds:
            counts["found" if sale.note.new else "changed"] += 1
        if sale.holds and sale.note.new:
            amounts[summary.currency] = amounts.get(summary.currency, 0) + summary.amount
        because = words(settled.because)
        credited = f"{settled.credited}|{summary.currency}"
        earned = {n: m for n, m in sale.note.earned.items() if m}
        for name in {*earned, *([credited] if sale.holds and settled.credited else [])}:
            partner, currency = name.split("|")
            count = int(sale.holds and name == credited)
            minor = earned.get(name, 0)
            _add(partners, (partner, currency), count, minor, most=MOST_PARTNERS)
            _add(reasons, (because, currency), count, minor, most=MOST_REASONS)
        if sale.holds and not settled.credited:
            _add(nobody, (because, summary.currency), 1, summary.amount, most=MOST_REASONS)
    return {
        **counts,
        "amounts": amounts,
        "partners": _told(partners, "partner"),
        "reasons": _told(reasons, "because"),
        "nobody": _told(nobody, "because"),
    }


_SAME = (
    (re.compile(r"\b\d+ of (\d+) days"), r"within \1 days"),
    (re.compile(r"\b\d+ days before, outside"), "outside"),
    (re.compile(r"\bpayment \d+ of (\d+)"), r"one of the first \1 payments"),
    (re.compile(r"; less [0-9.]+ taken back"), "; in part taken back"),
    (re.compile(r"first paid on [0-9-]+, before"), "paid before"),
)


def words(because: str) -> str:
    """The reason without what is different for each sale, so that equal ones can be counted."""
    for pattern, same in _SAME:
        because = pattern.sub(same, because)
    return because


def _lines(sums: Mapping[str, Any], name: str, of: str) -> Lines:
    return {
        (line[of], line["currency"]): [line["sales"], line["minor"]] for line in sums.get(name, ())
    }


def _add(lines: Lines, name: tuple[str, str], count: int, minor: int, *, most: int) -> None:
    """To the line of that name; where there are as many as there may be, to that of the others.
    A line that has a name holds all of it."""
    kept = name if name in lines or len(lines) < most else (OTHERS, name[1])
    line = lines.setdefault(kept, [0, 0])
    line[0] += count
    line[1] += minor


def _told(lines: Lines, of: str) -> list[dict[str, Any]]:
    """The lines, the largest first, the others last."""
    ordered = sorted(lines, key=lambda n: (n[0] == OTHERS, -abs(lines[n][1]), -lines[n][0], n))
    return [
        {of: name[0], "currency": name[1], "sales": lines[name][0], "minor": lines[name][1]}
        for name in ordered
    ]
