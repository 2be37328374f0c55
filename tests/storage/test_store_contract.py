"""What every store promises, held against the one in memory and against DynamoDB's stand-ins."""

import threading
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.storage.store import (
    MAX_ITEM_BYTES,
    MAX_WRITES,
    Add,
    Check,
    IndexName,
    Item,
    Key,
    Put,
    Remove,
    Stale,
    Store,
    TableName,
    Write,
)

from .backends import Backend

INDEXED: list[tuple[TableName, IndexName]] = [
    ("records", "listing"),
    ("records", "due"),
    ("records", "partner"),
    ("inbox", "due"),
]


def a_key(sk: str = "one", *, table: TableName = "records", pk: str = "prg_1") -> Key:
    return Key(table, pk, sk)


def an_item(
    sk: str = "one", *, table: TableName = "records", pk: str = "prg_1", **rest: Any
) -> Item:
    return Item(key=a_key(sk, table=table, pk=pk), **rest)


def read(store: Store, key: Key) -> Item | None:
    return store.get([key]).get(key)


def stored(store: Store, *items: Item) -> None:
    """Puts new items, one by one: moto copies all tables for each transaction."""
    for item in items:
        store.commit([Put(item)])


class TestVersions:
    def test_a_new_item_gets_version_1_and_comes_back_as_it_went_in(self, store: Store) -> None:
        item = an_item(
            body={"name": "Ann", "minor": 1299, "nested": {"list": [1, None, True, "x"]}},
            listing=("partners", "2026-01-01#ann"),
            due=("due#1", "2026-02-01"),
            partner=("ann", "sale#1"),
            blob=b"\x00\x1f\x8b\xff",
            expires_at=1_800_000_000,
        )
        store.commit([Put(item)])
        assert read(store, item.key) == replace(item, version=1)

    def test_each_put_counts_one_up(self, store: Store) -> None:
        for version in range(3):
            store.commit([Put(an_item(body={"n": version}, version=version))])
        assert read(store, a_key()) == an_item(body={"n": 2}, version=3)

    def test_a_put_as_new_is_stale_where_an_item_stands(self, store: Store) -> None:
        stored(store, an_item(body={"n": 1}))
        with pytest.raises(Stale):
            store.commit([Put(an_item(body={"n": 2}))])
        assert read(store, a_key()) == an_item(body={"n": 1}, version=1)

    @pytest.mark.parametrize("version", [1, 3])
    def test_a_put_on_another_version_is_stale(self, store: Store, version: int) -> None:
        stored(store, an_item())
        store.commit([Put(an_item(version=1))])
        with pytest.raises(Stale):
            store.commit([Put(an_item(body={"n": 9}, version=version))])
        assert read(store, a_key()) == an_item(version=2)

    def test_a_put_on_a_version_of_nothing_is_stale(self, store: Store) -> None:
        with pytest.raises(Stale):
            store.commit([Put(an_item(version=1))])
        assert read(store, a_key()) is None

    def test_a_blind_put_writes_over_whatever_stands_there_as_version_1(self, store: Store) -> None:
        for version in range(3):
            store.commit([Put(an_item(body={"n": version}, version=version))])
        store.commit([Put(an_item(body={"n": 9}, version=7), blind=True)])
        store.commit([Put(an_item("other"), blind=True)])
        assert read(store, a_key()) == an_item(body={"n": 9}, version=1)
        assert read(store, a_key("other")) == an_item("other", version=1)

    def test_a_put_takes_away_what_the_item_no_longer_carries(self, store: Store) -> None:
        stored(store, an_item(body={"a": 1}, due=("d", "1"), blob=b"x", expires_at=1))
        store.commit([Put(an_item(version=1))])
        assert read(store, a_key()) == an_item(version=2)


