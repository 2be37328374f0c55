"""The check after a load: it tells what was promised and is lost, or is there twice."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.storage import keys
from chalicelib.storage.records import stamped, work_item
from chalicelib.storage.store import Add, Put
from local.bench.books import Promised, check_books
from local.bench.purchases import purchase, visit_token
from local.bench.scene import Ids
from tests.builders.world import World


@dataclass
class Books:
    world: World
    promised: Promised

    def wrong(self) -> list[str]:
        program, connection = self.world.program.id, self.world.connection.id
        ids = Ids(program=program, connection=connection, api_key="")
        return check_books(self.promised, ids=ids, store=self.world.store)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Two visits to ann's link and a purchase after the second, all promised and all kept."""
    world = World(tmp_path).at(time.time())
    promised = Promised(clicks=[(1, "ann"), (2, "ann")], purchases=[(2, "ann")])
    world.stream(*(world.click(visit_token(*click), "ann") for click in promised.clicks))
    for event in purchase(2, partner="ann"):
        told: dict[str, Any] = json.loads(event.body)
        assert world.deliver(told).state == "handled"
        promised.events.add(told["id"])
    return Books(world, promised)


def test_right_books_are_right(books):
    assert books.wrong() == []


def test_a_lost_click_is_found(books):
    books.promised.clicks.append((3, "ann"))
    assert books.wrong() == [
        f"1 clicks are lost, one is {books.world.program.id}#{visit_token(3, 'ann')}",
        "ann has 3 clicks, and 2 are counted",
    ]


def test_a_click_that_was_counted_twice_is_found(books):
    total = keys.click_count(books.world.program.id, "ann", "total")
    books.world.store.commit([Add(total, {"clicks": 1})])
    assert books.wrong() == ["ann has 2 clicks, and 3 are counted"]


def test_a_lost_event_and_one_that_failed_are_found(books):
    books.promised.events.add("evt_lost")
    store = books.world.store
    key = keys.inbox(books.world.connection.id, min(books.promised.events - {"evt_lost"}))
    failed = stamped(store.get([key])[key], state="failed", now=books.world.ms)
    store.commit([failed] if isinstance(failed, Put) else list(failed))
    assert books.wrong() == [
        "1 events are lost, one is evt_lost",
        "events are not handled: {'failed': 1}",
    ]


def test_a_lost_purchase_is_found(books):
    books.promised.purchases.append((5, "ann"))
    wrong = books.wrong()
    assert wrong[0] == "purchase 5 of ann is lost"
    assert wrong[1].endswith("for 2 purchases of 980")


def test_a_purchase_of_another_partner_is_found(books):
    books.promised.purchases[:] = [(2, "bob")]
    wrong = books.wrong()
    assert wrong[0] == "purchase 2 of bob earned {'ann|eur': 980}"
    assert wrong[1].startswith("bob has")


def test_a_reward_that_was_doubled_is_found(books):
    balance = keys.balance(books.world.scope, "ann", "eur")
    books.world.store.commit([Add(balance, {"pending": 980})])
    wrong = books.wrong()
    assert wrong[0].startswith("the balance of ann is {'pending': 1960")
    assert wrong[1].startswith("ann has {'pending': 1960")


def test_work_that_is_left_is_found(books):
    owed = work_item(books.world.scope, "h", due_at=1, since=0, version=0)
    books.world.store.commit([Put(owed)])
    assert books.wrong() == ["work is left undone"]
