"""How many requests a second the local server takes, and how long each waits, beside the floor.

Clicks, webhooks that earn a reward, and reads of a partner; the floor is a bare Chalice route that
does one put, behind the same server and on the same MiniStack. They are run by turns.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from local.bench.client import Driven, Reply, drive, request_bytes
from local.bench.purchases import buyer, invoice_paid
from local.bench.running import free_port, running
from local.bench.scene import Scene, click_body, signed
from local.bench.server import READY
from local.bench.starting import percentile
from local.place import HOST
from local.processes import Recipe

TURNS = 5
AT_ONCE = 4
REQUESTS = {"floor": 400, "clicks": 400, "webhooks": 60, "partner_reads": 200}
ONE_BY_ONE = {"floor": 150, "clicks": 150, "webhooks": 40, "partner_reads": 80}


@dataclass(slots=True)
class Served:
    """One kind of request: several at once, and one by one."""

    at_once: Driven = field(default_factory=Driven)
    one_by_one: Driven = field(default_factory=Driven)

    @property
    def per_second(self) -> float:
        return self.at_once.per_second

    def wait_ms(self, percent: int) -> float:
        return percentile(self.one_by_one.seconds, percent) * 1000


def measure_serving(
    scene: Scene, environment: Mapping[str, str], folder: Path
) -> dict[str, Served]:
    """``scene`` speaks to the same database as ``environment`` says."""
    with (
        _serving("app", environment, folder) as app,
        _serving("local.bench.floor_chalice", environment, folder) as floor,
    ):
        kinds: dict[str, tuple[int, Iterator[bytes], Callable[[Reply], None]]] = {
            "floor": (floor, _clicks(scene, 30_000_000), _is(204)),
            "clicks": (app, _clicks(scene, 40_000_000), _recorded),
            "webhooks": (app, _webhooks(scene, 50_000_000), _is(200)),
            "partner_reads": (app, _reads(scene), _is(200)),
        }
        served = {name: Served() for name in kinds}
        for turn in range(TURNS + 1):
            for name, (port, requests, check) in kinds.items():
                at_once = list(islice(requests, REQUESTS[name]))
                one_by_one = list(islice(requests, ONE_BY_ONE[name]))
                first = drive(port, at_once, workers=AT_ONCE, check=check)
                second = drive(port, one_by_one, workers=1, check=check)
                if turn:  # the first warms up
                    _add(served[name].at_once, first)
                    _add(served[name].one_by_one, second)
    return served


def _add(to: Driven, more: Driven) -> None:
    to.wall_seconds += more.wall_seconds
    to.seconds += more.seconds


@contextlib.contextmanager
def _serving(app: str, environment: Mapping[str, str], folder: Path) -> Iterator[int]:
    """A server of its own process; yields its port."""
    port = free_port()
    recipe = Recipe(
        name=app,
        module="local.bench.server",
        arguments=("--app", app, "--port", str(port)),
        environment=environment,
        ready_url=f"http://{HOST}:{port}{READY}",
    )
    with running(recipe, folder):
        yield port


def _clicks(scene: Scene, first: int) -> Iterator[bytes]:
    for number in count(first):
        yield request_bytes("POST", "/t/click", click_body(scene.ids.program, number))


def _webhooks(scene: Scene, first: int) -> Iterator[bytes]:
    """Invoices that earn a reward, each the first of a customer who has just signed up."""
    target = f"/stripe/webhooks/{scene.ids.connection}"
    for number in count(first):
        scene.click(number)
        scene.sign_up(number, buyer(number))
        body = invoice_paid(number).body
        headers = {"Content-Type": "application/json", "Stripe-Signature": signed(body)}
        yield request_bytes("POST", target, body, headers.items())


def _reads(scene: Scene) -> Iterator[bytes]:
    headers = {"Authorization": f"Bearer {scene.ids.api_key}"}
    while True:
        yield request_bytes("GET", "/v1/partners/ann", headers=headers.items())


def _is(status: int) -> Callable[[Reply], None]:
    def check(reply: Reply) -> None:
        if reply.status != status:
            raise RuntimeError(f"answered {reply.status}: {reply.body[:300]!r}")

    return check


def _recorded(reply: Reply) -> None:
    if reply.status != 204 or reply.header("X-Refledger") != "recorded":
        raise RuntimeError(f"a click was answered {reply.status}: {reply.header('X-Refledger')}")


def show(served: Mapping[str, Served]) -> str:
    lines = [f"{'':16}{'a second':>10}{'of floor':>10}{'p50 ms':>9}{'p99 ms':>9}"]
    floor = served["floor"]
    for name, one in served.items():
        lines.append(
            f"{name:16}{one.per_second:>10.0f}{one.per_second / floor.per_second:>10.2f}"
            f"{one.wait_ms(50):>9.2f}{one.wait_ms(99):>9.2f}"
        )
    return "\n".join(lines)
