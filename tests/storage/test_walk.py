"""Walking a whole table: every item once, whatever stands in it, page by page."""

import pytest

from chalicelib.core.refusals import NotFound
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.store import Add, Item, Key, Put, Remove, Store

from .backends import Backend


def walked(store: Store, limit: int) -> list[Item]:
    page = store.walk("records", limit=limit)
    found = list(page.items)
    while page.more and page.items:
        assert len(page.items) <= limit
        page = store.walk("records", after=page.items[-1].key, limit=limit)
        found += page.items
    return found


def key(pk: str, sk: str = "s") -> Key:
    return Key("records", pk, sk)


def test_an_empty_table(store: Store) -> None:
    page = store.walk("records", limit=10)
    assert (list(page.items), page.more) == ([], False)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_every_item_once_and_whole(store: Store, limit: int) -> None:
    items = [
        Item(key=key(f"p{n}", f"s{m}"), body={"n": n}, due=("due", f"{m}"), blob=b"\x00")
        for n in range(3)
        for m in range(2)
    ]
    for item in items:
        store.commit([Put(item)])
    store.commit([Add(key("numbers"), {"clicks": 3})])
    store.commit([Put(Item(key=Key("inbox", "elsewhere", "head")))])
    found = walked(store, limit)
    assert len(found) == len({item.key for item in found}) == 7
    assert {item.key: item for item in found} == store.get([item.key for item in found])


def test_what_goes_and_comes_behind_does_not_disturb(store: Store) -> None:
    for n in range(6):
        store.commit([Put(Item(key=key(f"p{n}")))])
    page = store.walk("records", limit=3)
    met = [item.key for item in page.items]
    store.commit([Remove(met[-1], 1)])
    rest = store.walk("records", after=met[-1], limit=10)
    assert len({*met, *(item.key for item in rest.items)}) == 6


def test_items_of_more_than_a_megabyte(store: Store) -> None:
    for n in range(4):
        store.commit([Put(Item(key=key(f"p{n}"), blob=bytes(350_000)))])
    assert len(walked(store, 100)) == 4


def test_what_cannot_be_walked(store: Store) -> None:
    with pytest.raises(ValueError, match="limit"):
        store.walk("records", limit=0)
    with pytest.raises(ValueError, match="not of table"):
        store.walk("inbox", after=key("p"), limit=1)


def test_a_page_is_one_trip(backend: Backend) -> None:
    backend.store.commit([Put(Item(key=key("p")))])
    backend.trips.clear()
    backend.store.walk("records", limit=10)
    assert backend.trips.total() == 1


def test_tables_that_are_not_there_are_named(dynamo: Backend) -> None:
    store = DynamoStore({**dynamo.tables, "records": "refledger-nowhere-records"})
    with pytest.raises(NotFound, match="no table refledger-nowhere-records"):
        store.walk("records", limit=1)
