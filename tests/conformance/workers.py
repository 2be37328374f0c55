"""Several workers at once, and yet the same each time: at every call to the store a seeded choice
says who goes on. So a history that fails can be played again.

Each worker is a thread of its own; one of them runs at a time, and hands on the turn.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chalicelib.flows.book_facts import book_facts
from chalicelib.flows.count_clicks import count_clicks
from chalicelib.flows.pay_out import pay_out
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.settle_work import settle_work

Task = Callable[[], None]
PATIENCE_SECONDS = 120.0  # for one worker's turn; more is a worker that hangs


class Queue:
    """What is to be done, in order. ``take`` gives None where the next must wait for another."""

    def __init__(self, take: Callable[[], Task | None], empty: Callable[[], bool]) -> None:
        self.take, self.empty = take, empty


class Workers:
    """``turn`` belongs into the store: called there, it may let another worker go on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.switched = 0
        self.turns = 0
        self._asleep: dict[int, int] = {}  # until which turn
        self._pauses: dict[int, int] = {}  # in the task at hand
        self._turns: dict[int, threading.Semaphore] = {}
        self._alive: list[int] = []
        self._errors: list[BaseException] = []
        self._here = threading.local()

    def turn(self) -> None:
        me: int | None = getattr(self._here, "number", None)
        if me is None or len(self._alive) < 2:
            return
        self.turns += 1
        awake = [n for n in self._alive if self._asleep.get(n, 0) <= self.turns]
        self._hand_to(self.rng.choice(awake or self._alive), me)

    def pause(self, seconds: float) -> None:
        """A moment's rest between two tries: so many turns of the others, more each time."""
        me: int | None = getattr(self._here, "number", None)
        if me is not None:
            self._pauses[me] = min(self._pauses.get(me, 0) + 1, 6)
            self._asleep[me] = self.turns + self.rng.randrange(8 * 2 ** self._pauses[me])
            self.turn()

    def run(self, queue: Queue, many: int) -> None:
        """Do all that is queued by that many workers; raises what a task raised."""
        if many == 1:
            while not queue.empty():
                task = queue.take()
                assert task is not None, "one worker alone waits for nobody"
                task()
            return
        self._alive = list(range(many))
        self._turns = {n: threading.Semaphore(0) for n in self._alive}
        threads = [
            threading.Thread(target=self._work, args=(n, queue), daemon=True) for n in self._alive
        ]
        for thread in threads:
            thread.start()
        self._turns[self.rng.choice(self._alive)].release()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive(), "a worker hangs"
        if self._errors:
            raise self._errors[0]

    def _work(self, me: int, queue: Queue) -> None:
        self._here.number = me
        self._wait(me)
        try:
            while not self._errors and not queue.empty():
                task = queue.take()
                if task is not None:
                    self._pauses.pop(me, None)
                    task()
                elif len(self._alive) > 1:
                    self._hand_to(self.rng.choice([n for n in self._alive if n != me]), me)
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._alive.remove(me)
            if self._alive:
                self._turns[self.rng.choice(self._alive)].release()

    def _hand_to(self, other: int, me: int) -> None:
        if other != me:
            self.switched += 1
            self._turns[other].release()
            self._wait(me)

    def _wait(self, me: int) -> None:
        if not self._turns[me].acquire(timeout=PATIENCE_SECONDS):
            raise AssertionError("nobody hands on the turn")


@contextmanager
def pausing_by(pause: Callable[[float], None]) -> Iterator[None]:
    """Between two tries the flows pause; here a pause costs no time, it is a turn of the others."""
    waiting = (until_not_stale, book_facts, settle_work, count_clicks, pay_out)
    kept = [(flow.__kwdefaults__, flow.__kwdefaults__["pause"]) for flow in waiting]
    for defaults, _ in kept:
        defaults["pause"] = pause
    try:
        yield
    finally:
        for defaults, usual in kept:
            defaults["pause"] = usual


def no_pause(seconds: float) -> None:
    """Nobody else is there to be waited for."""
