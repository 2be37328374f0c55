"""How long the oldest undone thing has waited, as the sweep's log line tells the alarm."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.flows.find_overdue import minutes_overdue
from chalicelib.storage import keys, records
from chalicelib.storage.checks import key_of
from chalicelib.storage.store import IndexName, Item, Page, Put, TableName, Write
from tests.builders.stripe_bodies import a_session, an_invoice
from tests.builders.world import World, day, token
from tests.fakes.memory_store import MemoryStore

MINUTE = 60


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def memory(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


def overdue(world: World) -> int:
    return minutes_overdue(store=world.store, now=world.ms)


def leave_an_event(world: World) -> None:
    """Kept, and then its handling broke off."""

    def dies(call: str, writes: Sequence[Write]) -> None:
        if call == "commit" and any(key_of(write).table == "inbox" for write in writes):
            memory(world).after = None
            raise Unavailable

    memory(world).after = dies
    bought = a_session(client_reference_id=token("ann"))
    with suppress(Unavailable):
        world.tell("checkout.session.completed", bought, created=day(1))


def test_nothing_waits(world: World) -> None:
    world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    assert overdue(world.at(day(9))) == 0


def test_an_event_waits_from_two_minutes_after_it_came(world: World) -> None:
    leave_an_event(world)
    assert overdue(world.at(day(1) + MINUTE)) == 0
    assert overdue(world.at(day(1) + 15 * MINUTE)) == 13, "the alarm's threshold"
    world.sweep()
    assert overdue(world) == 0


def test_work_waits_from_one_minute_after_it_was_owed(world: World) -> None:
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    world.at(day(3)).set(hold_days=7, starts=day(1))
    assert world.works()
    assert overdue(world.at(day(3) + 21 * MINUTE)) == 20
    world.sweep()
    world.at(day(3) + 25 * MINUTE).sweep()
    assert overdue(world) == 0


class Late(MemoryStore):
    """Its index shows for ever what once was due."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, Item] = {}

    def find(self, table: TableName, index: IndexName, pk: str, **about: Any) -> Page:
        page = super().find(table, index, pk, **about)
        self.shown |= {str(item.due): item for item in page.items if item.due}
        return replace(page, items=[one for one in self.shown.values() if one.key.table == table])


def test_an_index_that_lags_does_not_raise_the_alarm(tmp_path: Path) -> None:
    world = World(tmp_path, Late())
    leave_an_event(world)
    assert overdue(world.at(day(1) + 15 * MINUTE)) == 13
    world.sweep()
    assert overdue(world) == 0


def test_nor_does_an_event_that_failed(tmp_path: Path) -> None:
    """It has an alarm of its own, and waits for an operator."""
    world = World(tmp_path, Late())
    leave_an_event(world)
    assert overdue(world.at(day(1) + 15 * MINUTE)) == 13
    (key,) = [key for key in memory(world).everything() if key.sk == "head"]
    head = world.store.get([key])[key]
    world.store.commit([records.stamped(head, state="failed", now=world.ms)])
    assert overdue(world) == 0


def test_nor_what_was_put_off(tmp_path: Path) -> None:
    world = World(tmp_path, Late())
    leave_an_event(world)
    assert overdue(world.at(day(1) + 15 * MINUTE)) == 13
    (key,) = [key for key in memory(world).everything() if key.sk == "head"]
    head = world.store.get([key])[key]
    assert head.due is not None
    later = (head.due[0], keys.due(world.ms + 60_000, key.pk))
    world.store.commit([Put(replace(head, due=later))])
    assert overdue(world) == 0
