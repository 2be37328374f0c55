"""Child processes of the bench, from when they are ready until the end."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from local.place import HOST
from local.processes import Child, Recipe

READY_WITHIN_SECONDS = 30


@contextlib.contextmanager
def running(recipe: Recipe, folder: Path) -> Iterator[Child]:
    """A child from the moment it is ready until the end."""
    child = Child(recipe, label=f"refledger:{folder}:", log=folder / f"{recipe.name}.log")
    child.start()
    try:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not child.became_ready():
            if child.has_died() or time.monotonic() > deadline:
                raise RuntimeError(f"{recipe.name} did not start.\n{child.last_words()}")
            time.sleep(0.05)
        yield child
    finally:
        child.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