class TestRemoveAndCheck:
    def test_remove_deletes_at_its_version(self, store: Store) -> None:
        stored(store, an_item())
        store.commit([Remove(a_key(), 1)])
        assert read(store, a_key()) is None

    def test_remove_at_another_version_is_stale(self, store: Store) -> None:
        stored(store, an_item())
        with pytest.raises(Stale):
            store.commit([Remove(a_key(), 2)])
        with pytest.raises(Stale):
            store.commit([Remove(a_key(), 0)])
        assert read(store, a_key()) == an_item(version=1)

    def test_a_removed_item_starts_at_version_1_again(self, store: Store) -> None:
        stored(store, an_item())
        store.commit([Put(an_item(version=1))])
        store.commit([Remove(a_key(), 2)])
        stored(store, an_item())
        assert read(store, a_key()) == an_item(version=1)

    def test_remove_of_nothing_at_a_version_is_stale(self, store: Store) -> None:
        with pytest.raises(Stale):
            store.commit([Remove(a_key(), 1)])

    @pytest.mark.parametrize("company", [[], [Put(an_item("company"))]], ids=["alone", "together"])
    def test_check_compares_the_version(self, store: Store, company: list[Write]) -> None:
        stored(store, an_item())
        store.commit([Put(an_item(version=1))])
        for version in (0, 1, 3):
            with pytest.raises(Stale):
                store.commit([Check(a_key(), version), *company])
        with pytest.raises(Stale):
            store.commit([Check(a_key("absent"), 1), *company])
        assert read(store, a_key("company")) is None
        store.commit([Check(a_key(), 2), *company])
        assert (read(store, a_key("company")) is not None) == bool(company)

    def test_check_of_absence(self, store: Store) -> None:
        store.commit([Check(a_key("absent"), 0)])
        store.commit([Check(a_key("absent"), 0), Put(an_item())])
        with pytest.raises(Stale):
            store.commit([Check(a_key(), 0), Put(an_item("two"))])


class TestAdd:
    def test_add_makes_the_item_and_counts(self, store: Store) -> None:
        store.commit([Add(a_key(), {"EUR:pending": 500, "count": 1})])
        store.commit([Add(a_key(), {"EUR:pending": -700})])
        item = read(store, a_key())
        assert item == an_item(numbers={"EUR:pending": -200, "count": 1})

    def test_numbers_are_exact_beyond_a_float(self, store: Store) -> None:
        """MiniStack rounds sums to 28 digits, DynamoDB to 38."""
        large = 10**27 + 1
        store.commit([Add(a_key(), {"n": large})])
        store.commit([Add(a_key(), {"n": 1})])
        item = read(store, a_key())
        assert item is not None
        assert item.numbers == {"n": large + 1}

    def test_when_holds_for_every_number_named(self, store: Store) -> None:
        store.commit([Add(a_key(), {"a": 1, "b": 2})])
        store.commit([Add(a_key(), {"a": 1}, when={"a": 1, "b": 2})])
        for when in ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "c": 1}):
            with pytest.raises(Stale):
                store.commit([Add(a_key(), {"a": 100}, when=when)])
        item = read(store, a_key())
        assert item is not None
        assert item.numbers == {"a": 2, "b": 2}

    def test_a_number_never_written_is_0(self, store: Store) -> None:
        store.commit([Add(a_key(), {"a": 1}, when={"a": 0, "b": 0})])
        store.commit([Add(a_key(), {"b": 0}, when={"b": 0})])
        store.commit([Add(a_key(), {"b": 5}, when={"b": 0})])
        with pytest.raises(Stale):
            store.commit([Add(a_key(), {"b": 1}, when={"b": 0})])
        with pytest.raises(Stale):
            store.commit([Add(a_key("absent"), {"b": 1}, when={"b": 1})])
        item = read(store, a_key())
        assert item is not None
        assert item.numbers == {"a": 1, "b": 5}
        assert read(store, a_key("absent")) is None

    def test_a_put_leaves_the_numbers_to_add(self, store: Store) -> None:
        stored(store, an_item(body={"n": 1}))
        as_read = read(store, a_key())
        assert as_read is not None
        store.commit([Add(a_key(), {"count": 2})])
        store.commit([Put(replace(as_read, body={"n": 2}))])
        store.commit([Put(an_item(body={"n": 3}, version=2, numbers={"count": 99}))])
        assert read(store, a_key()) == an_item(body={"n": 3}, version=3, numbers={"count": 2})

    def test_an_item_made_by_add_can_be_put_as_read(self, store: Store) -> None:
        store.commit([Add(a_key(), {"count": 2})])
        as_read = read(store, a_key())
        assert as_read == an_item(numbers={"count": 2})
        store.commit([Put(replace(as_read, body={"n": 1}))])
        assert read(store, a_key()) == an_item(body={"n": 1}, version=1, numbers={"count": 2})

    def test_add_leaves_version_and_body(self, store: Store) -> None:
        item = an_item(body={"n": 1}, due=("d", "1"), blob=b"x", expires_at=5)
        stored(store, item)
        store.commit([Add(a_key(), {"count": 1})])
        assert read(store, a_key()) == replace(item, version=1, numbers={"count": 1})


