"""``python -m tests.conformance``: plays histories by the thousand, and says what broke.

    HISTORIES=10000 SEED=1 python -m tests.conformance
    python -m tests.conformance --seed 1 --play 4711 --without t3,a0,d5

The second plays one history, with parts left out; a failure prints that line.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from tests.conformance.every_call import fail_at_every_call
from tests.conformance.histories import NAMED, name_of, numbered
from tests.conformance.history import History
from tests.conformance.replay import replay
from tests.conformance.shrink import described, failure_of, kind_of, shrunk

BATCH = 50
REBUILD_EVERY = 10  # histories
MOST_FAILURES = 5  # that are made short; more say nothing new


@dataclass(slots=True)
class Report:
    """What a batch of histories came to."""

    histories: int = 0
    cpu: float = 0
    met: Counter[str] = field(default_factory=Counter)
    stories: Counter[str] = field(default_factory=Counter)
    different: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.histories += other.histories
        self.cpu += other.cpu
        self.met += other.met
        self.stories += other.stories
        self.different |= other.different
        self.failures += other.failures


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    if asked.play is not None:
        return _play_one(asked.seed, asked.play, asked.without, shrink=asked.shrink)
    report = Report()
    started = time.monotonic()
    todo = asked.histories
    print(f"{todo} histories of seed {asked.seed}, {asked.processes} processes", flush=True)
    with ProcessPoolExecutor(asked.processes) as pool:
        waiting = [
            pool.submit(batch, asked.seed, start, min(BATCH, todo - start))
            for start in range(0, todo, BATCH)
        ]
        if asked.every_call:
            waiting += [pool.submit(every_call, name) for name in sorted(NAMED)]
        for number, done in enumerate(as_completed(waiting), 1):
            report.add(done.result())
            if number % 10 == 0 or number == len(waiting):
                spent = time.monotonic() - started
                failed = len(report.failures)
                print(f"  {report.histories} played, {failed} failed, {spent:.0f} s", flush=True)
            if len(report.failures) >= MOST_FAILURES:
                for rest in waiting:
                    rest.cancel()
                break
    _print_table(report, time.monotonic() - started)
    for failure in report.failures:
        print(f"\n{failure}")
    return 1 if report.failures else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    about = os.environ
    asked = argparse.ArgumentParser(prog="python -m tests.conformance")
    asked.add_argument("--histories", type=int, default=int(about.get("HISTORIES") or 10_000))
    asked.add_argument("--seed", type=int, default=int(about.get("SEED") or 1))
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--play", type=int, help="play this one history alone")
    asked.add_argument("--without", default="", help="parts to leave out of it: t3,a0,d5")
    asked.add_argument("--shrink", action="store_true", help="make the one short, if it fails")
    asked.add_argument("--every-call", action=argparse.BooleanOptionalAction, default=True)
    return asked.parse_args(arguments)


def batch(seed: int, start: int, count: int) -> Report:
    """Play histories ``start`` and following; a failure is made as short as can be."""
    report, began = Report(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, _quiet():
        for number in range(start, start + count):
            history = numbered(seed, number)
            report.histories += 1
            report.stories[name_of(seed, number)] += 1
            report.different.add(fingerprint(history))
            try:
                played = replay(history, Path(folder), rebuilt=number % REBUILD_EVERY == 0)
                report.met += played.met
            except Exception:
                report.failures.append(explained(seed, number, history, Path(folder)))
    report.cpu = time.process_time() - began
    return report


def every_call(name: str) -> Report:
    """A story by name, with every call of every door failing in each of the ways."""
    report, began = Report(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            report.met += fail_at_every_call(NAMED[name], Path(folder))
        except Exception as error:
            report.failures.append(f"“{name}”, failing at every call: {error}")
    report.cpu = time.process_time() - began
    return report


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the doors' own log lines."""
    with redirect_stdout(StringIO()):
        yield


def fingerprint(history: History) -> str:
    """What makes a history this one: its story, and all that goes wrong in it."""
    said = f"{described(history)}{history.story.tells}"
    return hashlib.sha256(said.encode()).hexdigest()


def explained(seed: int, number: int, history: History, folder: Path) -> str:
    kind = kind_of(failure_of(history, folder))
    short = shrunk(history, lambda less: kind_of(failure_of(less, folder)) == kind)
    left_out = ",".join(sorted(short.left_out))
    again = f"python -m tests.conformance --seed {seed} --play {number}"
    return "\n".join(
        [
            f"FAILED: seed {seed}, history {number} ({name_of(seed, number)}), shortest:",
            described(short),
            failure_of(short, folder) or failure_of(history, folder),
            f"again: {again}" + (f" --without {left_out}" if left_out else ""),
        ]
    )


def _play_one(seed: int, number: int, without: str, *, shrink: bool) -> int:
    history = numbered(seed, number).without(filter(None, without.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        failure = failure_of(history, Path(folder))
        if failure and shrink:
            print(explained(seed, number, history, Path(folder)))
            return 1
    print(described(history))
    print(failure or "holds")
    return 1 if failure else 0


def _print_table(report: Report, seconds: float) -> None:
    print(f"\n{report.histories} histories, {len(report.different)} of them different")
    for name, count in sorted(report.met.items()):
        print(f"  {count:>9,}  {name}")
    named = report.stories.total() - report.stories["made up"]
    print(f"  {named:>9,}  histories of the {len(NAMED)} stories by name")
    print(f"  {report.stories['made up']:>9,}  histories of stories that were made up")
    print(f"  {len(report.failures):>9,}  failures")
    print(f"{seconds:.0f} s, {report.cpu:.0f} s of processor time")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets in one order: a history plays as before
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.conformance", *sys.argv[1:]])
    sys.exit(main(sys.argv[1:]))
