"""The replayer: plays a history, and holds what it comes to against the story as it should be."""

import random
from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chalicelib.core.refusals import Unavailable
from chalicelib.flows.rebuild import rebuild
from chalicelib.flows.sweep import replay_event
from chalicelib.storage.store import Key, Store
from tests.builders.world import day
from tests.conformance.at_rest import (
    Broken,
    Outcome,
    check,
    come_to_rest,
    outcome,
    standing,
    sums,
)
from tests.conformance.history import History, Trouble
from tests.conformance.stage import Stage
from tests.conformance.story import Story
from tests.conformance.unsteady import Died, Fault, Watch
from tests.conformance.workers import Queue, Task, Workers, no_pause, pausing_by
from tests.fakes.memory_store import MemoryStore

MOST_TRIES = 40  # of one call, before it counts as never ending
REST_DAYS = 120  # past every hold of every story


@dataclass(slots=True, order=True)
class Step:
    """One call of one door. ``faults`` befall its tries, one each."""

    on: float
    tie: float
    name: str = field(compare=False)
    door: str = field(compare=False)
    do: Callable[[Stage], Any] = field(compare=False)
    act: int | None = field(compare=False, default=None)
    faults: list[Fault] = field(compare=False, default_factory=list)
    comes_back: bool = field(compare=False, default=True)
    again: int = field(compare=False, default=0)


@dataclass(slots=True)
class Played:
    """What came of a history: its end, what was lost with a visitor, and what it met."""

    stage: Stage
    told: Outcome
    lost: frozenset[str]
    met: Counter[str]


def replay(
    history: History, folder: Path, *, rebuilt: bool = False, store: Store | None = None
) -> Played:
    """Play a history (in memory, or on that store) and hold its end against that of the plain
    story; ``rebuilt`` has the books worked out anew as well. Raises ``Broken``."""
    with pausing_by(no_pause):
        played = play(history, folder, store)
        kept = history.without(n for n in history.parts() if n[0] == "d" or n in played.lost)
        plain = play(kept, folder).told
        if history.story.comes_to is not None and history.is_whole and not played.lost:
            _check_worked(history.story, plain)
        compare(played.told, plain, paid_out=history.story.paid_out)
        tell_again(history, played.stage)
        if rebuilt:
            rebuild_and_compare(history, played.stage)
        return played


def play(history: History, folder: Path, store: Store | None = None) -> Played:
    """One telling, to the end, with everything checked that must hold by itself."""
    stage = Stage(folder, history.story, store)
    run = _Run(history, stage)
    run.play()
    run.met.update(stage.unsteady.met)
    stage.unsteady.rng = None
    come_to_rest(stage, last_day(history.story) + REST_DAYS)
    check(stage)
    return Played(stage=stage, told=outcome(stage), lost=frozenset(run.lost), met=run.met)


def last_day(story: Story) -> float:
    return max([on for _, _, on in story.tells] + [act.on for act in story.acts])


def compare(told: Outcome, plain: Outcome, *, paid_out: bool) -> None:
    """The same end; where money went out on the way, the same sums."""
    if paid_out:
        told, plain = sums(told), sums(plain)
    if told != plain:
        raise Broken("it ends otherwise:\n" + "\n".join(_differences(told, plain, "")))


def _differences(told: Any, plain: Any, place: str) -> list[str]:
    if isinstance(told, dict) and isinstance(plain, dict):
        names = sorted({*told, *plain})
        return [
            line
            for name in names
            if told.get(name) != plain.get(name)
            for line in _differences(told.get(name), plain.get(name), f"{place}/{name}")
        ]
    return [f"  {place}", f"    here:  {told}", f"    plain: {plain}"]


def _check_worked(story: Story, plain: Outcome) -> None:
    owed = {name: sum(b) for name, b in plain["prg_1"]["balances"].items() if sum(b)}
    if owed != story.comes_to:
        raise Broken(f"it should come to {story.comes_to}, not {owed}")


