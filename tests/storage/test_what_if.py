"""A store for trying out keeps the store's contract for reads by key, pages and commits, whatever
stands in the real store already; and the real store never changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.storage import keys
from chalicelib.storage.store import Add, Check, Item, Key, Put, Remove, Stale, Store
from chalicelib.storage.what_if import KEPT_DAYS, WhatIf
from tests.fakes.memory_store import MemoryStore

from . import test_store_contract as contract
from .backends import Backend
from .test_store_contract import a_key, an_item, read, stored
from .test_stores_agree import bounds, commits, outcome

NOW = 1_777_593_600_000


@pytest.fixture(params=["over nothing", "over what expired tries left"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The contract's stores are new; another job's tries lie beside it."""
    real = MemoryStore()
    if request.param != "over nothing":
        for sk in ("one", "there", "a", "b"):
            WhatIf(real, "job_other", NOW).commit([Put(an_item(sk, body={"of": "another"}))])
    real.calls.clear()
    yield Backend(store=WhatIf(real, "job_1", NOW), trips=real.calls, tables={})


class TestVersions(contract.TestVersions):
    pass


class TestRemoveAndCheck(contract.TestRemoveAndCheck):
    pass


class TestAdd(contract.TestAdd):
    pass


class TestRefusedBeforeAnythingIsWritten(contract.TestRefusedBeforeAnythingIsWritten):
    def test_pages_that_cannot_be_read(self, backend: Backend) -> None:
        with pytest.raises(ValueError):
            backend.store.query("records", "prg_1", limit=0)
        with pytest.raises(ValueError):
            backend.store.query("records", "", limit=1)
        with pytest.raises(ValueError):
            backend.store.get([a_key("")])
        assert not backend.trips


class TestGet(contract.TestGet):
    def test_250_keys(self, backend: Backend) -> None:
        """Three trips for what was tried, and three for the rest."""
        items = [an_item(f"{n:03}", body={"n": n}) for n in range(250)]
        backend.store.commit([Put(item) for item in items[:100]])
        backend.trips.clear()
        found = backend.store.get([item.key for item in items])
        assert list(found) == [item.key for item in items[:100]]
        assert backend.trips == {"get": 5}


class TestWhatAnItemHolds(contract.TestWhatAnItemHolds):
    def test_any_text_in_keys(self, store: Store) -> None:
        item = an_item("Zoë#🦊 a/b", pk="東京" * 300, due=("ö", "🦊"))
        stored(store, item)
        assert read(store, item.key) == Item(key=item.key, due=item.due, version=1)


class TestPages(contract.TestPages):
    @pytest.fixture(params=[("records", None)], ids=str)
    def page(self, request: pytest.FixtureRequest, store: Store) -> Any:
        for letter in contract.LETTERS:
            stored(store, an_item(letter, pk="many"), an_item(letter, pk="else"))

        def page(**arguments: Any) -> tuple[str, bool]:
            answer = store.query("records", "many", **arguments)
            assert all(item.key.pk == "many" for item in answer.items)
            return "".join(item.key.sk for item in answer.items), answer.more

        return page

    def test_ties_in_an_index(self, store: Store) -> None:
        with pytest.raises(AttributeError):
            store.find("records", "due", "d", limit=1)
        with pytest.raises(AttributeError):
            store.walk("records", limit=1)


class TestAllOrNothing:
    def test_a_commit_writes_every_kind_in_every_table(self, store: Store) -> None:
        contract.TestAllOrNothing().test_a_commit_writes_every_kind_in_every_table(store)

    def test_a_hundred_writes_are_one_commit(self, store: Store) -> None:
        contract.TestAllOrNothing().test_a_hundred_writes_are_one_commit(store)

    @pytest.mark.parametrize(
        "failing",
        [Put(an_item("there")), Remove(a_key("there"), 2), Check(a_key("absent"), 1)],
        ids=lambda write: type(write).__name__,
    )
    def test_one_condition_that_fails_leaves_nothing(self, store: Store, failing: Any) -> None:
        stored(store, an_item("there", body={"n": 1}))
        with pytest.raises(Stale):
            store.commit([Put(an_item("new")), Add(a_key("balance"), {"n": 1}), failing])
        assert store.query("records", "prg_1", limit=9).items == [
            an_item("there", body={"n": 1}, version=1)
        ]


@settings(max_examples=150, deadline=None)
@given(before=st.lists(commits, max_size=8), tried=st.lists(commits, max_size=12), page=bounds)
def test_what_is_tried_comes_out_as_if_it_were_done(
    before: list[Any], tried: list[Any], page: dict[str, Any]
) -> None:
    real = MemoryStore()
    for commit in before:
        outcome(real, commit)
    done, stood = real.copy(), real.copy()
    what_if = WhatIf(real, "job_1", NOW)
    every = [
        Key(table, pk, sk)
        for table in ("records", "clicks")
        for pk in "pq"
        for sk in ("a", "b", "c")
    ]
    for commit in tried:
        assert outcome(what_if, commit) == outcome(done, commit)
    assert what_if.get(every) == done.get(every)
    for table, pk in (("records", "p"), ("clicks", "q")):
        assert what_if.query(table, pk, **page) == done.query(table, pk, **page)
    assert_unchanged(real, stood)


