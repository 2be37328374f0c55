"""Things that happen at the same instant, and processes that end half-way."""

import threading
from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


def together(*calls: Callable[[], Any]) -> list[Any]:
    """All calls at once, each in a thread of its own; what they answered, in order."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        answers[number] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