def tell_again(history: History, stage: Stage) -> None:
    """Everything that Stripe told is delivered and handled once more: nothing changes but the
    inbox."""
    before = standing(stage)
    for step in steps_of(history.without(n for n in history.parts() if n[0] in "ad"), stage):
        step.do(stage)
    for key, item in stage.everything().items():
        if key.table == "inbox" and key.sk == "head":
            replay_event(
                item.body["connection"],
                item.body["id"],
                store=stage.store,
                connections=stage.connections,
                now=stage.ms,
            )
    stage.stream(*stage.clicked())
    stage.sweep()
    stage.mature()
    after = standing(stage)
    if after != before:
        moved = sorted(str(k) for k in {*before, *after} if before.get(k) != after.get(k))
        raise Broken(f"telling everything again changed {', '.join(moved)}")


def rebuild_and_compare(history: History, stage: Stage) -> None:
    """The books worked out anew from the inbox and from what was told say the same."""
    done = rebuild(stage.unsteady.inner, MemoryStore(), named={}, now=stage.ms, pause=no_pause)
    wrong = [*done.replayed.troubles, *done.compared.differences]
    if not history.story.paid_out and done.compared.moved:
        wrong.append(f"{done.compared.moved} balances are in other buckets")
    if wrong:
        raise Broken("the rebuilt books differ:\n" + "\n".join(str(line) for line in wrong))


def steps_of(history: History, stage: Stage) -> list[Step]:
    """The calls of all doors, each on its day, in the order in which they come."""
    story, rng = history.story, random.Random(history.seed)
    left = history.troubles_left()
    steps: list[Step] = []
    for n, (type, object, on) in enumerate(story.tells):
        ties = [rng.random() for _ in range(2)]
        if (name := f"t{n}") in history.left_out:
            continue
        event = stage.event(type, object, created=day(on), id=f"evt_{n}")
        late = sum(t.days for t in left if t.part == "late" and t.target == name)
        arrives = [on + late, *(on + t.days for t in left if (t.part, t.target) == ("again", name))]
        for c, connection in enumerate(stage.told):
            for copy, at in enumerate(arrives):
                do = _deliver(event, connection)
                tie = ties[copy % 2] if history.troubles else n / 1000
                steps.append(Step(at, tie, f"{name}.{c}.{copy}", "webhook", do))
    for n, act in enumerate(story.acts):
        if act.door == "look" and (left or not history.is_whole):
            continue
        if (name := f"a{n}") not in history.left_out:
            steps.append(Step(act.on, n / 1000, name, act.door, act.do, act=n))
    for n, trouble in enumerate(left):
        if trouble.part == "schedule":
            do = JOBS[trouble.target]
            steps.append(Step(trouble.days, rng.random(), f"s{n}", trouble.target, do))
    _with_faults(steps, left, rng)
    return sorted(steps)


def _with_faults(steps: list[Step], troubles: list[Trouble], rng: random.Random) -> None:
    for trouble in troubles:
        if trouble.part != "fault" or trouble.fault is None:
            continue
        meant = [s for s in steps if trouble.target in (s.name.split(".")[0], s.door)]
        if meant:
            step = rng.choice(meant)
            step.faults.append(trouble.fault)
            step.comes_back = step.comes_back and trouble.comes_back


def _deliver(event: dict[str, Any], connection: Any) -> Callable[[Stage], None]:
    def do(stage: Stage) -> None:
        received = stage.deliver(event, connection)
        if received.state not in ("handled", "duplicate", "ignored"):
            raise Broken(f"{event['id']} ({event['type']}) is {received}")

    return do


JOBS: dict[str, Callable[[Stage], Any]] = {
    "sweep": lambda stage: stage.sweep(),
    "mature_rewards": lambda stage: stage.mature(),
    "count_clicks": lambda stage: stage.stream(*stage.clicked()),
}


