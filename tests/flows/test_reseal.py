"""A rebuild into a stage with a key of its own: its secrets open there, and no longer need the old
key."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.read_connection import Connections, secret_place
from chalicelib.flows.rebuild import rebuild
from chalicelib.flows.receive_webhook import receive_webhook
from chalicelib.flows.reseal import resealed
from chalicelib.flows.sign_up import signing_key_place
from chalicelib.storage import keys, records
from chalicelib.storage.sealing import FileSealer, Sealer
from chalicelib.storage.store import Item, Key, Put
from tests.builders.stripe_bodies import an_event, an_invoice, signed
from tests.builders.world import SECRET, World, day
from tests.fakes.memory_store import MemoryStore


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "old")
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    with_an_api_key(world)
    return world


@pytest.fixture
def new(tmp_path: Path) -> Sealer:
    return FileSealer(str(tmp_path / "new" / "key"))


def rebuilt(world: World, target: MemoryStore, new: Sealer | None) -> None:
    seal_anew = partial(resealed, old=world.sealer, new=new or world.sealer)
    done = rebuild(
        world.store,
        target,
        named={"records": "old"},
        now=world.ms,
        pause=lambda seconds: None,
        seal_anew=seal_anew,
    )
    assert done.compared.equal


def read(store: Any, key: Key) -> Item:
    found: Item = store.get([key])[key]
    return found


def secrets_of(world: World, store: Any, sealer: Sealer) -> list[str]:
    """The signing key of the program, and both secrets of the connection, opened."""
    program, connection = world.program.id, world.connection.id
    signing = read(store, keys.program(program)).body["sealed_signing_key"]
    found = records.read_connection(read(store, keys.connection(connection)))
    return [
        sealer.open(signing, place=signing_key_place(program)),
        sealer.open(found.sealed_api_key, place=secret_place(program, connection, "api_key")),
        *(
            sealer.open(one, place=secret_place(program, connection, "webhook_secret"))
            for one in found.sealed_webhook_secrets
        ),
    ]


def with_an_api_key(world: World) -> None:
    """And with two webhook secrets, as while one is being replaced."""
    place = partial(secret_place, world.program.id, world.connection.id)
    item = read(world.store, keys.connection(world.connection.id))
    body = {
        **item.body,
        "sealed_api_key": world.sealer.seal("rk_" + "test_1", place=place("api_key")),
        "sealed_webhook_secrets": [
            *item.body["sealed_webhook_secrets"],
            world.sealer.seal("whsec_" + "n" * 24, place=place("webhook_secret")),
        ],
    }
    world.store.commit([Put(replace(item, body=body))])


def test_every_secret_opens_with_the_new_key_and_is_the_same(world: World, new: Sealer) -> None:
    target = MemoryStore()
    rebuilt(world, target, new)
    said = secrets_of(world, world.store, world.sealer)
    assert secrets_of(world, target, new) == said
    assert len(said) == 4
    assert SECRET in said
    with pytest.raises(ValueError, match="another key"):
        secrets_of(world, target, world.sealer)


def test_nothing_else_of_them_is_changed(world: World, new: Sealer) -> None:
    target = MemoryStore()
    rebuilt(world, target, new)
    for key in (keys.program(world.program.id), keys.connection(world.connection.id)):
        before, after = read(world.store, key), read(target, key)
        assert set(before.body) == set(after.body)
        for name in before.body:
            assert name.startswith("sealed_") or before.body[name] == after.body[name]
    other = read(world.store, keys.partner(world.scope.program, "ann"))
    assert resealed(other, old=world.sealer, new=new) is other


def test_the_new_stage_takes_what_stripe_signs(world: World, new: Sealer) -> None:
    target = MemoryStore()
    rebuilt(world, target, new)
    now = day(2)
    body = an_event("invoice.paid", an_invoice(paid_at=now), id="evt_new", created=now)
    received = receive_webhook(
        world.connection.id,
        body,
        signed(body, SECRET, now),
        store=target,
        connections=Connections(target, new, lambda: now * 1000),
        now=datetime.fromtimestamp(now, UTC),
    )
    assert received.state == "handled"


@pytest.mark.parametrize("first", ["with the old key", "with the new key"])
def test_tables_that_were_copied_earlier_are_sealed_anew(
    world: World, new: Sealer, first: str
) -> None:
    """However often: each seals anew, and no copy is taken for a change of somebody else's."""
    target = MemoryStore()
    rebuilt(world, target, new if first == "with the new key" else None)
    world.at(day(3)).tell("invoice.paid", an_invoice(id="in_2", paid_at=day(3)), created=day(3))
    for _ in range(3):
        rebuilt(world, target, new)
        assert SECRET in secrets_of(world, target, new)


def test_a_secret_that_the_old_key_did_not_seal_is_loud(
    world: World, new: Sealer, tmp_path: Path
) -> None:
    item = read(world.store, keys.program(world.program.id))
    with pytest.raises(ValueError, match="another key"):
        resealed(item, old=FileSealer(str(tmp_path / "third")), new=new)
