"""200 histories, as `make conformance` plays them by the thousand; 20 of them in `make check`."""

from pathlib import Path

import pytest

from tests.conformance.histories import name_of, numbered
from tests.conformance.replay import replay

SEED, SHARDS, OF_SHARD = 2026, 20, 10


@pytest.mark.parametrize(
    "shard",
    [pytest.param(n, marks=[pytest.mark.slow] if n > 1 else []) for n in range(SHARDS)],
)
def test_histories_end_as_their_stories_do(shard: int, tmp_path: Path) -> None:
    for number in range(shard * OF_SHARD, (shard + 1) * OF_SHARD):
        try:
            replay(numbered(SEED, number), tmp_path, rebuilt=number % OF_SHARD == 0)
        except Exception as broken:
            again = f"python -m tests.conformance --seed {SEED} --play {number}"
            pytest.fail(f"{name_of(SEED, number)}: {broken}\n\nmake it short: {again} --shrink")


def test_a_number_always_gives_the_same_history() -> None:
    for number in range(40):
        one, other = numbered(SEED, number), numbered(SEED, number)
        assert one.troubles == other.troubles
        assert one.story.tells == other.story.tells
        assert [act.says for act in one.story.acts] == [act.says for act in other.story.acts]