class TestAllOrNothing:
    def test_a_commit_writes_every_kind_in_every_table(self, store: Store) -> None:
        stored(store, an_item("old"), an_item("kept"))
        store.commit(
            [
                Put(an_item("new", body={"n": 1})),
                Put(an_item("seen", table="inbox", blob=b"raw")),
                Put(an_item("click", table="clicks", expires_at=9), blind=True),
                Put(an_item("login", table="sessions")),
                Remove(a_key("old"), 1),
                Check(a_key("kept"), 1),
                Check(a_key("absent", table="inbox"), 0),
                Add(a_key("balance"), {"EUR": 5}, when={"EUR": 0}),
            ]
        )
        assert read(store, a_key("new")) == an_item("new", body={"n": 1}, version=1)
        seen = an_item("seen", table="inbox", blob=b"raw", version=1)
        assert read(store, seen.key) == seen
        click = an_item("click", table="clicks", expires_at=9, version=1)
        assert read(store, click.key) == click
        assert read(store, a_key("login", table="sessions")) is not None
        assert read(store, a_key("old")) is None
        assert read(store, a_key("kept")) == an_item("kept", version=1)
        assert read(store, a_key("balance")) == an_item("balance", numbers={"EUR": 5})

    @pytest.mark.parametrize(
        "failing",
        [
            Put(an_item("there")),
            Put(an_item("there", version=2)),
            Remove(a_key("there"), 2),
            Check(a_key("there"), 0),
            Check(a_key("absent"), 1),
            Add(a_key("there"), {"n": 1}, when={"n": 1}),
        ],
        ids=lambda write: f"{type(write).__name__}",
    )
    @pytest.mark.parametrize("position", [0, 2, 4])
    def test_one_condition_that_fails_leaves_nothing(
        self, store: Store, failing: Write, position: int
    ) -> None:
        stored(store, an_item("there", body={"n": 1}), an_item("other"))
        writes: list[Write] = [
            Put(an_item("new", due=("d", "1"))),
            Put(an_item("new", table="clicks"), blind=True),
            Remove(a_key("other"), 1),
            Add(a_key("balance"), {"n": 1}),
        ]
        writes.insert(position, failing)
        with pytest.raises(Stale):
            store.commit(writes)
        assert store.query("records", "prg_1", limit=9).items == [
            an_item("other", version=1),
            an_item("there", body={"n": 1}, version=1),
        ]
        assert store.query("clicks", "prg_1", limit=9).items == []
        assert store.find("records", "due", "d", limit=9).items == []

    def test_a_hundred_writes_are_one_commit(self, store: Store) -> None:
        store.commit([Put(an_item(f"{n:03}")) for n in range(MAX_WRITES)])
        assert len(store.query("records", "prg_1", limit=200).items) == MAX_WRITES


