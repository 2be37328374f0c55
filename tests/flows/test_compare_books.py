"""A rebuild's comparison notices a difference of one cent, wherever it stands."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.compare_books import Compared, compare_books
from chalicelib.flows.rebuild import rebuild
from chalicelib.storage import keys
from chalicelib.storage.store import Add, Item, Put, Remove, Store
from tests.builders.stripe_bodies import an_invoice
from tests.builders.world import World, day
from tests.fakes.memory_store import MemoryStore

Books = tuple[World, MemoryStore, MemoryStore]


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """A paid sale, a payable one, and the books rebuilt from them."""
    world = World(tmp_path, hold_days=0)
    world.enrol("sam", email="sam@example.com", partner="ann", stripe_customer_id="cus_1")
    for number in (1, 2):
        body = an_invoice(
            id=f"in_{number}", payment_intent=None, charge=None, paid_at=day(3 * number)
        )
        world.tell("invoice.paid", body, created=day(3 * number))
        world.at(day(3 * number + 1)).mature()
        if number == 1:
            world.pay("p1", "ann", world.balance("ann")[1])
    old, new = world.store, MemoryStore()
    assert isinstance(old, MemoryStore)
    assert rebuild(old, new, named={}, now=world.ms, pause=lambda seconds: None).compared.equal
    return world, old, new


def compared(old: Store, new: Store) -> Compared:
    return compare_books(old, new, say=lambda text: None)


def entry_of(store: MemoryStore, sale: str) -> Item:
    return next(
        item
        for key, item in store.everything().items()
        if "#ledger#" in key.pk and item.body.get("sale") == sale
    )


def one_cent_more(world: World, store: MemoryStore) -> None:
    store.commit([Add(keys.balance(world.scope, "ann", "eur"), {"payable": 1})])


def another_entry(world: World, store: MemoryStore) -> None:
    item = entry_of(store, "in_2")
    one, two = (dict(posting) for posting in item.body["postings"])
    one["minor"], two["minor"] = one["minor"] + 1, two["minor"] - 1
    store.commit([Put(replace(item, body={**item.body, "postings": [one, two]}))])


def a_lost_entry(world: World, store: MemoryStore) -> None:
    item = entry_of(store, "in_2")
    store.commit([Remove(item.key, item.version)])


def another_reward(world: World, store: MemoryStore) -> None:
    key = keys.sale(world.scope, "in_2")
    item = store.get([key])[key]
    position = {**item.body["positions"]["ann|eur"]}
    position["payable"] += 1
    store.commit([Put(replace(item, body={**item.body, "positions": {"ann|eur": position}}))])


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize(
    "change", [one_cent_more, another_entry, a_lost_entry, another_reward], ids=lambda c: c.__name__
)
def test_a_cent_is_noticed(
    books: Books, change: Callable[[World, MemoryStore], Any], side: str
) -> None:
    world, old, new = books
    assert compared(old, new).equal
    change(world, old if side == "old" else new)
    assert not compared(old, new).equal
