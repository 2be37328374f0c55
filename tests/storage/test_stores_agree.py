"""Random commits and reads mean the same to the store in memory and to the one on DynamoDB."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.storage.store import (
    Add,
    Check,
    Item,
    Key,
    Put,
    Remove,
    Stale,
    Store,
    TableName,
    Write,
)
from tests.fakes.memory_store import MemoryStore

from .backends import on_moto

PARTITIONS = ("p", "q")
SORTS = ("a", "b", "c")

tables: st.SearchStrategy[TableName] = st.sampled_from(["records", "clicks"])
keys = st.builds(Key, tables, st.sampled_from(PARTITIONS), st.sampled_from(SORTS))
versions = st.integers(0, 2)
small = st.integers(-2, 2)
numbers = st.fixed_dictionaries({}, optional={"m": small, "n": small})
amounts = st.fixed_dictionaries({"m": small}) | st.fixed_dictionaries({"m": small, "n": small})
values = st.integers() | st.text(max_size=9)
pairs = st.none() | st.tuples(st.just("i"), st.sampled_from(SORTS))


@st.composite
def items(draw: st.DrawFn) -> Item:
    key = draw(keys)
    indexed = key.table == "records"
    return Item(
        key=key,
        body=draw(st.fixed_dictionaries({}, optional={"x": values, "y": values})),
        version=draw(versions),
        due=draw(pairs) if indexed else None,
        partner=draw(pairs) if indexed else None,
        blob=draw(st.none() | st.binary(max_size=3)),
        expires_at=draw(st.none() | st.integers(0, 2**40)),
    )


writes: st.SearchStrategy[Write] = st.one_of(
    st.builds(Put, items(), blind=st.booleans()),
    st.builds(Remove, keys, versions),
    st.builds(Check, keys, versions),
    st.builds(Add, keys, amounts, when=st.just({}) | numbers),
)


def key_of(write: Write) -> Key:
    return write.item.key if isinstance(write, Put) else write.key


commits = st.lists(writes, min_size=1, max_size=4, unique_by=key_of)
bounds = st.fixed_dictionaries(
    {
        "after": st.sampled_from(["", "a", "aa", "c"]),
        "until": st.sampled_from(["", "a", "b", "bb"]),
        "limit": st.integers(1, 4),
        "backwards": st.booleans(),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(commits, max_size=12), page=bounds)
def test_the_same_history_leaves_the_same_store(
    history: list[list[Write]], page: dict[str, Any]
) -> None:
    memory = MemoryStore()
    with on_moto() as moto:
        for commit in history:
            assert outcome(memory, commit) == outcome(moto.store, commit)
        for read in reads(page):
            assert read(memory) == read(moto.store)


def outcome(store: Store, commit: list[Write]) -> str:
    try:
        store.commit(commit)
    except Stale:
        return "stale"
    return "written"


def reads(page: dict[str, Any]) -> list[Callable[[Store], Any]]:
    every = [
        Key(table, pk, sk) for table in ("records", "clicks") for pk in PARTITIONS for sk in SORTS
    ]
    return [
        lambda store: store.get(every),
        lambda store: store.query("records", "p", **page),
        lambda store: store.query("clicks", "q", **page),
        lambda store: sorts_of(store, page),
    ]


def sorts_of(store: Store, page: dict[str, Any]) -> Any:
    """Which of several equal sort keys of an index comes first is nobody's promise."""
    found = store.find("records", "due", "i", **page)
    return [item.due for item in found.items], found.more
