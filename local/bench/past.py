"""A long past brought in: what an object costs at the beginning and at the end, and the memory.

100,000 objects of the fake Stripe, which draws them when they are read, go into a store in a file:
what this process holds beside them is the job's own. Stripe's pace is left out: pages and calls to
the store are counted, not seconds.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.core.program import Website
from chalicelib.flows.ask_for_job import ask_for_backfill, ask_for_reconciliation
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import create_connection, create_program
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.run_jobs import run_job
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job
from chalicelib.storage.sealing import FileSealer
from chalicelib.stripe_adapter.calls import StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.pace import Pacer
from local.bench.disk_store import DiskStore
from local.place import REPOSITORY

OBJECTS = 100_000
KEY = "sk_" + "test_bench_1"
DAY = 86_400
DAYS = 600
NOW = 1_795_000_000
PARTS = 5  # stretches of time at either end whose objects are compared
READY = re.compile(r"ready on (http://\S+)")


@dataclass(slots=True)
class Mark:
    """How much was done, called, written and held when a page was done."""

    begin: int
    done: int
    calls: int
    written: int
    asked: int
    memory_mb: float


@dataclass(slots=True, kw_only=True)
class PastBrought:
    """``marks`` are at the end of each stretch of time of the first backfill."""

    marks: Sequence[Mark] = field(default_factory=list)
    seconds: float = 0
    sales: int = 0
    unexplained: int = 0
    again_found: int = 0
    again_written: int = 0

    @property
    def last(self) -> Mark:
        return self.marks[-1]

    def per_object(self, name: str) -> tuple[float, float]:
        """Of the first stretches of time, and of the last that are whole."""
        marks = self.marks
        early, late = (marks[1], marks[1 + PARTS]), (marks[-2 - PARTS], marks[-2])

        def rate(pair: tuple[Mark, Mark]) -> float:
            first, last = pair
            return (getattr(last, name) - getattr(first, name)) / (last.done - first.done)

        return rate(early), rate(late)

    def ratio(self, name: str) -> float:
        early, late = self.per_object(name)
        return late / early

    @property
    def memory_ratio(self) -> float:
        return self.last.memory_mb / self.marks[1].memory_mb


class _Account:
    """A program, its connection, and the store that counts."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url, self.now = url, float(NOW)
        self.store = DiskStore(folder / "items")
        self.sealer = FileSealer(str(folder / "key"))
        self.connections = Connections(self.store, self.sealer, lambda: self.ms)
        self.calls: list[StripeCalls] = []
        about: dict[str, Any] = {"store": self.store, "now": self.ms}
        program, _ = create_program(
            "Past",
            currency="eur",
            mode="test",
            website=Website(url="https://shop.example.com"),
            sealer=self.sealer,
            **about,
        )
        for key in ("ann", "bob"):
            told = PartnerChange(key=key, email=f"{key}@example.com")
            create_partner(told, program_id=program.id, **about)
        self.connection: Connection = create_connection(
            program,
            api_key=KEY,
            webhook_secret="whsec_" + "b" * 24,
            livemode=False,
            sealer=self.sealer,
            **about,
        )

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    def stripe(self, credentials: Credentials) -> StripeCalls:
        pacer = Pacer(per_second=1_000_000)
        self.calls.append(StripeCalls(credentials, api_base=self.url, pacer=pacer))
        return self.calls[-1]

    def tick(self) -> int:
        self.now += 0.001
        return self.ms

    def work(self, job: Job, say: Any) -> Job:
        done = run_job(
            job.id,
            job.scope,
            store=self.store,
            connections=self.connections,
            stripe=self.stripe,
            now=self.tick,
            say=say,
        )
        if done.state != "done":
            raise RuntimeError(f"the job ended as {done.state}: {done.because}")
        return done


def measure_past(folder: Path, objects: int = OBJECTS) -> PastBrought:
    with a_fake(folder) as url:
        _make(url, objects)
        account = _Account(folder, url)
        brought = PastBrought(marks=[])
        begun = time.perf_counter()
        asked = {"scope": account.connection.scope, "store": account.store, "now": account.ms}
        since = (NOW - DAYS * DAY) * 1000
        job = ask_for_backfill(account.connection.id, since=since, preview=False, **asked)
        done = account.work(job, _Marking(account, brought))
        brought.seconds = time.perf_counter() - begun
        brought.sales = done.result["sums"]["found"]
        brought.unexplained = done.result["read"]["unexplained"]
        _again(account, brought)
    return brought


