"""A past of any size that takes no room: `count` copies of one story, drawn when looked at.

A story (`stories`) is played once, by the fake itself, on a clock far in the future. What it made
is kept as text with gaps: the last seven digits of each id, and the times. Copy `i` of it is that
text with `i` and its own times put in. Reading draws a copy and forgets it; the first call that
wants to change an object brings its whole copy into the account's tables, and there it stays.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .world import World

Object = dict[str, Any]
START = 9_000_000_000  # 14 March 2255: no number of a story but a time begins like it
MARK = "~~~~~~~"  # where the number of a copy goes
DIGITS = len(MARK)
_GAPS = re.compile(r"(?<![0-9A-Za-z_])(90\d{8})(?![0-9A-Za-z_])")


class Drawn(dict[str, Any]):
    """An object of the past, fresh, with the notes of `events.pictured` already in it."""


class Spot(NamedTuple):
    """Where an object of the past is. Spots are in the order in which lists break ties."""

    batch: int
    slot: int
    copy: int


@dataclass(slots=True)
class Slot:
    """One object of the story: its text in pieces, times as numbers of seconds after the start."""

    kind: str
    raw: list[str | int]
    drawn: list[str | int]
    created: int


@dataclass
class Batch:
    """`count` copies of a story, the first begun at `first`, the last at `last`."""

    count: int
    first: int
    last: int
    slots: list[Slot]
    ids: dict[str, int] = field(default_factory=dict)  # an id without its digits -> slot

    def begun(self, copy: int) -> int:
        return self.first + (self.last - self.first) * copy // max(1, self.count - 1)

    def draw(self, slot: int, copy: int) -> Drawn:
        return Drawn(self._read(self.slots[slot].drawn, copy))

    def raw(self, slot: int, copy: int) -> Object:
        return self._read(self.slots[slot].raw, copy)

    def _read(self, pieces: list[str | int], copy: int) -> Object:
        begun = self.begun(copy)
        text = "".join(p if isinstance(p, str) else str(begun + p) for p in pieces)
        return json.loads(text.replace(MARK, f"{copy:0{DIGITS}d}"))

    @cached_property
    def samples(self) -> list[Drawn]:
        return [self.draw(slot, 0) for slot in range(len(self.slots))]


class Past:
    """The batches of one account's side."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def add(self, count: int, first: int, last: int, story: list[tuple[Object, Object]]) -> Batch:
        """`story` holds each object twice: as stored, and as pictured. Returns the batch."""
        slots = [_slot(raw, drawn) for raw, drawn in story]
        made = Batch(count=count, first=first, last=last, slots=slots)
        for number, (raw, _) in enumerate(story):
            made.ids[raw["id"][:-DIGITS]] = number
        self.batches.append(made)
        return made

    def find(self, id_: Any) -> Spot | None:
        """Where that id is, or None if it is not of the past."""
        if not isinstance(id_, str) or not id_[-DIGITS:].isdecimal():
            return None
        for number, batch in enumerate(self.batches):
            slot = batch.ids.get(id_[:-DIGITS])
            if slot is not None and int(id_[-DIGITS:]) < batch.count:
                return Spot(number, slot, int(id_[-DIGITS:]))
        return None

    def kind_at(self, spot: Spot) -> str:
        return self.batches[spot.batch].slots[spot.slot].kind

    def draw(self, spot: Spot) -> Drawn:
        return self.batches[spot.batch].draw(spot.slot, spot.copy)

    def created(self, spot: Spot) -> int:
        batch = self.batches[spot.batch]
        return batch.begun(spot.copy) + batch.slots[spot.slot].created

    def bring(self, world: "World", spot: Spot) -> None:
        """Puts a whole copy into the account's tables, where it may change."""
        batch = self.batches[spot.batch]
        brought = [batch.raw(number, spot.copy) for number in range(len(batch.slots))]
        for slot, made in zip(batch.slots, brought, strict=True):
            world.table(slot.kind).setdefault(made["id"], made)
            world.index(slot.kind, made)
        for made in brought:
            world.join(made)

    def spots(self, kind: str, low: int, high: int, *, up: bool) -> Iterator[Iterator[Spot]]:
        """For each batch and slot of that kind: what was created from `low` to `high`, in order."""
        for number, batch in enumerate(self.batches):
            for place, slot in enumerate(batch.slots):
                if slot.kind == kind:
                    copies = range(batch.count)
                    start = bisect_left(copies, low - slot.created, key=batch.begun)
                    end = bisect_right(copies, high - slot.created, key=batch.begun)
                    span = range(start, end) if up else range(end - 1, start - 1, -1)
                    yield _spots(number, place, span)

    def copies_near(self, kind: str, numbers: set[int]) -> Iterator[Spot]:
        """The objects of that kind in the copies with one of these numbers, of every batch."""
        for number, batch in enumerate(self.batches):
            for copy in sorted(n for n in numbers if n < batch.count):
                for place, slot in enumerate(batch.slots):
                    if slot.kind == kind:
                        yield Spot(number, place, copy)

    def dump(self) -> list[Object]:
        return [
            {
                "count": b.count,
                "first": b.first,
                "last": b.last,
                "slots": [[s.kind, s.raw, s.drawn, s.created] for s in b.slots],
                "ids": b.ids,
            }
            for b in self.batches
        ]

    def load(self, dumped: list[Object]) -> None:
        self.batches = [Batch(**b | {"slots": [Slot(*s) for s in b["slots"]]}) for b in dumped]


class Table(dict[str, Object]):
    """One kind's objects by id, where an object of the past comes to be when it is first named.
    Walking through it meets only what is already there."""

    def __init__(self, world: "World", kind: str, rows: dict[str, Object]) -> None:
        super().__init__(rows)
        self._world, self._kind = world, kind

    def __missing__(self, id_: str) -> Object:
        spot = self._spot(id_)
        if spot is None:
            raise KeyError(id_)
        self._world.past.bring(self._world, spot)
        return dict.__getitem__(self, id_)

    def __contains__(self, id_: object) -> bool:
        return dict.__contains__(self, id_) or self._spot(id_) is not None

    def get(self, id_: str, default: Any = None) -> Any:
        try:
            return self[id_]
        except KeyError:
            return default

    def _spot(self, id_: object) -> Spot | None:
        spot = self._world.past.find(id_)
        known = spot is not None and self._world.past.kind_at(spot) == self._kind
        return spot if known else None


def _spots(batch: int, slot: int, span: range) -> Iterator[Spot]:
    return (Spot(batch, slot, copy) for copy in span)


def _slot(raw: Object, drawn: Object) -> Slot:
    created = raw.get("created", START) - START
    return Slot(kind=raw["object"], raw=_pieces(raw), drawn=_pieces(drawn), created=created)


def _pieces(made: Object) -> list[str | int]:
    """The object's text; every second piece is a time."""
    split = _GAPS.split(json.dumps(made, ensure_ascii=False))
    return [int(p) - START if n % 2 else p for n, p in enumerate(split)]
