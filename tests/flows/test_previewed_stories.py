"""A story half told, and the rest of it tried out: what would come of it is what then comes of it,
nothing that stands has changed, and the notes add up to what the balances moved by."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import Refusal
from chalicelib.core.sale import id_order
from chalicelib.flows.show_sales import place_of_sale
from chalicelib.storage import keys, records
from chalicelib.storage.noted import Noted, notes_of
from chalicelib.storage.store import Store
from chalicelib.storage.what_if import WhatIf
from tests.builders.world import World, day
from tests.conformance.short_stories import SHORT
from tests.conformance.story import Story
from tests.fakes.memory_store import MemoryStore

JOB = "job_1"
TRIED = {"click", "sign-up", "api"}


def steps_of(story: Story, world: World, seed: int) -> Iterator[tuple[float, Any]]:
    """The story in order; with a seed Stripe's part comes in any order."""
    events = [(on, world.event(type, object, created=day(on))) for type, object, on in story.tells]
    if seed:
        times = [on for on, _ in events]
        random.Random(seed).shuffle(times)
        events = [(on, event) for on, (_, event) in zip(times, events, strict=True)]
    acts = [(act.on, act) for act in story.acts if act.door in TRIED]
    yield from sorted([*acts, *events], key=lambda step: step[0])


def tell(world: World, store: Store, steps: list[tuple[float, Any]], start: float) -> None:
    world.store, world.now = store, start
    for on, step in steps:
        world.at(day(on))
        if isinstance(step, dict):
            assert world.deliver(step).state != "failed"
            continue
        with suppress(Refusal):  # the same in both, or the books differ
            step.do(world)


def moved(before: MemoryStore, after: dict[Any, Any], scope: Any) -> Counter[str]:
    """What each balance has moved by."""
    balances = f"{scope}#balance#"
    sums: Counter[str] = Counter()
    for sign, items in ((1, after), (-1, before.everything())):
        for key, item in items.items():
            if key.pk.startswith(balances):
                balance = records.read_balance(item)
                name = f"{key.pk.removeprefix(balances)}|{key.sk}"
                sums[name] += sign * (balance.pending + balance.payable + balance.paid)
    return Counter({name: minor for name, minor in sums.items() if minor})


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SHORT)
def test_what_is_tried_is_what_comes(tmp_path: Path, name: str, seed: int) -> None:
    story = SHORT[name]
    real = MemoryStore()
    world = World(tmp_path, real, **story.settings)
    steps = list(steps_of(story, world, seed))
    cut = len(steps) // 2 if seed else 0
    tell(world, real, steps[:cut], world.now)
    start, stood = world.now, real.copy()
    done = real.copy()
    about: dict[str, Any] = {"scope": world.scope, "now": world.ms}

    what_if = WhatIf(real, JOB, world.ms)
    tell(world, Noted(what_if, JOB, **about), steps[cut:], start)
    tell(world, Noted(done, JOB, **about), steps[cut:], start)

    now = real.everything()
    changed = {key for key, item in now.items() if stood.everything().get(key) != item}
    assert all(key.pk.startswith(f"what-if#{JOB}#") for key in changed)
    stands = {
        key: item for key, item in done.everything().items() if not key.pk.startswith("job-sales#")
    }
    assert what_if.get(list(stands)) == stands

    notes, _ = notes_of(JOB, store=done, limit=1000)
    assert (notes, False) == notes_of(JOB, store=what_if, limit=1000)
    earned: Counter[str] = Counter()
    for note in notes:
        earned.update(note.earned)
    assert {n: m for n, m in earned.items() if m} == moved(stood, done.everything(), world.scope)

    holding = {note.sale: note for note in notes if holds(note, world, done)}
    brought = {s for s in listed(done, world) if not any(i in listed(stood, world) for i in s)}
    assert {id for id, note in holding.items() if note.new} == {
        min(s, key=id_order) for s in brought
    }


def holds(note: Any, world: World, store: MemoryStore) -> bool:
    item = store.everything()[keys.sale(world.scope, note.sale)]
    return "of" not in item.body and place_of_sale(records.read_sale(item)) == note.place


def listed(store: MemoryStore, world: World) -> Any:
    """Every paid sale, by all its ids; of the store before, the ids alone."""
    found = [
        records.read_sale(item).sale.ids
        for item in store.everything().values()
        if item.listing and item.listing[0] == f"{world.scope}#sales"
    ]
    return _Sales(found)


class _Sales(list[frozenset[str]]):
    def __contains__(self, id: object) -> bool:
        return any(id in ids for ids in self)
