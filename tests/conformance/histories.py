"""The histories by number: from a seed and a number the same history, each time and everywhere."""

import random

from tests.conformance.history import History, troubled
from tests.conformance.long_stories import LONG
from tests.conformance.short_stories import SHORT
from tests.conformance.story import Story
from tests.conformance.vary import made_up
from tests.conformance.worked_stories import WORKED

NAMED: dict[str, Story] = {**SHORT, **WORKED, **LONG}
BRIEF = {**SHORT, **WORKED}  # most of what is named; the long ones cost five times as much


def numbered(seed: int, number: int) -> History:
    """Three of four are made up; the fourth is a story by name."""
    mixed = seed * 1_000_003 + number
    rng = random.Random(f"history {seed} {number}")
    return troubled(_story(rng, mixed), rng, mixed)


def name_of(seed: int, number: int) -> str:
    """What story the history tells."""
    rng = random.Random(f"history {seed} {number}")
    return _named(rng) or "made up"


def _story(rng: random.Random, mixed: int) -> Story:
    name = _named(rng)
    return NAMED[name] if name else made_up(mixed)


def _named(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.01:
        return rng.choice(sorted(LONG))
    return rng.choice(sorted(BRIEF)) if kind < 0.25 else ""