class TestRefusedBeforeAnythingIsWritten:
    @pytest.mark.parametrize(
        "body",
        [
            {"x": 1.0},
            {"x": [{"y": 0.5}]},
            {"x": Decimal("1.5")},
            {"x": float("nan")},
            {"x": {1: "a"}},
            {"x": b"bytes"},
            {"x": {"set"}},
        ],
        ids=repr,
    )
    def test_a_body_that_json_would_change(self, store: Store, body: dict[str, Any]) -> None:
        with pytest.raises(TypeError):
            store.commit([Put(an_item("first")), Put(an_item(body=body))])
        assert store.query("records", "prg_1", limit=1).items == []

    @pytest.mark.parametrize("number", [True, 1.0, Decimal(1), "1"], ids=repr)
    def test_a_number_that_is_no_int(self, store: Store, number: Any) -> None:
        for writes in (
            [Add(a_key(), {"n": number})],
            [Add(a_key(), {"n": 1}, when={"m": number})],
            [Put(an_item(version=number))],
            [Put(an_item(expires_at=number))],
            [Put(an_item(numbers={"n": number}))],
            [Check(a_key(), number)],
            [Remove(a_key(), number)],
        ):
            with pytest.raises(TypeError):
                store.commit(writes)
        assert read(store, a_key()) is None

    @pytest.mark.parametrize(
        "writes",
        [
            [],
            [Put(an_item(str(n))) for n in range(MAX_WRITES + 1)],
            [Put(an_item()), Check(a_key(), 0)],
            [Put(an_item(version=-1))],
            [Add(a_key(), {})],
            [Add(a_key(), {"a.b": 1})],
            [Add(a_key(), {"n": 10**38})],
            [Put(an_item("")), Put(an_item())],
            [Put(an_item(pk=""))],
            [Put(an_item("s" * 1_025))],
            [Put(an_item("\ud800"))],
            [Put(an_item(due=("", "x")))],
            [Put(an_item(table="sessions", due=("d", "x")))],
            [Put(an_item(body={"x": "x" * 390_000}))],
            [Put(an_item(body={"x": "ü" * 195_000}))],
            [Put(an_item(blob=b"x" * 390_000))],
            [Put(an_item(str(n), body={"x": "x" * 370_000})) for n in range(11)],
        ],
        ids=[
            "none",
            "101 writes",
            "a key twice",
            "negative version",
            "add nothing",
            "dotted number",
            "39 digits",
            "empty sk",
            "empty pk",
            "long sk",
            "half a surrogate pair in a key",
            "empty index key",
            "index the table lacks",
            "390 kB body",
            "390 kB in UTF-8",
            "390 kB blob",
            "4 MB together",
        ],
    )
    def test_what_dynamodb_would_not_take(self, backend: Backend, writes: list[Write]) -> None:
        with pytest.raises(ValueError):
            backend.store.commit(writes)
        assert not backend.trips

    def test_pages_that_cannot_be_read(self, backend: Backend) -> None:
        with pytest.raises(ValueError):
            backend.store.query("records", "prg_1", limit=0)
        with pytest.raises(ValueError):
            backend.store.query("records", "", limit=1)
        with pytest.raises(ValueError):
            backend.store.find("inbox", "partner", "ann", limit=1)
        with pytest.raises(ValueError):
            backend.store.get([a_key("")])
        assert not backend.trips


