"""Every call of every door: it fails there, in each of the ways; the caller comes again.

At each step of a story the store is put aside. Then for each call that the step makes, the step
fails there and is called again, and the store must stand as if nothing had happened. Where work was
left to the sweeper it stands otherwise: then both are brought to rest, and must have come to the
same.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from chalicelib.core.refusals import Unavailable
from tests.builders.world import day
from tests.conformance.at_rest import Broken, Outcome, check, come_to_rest, outcome
from tests.conformance.history import History
from tests.conformance.replay import REST_DAYS, Step, compare, last_day, steps_of
from tests.conformance.stage import Stage
from tests.conformance.story import Story
from tests.conformance.unsteady import Died, Fault, Watch
from tests.conformance.workers import no_pause, pausing_by
from tests.fakes.memory_store import MemoryStore

MOST_CALLS = 400  # of one step
KINDS = (  # a transaction conflict is to the house what a condition is that failed
    "dies before a call",
    "dies after a call",
    "throttled",
    "condition failed",
    "time-out after commit",
)


def fail_at_every_call(
    story: Story, folder: Path, kinds: Sequence[str] = KINDS, *, first: int = 1, stride: int = 1
) -> Counter[str]:
    """Raises ``Broken``; returns how often a door failed, by kind and door. With a ``stride`` only
    every so-manieth call fails, from the ``first`` on."""
    with pausing_by(no_pause):
        return _Sweep(story, folder).run(kinds, range(first, MOST_CALLS, stride))


class _Sweep:
    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        told = replace(story, acts=[act for act in story.acts if act.door != "look"])
        self.stage = Stage(folder, story)
        self.unsteady = self.stage.unsteady
        self.steps = _with_streams(steps_of(History(story=told), self.stage))

    def run(self, kinds: Sequence[str], calls: Sequence[int]) -> Counter[str]:
        failed: Counter[str] = Counter()
        for step in self.steps:
            before = self._memory()
            after = self._done(before, step)
            plain: list[Outcome] = []  # worked out once, if it is needed
            for kind in kinds:
                for at in calls:
                    found = self._failed(before, step, Fault(kind, at))
                    if found is None:
                        break
                    failed[f"{kind}, at {step.door} (every call)"] += 1
                    if not found.holds_the_same(after):
                        failed["left work to the sweeper (every call)"] += 1
                        plain = plain or [self._at_rest(after)]
                        self._hold(found, plain[0], f"{step.name}: {kind} {at}")
                else:
                    raise Broken(f"{step.name} makes more calls than were tried")
            self.unsteady.inner = after
        return failed

    def _done(self, before: MemoryStore, step: Step) -> MemoryStore:
        """The store once the step was done there by a new process."""
        self.unsteady.inner = before.copy()
        self.stage.reboot()
        self.stage.at(day(step.on))
        step.do(self.stage)
        return self._memory()

    def _memory(self) -> MemoryStore:
        assert isinstance(self.unsteady.inner, MemoryStore)
        return self.unsteady.inner

    def _failed(self, before: MemoryStore, step: Step, fault: Fault) -> MemoryStore | None:
        """The store once the step has failed there and was called again; None if the step makes
        no such call."""
        watch = Watch(fault)
        self.unsteady.watch(watch)
        with suppress(Died, Unavailable):
            self._done(before, step)
        self.unsteady.watch(None)
        return self._done(self._memory(), step) if watch.met else None

    def _hold(self, found: MemoryStore, plain: Outcome, where: str) -> None:
        try:
            compare(self._at_rest(found), plain, paid_out=self.story.paid_out)
        except Broken as broken:
            raise Broken(f"{where}\n{broken}") from None

    def _at_rest(self, store: MemoryStore) -> Outcome:
        self.unsteady.inner = store.copy()
        self.stage.reboot()
        come_to_rest(self.stage, last_day(self.story) + REST_DAYS)
        check(self.stage)
        return outcome(self.stage)


def _with_streams(steps: Sequence[Step]) -> list[Step]:
    """Each click is told by its stream at once."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        if step.door == "click":
            found.append(
                Step(step.on, 0, step.name, "count_clicks", lambda s: s.stream(*s.clicked()))
            )
    return found
