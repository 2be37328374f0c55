"""Telling a history again, each thing at its time: events, what doors were told, payouts."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import NotFound, Refusal, Unavailable
from chalicelib.core.told import Told
from chalicelib.flows.copy_books import KEPT_MS, Role, Say, Step, old_people
from chalicelib.flows.keep_event import stored_body
from chalicelib.flows.mature_rewards import mature_rewards
from chalicelib.flows.pay_out import payout_writes
from chalicelib.flows.receive_webhook import handle_event
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.flows.sweep import sweep_work
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Item, Key, Stale, Store

INDEX_SECONDS = 1.0  # an index may be that late to show a sale that is due
ROUNDS = 20  # of doing what is owed
LISTED = 100  # names given of each kind of trouble; the rest is counted
SAY_EACH = 1000
PAYOUT_TRIES = 5


@dataclass(slots=True, kw_only=True)
class Replayed:
    """``told`` counts by what it was; ``events`` by what became of them. ``troubles`` are events
    that failed, events whose body is gone and tellings that were refused, each with its reason, at
    most 100 of them; ``troubled`` counts all."""

    told: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    troubled: int = 0

    def trouble(self, what: str) -> None:
        self.troubled += 1
        if len(self.troubles) < LISTED:
            self.troubles.append(what)


def replay_books(
    steps: Sequence[Step],
    *,
    source: Store,
    target: Store,
    now: Ms,
    say: Say,
    pause: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Tell it all again, in the order of time, and let it come to rest as of now. What was told
    before changes nothing, so an attempt that broke off is simply repeated."""
    replay = _Replay(source=source, target=target, now=now, pause=pause)
    for number, step in enumerate(sorted(steps, key=_order), 1):
        replay.tell(step)
        if number % SAY_EACH == 0:
            say(f"told again: {number} of {len(steps)}")
    replay.come_to_rest()
    return replay.done


def _order(step: Step) -> tuple[Ms, Role, str]:
    return step.at, step.role, step.key.pk


@dataclass(slots=True, kw_only=True)
class _Replay:
    source: Store
    target: Store
    now: Ms
    pause: Callable[[float], None]
    done: Replayed = field(default_factory=Replayed)
    connections: dict[str, Connection | None] = field(default_factory=dict)
    fresh: bool = False  # whether facts were booked since the last look into an index

    def tell(self, step: Step) -> None:
        kept = self.target if step.role is Role.EVENT else self.source
        item = kept.get([step.key]).get(step.key)
        if item is None:  # expired since it was listed
            self.done.trouble(f"{step.key.pk}: no longer there")
            return
        self.done.told[step.role.name.lower()] += 1
        match step.role:
            case Role.PAYOUT:
                self._payout(item)
            case Role.EVENT:
                self._event(item, step.at)
            case _:
                self._told(_told_in(item, step.role, old=self.now - KEPT_MS), step)
        self.fresh = self.fresh or step.role is not Role.PAYOUT

    def come_to_rest(self) -> None:
        """Do all that is owed, and release what is due by now."""
        for _ in range(ROUNDS):
            self._await_indexes()
            sweep_work(store=self.target, now=self.now, due_by=self.now + KEPT_MS)
            owed = self.target.find("records", "due", keys.DUE_WORK, limit=1)
            if not owed.items:
                break
            self.fresh = True
        self._mature(self.now)

    def _event(self, item: Item, at: Ms) -> None:
        head = records.read_inbox(item)
        state, because = head.state, head.because
        if state == "received":
            state, because = self._handled(item, at)
        self.done.events[state] += 1
        if state == "failed":
            self.done.trouble(f"event {head.id} of {head.connection}: {because}")

    def _handled(self, item: Item, at: Ms) -> tuple[str, str]:
        head = records.read_inbox(item)
        connection = self._connection(head.connection)
        if connection is None:
            return self._failed(item, "the connection is gone", at)
        try:
            raw_body = stored_body(head, store=self.target)
        except NotFound as gone:
            return self._failed(item, gone.message, at)
        received = handle_event(
            item, raw_body, connection=connection, store=self.target, now=at, until=_never
        )
        return received.state, received.because

    def _failed(self, item: Item, because: str, at: Ms) -> tuple[str, str]:
        self.target.commit([records.stamped(item, state="failed", now=at, because=because)])
        return "failed", because

    def _connection(self, id: str) -> Connection | None:
        """A connection without its secrets: nothing is asked of Stripe."""
        if id not in self.connections:
            item = self.target.get([keys.connection(id)]).get(keys.connection(id))
            self.connections[id] = records.read_connection(item) if item else None
        return self.connections[id]

    def _told(self, told: Told, step: Step) -> None:
        try:
            book_and_settle(
                told, scope=scope_of(step.key), store=self.target, now=step.at, journal=False
            )
        except Unavailable:
            raise
        except Refusal as refusal:
            self.done.trouble(f"{step.key.pk}: {refusal.message}")
        except Exception as error:  # as with an event: the others are told all the same
            self.done.trouble(f"{step.key.pk}: bug: {type(error).__name__}")

    def _payout(self, item: Item) -> None:
        """Money that was paid is a fact: the amount is what it was, whatever is payable by the new
        books. The next payout takes up the rest."""
        payout, scope = records.read_payout(item), scope_of(item.key)
        balance_key = keys.balance(scope, payout.partner, payout.currency)
        if item.key in self.target.get([item.key]):
            return
        self._mature(payout.at)
        for _ in range(PAYOUT_TRIES):
            balance = records.read_balance(self.target.get([balance_key]).get(balance_key))
            try:
                self.target.commit(payout_writes(payout, balance, scope=scope))
            except Stale:
                continue
            return
        raise Unavailable

    def _mature(self, at: Ms) -> None:
        self._await_indexes()
        matured = mature_rewards(store=self.target, now=at)
        if matured.failed:
            self.done.trouble(f"{matured.failed} sales could not be released")

    def _await_indexes(self) -> None:
        if self.fresh:
            self.pause(INDEX_SECONDS)
        self.fresh = False


def _never() -> bool:
    return False


def _told_in(item: Item, role: Role, *, old: Ms) -> Told:
    match role:
        case Role.TELLING:
            return records.read_telling(item).told
        case Role.BOOKED_SALE:
            return Told(sale=records.read_sale(item).sale)
        case _:
            return Told(people=old_people(records.read_household(item).people, old))


def scope_of(key: Key) -> Scope:
    """The scope that a key is made from: ``<program>/<mode>#…``."""
    program, _, mode = key.pk.partition("#")[0].rpartition("/")
    return Scope(program, "live" if mode == "live" else "test")
