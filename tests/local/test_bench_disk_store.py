"""The bench's store in a file keeps the store's contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.bench.disk_store import DiskStore
from tests.storage import test_store_contract as contract
from tests.storage import test_walk as walk
from tests.storage.backends import Backend

pytestmark = pytest.mark.slow


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    store = DiskStore(tmp_path / "items")
    yield Backend(store=store, trips=store.calls, tables={})


@pytest.fixture
def store(backend: Backend) -> DiskStore:
    assert isinstance(backend.store, DiskStore)
    return backend.store


class TestVersions(contract.TestVersions):
    pass


class TestRemoveAndCheck(contract.TestRemoveAndCheck):
    pass


class TestAdd(contract.TestAdd):
    pass


class TestAllOrNothing(contract.TestAllOrNothing):
    pass


class TestPages(contract.TestPages):
    pass


class TestIndexes(contract.TestIndexes):
    pass


def test_a_walk_meets_every_item(store: DiskStore) -> None:
    walk.test_every_item_once_and_whole(store, 3)
