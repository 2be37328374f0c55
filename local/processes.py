"""Child processes of a local run: started on a leash, watched, stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from local.place import REPOSITORY

LEASH = REPOSITORY / "local" / "leash.py"
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
_LOG_BYTES_KEPT = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to start one child, and how to see that it is ready."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    python: str = sys.executable
    folder: Path = REPOSITORY
    environment: Mapping[str, str]
    ready_url: str
    grace_seconds: float = 10


class Child:
    """One child and its successors: it may die and be started again.

    It stays in its own process group, so that Ctrl-C in the terminal reaches the runner alone.
    """

    def __init__(self, recipe: Recipe, *, label: str, log: Path) -> None:
        self.recipe = recipe
        self.ready = False
        self._label = label
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._start_at = float("inf")

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES_KEPT:
            self._log.replace(self._log.with_suffix(".old.log"))
        held_by_child, self._leash = os.pipe()
        recipe = self.recipe
        command = [recipe.python, "-P", str(LEASH), self._label, recipe.module, *recipe.arguments]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=held_by_child,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=recipe.folder,
                env=dict(recipe.environment),
                start_new_session=True,
            )
        os.close(held_by_child)
        self.ready = False

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before its first start."""
        return self._process.poll() if self._process else None

    def has_died(self) -> bool:
        return self.exit_code is not None

    def bury(self) -> str:
        """Note the death and plan the next start; returns how it ended, for the reader.

        One that had been ready starts again at once; one that dies while starting, later and
        later.
        """
        assert self._process is not None
        code = self._process.returncode
        self._let_go()
        if self.ready:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self._start_at = time.monotonic() + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        self._process = None
        self.ready = False
        return f"signal {-code}" if code < 0 else f"code {code}"

    def is_due(self) -> bool:
        """Whether one that was buried should start again."""
        return self._process is None and time.monotonic() >= self._start_at

    def became_ready(self) -> bool:
        """Probe one that is starting; True on the probe that first finds it ready."""
        if self.ready or self._process is None or self.has_died():
            return False
        self.ready = answers(self.recipe.ready_url)
        return self.ready

    def stop(self) -> bool:
        """SIGTERM, wait, at last SIGKILL. True if it ended by itself within its grace."""
        process, self._process = self._process, None
        if process is None:
            return True
        try:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=self.recipe.grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        finally:
            self._let_go()
        return True

    def last_words(self, lines: int = 12) -> str:
        """The end of its log, to show why it did not start."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _let_go(self) -> None:
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None


def answers(url: str) -> bool:
    """Whether something answers there with a 2xx, within a second, past any proxy."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=1) as response:
            return 200 <= response.status < 300
    except (OSError, ValueError):
        return False


def command_line(pid: int) -> str:
    """The command line of a living process; empty if there is none or it cannot be read."""
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    try:
        asked = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", "command="],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()


def end_leftovers(pids: Mapping[str, int], *, label: str, within_seconds: float) -> list[str]:
    """Wait for the children of a runner that was killed; at last kill them.

    They are ending by themselves, since their leash is gone. Only processes whose command line
    carries our label are touched. Returns the names of those that had to be killed.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        alive = {name: pid for name, pid in pids.items() if label in command_line(pid)}
        if not alive or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    for pid in alive.values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return sorted(alive)
