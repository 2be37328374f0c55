"""What becomes slower between 100 and 100,000 customers: times on the store in memory.

MiniStack walks a whole partition for each query, whatever its limit, so times of lists on it would
say nothing about DynamoDB. The store in memory keeps each partition in order, as DynamoDB does.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

from chalicelib.storage.store import MAX_WRITES, Put
from local.bench.crowd import FEW, FIRST, MANY, Mould, one_customer
from local.bench.purchases import buyer, invoice_paid
from local.bench.scene import Scene, in_environment, told_where
from local.bench.starting import percentile
from tests.fakes.memory_store import MemoryStore

TIMES = 100
WARM_UP = 10
READS = {
    "partner": "/v1/partners/ann",
    "customers": "/v1/customers?limit=50",
    "transactions": "/v1/transactions?limit=50",
    "transactions of a partner": "/v1/transactions?limit=50&partner=ann",
    "rewards of a partner": "/v1/rewards?limit=50&partner=ann",
    "ledger of a partner": "/v1/partners/ann/ledger?limit=50",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Milliseconds by what was done, among few customers and among many: the median and the 99th
    of a hundred."""

    few: Mapping[str, tuple[float, float]]
    many: Mapping[str, tuple[float, float]]

    def ratios(self, name: str) -> tuple[float, float]:
        (few_50, few_99), (many_50, many_99) = self.few[name], self.many[name]
        return many_50 / few_50, many_99 / few_99


def measure_growth(folder: Path) -> Grown:
    """The two crowds are timed by turns, so that whatever else this machine does falls on both."""
    with in_environment(told_where(folder, "http://127.0.0.1:9")):
        scenes = [_crowded(FEW), _crowded(MANY)]
        gc.collect()
        gc.freeze()
        took = {name: _times_ms(way, scenes) for name, way in _ways().items()}
        gc.unfreeze()
    few, many = ({name: times[n] for name, times in took.items()} for n in (0, 1))
    return Grown(few=few, many=many)


def _crowded(customers: int) -> Scene:
    store = MemoryStore()
    scene = Scene(store)
    before = store.everything()
    one_customer(scene)
    brought = [item for key, item in store.everything().items() if key not in before]
    fill(store, Mould(brought), 1, customers)
    return scene


def fill(store: MemoryStore, mould: Mould, start: int, stop: int) -> None:
    """Customers from ``start`` up to ``stop``, written past the flows."""
    writes: list[Put] = []
    for number in range(start, stop):
        items = [Put(item) for item in mould.cast(FIRST + number)]
        if len(writes) + len(items) > MAX_WRITES:
            store.commit(writes)
            writes = []
        writes += items
    store.commit(writes)


Way = Callable[[Scene, int], Callable[[], object]]
"""From a scene and a number to what is timed; what comes before is not."""


def _ways() -> dict[str, Way]:
    def click(scene: Scene, number: int) -> Callable[[], object]:
        return lambda: scene.click(number)

    def webhook(scene: Scene, number: int) -> Callable[[], object]:
        scene.click(number)
        scene.sign_up(number, buyer(number))
        event = invoice_paid(number)
        return lambda: scene.deliver(event)

    def read(target: str) -> Way:
        return lambda scene, _: lambda: scene.read(target)

    reads = {name: read(target) for name, target in READS.items()}
    return {"click": click, "webhook": webhook, **reads}


def _times_ms(way: Way, scenes: Sequence[Scene]) -> list[tuple[float, float]]:
    """The median and the 99th of a hundred, by scene."""
    took: list[list[float]] = [[] for _ in scenes]
    first = next(_numbers)
    for number in range(first, first + WARM_UP + TIMES):
        for scene, times in zip(scenes, took, strict=True):
            scene.enter()
            do = way(scene, number)
            begun = time.perf_counter()
            do()
            times.append(time.perf_counter() - begun)
    measured = [times[WARM_UP:] for times in took]
    return [(median(times) * 1000, percentile(times, 99) * 1000) for times in measured]


_numbers = count(60_000_000, 1_000)


def show(grown: Grown) -> str:
    lines = [f"{'p50, p99 in ms at':26}{FEW:>16,}{MANY:>18,}{'ratios':>16}"]
    for name, few in grown.few.items():
        pairs = (few, grown.many[name], grown.ratios(name))
        lines.append(f"{name:26}" + "".join(f"{a:>9.2f}{b:>8.2f}" for a, b in pairs))
    return "\n".join(lines)