class TestWhatAnItemHolds:
    @pytest.mark.parametrize(
        "text", ["", "Zoë 東京 🦊", '\x00\n\t"\\', "\ud800 half a pair", "é" * 1_000]
    )
    def test_any_text_in_a_body(self, store: Store, text: str) -> None:
        stored(store, an_item(body={text: text}))
        assert read(store, a_key()) == an_item(body={text: text}, version=1)

    def test_any_text_in_keys(self, store: Store) -> None:
        item = an_item("Zoë#🦊 a/b", pk="東京", due=("ö", "🦊"))
        stored(store, item)
        assert read(store, item.key) == replace(item, version=1)
        assert store.find("records", "due", "ö", limit=1).items == [
            Item(key=item.key, due=item.due)
        ]

    @pytest.mark.parametrize("number", [0, -1, 2**63, 10**50, True, None])
    def test_json_values_stay_what_they_are(self, store: Store, number: Any) -> None:
        stored(store, an_item(body={"x": number}))
        item = read(store, a_key())
        assert item is not None
        assert item.body["x"] == number
        assert type(item.body["x"]) is type(number)

    @pytest.mark.parametrize("blob", [b"", b"\x00", bytes(range(256)) * 40], ids=len)
    def test_any_bytes_in_a_blob(self, store: Store, blob: bytes) -> None:
        stored(store, an_item(blob=blob))
        item = read(store, a_key())
        assert item is not None
        assert item.blob == blob

    @pytest.mark.parametrize("lengths", [(10, 2_000), (2_000, 10), (599, 600)], ids=str)
    def test_a_body_that_grows_and_shrinks(self, store: Store, lengths: tuple[int, int]) -> None:
        """A long one is packed, where the store pays by the kilobyte; nobody sees it."""
        for version, length in enumerate(lengths):
            item = an_item(body={"x": "ä" + "x" * (length - len('{"x":"ä"}') - 1)}, version=version)
            store.commit([Put(item)])
            assert read(store, a_key()) == replace(item, version=version + 1)

    @pytest.mark.parametrize(
        "large",
        [{"body": {"x": "x" * 379_000}}, {"blob": b"\xff" * 379_000}],
        ids=["body", "blob"],
    )
    def test_an_item_just_below_the_limit(self, store: Store, large: dict[str, Any]) -> None:
        assert MAX_ITEM_BYTES - 379_000 < 1_001
        stored(store, an_item(**large))
        assert read(store, a_key()) == an_item(version=1, **large)

    def test_what_was_put_does_not_change_with_its_maker(self, store: Store) -> None:
        body: dict[str, Any] = {"list": [1]}
        stored(store, an_item(body=body))
        body["list"].append(2)
        first = read(store, a_key())
        assert first is not None
        first.body["list"].append(3)
        assert read(store, a_key()) == an_item(body={"list": [1]}, version=1)


class TestGet:
    def test_only_what_exists(self, store: Store) -> None:
        stored(store, an_item("a"), an_item("b", table="inbox"))
        keys = [a_key("a"), a_key("absent"), a_key("b", table="inbox"), a_key("b")]
        assert store.get(keys) == {
            keys[0]: an_item("a", version=1),
            keys[2]: an_item("b", table="inbox", version=1),
        }
        assert store.get([]) == {}

    def test_a_key_named_twice(self, store: Store) -> None:
        stored(store, an_item())
        assert store.get([a_key(), a_key(), a_key("absent")]) == {a_key(): an_item(version=1)}

    def test_250_keys(self, backend: Backend) -> None:
        items = [an_item(f"{n:03}", body={"n": n}) for n in range(250)]
        stored(backend.store, *items)
        backend.trips.clear()
        found = backend.store.get([item.key for item in items])
        assert found == {item.key: replace(item, version=1) for item in items}
        assert backend.trips.total() == 3

    def test_more_than_one_answer_holds(self, store: Store) -> None:
        """DynamoDB ends an answer at 16 MB and leaves the other keys unprocessed."""
        items = [an_item(str(n), body={"x": "x" * 370_000}) for n in range(50)]
        stored(store, *items)
        assert store.get([item.key for item in items]).keys() == {item.key for item in items}


LETTERS = ["a", "b", "c", "d", "e"]


