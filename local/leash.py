"""Runs one module as a process that cannot outlive the runner.

    python local/leash.py <label> <module> [arguments…]

The runner holds the writing end of a pipe that is this process's standard input. When the runner
ends, however it ends (kill -9 too), the pipe closes and the process sends itself SIGTERM: MiniStack
still saves its state, and nothing is left behind. After `GRACE_SECONDS` it ends the hard way.

The label stands in the command line, so that a later start can tell its own leftovers from a
process that happens to have the same number. Only the standard library is used: this file also
runs inside MiniStack's own virtual environment.
"""

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

GRACE_SECONDS = 45


def _end_with_the_runner() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    module, arguments = sys.argv[2], sys.argv[3:]
    threading.Thread(target=_end_with_the_runner, daemon=True, name="leash").start()
    sys.argv = [module, *arguments]
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
