"""`make run`: everything on this machine, in the foreground, until Ctrl-C or SIGTERM.

Starts MiniStack, the fake Stripe, the app and the shop, each its own process with its log below
`$STATE_DIR/logs`; makes the demo data; writes `$STATE_DIR/demo.json`, then says that it is ready.
It imports the standard library only and ends last, with 0; with 1 and a sentence if it cannot run.
"""

import argparse
import contextlib
import fcntl
import importlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from local.own_stripe import NotToBeUsed, OwnStripe, own_stripe
from local.parts import Parts
from local.place import HOST, Place
from local.runner import CannotRun, Runner

FOUR_PORTS = 4


def main() -> None:
    try:
        place, parts = _asked_for()
        own = _own_stripe()
        os.umask(0o077)  # the state holds keys and e-mails; the children inherit this
        place.state_dir.mkdir(parents=True, exist_ok=True)
        runner = Runner(place, parts, own)
        with _only_one_here(place):
            runner.listen_to_signals()
            runner.clear_leftovers()
            _refuse_busy_ports(place)
            runner.run()
    except CannotRun as error:
        print(f"Refledger cannot run: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def _asked_for() -> tuple[Place, Parts]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--parts", default="local.parts", help="a module that has `PARTS`")
    parts = importlib.import_module(parser.parse_args().parts).PARTS
    port = os.environ.get("PORT") or "8000"
    if not (port.isascii() and port.isdigit() and 1024 <= int(port) <= 65_536 - FOUR_PORTS):
        raise CannotRun(f"PORT is {port!r}; it must be a number from 1024 to 65532.")
    state_dir = Path(os.environ.get("STATE_DIR") or ".local").resolve()
    return Place(port=int(port), state_dir=state_dir), parts


def _own_stripe() -> OwnStripe | None:
    try:
        return own_stripe(os.environ)
    except NotToBeUsed as reason:
        raise CannotRun(str(reason)) from None


@contextlib.contextmanager
def _only_one_here(place: Place) -> Iterator[None]:
    """Hold the folder's lock. The kernel lets go of it however the runner ends."""
    with (place.state_dir / "runner.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotRun(
                f"another run uses {place.state_dir} already (process {lock.read().strip()}). "
                "Stop it, or set PORT and STATE_DIR for a second one."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _refuse_busy_ports(place: Place) -> None:
    busy = [(name, port) for name, port in place.ports.items() if not _is_free(port)]
    if busy:
        listed = ", ".join(f"{port} ({name})" for name, port in busy)
        raise CannotRun(
            f"in use already: port {listed}. Set PORT to the first of four free ports, "
            "for example: make run PORT=8100 STATE_DIR=.local2"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main()