class TestPages:
    """Five items a to e, read by their sort key and by each index."""

    @pytest.fixture(params=[("records", None), *INDEXED], ids=str)
    def page(self, request: pytest.FixtureRequest, store: Store) -> Any:
        table, index = request.param
        pair = {} if index is None else {index: ("many", "?")}
        for letter in LETTERS:
            if index:
                pair = {index: ("many", letter)}
            stored(store, an_item(f"{letter}", table=table, pk="many", **pair))
            stored(store, an_item(f"{letter}", table=table, pk="else"))

        def page(**arguments: Any) -> tuple[str, bool]:
            if index is None:
                answer = store.query(table, "many", **arguments)
            else:
                answer = store.find(table, index, "many", **arguments)
            assert all(item.key.pk == "many" for item in answer.items)
            return "".join(item.key.sk for item in answer.items), answer.more

        return page

    def test_from_either_end(self, page: Any) -> None:
        self.at_every_limit(page, {}, "abcde", backwards=False)
        self.at_every_limit(page, {}, "edcba", backwards=True)

    def test_bounds_forwards(self, page: Any) -> None:
        for after, until, expected in [
            ("b", "", "cde"),
            ("bb", "", "cde"),
            ("e", "", ""),
            ("0", "", "abcde"),
            ("", "c", "abc"),
            ("", "cc", "abc"),
            ("", "0", ""),
            ("b", "d", "cd"),
            ("bb", "d~", "cd"),
            ("0", "~", "abcde"),
            ("c", "c", ""),
            ("d", "b", ""),
        ]:
            bounds = {"after": after, "until": until}
            self.at_every_limit(page, bounds, expected, backwards=False)

    def test_bounds_backwards(self, page: Any) -> None:
        for after, until, expected in [
            ("d", "", "cba"),
            ("cc", "", "cba"),
            ("a", "", ""),
            ("", "c", "edc"),
            ("", "bb", "edc"),
            ("", "f", ""),
            ("d", "b", "cb"),
            ("~", "0", "edcba"),
            ("c", "c", ""),
            ("b", "d", ""),
        ]:
            bounds = {"after": after, "until": until}
            self.at_every_limit(page, bounds, expected, backwards=True)

    def test_page_after_page(self, page: Any) -> None:
        assert page(limit=2) == ("ab", True)
        assert page(limit=2, after="b") == ("cd", True)
        assert page(limit=2, after="d") == ("e", False)
        assert page(limit=2, backwards=True) == ("ed", True)
        assert page(limit=2, after="d", backwards=True) == ("cb", True)
        assert page(limit=2, after="b", backwards=True) == ("a", False)

    @staticmethod
    def at_every_limit(
        page: Any, bounds: dict[str, str], expected: str, *, backwards: bool
    ) -> None:
        for limit in {1, len(expected) or 1, len(expected) + 1}:
            wanted = (expected[:limit], len(expected) > limit)
            assert page(limit=limit, backwards=backwards, **bounds) == wanted, bounds

    def test_order_is_that_of_utf8(self, store: Store) -> None:
        names = ["~", "Z", "a", "é", "東", "\uffee", "🦊", "a\x01", "aa"]
        stored(store, *[an_item(name, pk="many") for name in names])
        page = store.query("records", "many", limit=20)
        assert [item.key.sk for item in page.items] == sorted(names, key=lambda name: name.encode())

    def test_a_page_of_more_than_a_megabyte(self, store: Store) -> None:
        items = [an_item(str(n), pk="many", body={"x": "x" * 370_000}) for n in range(7)]
        stored(store, *items)
        for backwards in (False, True):
            page = store.query("records", "many", limit=6, backwards=backwards)
            assert (len(page.items), page.more) == (6, True)
            page = store.query("records", "many", limit=7, backwards=backwards)
            assert (len(page.items), page.more) == (7, False)

    def test_ties_in_an_index(self, store: Store) -> None:
        """Sort keys of an index may repeat: bounds keep or leave all of one value."""
        pairs = [("a", 1), ("b", 3), ("c", 1)]
        stored(store, *[an_item(f"{s}{n}", due=("d", s)) for s, many in pairs for n in range(many)])

        def found(**bounds: Any) -> tuple[list[str], bool]:
            page = store.find("records", "due", "d", **bounds)
            return sorted(item.key.sk for item in page.items), page.more

        assert found(after="b", limit=5) == (["c0"], False)
        assert found(after="a", until="b", limit=3) == (["b0", "b1", "b2"], False)
        assert found(after="b", until="c", limit=1) == (["c0"], False)
        assert found(after="b", until="a", limit=1, backwards=True) == (["a0"], False)
        assert found(after="b", limit=1, backwards=True) == (["a0"], False)


