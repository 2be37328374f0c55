"""The short stories on a plain world, for tests that look at more than a story's end. What goes
wrong on the way is the matter of ``tests/conformance``."""

import random
from typing import Any

from tests.builders.world import World, day
from tests.conformance.at_rest import books_of
from tests.conformance.pieces import paid_invoice
from tests.conformance.story import Story

__all__ = ["outcome", "paid_invoice", "run"]


def run(story: Story, world: World, rng: random.Random | None) -> dict[str, Any]:
    """Tell a story; with ``rng`` Stripe's part late and twice, in any order."""
    events = [(on, world.event(type, object, created=day(on))) for type, object, on in story.tells]
    last = max(on for on, _ in events)
    steps: list[tuple[float, Any]] = [(act.on, act.do) for act in story.acts]
    for on, event in events:
        for _ in range(2 if rng else 1):
            late = rng.choice([0, rng.random() * 5, last - on + rng.random()]) if rng else 0
            steps.append((on + late, event))
    for on, step in sorted(steps, key=lambda s: s[0]):
        world.at(day(on))
        if callable(step):
            step(world)
        else:
            assert world.deliver(step).state in ("handled", "duplicate", "ignored")
    world.at(day(400))
    clicks = [k for k in world.everything() if k.table == "clicks" and k.sk == "click"]
    world.stream(*clicks)
    world.sweep()
    world.mature()
    return outcome(world)


def outcome(world: World) -> dict[str, Any]:
    """Sales with their reasons, and balances, once everything has come to rest."""
    assert world.works() == []
    return books_of(world.scope, world.everything())
