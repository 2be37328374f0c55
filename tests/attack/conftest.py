from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.entrypoints import wiring
from tests.doors_kit import Doors


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    yield Doors(tmp_path)
    wiring.set_house(None)
    wiring.set_clock(lambda: datetime.now(UTC))
