"""The process dies at the calls of every door in every story: each third call here, all of them,
and in every other way, in `make conformance`."""

from pathlib import Path

import pytest

from tests.conformance.every_call import fail_at_every_call
from tests.conformance.histories import NAMED

pytestmark = pytest.mark.slow
STRIDE = 3


@pytest.mark.parametrize("name", NAMED)
def test_a_death_is_made_good_by_the_caller(name: str, tmp_path: Path) -> None:
    first = 1 + sorted(NAMED).index(name) % STRIDE
    died = fail_at_every_call(
        NAMED[name], tmp_path, ["dies before a call"], first=first, stride=STRIDE
    )
    assert died.total() > 0
