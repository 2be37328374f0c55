"""The tools by themselves: what they say is so, and a fault is found and made short."""

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import Add, Item, Key, Put, Stale
from tests.builders.world import World
from tests.conformance.__main__ import explained, main
from tests.conformance.at_rest import Broken, check, come_to_rest
from tests.conformance.histories import NAMED, numbered
from tests.conformance.history import History, Trouble, troubled
from tests.conformance.replay import play, replay
from tests.conformance.shrink import shrunk
from tests.conformance.story import Act
from tests.conformance.unsteady import Died, Fault, UnsteadyStore, Watch
from tests.conformance.workers import Queue, Workers
from tests.fakes.memory_store import MemoryStore

ONE, TWO = (Key("records", "p", name) for name in ("one", "two"))
LINK = NAMED["a link, refunded in two parts"]


@pytest.mark.parametrize(
    ("kind", "raises", "stands"),
    [
        ("dies before a call", Died, False),
        ("dies after a call", Died, True),
        ("throttled", Unavailable, False),
        ("condition failed", Stale, False),
        ("transaction conflict", Stale, False),
        ("time-out after commit", Unavailable, True),
    ],
)
def test_a_fault_befalls_just_its_call(
    kind: str, raises: type[BaseException], stands: bool
) -> None:
    store = UnsteadyStore(MemoryStore())
    at = (
        2
        if kind not in ("condition failed", "transaction conflict", "time-out after commit")
        else 1
    )
    store.watch(Watch(Fault(kind, at)))
    assert store.get([ONE]) == {}
    with pytest.raises(raises):
        store.commit([Put(Item(key=ONE))])
    assert (ONE in store.everything()) is stands
    store.commit([Put(Item(key=TWO))])


def test_a_torn_read_lets_others_in_between() -> None:
    store = UnsteadyStore(MemoryStore())
    store.rng = random.Random(0)
    store.turn = lambda: store.inner.commit([Add(ONE, {"n": 1}), Add(TWO, {"n": 1})])
    seen = [store.get([ONE, TWO]) for _ in range(20)]
    assert any(items[ONE].numbers != items[TWO].numbers for items in seen if len(items) == 2)


def counting(seed: int, many: int) -> tuple[list[int], int]:
    """Workers that read a number, let others go on, and write it back."""
    log: list[int] = []
    total = 0
    workers = Workers(random.Random(seed))

    def task(number: int) -> None:
        nonlocal total
        read = total
        workers.turn()
        total = read + 1
        log.append(number)

    todo = list(range(20))

    def take() -> Any:
        return partial(task, todo.pop(0)) if todo else None

    workers.run(Queue(take, lambda: not todo), many)
    return log, total


def test_workers_interleave_and_do_so_each_time_the_same() -> None:
    assert counting(1, 1) == (list(range(20)), 20)
    assert counting(1, 8) == counting(1, 8) != counting(2, 8)
    assert sorted(counting(1, 8)[0]) == list(range(20))
    assert counting(1, 8)[1] < 20, "somebody's addition got lost, as it should here"


def test_a_history_can_be_played_again(tmp_path: Path) -> None:
    number = next(n for n in range(99) if any(t.many == 8 for t in numbered(5, n).troubles))
    one, other = (replay(numbered(5, number), tmp_path) for _ in range(2))
    assert one.met == other.met
    assert one.told == other.told


def spoilt(story: Any) -> Any:
    """An act of nobody's business: it adds a cent to ann's balance."""

    def do(world: World) -> None:
        key = Key("records", f"{world.scope}#balance#ann", "eur")
        world.store.commit([Add(key, {"pending": 1})])

    return replace(story, acts=[*story.acts, Act(2, "api", do, says="a cent from nowhere")])


def test_a_failure_is_found_and_made_short(tmp_path: Path) -> None:
    history = troubled(spoilt(NAMED["disputes lost and won"]), random.Random(3), 3)
    with pytest.raises(Broken, match="its entries sum to"):
        replay(history, tmp_path)

    def fails(less: History) -> bool:
        try:
            replay(less, tmp_path)
        except Broken:
            return True
        return False

    short = shrunk(history, fails)
    assert short.parts() == [f"a{len(history.story.acts) - 1}"]


def test_a_failure_says_how_to_play_it_again(tmp_path: Path) -> None:
    said = explained(5, 7, replace(numbered(5, 7), story=spoilt(LINK)), tmp_path)
    assert "a cent from nowhere" in said
    assert "again: python -m tests.conformance --seed 5 --play 7 --without " in said


def test_the_command_plays_plays_one_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--play", "3", "--seed", "1"]) == 0
    assert "holds" in capsys.readouterr().out


def test_work_that_is_left_is_found(tmp_path: Path) -> None:
    played = play(History(story=LINK), tmp_path)
    key = Key("records", "prg_1/test#household#nobody", "!work")
    played.stage.store.commit([Put(Item(key=key, due=("work", "1#x")))])
    with pytest.raises(Broken, match="work is left"):
        check(played.stage)


def test_a_doubled_entry_is_found(tmp_path: Path) -> None:
    played = play(History(story=LINK), tmp_path)
    items = played.stage.everything()
    entry = next(item for key, item in items.items() if "#ledger#ann" in key.pk)
    again = Key("records", entry.key.pk, entry.key.sk.replace("1", "2", 1))
    played.stage.store.commit([Put(replace(entry, key=again, version=0))])
    with pytest.raises(Broken, match="settled twice"):
        check(played.stage)


def test_a_trouble_says_what_it_is() -> None:
    fault = Trouble(part="fault", target="t1", fault=Fault("throttled", 2), comes_back=False)
    assert str(fault) == "t1: throttled 2, and nobody tries again"
    assert str(Trouble(part="workers", many=8)) == "8 workers at once"


def test_coming_to_rest_ends(tmp_path: Path) -> None:
    played = play(History(story=LINK), tmp_path)
    before = played.stage.everything()
    come_to_rest(played.stage, 500)
    assert played.stage.everything() == before
