"""``python -m tests.mutants.catch``: what the conformance run finds first in the code of this tree.

Run in a copy of the tree. Prints one line and what shows it; exit code 1 if anything was found.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tests.conformance.histories import NAMED, numbered
from tests.conformance.history import History
from tests.conformance.shrink import described, failure_of, kind_of, shrunk

MOST_REPLAYS = 120


def histories(seed: int, count: int) -> Iterator[tuple[str, History]]:
    """The stories by name, told plainly; then so many histories."""
    for name, story in NAMED.items():
        yield f"the story “{name}”", History(story=story)
    for number in range(count):
        yield f"seed {seed}, history {number}", numbered(seed, number)


def _short(history: History, kind: str, folder: Path) -> History:
    def fails(less: History) -> bool:
        return kind_of(failure_of(less, folder)) == kind

    return shrunk(history, fails, most=MOST_REPLAYS)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.mutants.catch")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--histories", type=int, default=200)
    told = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, history in histories(told.seed, told.histories):
            with redirect_stdout(StringIO()):
                failure = failure_of(history, Path(folder))
                short = history
                if failure:
                    short = _short(history, kind_of(failure), Path(folder))
            if failure:
                print(f"{name}; shortest: {' '.join(short.parts())}")
                print(described(short))
                print(failure[:1500])
                return 1
    print(f"nothing in {len(NAMED)} stories and {told.histories} histories")
    return 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.mutants.catch", *sys.argv[1:]])
    sys.exit(main())
