"""A store that fails as DynamoDB and Lambda do, when it is told to.

The process dies before or after a call; a call is turned away (throttled); a commit meets somebody
else's (conditional failure, transaction conflict); a commit is done and its answer is lost. A batch
of several keys is read in two trips, between which others may write, and an index shows what stood
a moment ago.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import IndexName, Item, Key, Page, Stale, Store, TableName, Write
from tests.fakes.memory_store import MemoryStore

WALKED: tuple[TableName, ...] = ("clicks", "inbox", "records")
INDEX_LAG_MS = 20_000  # the most that an index lags behind here


class Died(BaseException):
    """The process is gone. No ``except Exception`` of ours can hold it."""


KINDS = (
    "dies before a call",
    "dies after a call",
    "throttled",
    "condition failed",
    "transaction conflict",
    "time-out after commit",
)
COMMITS_ONLY = {"condition failed", "transaction conflict", "time-out after commit"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls the ``at``-th call to the store (from 1), or the ``at``-th commit."""

    kind: str
    at: int


@dataclass(slots=True)
class Watch:
    """One run of one door: its calls are counted, and at most one fault befalls it."""

    fault: Fault | None = None
    calls: int = 0
    commits: int = 0
    met: bool = False


class UnsteadyStore:
    """A ``store.Store`` over one in memory. Steady until a thread has a ``Watch`` with a fault.
    ``turn`` is called before every call: there another worker may go on."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.turn: Callable[[], None] = lambda: None
        self.rng: random.Random | None = None  # set: reads are torn, indexes late
        self.clock: Callable[[], int] = lambda: 0
        self.met: Counter[str] = Counter()
        self._here = threading.local()
        self._shown: tuple[int, MemoryStore] | None = None

    def watch(self, watch: Watch | None) -> None:
        """What befalls the calls of this thread from now on."""
        self._here.watch = watch

    def everything(self) -> dict[Key, Item]:
        """All items but logins and keys, for assertions; no fault befalls that."""
        if isinstance(self.inner, MemoryStore):
            return self.inner.everything()
        found: dict[Key, Item] = {}
        for table in WALKED:
            after, more = None, True
            while more:
                page = self.inner.walk(table, after=after, limit=500)
                found |= {item.key: item for item in page.items}
                after, more = page.items[-1].key if page.items else after, page.more
        return found

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        watch = self._before("get")
        halves = self._torn(keys)
        items = self.inner.get(halves[0])
        if halves[1]:
            self.met["torn read"] += 1
            self.turn()
            items |= self.inner.get(halves[1])
        self._after(watch)
        return items

    def query(
        self,
        table: TableName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        watch = self._before("query")
        page = self.inner.query(
            table, pk, after=after, until=until, limit=limit, backwards=backwards
        )
        self._after(watch)
        return page

    def find(
        self,
        table: TableName,
        index: IndexName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        watch = self._before("find")
        page = self._index().find(
            table, index, pk, after=after, until=until, limit=limit, backwards=backwards
        )
        self._after(watch)
        return page

    def commit(self, writes: Sequence[Write]) -> None:
        watch = self._before("commit")
        self.inner.commit(writes)
        self._after(watch, committed=True)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def _before(self, call: str) -> Watch:
        self.turn()
        watch: Watch | None = getattr(self._here, "watch", None)
        if watch is None:
            return Watch()
        watch.calls += 1
        watch.commits += call == "commit"
        fault = watch.fault
        if fault is None or not _is_now(fault, watch, call):
            return watch
        match fault.kind:
            case "dies before a call":
                self._meet(watch, fault)
                raise Died
            case "throttled":
                self._meet(watch, fault)
                raise Unavailable
            case "condition failed" | "transaction conflict":
                self._meet(watch, fault)
                raise Stale(fault.kind)
        return watch

    def _after(self, watch: Watch, *, committed: bool = False) -> None:
        fault = watch.fault
        if fault is None or not _is_now(fault, watch, "commit" if committed else "read"):
            return
        if fault.kind == "dies after a call":
            self._meet(watch, fault)
            raise Died
        if fault.kind == "time-out after commit":
            self._meet(watch, fault)
            raise Unavailable

    def _meet(self, watch: Watch, fault: Fault) -> None:
        watch.met = True
        self.met[fault.kind] += 1

    def _torn(self, keys: Sequence[Key]) -> tuple[list[Key], list[Key]]:
        distinct = list(dict.fromkeys(keys))
        if self.rng is None or len(distinct) < 2 or self.rng.random() < 0.5:
            return distinct, []
        distinct.sort(key=lambda key: (key.table, key.pk, key.sk))
        self.rng.shuffle(distinct)
        half = self.rng.randrange(1, len(distinct))
        return distinct[:half], distinct[half:]

    def _index(self) -> Store:
        """What the indexes show: what stood at most 20 s ago, where they are late."""
        if self.rng is None or not isinstance(self.inner, MemoryStore):
            return self.inner
        now = self.clock()
        if self._shown is None or not 0 <= now - self._shown[0] <= INDEX_LAG_MS:
            self._shown = (now, self.inner.copy())
        if self.rng.random() < 0.5:
            return self.inner
        self.met["late index"] += 1
        return self._shown[1]


def _is_now(fault: Fault, watch: Watch, call: str) -> bool:
    if watch.met:
        return False
    if fault.kind in COMMITS_ONLY:
        return call == "commit" and watch.commits == fault.at
    return watch.calls == fault.at
