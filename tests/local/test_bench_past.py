"""The bench of a long past, on a short one: what it counts is what it says."""

from pathlib import Path

import pytest

from local.bench.past import PastBrought, measure_past, show

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> PastBrought:
    folder: Path = tmp_path_factory.mktemp("past")
    return measure_past(folder, 2_400)


def test_every_object_is_read_and_every_sale_found(brought: PastBrought) -> None:
    assert brought.last.done == 300 * 4 + 100 * 12
    assert brought.sales == 300 + 100 * 3
    assert brought.unexplained == 0


def test_an_object_costs_the_same_at_the_end(brought: PastBrought) -> None:
    assert brought.ratio("calls") == pytest.approx(1, abs=0.1)
    assert brought.ratio("written") == pytest.approx(1, abs=0.1)


def test_what_is_known_is_neither_found_nor_written(brought: PastBrought) -> None:
    assert (brought.again_found, brought.again_written) == (0, 0)


def test_it_can_be_read(brought: PastBrought) -> None:
    assert "2,400 objects, 600 sales" in show(brought)
