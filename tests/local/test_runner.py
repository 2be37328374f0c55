"""The runner as a process: locks, ports, signals, restarts, kept state. Each on a tiny app."""

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.place import HOST, Place
from local.processes import command_line
from tests.stack_kit import Stack, four_free_ports, launch, running_stack, start_stack

TINY = "tests.local.tiny.parts"
pytestmark = pytest.mark.ministack


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(port=four_free_ports(), state_dir=tmp_path)


@pytest.fixture
def tiny(place: Place) -> Iterator[Stack]:
    with running_stack(place, parts=TINY) as running:
        yield running


def children(place: Place) -> dict[str, int]:
    found: dict[str, int] = json.loads((place.state_dir / "children.json").read_text())
    return found


def wait_until(what: str, check: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def refusal(place: Place) -> str:
    """What a run says that is not to start; it must end by itself, with 1 and no traceback."""
    process = launch(place, parts=TINY)
    try:
        output = process.communicate(timeout=20)[0]
    finally:
        process.terminate()
        process.wait()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    return output


def is_alive(pid: int) -> bool:
    return bool(command_line(pid))


def test_ready_comes_after_demo_json_and_says_what_to_do(tiny: Stack) -> None:
    assert tiny.output[-1] == f"Refledger is ready on {tiny.place.base_url}"
    assert tiny.demo == {"base_url": tiny.place.base_url}
    assert tiny.process.stdout
    following = [tiny.process.stdout.readline() for _ in range(2)]
    assert f"{tiny.place.shop_url}/?via=ann" in "".join(following)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_is_found_again(place: Place, number: int) -> None:
    first = start_stack(place, parts=TINY)
    first.call("PUT", "/items/kept", {})
    first.advance(30)
    left = children(place)
    assert first.stop(number) == 0
    assert not [pid for pid in left.values() if is_alive(pid)]
    assert not (place.state_dir / "app.pid").exists()

    with running_stack(place, parts=TINY) as second:
        assert second.call("GET", "/items/kept")[1]["there"] is True
        assert second.advance(0) - time.time() == pytest.approx(30 * 86_400, abs=5)


def test_a_killed_app_is_started_again_and_keeps_its_data(tiny: Stack) -> None:
    tiny.call("PUT", "/items/kept", {})
    tiny.advance(1)
    before = children(tiny.place)
    for _ in range(2):
        dead = tiny.app_pid
        os.kill(dead, signal.SIGKILL)
        wait_until("a new pid", lambda dead=dead: tiny.app_pid != dead)
        wait_until("an answer", lambda: tiny.call("GET", "/now")[1]["pid"] == tiny.app_pid)
    assert tiny.call("GET", "/items/kept")[1]["there"] is True
    assert tiny.call("GET", "/now")[1]["now"] - time.time() == pytest.approx(86_400, abs=5)
    assert children(tiny.place)["ministack"] == before["ministack"]


def test_a_restarted_fake_stripe_learns_the_clock(tiny: Stack) -> None:
    tiny.advance(2)
    os.kill(children(tiny.place)["fake_stripe"], signal.SIGKILL)

    def knows() -> bool:
        with urllib.request.urlopen(tiny.place.fake_stripe_url, timeout=1) as response:
            return bool(json.load(response)["offset_seconds"] == 2 * 86_400)

    wait_until("the offset", knows)


def test_a_dead_ministack_ends_the_run_with_a_sentence(place: Place) -> None:
    running = start_stack(place, parts=TINY)
    os.kill(children(place)["ministack"], signal.SIGKILL)
    running.process.wait(timeout=20)
    assert running.stop() == 1
    assert "MiniStack ended (signal 9)" in "\n".join(running.output)


def test_a_second_run_on_one_folder_is_refused(tiny: Stack) -> None:
    other = Place(port=four_free_ports(), state_dir=tiny.place.state_dir)
    assert f"(process {tiny.process.pid})" in refusal(other)


def test_a_busy_port_is_named(place: Place) -> None:
    with socket.create_server((HOST, place.port + 2)):
        assert f"port {place.port + 2} (shop)" in refusal(place)


@pytest.mark.parametrize("port", [80, 65_533, -1])
def test_a_port_that_cannot_be_is_refused(place: Place, port: int) -> None:
    assert "PORT is" in refusal(Place(port=port, state_dir=place.state_dir))


def test_a_killed_runner_leaves_nothing_behind_and_its_state_is_saved(place: Place) -> None:
    first = start_stack(place, parts=TINY)
    first.call("PUT", "/items/kept", {})
    left = children(place)
    first.process.kill()
    first.process.wait()
    with running_stack(place, parts=TINY) as second:
        assert not [pid for pid in left.values() if is_alive(pid)]
        assert second.call("GET", "/items/kept")[1]["there"] is True


def test_a_run_stopped_while_it_starts_ends_well(place: Place) -> None:
    starting = launch(place, parts=TINY)
    assert starting.stdout
    starting.stdout.readline()
    starting.send_signal(signal.SIGTERM)
    output = starting.communicate(timeout=30)[0]
    assert starting.returncode == 0, output
    assert "Stopped." in output