def assert_unchanged(real: MemoryStore, stood: MemoryStore) -> None:
    now, before = real.everything(), stood.everything()
    tries = {key for key in now if key not in before}
    assert {key: now[key] for key in now.keys() - tries} == before
    for key in tries:
        assert key.table == "sessions"
        assert key.pk.startswith("what-if#job_1#")
        assert now[key].expires_at == NOW // 1000 + KEPT_DAYS * 86_400


def test_two_jobs_do_not_see_each_other() -> None:
    real = MemoryStore()
    one, two = WhatIf(real, "job_1", NOW), WhatIf(real, "job_2", NOW)
    one.commit([Put(an_item(body={"n": 1}))])
    assert read(two, a_key()) is None
    assert two.query("records", "prg_1", limit=9).items == []
    two.commit([Put(an_item(body={"n": 2}))])
    assert read(one, a_key()) == an_item(body={"n": 1}, version=1)


def test_a_second_writer_of_one_job_is_stale() -> None:
    real = MemoryStore()
    first, second = WhatIf(real, "job_1", NOW), WhatIf(real, "job_1", NOW)

    def meanwhile(call: str, writes: Any) -> None:
        if call == "commit":
            real.before = None
            second.commit([Add(a_key(), {"n": 1})])

    real.before = meanwhile
    with pytest.raises(Stale):
        first.commit([Add(a_key(), {"n": 1})])
    item = read(first, a_key())
    assert item is not None
    assert item.numbers == {"n": 1}


def test_removed_ones_cost_pages_but_hide_nothing() -> None:
    real = MemoryStore()
    real.commit([Put(an_item(f"{n:03}")) for n in range(60)])
    what_if = WhatIf(real, "job_1", NOW)
    what_if.commit([Remove(a_key(f"{n:03}"), 1) for n in range(57)])
    page = what_if.query("records", "prg_1", limit=2)
    assert ([item.key.sk for item in page.items], page.more) == (["057", "058"], True)
    page = what_if.query("records", "prg_1", limit=5, backwards=True)
    assert ([item.key.sk for item in page.items], page.more) == (["059", "058", "057"], False)


def test_trips_of_each_call() -> None:
    real = MemoryStore()
    real.commit([Put(an_item("a"))])
    what_if = WhatIf(real, "job_1", NOW)
    real.calls.clear()
    what_if.commit([Put(an_item("b")), Add(a_key("c"), {"n": 1}), Check(a_key("a"), 1)])
    assert real.calls == {"get": 2, "commit": 1}
    real.calls.clear()
    what_if.get([a_key("a"), a_key("b"), a_key("c")])
    assert real.calls == {"get": 2}
    real.calls.clear()
    what_if.query("records", "prg_1", limit=3)
    assert real.calls == {"query": 2}
    real.calls.clear()
    what_if.commit([Check(a_key("a"), 1)])
    assert real.calls == {"get": 2}


def test_a_long_partition_keeps_its_place() -> None:
    real = MemoryStore()
    what_if = WhatIf(real, "job_1", NOW)
    long = "p" * 2_048
    what_if.commit([Put(an_item("x", pk=long)), Put(an_item("y", pk=long))])
    assert [i.key for i in what_if.query("records", long, limit=9).items] == [
        a_key("x", pk=long),
        a_key("y", pk=long),
    ]
    assert all(len(key.pk) < 200 for key in real.everything())
    assert keys.what_if("job_1", a_key()).pk == "what-if#job_1#records#prg_1"


def test_what_is_put_down_is_readable_by_a_person() -> None:
    real = MemoryStore()
    WhatIf(real, "job_1", NOW).commit([Put(an_item(body={"n": 1}, listing=("l", "1")))])
    (item,) = real.everything().values()
    assert json.loads(json.dumps(item.body)) == {
        "version": 1,
        "body": {"n": 1},
        "listing": ["l", "1"],
    }


def test_over_dynamodb(dynamo: Backend) -> None:
    """The same writes and reads, over the store that a deployment has."""
    real = dynamo.store
    stored(real, an_item("a", body={"n": 1}), an_item("b"), an_item("c"))
    real.commit([Add(a_key("sum"), {"n": 5})])
    what_if = WhatIf(real, "job_1", NOW)
    what_if.commit(
        [
            Put(an_item("a", body={"n": 2}, version=1, listing=("l", "1"))),
            Remove(a_key("b"), 1),
            Check(a_key("c"), 1),
            Put(an_item("d", blob=b"\x00raw")),
            Add(a_key("sum"), {"n": -7}, when={"n": 5}),
        ]
    )
    page = what_if.query("records", "prg_1", limit=9)
    assert [(i.key.sk, i.version, i.numbers) for i in page.items] == [
        ("a", 2, {}),
        ("c", 1, {}),
        ("d", 1, {}),
        ("sum", 0, {"n": -2}),
    ]
    assert what_if.get([a_key("d")])[a_key("d")].blob == b"\x00raw"
    with pytest.raises(Stale):
        what_if.commit([Put(an_item("b", version=1))])
    stands = real.query("records", "prg_1", limit=9)
    assert [(i.key.sk, i.version) for i in stands.items] == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
        ("sum", 0),
    ]
