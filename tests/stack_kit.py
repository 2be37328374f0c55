"""One whole local run for browser and end-to-end tests: `stack` is a session fixture.

    from tests.stack_kit import stack  # noqa: F401

    def test_buying(stack): stack.demo["shop_url"]

It is started by `local/run.py` as a user would start it, with its own folder and free ports, and
stopped at the end. One stack serves a whole worker; mark such tests with
`@pytest.mark.xdist_group("stack")` so that they share one worker.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.place import HOST, REPOSITORY, Place

READY_WITHIN_SECONDS = 90
ENDS_WITHIN_SECONDS = 60
CLICKS_WITHIN_SECONDS = 10
READY_LINE = "Refledger is ready on "


@dataclass(slots=True)
class Stack:
    """A run under way. `output` is what it has said up to the ready line."""

    place: Place
    process: subprocess.Popen[str]
    output: list[str]

    @property
    def demo(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.demo_file.read_text())
        return found

    @property
    def app_pid(self) -> int:
        return int((self.place.state_dir / "app.pid").read_text())

    def advance(self, days: float) -> int:
        """Move the clock; returns the new time."""
        status, answer = self.call("POST", "/_local/clock", {"advance_days": days})
        assert status == 200, answer
        return int(answer["now"])

    def run(self, schedule: str) -> Any:
        status, answer = self.call("POST", f"/_local/run/{schedule}")
        assert status == 200, answer
        return answer["result"]

    def call(
        self, method: str, path: str, body: Any = None, *, api_key: str | None = None
    ) -> tuple[int, Any]:
        """One JSON request to the app: status and parsed answer."""
        request = urllib.request.Request(self.place.base_url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if api_key:
            request.add_header("Authorization", f"Bearer {api_key}")
        try:
            with _opener().open(request, timeout=30) as response:
                status, raw = response.status, response.read()
        except urllib.error.HTTPError as refusal:
            status, raw = refusal.code, refusal.read()
        return status, json.loads(raw) if raw else None

    def settle(self) -> None:
        """Wait until the fake Stripe has delivered all that it owes."""
        request = urllib.request.Request(
            f"{self.place.fake_stripe_url}/_control/deliveries/flush",
            data=b'{"timeout_seconds": 20}',
        )
        with _opener().open(request, timeout=30) as response:
            queue = json.load(response)
        assert queue["done"] and not queue["failed"], queue

    def api(self, path: str) -> Any:
        """What the API of the program Acme has there."""
        status, answer = self.call("GET", path, api_key=self.demo["api_key"])
        assert status == 200, answer
        return answer["data"]

    def clicks(self, partner: str, *, at_least: int = 0) -> int:
        """All clicks of a partner; waits for those under way, which no page waits for."""
        until = time.monotonic() + CLICKS_WITHIN_SECONDS
        while True:
            self.run("count_clicks")
            found = int(self.api(f"/v1/partners/{partner}")["clicks"])
            if found >= at_least or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the runner and wait; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        if self.process.stdout and not self.process.stdout.closed:
            late = threading.Timer(ENDS_WITHIN_SECONDS, self.process.kill)
            late.start()
            self.output += self.process.stdout.read().splitlines()  # what is buffered, too
            late.cancel()
            self.process.stdout.close()
        return self.process.wait()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    place = Place(port=four_free_ports(), state_dir=tmp_path_factory.mktemp("stack"))
    with running_stack(place) as running:
        yield running


@contextlib.contextmanager
def running_stack(place: Place, *, parts: str = "local.parts") -> Iterator[Stack]:
    """A run from its start to its end, whatever happens between."""
    running = start_stack(place, parts=parts)
    try:
        yield running
    finally:
        running.stop()


def start_stack(place: Place, *, parts: str = "local.parts") -> Stack:
    """Start a run and read its output up to the ready line; the caller stops it."""
    process = launch(place, parts=parts)
    running = Stack(place=place, process=process, output=[])
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    assert process.stdout
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        running.output.append(line.rstrip("\n"))
        if line.startswith(READY_LINE):
            return running
        if not line:
            break
    running.stop()
    raise RuntimeError("the stack did not start:\n" + "\n".join(running.output))


def launch(place: Place, *, parts: str = "local.parts") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "local.run", "--parts", parts],
        cwd=REPOSITORY,
        env=os.environ | {"PORT": str(place.port), "STATE_DIR": str(place.state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def four_free_ports() -> int:
    """The first of four free ports, below those that the system hands out by itself."""
    for _ in range(200):
        first = random.randrange(10_000, 30_000, 4)
        if all(_is_free(first + distance) for distance in range(4)):
            return first
    raise RuntimeError("no four free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
