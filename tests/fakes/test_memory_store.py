"""What the store in memory can do beyond the contract: hooks, counts and speed."""

import time
from collections.abc import Sequence

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import Add, Item, Key, Put, Stale, Write

from .memory_store import MemoryStore

KEY = Key("records", "p", "one")


def test_a_failure_before_a_commit_leaves_nothing() -> None:
    store = MemoryStore()

    def fail(call: str, writes: Sequence[Write]) -> None:
        assert (call, list(writes)) == ("commit", [Put(Item(key=KEY))])
        raise Unavailable()

    store.before = fail
    with pytest.raises(Unavailable):
        store.commit([Put(Item(key=KEY))])
    assert store.everything() == {}
    assert store.calls.total() == 0


def test_a_failure_after_a_commit_loses_the_answer_alone() -> None:
    store = MemoryStore()

    def fail(call: str, writes: Sequence[Write]) -> None:
        raise Unavailable()

    store.after = fail
    with pytest.raises(Unavailable):
        store.commit([Put(Item(key=KEY))])
    assert store.everything() == {KEY: Item(key=KEY, version=1)}


def test_a_hook_can_play_somebody_else_in_between() -> None:
    store = MemoryStore()

    def intrude(call: str, writes: Sequence[Write]) -> None:
        if call == "commit":
            store.before = None
            store.commit([Put(Item(key=KEY, body={"by": "another"}))])

    store.before = intrude
    with pytest.raises(Stale):
        store.commit([Put(Item(key=KEY))])
    assert store.get([KEY])[KEY].body == {"by": "another"}


@pytest.mark.slow
def test_a_hundred_thousand_items_in_one_partition_stay_quick() -> None:
    """Some 5 s of this process, where a walk over the partition per call would take minutes."""
    store = MemoryStore()
    started = time.process_time()
    for n in range(100_000):
        sort = f"{n * 7919 % 100_000:06}"
        store.commit([Put(Item(key=Key("records", "p", sort), listing=("all", sort)))])
    for n in range(1_000):
        assert len(store.find("records", "listing", "all", after=f"{n:06}", limit=50).items) == 50
        store.commit([Add(Key("records", "p", f"{n:06}"), {"n": 1})])
    assert time.process_time() - started < 20
