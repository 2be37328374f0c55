"""The stories by name come to the same end in whatever order, however often and however badly they
are told; and where a person has worked it out, to that end."""

import os
import random
from pathlib import Path

import pytest

from tests.builders.world import World
from tests.conformance.histories import NAMED
from tests.conformance.history import History, troubled
from tests.conformance.replay import replay
from tests.conformance.short_stories import SHORT

SEEDS = int(os.environ.get("REFLEDGER_SEEDS", "1"))  # histories of each story
STORIES = SHORT


def pay_all(world: World) -> None:
    """Everybody is paid what is payable by now."""
    world.pay_all()


@pytest.mark.parametrize("name", NAMED)
def test_every_order_ends_the_same(name: str, tmp_path: Path) -> None:
    story = NAMED[name]
    replay(History(story=story), tmp_path)
    for seed in range(SEEDS):
        replay(troubled(story, random.Random(seed), seed), tmp_path)
