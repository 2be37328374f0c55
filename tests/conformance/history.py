"""A history: one story, and everything that goes wrong while it is told.

It is made of parts that can be left out one by one (``without``), so that the shortest history
which still shows a failure can be found and played again: ``t3`` is the third thing that Stripe
tells, ``a0`` the first act, ``d5`` the fifth thing that goes wrong.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.conformance.story import Story
from tests.conformance.unsteady import KINDS, Fault

Part = Literal["late", "again", "fault", "workers", "torn", "schedule"]
SCHEDULES = ("sweep", "mature_rewards", "count_clicks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that goes wrong.

    ``late``: what ``target`` tells comes ``days`` later. ``again``: it is delivered once more, so
    much later. ``fault``: it befalls the run of the ``target`` door; ``comes_back`` says whether
    the caller tries again (an event that is kept, and a visitor's call, may be left alone).
    ``schedule``: a job runs between, on the day ``days``. ``workers``: so ``many`` work at once.
    ``torn``: reads are torn and indexes late.
    """

    part: Part
    target: str = ""
    days: float = 0
    fault: Fault | None = None
    comes_back: bool = True
    many: int = 1

    def __str__(self) -> str:
        match self.part:
            case "late" | "again":
                return f"{self.target} {self.part} by {self.days:.3f} days"
            case "fault":
                back = "" if self.comes_back else ", and nobody tries again"
                assert self.fault is not None
                return f"{self.target}: {self.fault.kind} {self.fault.at}{back}"
            case "schedule":
                return f"{self.target} runs on day {self.days:.3f}"
            case "workers":
                return f"{self.many} workers at once"
            case "torn":
                return "torn reads, late indexes"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """``seed`` also says who goes on at each call when several work at once."""

    story: Story
    troubles: tuple[Trouble, ...] = ()
    seed: int = 0
    left_out: frozenset[str] = frozenset()

    def parts(self) -> list[str]:
        """What can be left out, and is not."""
        named = [f"t{n}" for n in range(len(self.story.tells))]
        named += [f"a{n}" for n in range(len(self.story.acts))]
        named += [f"d{n}" for n in range(len(self.troubles))]
        return [name for name in named if name not in self.left_out]

    def without(self, names: Iterable[str]) -> "History":
        return replace(self, left_out=self.left_out | set(names))

    def troubles_left(self) -> list[Trouble]:
        """What still goes wrong, of what is still there."""
        left = [t for n, t in enumerate(self.troubles) if f"d{n}" not in self.left_out]
        return [t for t in left if t.target not in self.left_out]

    @property
    def is_whole(self) -> bool:
        return not any(name[0] in "ta" for name in self.left_out)


def troubled(story: Story, rng: random.Random, seed: int) -> History:
    """A story with a handful of things that go wrong, of several kinds at once."""
    tells = [f"t{n}" for n in range(len(story.tells))]
    acts = [f"a{n}" for n in range(len(story.acts))]
    troubles: list[Trouble] = []
    late, doubled = rng.choice([0.0, 0.3, 0.7]), rng.choice([0.0, 0.3, 1.0])
    moments = [act.on for act in story.acts]
    last = max([on for _, _, on in story.tells] + moments)
    for name, (_, _, on) in zip(tells, story.tells, strict=True):
        if rng.random() < late:
            troubles.append(Trouble(part="late", target=name, days=_delay(rng, on, last, moments)))
        if rng.random() < doubled:
            troubles.append(Trouble(part="again", target=name, days=_delay(rng, on, last, moments)))
    jobs = []
    for _ in range(rng.choice([0, 0, 1, 3])):
        jobs.append(f"s{len(jobs)}")
        on = rng.uniform(0, last + 40)
        troubles.append(Trouble(part="schedule", target=rng.choice(SCHEDULES), days=on))
    doors = [*tells, *acts, *acts, *SCHEDULES]
    for _ in range(rng.choice([0, 1, 2, 4, 8])):
        troubles.append(
            Trouble(
                part="fault",
                target=rng.choice(doors),
                fault=a_fault(rng),
                comes_back=rng.random() < 0.7,
            )
        )
    many = rng.choice([1, 1, 2, 8])
    if many > 1:
        troubles.append(Trouble(part="workers", many=many))
    if rng.random() < 0.5:
        troubles.append(Trouble(part="torn"))
    return History(story=story, troubles=tuple(troubles), seed=seed)


def a_fault(rng: random.Random) -> Fault:
    kind = rng.choice(KINDS)
    commits = kind in ("condition failed", "transaction conflict", "time-out after commit")
    return Fault(kind, rng.choice([1, 1, 2, 3] if commits else [1, 2, 3, 4, 5, 6, 7, 8, 10, 13]))


def _delay(rng: random.Random, on: float, last: float, moments: Sequence[float]) -> float:
    """A moment, some minutes, days, until just when somebody else does something, or until
    everything else has been told."""
    meeting = rng.choice([at for at in moments if at >= on] or [on]) - on
    return rng.choice(
        [
            rng.random() * 0.0005,
            rng.random() * 0.02,
            rng.random() * 5,
            meeting,
            last - on + rng.random(),
        ]
    )