def _again(account: _Account, brought: PastBrought) -> None:
    """What is known: a month of it is compared, and nothing of it written anew."""
    written: list[int] = []

    def say(job: Job) -> None:
        written.append(account.store.written)

    until = (NOW - 60 * DAY) * 1000
    job = ask_for_reconciliation(
        account.connection.id,
        since=until - 30 * DAY * 1000,
        until=until,
        scope=account.connection.scope,
        store=account.store,
        now=account.ms,
    )
    before = account.store.written
    done = account.work(job, say)
    brought.again_found = done.result["found"]
    # The lease is taken and given back; the job is stored at each step; the report is one.
    brought.again_written = account.store.written - before - len(written) - 3


class _Marking:
    """Told of each page, it marks the end of each stretch of time."""

    def __init__(self, account: _Account, brought: PastBrought) -> None:
        self._account, self._brought = account, brought
        self._begin = -1

    def __call__(self, job: Job) -> None:
        begin = int(job.cursor.get("begin", -1))
        if begin == self._begin and job.state != "done":
            return
        self._begin = begin
        store = self._account.store
        mark = Mark(
            begin=begin,
            done=job.done,
            calls=store.calls.total(),
            written=store.written,
            asked=sum(calls.made for calls in self._account.calls),
            memory_mb=memory_mb(),
        )
        assert isinstance(self._brought.marks, list)
        if self._brought.marks and self._brought.marks[-1].done == mark.done:
            self._brought.marks.pop()
        self._brought.marks.append(mark)


def memory_mb() -> float:
    """What this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def a_fake(folder: Path) -> Iterator[str]:
    """A fake Stripe in a process of its own, so that its memory is not counted."""
    command = [sys.executable, "-m", "local.fake_stripe", "--port", "0", "--no-check"]
    with (folder / "fake.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            found = READY.search(process.stdout.readline())
            if found is None:
                raise RuntimeError("the fake Stripe did not start")
            yield found[1]
        finally:
            process.terminate()
            process.wait(timeout=30)


def _make(url: str, objects: int) -> None:
    """Half of them purchases through a link, half subscriptions of three months; spread evenly."""
    told = {"key": KEY, "from": NOW - DAYS * DAY, "to": NOW - DAY, "events": False}
    link = {"client_reference_id": f"{1:022d}_ann"}
    buyer = {"customer": {"email": "buyer-{n}@example.com"}, "email": "buyer-{n}@example.com"}
    reader = {"customer": {"email": "reader-{n}@example.com"}, "email": "reader-{n}@example.com"}
    parts = [
        {"story": "payment", "count": objects // 2 // 4, **link, **buyer},
        {"story": "subscription", "months": 3, "count": objects // 2 // 12, **reader},
    ]
    _control(url, "/clock", {"offset_seconds": NOW - int(time.time())})
    for part in parts:
        _control(url, "/past", {**told, **part})


def _control(url: str, path: str, given: Any) -> None:
    data = json.dumps(given).encode()
    with urllib.request.urlopen(f"{url}/_control{path}", data=data, timeout=120) as answer:
        answer.read()


def show(brought: PastBrought) -> str:
    lines = [f"{'of one object':24}{'at first':>10}{'at last':>10}{'ratio':>8}"]
    for name, says in (("calls", "calls to the store"), ("written", "items written")):
        early, late = brought.per_object(name)
        lines.append(f"{says:24}{early:>10.2f}{late:>10.2f}{late / early:>8.2f}")
    first, last = brought.marks[1], brought.last
    lines.append(
        f"{'memory, MB':24}{first.memory_mb:>10.0f}{last.memory_mb:>10.0f}"
        f"{brought.memory_ratio:>8.2f}"
    )
    lines.append(
        f"{last.done:,} objects, {brought.sales:,} sales, {last.asked:,} calls to Stripe,"
        f" {brought.seconds:.0f} s"
    )
    lines.append(
        f"compared again: {brought.again_found} found, {brought.again_written} items written"
    )
    return "\n".join(lines)