class TestIndexes:
    @pytest.mark.parametrize(("table", "index"), INDEXED)
    def test_an_item_is_in_an_index_only_while_it_carries_the_pair(
        self, store: Store, table: TableName, index: IndexName
    ) -> None:
        def found(pk: str) -> list[Item]:
            return list(store.find(table, index, pk, limit=9).items)

        item = an_item(table=table, body={"n": 1})
        stored(store, item)
        assert found("x") == []
        store.commit([Put(replace(item, version=1, **{index: ("x", "1")}))])
        assert found("x") == [Item(key=item.key, **{index: ("x", "1")})]
        store.commit([Put(replace(item, version=2, **{index: ("x", "2")}))])
        assert found("x") == [Item(key=item.key, **{index: ("x", "2")})]
        store.commit([Put(replace(item, version=3, **{index: ("y", "2")}))])
        assert (found("x"), len(found("y"))) == ([], 1)
        store.commit([Put(replace(item, version=4))])
        assert (found("x"), found("y")) == ([], [])
        store.commit([Put(replace(item, version=5, **{index: ("x", "3")}))])
        store.commit([Remove(item.key, 6)])
        assert found("x") == []

    def test_each_index_stands_alone(self, store: Store) -> None:
        stored(store, an_item(listing=("x", "1"), due=("x", "2"), partner=("x", "3")))
        assert store.find("records", "listing", "x", limit=1).items[0].listing == ("x", "1")
        assert store.find("records", "due", "x", limit=1).items[0].due == ("x", "2")
        assert store.find("records", "partner", "x", limit=1).items[0].partner == ("x", "3")


class TestTrips:
    def test_each_call_makes_the_trips_it_promises(self, backend: Backend) -> None:
        store, trips = backend.store, backend.trips

        def made() -> int:
            count = trips.total()
            trips.clear()
            return count

        store.commit([Put(an_item("a", due=("d", "1")))])
        assert made() == 1
        store.commit([Put(an_item("b")), Add(a_key("c"), {"n": 1}), Check(a_key("a"), 1)])
        assert made() == 1
        store.commit([Check(a_key("a"), 1)])
        assert made() == 1
        store.commit([Add(a_key("c"), {"n": 1})])
        assert made() == 1
        store.get([a_key("a"), a_key("b"), a_key("a"), a_key("absent")])
        assert made() == 1
        store.get([a_key("a"), a_key("a", table="inbox"), a_key("a", table="clicks")])
        assert made() == 3
        store.get([])
        assert made() == 0
        store.query("records", "prg_1", limit=3)
        assert made() == 1
        store.query("records", "prg_1", after="a", until="c", limit=1, backwards=False)
        assert made() == 1
        store.find("records", "due", "d", limit=1)
        assert made() == 1
        store.commit([Remove(a_key("b"), 1)])
        assert made() == 1
        with pytest.raises(Stale):
            store.commit([Put(an_item("a"))])
        assert made() == 1


class TestThreads:
    @pytest.mark.parametrize("company", [0, 2], ids=["alone", "in a transaction"])
    def test_exactly_one_wins_a_version(self, threaded_backend: Backend, company: int) -> None:
        store = threaded_backend.store
        stored(store, an_item("contended"))
        rounds, racers = 10, 4
        for version in range(1, rounds + 1):
            outcomes = self.race(store, version, racers, company)
            assert sorted(outcomes) == ["stale"] * (racers - 1) + ["won"]
        assert read(store, a_key("contended")) is not None
        others = store.query("records", "others", limit=200)
        assert len(others.items) == rounds * company

    @staticmethod
    def race(store: Store, version: int, racers: int, company: int) -> list[str]:
        outcomes: list[str] = []
        start = threading.Barrier(racers)

        def run(name: int) -> None:
            others = [Put(an_item(f"{version}.{name}.{n}", pk="others")) for n in range(company)]
            start.wait()
            try:
                store.commit([Put(an_item("contended", version=version)), *others])
            except Stale:
                outcomes.append("stale")
            else:
                outcomes.append("won")

        threads = [threading.Thread(target=run, args=(name,)) for name in range(racers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    def test_no_addition_is_lost(self, threaded_backend: Backend) -> None:
        store = threaded_backend.store
        threads = [
            threading.Thread(
                target=lambda: [store.commit([Add(a_key(), {"n": 1})]) for _ in range(20)]
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        item = read(store, a_key())
        assert item is not None
        assert item.numbers == {"n": 80}
