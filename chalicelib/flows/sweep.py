"""The sweeper: what a crash or a full day left undone is done now."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import NotFound, Refusal
from chalicelib.flows.keep_event import stored_body
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.receive_webhook import Received, handle_event
from chalicelib.flows.settle_since import settle_since
from chalicelib.flows.settle_work import settle_work
from chalicelib.log import log
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import InboxHead
from chalicelib.storage.store import Item, Key, Store, TableName

PAGE = 50
MOST_FAILED = 10_000  # events that one run replays


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Work items done, inbox items handled, and what failed again; ``finished`` is False when
    time was up first."""

    settled: int
    handled: int
    failed: int
    finished: bool


def sweep(
    *,
    store: Store,
    connections: Connections,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
) -> Swept:
    """Do the work items and handle the inbox items that are overdue."""
    settled, failed, all_work = sweep_work(store=store, now=now, due_by=now, until=until)
    handled, missed, all_inbox = _each(
        "inbox",
        keys.DUE_INBOX,
        lambda item: _event(item, store, connections, now, until),
        store,
        now,
        until,
    )
    return Swept(
        settled=settled,
        handled=handled,
        failed=failed + missed,
        finished=all_work and all_inbox,
    )


def _each(
    table: TableName,
    kind: str,
    do: Callable[[Item], bool],
    store: Store,
    now: Ms,
    until: Callable[[], bool],
) -> tuple[int, int, bool]:
    """Done, failed, and whether the end was reached. One that fails does not stop the others."""
    done = failed = 0
    after, more = "", True
    while more:
        page = store.find(
            table, "due", kind, after=after, until=keys.due(now, "\U0010ffff"), limit=PAGE
        )
        more = page.more
        for found in page.items:
            assert found.due is not None
            after = found.due[1]
            if until():
                return done, failed, False
            item = store.get([found.key]).get(found.key)
            if item is None or item.due is None:  # done a moment ago
                continue
            try:
                done += do(item)
            except Refusal:
                failed += 1
            except Exception as error:  # a bug in one must not keep the others waiting for ever
                log("sweep", "bug", type=kind, error=type(error).__name__)
                failed += 1
    return done, failed, True


def sweep_work(
    *, store: Store, now: Ms, due_by: Ms, until: Callable[[], bool] = lambda: False
) -> tuple[int, int, bool]:
    """Do the work items that are due by a time: done, failed, and whether all were met."""

    def do(item: Item) -> bool:
        return _work(item, store, now, until)

    return _each("records", keys.DUE_WORK, do, store, due_by, until)


def _work(item: Item, store: Store, now: Ms, until: Callable[[], bool]) -> bool:
    if "household" not in item.body:
        return settle_since(item, store=store, now=now, until=until)
    scope = Scope(item.body["program"], item.body["mode"])
    return settle_work(item.body["household"], scope=scope, store=store, now=now, until=until)


def _event(
    item: Item, store: Store, connections: Connections, now: Ms, until: Callable[[], bool]
) -> bool:
    head = records.read_inbox(item)
    if head.state != "received":
        return False
    received = _handle(item, head, store, connections, now, until)
    if received.state == "failed":
        told = {"event": head.id, "connection": head.connection, "type": head.type}
        log("sweep", "failed", because=received.because, **told)
    return received.state == "handled"


def _handle(
    item: Item,
    head: InboxHead,
    store: Store,
    connections: Connections,
    now: Ms,
    until: Callable[[], bool],
) -> Received:
    connection = connections.get(head.connection)
    if connection is None:
        return Received(state="failed", because="the connection is gone")
    raw_body = stored_body(head, store=store)
    return handle_event(item, raw_body, connection=connection, store=store, now=now, until=until)


def replay_event(
    connection_id: str, event_id: str, *, store: Store, connections: Connections, now: Ms
) -> Received:
    """Handle one event of the inbox again, whatever its state: how a later version takes in what
    an earlier one stamped ``failed``."""
    key: Key = keys.inbox(connection_id, event_id)
    item = store.get([key]).get(key)
    if item is None:
        return Received(state="failed", because="there is no such event in the inbox")
    head = records.read_inbox(item)
    return _handle(item, head, store, connections, now, lambda: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedFailed:
    """What became of the events that had failed, by state, and those that failed again."""

    states: Mapping[str, int]
    failed: Sequence[Received]


def replay_failed(
    connection_id: str = "", *, store: Store, connections: Connections, now: Ms
) -> ReplayedFailed:
    """Handle every event that failed again, of one connection or of all, oldest first; at most
    10,000 in one run. The index of failed events finds them without a walk."""
    states: Counter[str] = Counter()
    again: list[Received] = []
    for key in _failed_keys(connection_id, store):
        item = store.get([key]).get(key)
        head = records.read_inbox(item) if item else None
        if item is None or head is None or head.state != "failed":
            continue
        try:
            received = _handle(item, head, store, connections, now, lambda: False)
        except NotFound as gone:  # its body has expired
            received = Received(state="failed", event=head.id, because=gone.message)
        states[received.state] += 1
        if received.state == "failed":
            again.append(received)
    return ReplayedFailed(states=states, failed=again)


def _failed_keys(connection_id: str, store: Store) -> list[Key]:
    """Read to the end before anything is handled: what fails again is listed again."""
    found: list[Key] = []
    after, more = "", True
    while more and len(found) < MOST_FAILED:
        page = store.find("inbox", "due", keys.DUE_FAILED, after=after, limit=PAGE)
        more = page.more
        for item in page.items:
            assert item.due is not None
            after = item.due[1]
            if not connection_id or item.key.pk.startswith(f"{connection_id}#"):
                found.append(item.key)
    return found[:MOST_FAILED]
