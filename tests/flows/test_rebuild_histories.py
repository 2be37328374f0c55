"""Made-up histories, told again into empty tables: the same end, to the last reason."""

import os
from pathlib import Path

import pytest

from chalicelib.flows.rebuild import rebuild
from tests.conformance.history import History
from tests.conformance.replay import play
from tests.conformance.vary import made_up
from tests.conformance.workers import no_pause, pausing_by
from tests.fakes.memory_store import MemoryStore

SEEDS = int(os.environ.get("REFLEDGER_SEEDS", "10"))
BLOCKS = 5


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_history_told_again_ends_the_same(block: int, tmp_path: Path) -> None:
    sales = 0
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        story = made_up(seed)
        with pausing_by(no_pause):
            stage = play(History(story=story, seed=seed), tmp_path / str(seed)).stage
            assert stage.unsteady is not None
            source, now = stage.unsteady.inner, stage.ms
            done = rebuild(source, MemoryStore(), named={}, now=now, pause=no_pause)
        assert done.replayed.troubles == [], f"seed {seed}"
        assert done.compared.differences == [], f"seed {seed}"
        assert story.paid_out or done.compared.moved == 0, f"seed {seed}"
        sales += done.compared.counts["sale"]
    assert sales > SEEDS