class _Run:
    """The queue of calls, and what becomes of each."""

    def __init__(self, history: History, stage: Stage) -> None:
        self.history, self.stage = history, stage
        self.left = history.troubles_left()
        self.steps = steps_of(history, stage)
        self.acting = False  # what the others do, they do one after the other
        self.under_way = 0
        self.lost: set[str] = set()
        self.met: Counter[str] = Counter()
        self.rng = random.Random(history.seed + 1)

    def play(self) -> None:
        many = max([t.many for t in self.left if t.part == "workers"], default=1)
        workers = Workers(random.Random(self.history.seed + 2))
        self.stage.unsteady.turn = workers.turn
        if any(t.part == "torn" for t in self.left):
            self.stage.unsteady.rng = random.Random(self.history.seed + 3)
        with pausing_by(workers.pause):
            workers.run(Queue(self._take, self._empty), many)
        self.met[f"{many} workers"] += 1
        self.met["turns handed on"] += workers.switched

    def _empty(self) -> bool:
        return not self.steps and not self.under_way

    def _take(self) -> Task | None:
        if not self.steps:
            return None
        step = self.steps[0]
        if step.act is not None and self.acting:
            return None
        self.steps.pop(0)
        self.under_way += 1
        self.acting = self.acting or step.act is not None
        return lambda: self._perform(step)

    def _perform(self, step: Step) -> None:
        try:
            self._try(step)
        finally:
            self.under_way -= 1
            if step.act is not None:
                self.acting = False

    def _try(self, step: Step) -> None:
        """Call the door; where that fails, do what its caller would."""
        self.met[f"calls of {step.door}"] += 1
        for _ in range(MOST_TRIES):
            self.stage.at(day(step.on))
            watch = Watch(fault=step.faults.pop(0) if step.faults else None)
            try:
                done = self._call(step, watch)
            except (Died, Unavailable) as failure:
                if isinstance(failure, Died):
                    self.stage.reboot()
                if self._leaves_it(step):
                    return
                continue
            finally:
                if watch.met and watch.fault:
                    self.met[f"{watch.fault.kind}, at {step.door}"] += 1
            if step.door == "click" and watch.met:
                self._note_if_lost(step)
            if step.door == "click" and isinstance(done, Key):
                self._stream(step, done)
            return
        raise Broken(f"{step.name} ({step.door}) never ends")

    def _call(self, step: Step, watch: Watch) -> Any:
        self.stage.unsteady.watch(watch)
        try:
            return step.do(self.stage)
        finally:
            self.stage.unsteady.watch(None)

    def _leaves_it(self, step: Step) -> bool:
        """Whether nobody tries that call again now: Stripe sends it later, or not at all where
        the inbox has it; a visitor's browser is gone; everybody else calls again at once."""
        if step.door == "webhook":
            if step.comes_back or not self._is_kept(step):
                later = step.on + self.rng.choice([0.0001, 0.05, 1.0])
                if step.again == MOST_TRIES:
                    raise Broken(f"{step.name} is sent for ever")
                insort(self.steps, replace(step, on=later, again=step.again + 1))
            return True
        if step.door not in ("click", "sign-up") or step.comes_back:
            return False
        self._note_if_lost(step)
        return True

    def _note_if_lost(self, step: Step) -> None:
        """What a browser sent and nobody wrote is lost: the plain story goes without it."""
        assert step.act is not None
        stands = self.history.story.acts[step.act].stands
        if stands is not None and not stands(self.stage):
            self.lost.add(step.name)
            self.met["visitor's call lost"] += 1

    def _is_kept(self, step: Step) -> bool:
        event = f"evt_{step.name.split('.')[0][1:]}"
        connection = self.stage.told[int(step.name.split(".")[1])].id
        return any(
            key.table == "inbox" and key.pk == f"{connection}#{event}" and key.sk == "head"
            for key in self.stage.everything()
        )

    def _stream(self, step: Step, click: Key) -> None:
        """The stream tells of a click by and by, and tries until it is taken."""
        late = self.rng.choice([0, 0, 0.0002, 0.5, 3]) if self.history.troubles else 0
        told = Step(step.on + late, 0, step.name, "count_clicks", lambda s: s.stream(click))
        if late and self.rng.random() < 0.3:
            told.faults.append(Fault("dies after a call", self.rng.randrange(1, 8)))
        insort(self.steps, told)
