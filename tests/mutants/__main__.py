"""``python -m tests.mutants``: breaks the code in known ways, each in a copy of its own, and sees
that the conformance run (or a few named tests) catches every one; and that it finds nothing in the
code as it stands.

    python -m tests.mutants [--only "a float"] [--histories 200] [--seed 1] [--show]
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.breaks import MUTANTS, Mutant, broken

TREE = Path(__file__).parents[2]
COPIED = ("chalicelib", "tests", "local", "app.py", ".chalice", "pyproject.toml")
SECONDS = 280  # for one mutant; most take ten
UNBROKEN = Mutant("the code as it stands", ())


@dataclass(frozen=True, slots=True)
class Verdict:
    """``caught`` says that the run found something; ``said`` what."""

    mutant: Mutant
    caught: bool
    said: str
    seconds: float
    error: bool = False

    @property
    def good(self) -> bool:
        return not self.error and self.caught == bool(self.mutant.edits)


def main(arguments: Sequence[str]) -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.mutants")
    asked.add_argument("--only", default="", help="mutants whose name has this in it")
    asked.add_argument("--histories", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--show", action="store_true", help="the whole of what showed it")
    told = asked.parse_args(arguments)
    chosen = [UNBROKEN, *(m for m in MUTANTS if told.only in m.name)]
    good = True
    with ThreadPoolExecutor(told.processes) as pool:
        for verdict in pool.map(lambda m: tried(m, told.seed, told.histories), chosen):
            good = good and verdict.good
            _print(verdict, whole=told.show or not verdict.good)
    print("every mutant was caught" if good else "SOMETHING IS WRONG, see above")
    return 0 if good else 1


def tried(mutant: Mutant, seed: int, histories: int) -> Verdict:
    """Break a copy of the tree and run the conformance on it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_tree(copy)
        for edit in mutant.edits:
            path = copy / edit[0]
            path.write_text(broken(path.read_text(), edit))
        command = [sys.executable, "-m", "tests.mutants.catch"]
        command += ["--seed", str(seed), "--histories", str(histories)]
        if mutant.tests:
            quick = ["-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb", "line"]
            command = [sys.executable, "-m", "pytest", mutant.tests, *quick]
        try:
            done = subprocess.run(
                command, cwd=copy, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return Verdict(mutant, False, f"no end after {SECONDS} s", SECONDS, error=True)
    said = done.stdout.strip() or done.stderr.strip()[-3000:]
    error = done.returncode not in (0, 1) or not done.stdout.strip()
    return Verdict(mutant, done.returncode == 1, said, time.monotonic() - began, error=error)


def _copy_tree(copy: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules")
    for name in COPIED:
        source = TREE / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        else:
            shutil.copy(source, copy / name)


def _print(verdict: Verdict, *, whole: bool) -> None:
    if verdict.mutant.edits:
        end = "ERROR" if verdict.error else "caught" if verdict.caught else "SURVIVED"
    else:
        end = "holds" if verdict.good else "BROKEN"
    said = verdict.said
    if not whole:
        said = said.splitlines()[-1 if verdict.mutant.tests else 0]
    print(f"{end:8} {verdict.mutant.name} ({verdict.seconds:.0f} s)\n         {said}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
