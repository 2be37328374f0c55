"""The rebuild: a history told again into empty tables ends in the same totals, referrals and
reasons; whatever a door was told is in it; and it may break off anywhere."""

import gzip
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.core.ledger import Entry, Position, postings
from chalicelib.core.refusals import Conflict, Unavailable
from chalicelib.flows.compare_books import compare_books
from chalicelib.flows.copy_books import DAY_MS, KEPT_MS, Role, role_of
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.rebuild import Rebuilt, rebuild
from chalicelib.settings import tables_of
from chalicelib.storage import keys, records, visit_records
from chalicelib.storage.codec import dump
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Add, Item, Key, Put, Remove, Store
from local.tables import create_missing, names_of
from tests.builders.stripe_bodies import a_dispute, a_refund, a_session, an_invoice
from tests.builders.world import World, day, token
from tests.fakes.memory_store import MemoryStore
from tests.flows.stories import outcome, run
from tests.flows.test_any_order import STORIES, pay_all
from tests.storage.backends import Backend

NAMED = {"records": "refledger-test-records"}
SEEDS = 2
every_story = pytest.mark.parametrize("name", STORIES)


def rebuilt(
    world: World, target: Store | None = None, *, on: float | None = None
) -> tuple[Rebuilt, World]:
    """What a rebuild of a world (on a day, else now) says, and the world of the new tables."""
    target = target or MemoryStore()
    now = world.ms if on is None else day(on) * 1000
    done = rebuild(world.store, target, named=NAMED, now=now, pause=lambda seconds: None)
    new = object.__new__(World)
    new.__dict__ |= world.__dict__ | {"store": target}
    return done, new


def equal(done: Rebuilt) -> bool:
    assert done.replayed.troubles == []
    assert done.compared.differences == []
    assert done.compared.counts.total() > 0
    return done.compared.equal


def memory(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


def items(world: World, wanted: Callable[[Key], bool]) -> list[Item]:
    return [item for key, item in memory(world).everything().items() if wanted(key)]


def tellings(world: World) -> list[Item]:
    return items(world, lambda key: key.sk == "told")


def forget(world: World, item: Item) -> None:
    world.store.commit([Remove(item.key, item.version)])


def post(world: World, **changes: int) -> None:
    """One more entry for ann, and her balance with it."""
    entry = Entry(
        id=f"posted:{changes}",
        at=world.ms,
        partner="ann",
        currency="eur",
        kind="adjustment",
        because="a test",
        postings=postings(changes),
    )
    balance = Add(keys.balance(world.scope, "ann", "eur"), changes)
    world.store.commit([Put(records.entry_item(world.scope, entry)), balance])


def a_busy_program(world: World) -> World:
    """Something by every door: a click and its sign-up, a late click, the merchant's customers and
    sales, Stripe's events, two payouts, a setting in the past, an event that nobody could read."""
    world.stream(world.click(token("ann"), "ann"))
    world.at(day(1)).sign_up("sam", email="sam@example.com", token=token("ann"))
    world.at(day(2)).sign_up("late", email="late@example.com", token=token("bob", 2))
    world.stream(world.click(token("bob", 2), "bob"))
    world.tell("invoice.paid", an_invoice(paid_at=day(3)), created=day(3))
    world.at(day(3.01)).tell_sale("order-2", "sam", 4900)
    world.at(day(4)).enrol("friend", email="friend@example.com", partner="bob")
    world.at(day(5)).tell_sale("order-1", "friend", 4900)
    world.at(day(6)).tell_refund("order-1", "refund-1", 1000)
    world.at(day(7)).confirm("order-2")
    named = a_session(
        id="cs_test_9", mode="setup", customer="cus_9", email=None, client_reference_id="stranger"
    )
    world.tell("checkout.session.completed", named, created=day(8))
    world.at(day(9)).enrol("stranger", partner="ann")
    world.tell("checkout.session.completed", {"object": "checkout.session"}, created=day(10))
    world.at(day(45))
    pay_all(world)
    world.tell("refund.created", a_refund(amount=4900), created=day(46))
    world.at(day(50)).set(starts=day(2), window_days=20)
    world.at(day(60)).sweep()
    world.at(day(80)).tell_sale("order-3", "friend", 2000)
    world.at(day(125))
    pay_all(world)
    world.at(day(130)).tell_sale("order-4", "friend", 3000)
    world.tell("charge.dispute.created", a_dispute(status="lost"), created=day(131))
    return world


@every_story
def test_a_story_told_again_ends_the_same(name: str, tmp_path: Path) -> None:
    story = STORIES[name]
    for seed in (None, *range(SEEDS)):
        world = World(tmp_path / str(seed), **story.settings)
        run(story, world, None if seed is None else random.Random(seed))
        done, new = rebuilt(world, on=390)
        assert equal(done), f"seed {seed}"
        assert done.replayed.told["booked_sale"] == 0
        assert done.compared.moved == 0
        assert outcome(new) == outcome(world)


def test_everything_that_happens_to_a_program(tmp_path: Path) -> None:
    world = a_busy_program(World(tmp_path))
    done, new = rebuilt(world)
    assert [line.split(":")[0] for line in done.replayed.troubles] == [
        f"event evt_3 of {world.connection.id}"
    ]
    assert done.compared.differences == []
    assert outcome(new)["sales"] == outcome(world)["sales"]
    assert outcome(new)["balances"] == outcome(world)["balances"]
    assert done.replayed.events == {"handled": 4, "failed": 1}
    assert done.replayed.told["payout"] == 3
    for same in ("#payout#", "#clicks#", "#partner", "program#", "connection#"):
        assert stripped(new, same) == stripped(world, same) != []


def stripped(world: World, part: str) -> list[Item]:
    found = items(world, lambda key: part in key.pk)
    return sorted((replace(item, version=0) for item in found), key=lambda i: str(i.key))


def test_an_event_is_given_its_place_and_stamp(tmp_path: Path) -> None:
    world = a_busy_program(World(tmp_path))
    _, new = rebuilt(world)
    assert new.state("evt_1").state == "handled"
    failed = new.store.find("inbox", "due", keys.DUE_FAILED, limit=9).items
    assert [item.key for item in failed] == [keys.inbox(world.connection.id, "evt_3")]
    assert new.store.find("inbox", "due", keys.DUE_INBOX, limit=9).items == []


class TestTellings:
    """What no inbox keeps."""

    def test_each_is_needed(self, tmp_path: Path) -> None:
        """Without any one of them, the new books say something else: all doors are journaled, and
        the comparison sees it."""
        needed = len(tellings(a_busy_program(World(tmp_path / "whole"))))
        assert needed == 10
        for number in range(needed):
            world = a_busy_program(World(tmp_path / str(number)))
            gone = tellings(world)[number]
            forget(world, gone)
            done, _ = rebuilt(world)
            assert not done.compared.equal, gone.body

    def test_a_repeat_tells_nothing(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        for _ in range(2):
            world.enrol("sam", email="sam@example.com", partner="ann")
            world.tell_sale("order-1", "sam", 4900)
            world.tell_refund("order-1", "refund-1", 100)
            world.confirm("order-1")
        assert len(tellings(world)) == 4

    def test_an_event_tells_nothing_beside_the_inbox(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
        world.at(day(40)).mature()
        world.sweep()
        assert tellings(world) == []

    def test_it_is_written_in_the_transaction_of_its_effect(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        seen: list[set[str]] = []

        def look(call: str, writes: Any) -> None:
            if call == "commit":
                seen.append({w.item.key.sk for w in writes if isinstance(w, Put)})

        memory(world).before = look
        world.enrol("sam", email="sam@example.com", partner="ann")
        assert [sorts > {"!household", "identity"} for sorts in seen if "told" in sorts] == [True]

    def test_a_seen_click_outlives_its_item(self, tmp_path: Path) -> None:
        """The click's item expires after 13 months; what it said of a sign-up is told with it."""
        world = World(tmp_path)
        world.click(token("ann"), "ann")
        world.at(day(5)).sign_up("sam", email="sam@example.com", token=token("ann"))
        world.tell("invoice.paid", an_invoice(paid_at=day(6)), created=day(6))
        for item in items(world, lambda key: key.table == "clicks"):
            forget(world, item)
        done, new = rebuilt(world)
        assert equal(done)
        assert new.sale("in_1").credited == "ann"


class TestOldBooks:
    """The inbox keeps its events for 400 days: what is older stands in the books alone."""

    @every_story
    def test_a_story_whose_events_have_expired(self, name: str, tmp_path: Path) -> None:
        story = STORIES[name]
        world = World(tmp_path, **story.settings)
        run(story, world, None)
        for item in items(world, lambda key: key.table in ("inbox", "clicks")):
            forget(world, item)
        world.at(day(1000))
        done, new = rebuilt(world)
        assert equal(done)
        assert done.replayed.told["booked_sale"] == len(outcome(world)["sales"])
        assert outcome(new) == outcome(world)

    def test_the_old_and_the_new_together(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.click(token("ann"), "ann")
        bought = a_session(client_reference_id=token("ann"))
        world.tell("checkout.session.completed", bought, created=day(1))
        for item in items(world, lambda key: key.table in ("inbox", "clicks")):
            forget(world, item)
        world.tell("refund.created", a_refund(amount=900), created=day(350))
        world.tell("invoice.paid", an_invoice(id="in_2", paid_at=day(370)), created=day(370))
        world.at(day(500)).mature()
        done, new = rebuilt(world)
        assert equal(done)
        assert done.replayed.told["booked_sale"] == 1
        assert new.balance("ann") == world.balance("ann") == (0, 800 + 980, 0)

    def test_a_click_that_came_after_its_sign_up_and_has_expired(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.sign_up("sam", email="sam@example.com", token=token("ann"))
        world.at(day(0.01)).stream(world.click(token("ann"), "ann"))
        for item in items(world, lambda key: key.table == "clicks"):
            forget(world, item)
        world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
        world.at(day(397)).mature()
        done, new = rebuilt(world)
        assert equal(done)
        assert new.sale("in_1").credited == "ann"

    def test_a_click_that_expires_before_its_checkout(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.click(token("ann"), "ann")
        named = a_session(mode="setup", payment_intent=None, client_reference_id=token("ann"))
        world.tell("checkout.session.completed", named, created=day(10))
        world.tell("invoice.paid", an_invoice(paid_at=day(11)), created=day(11))
        for item in items(world, lambda key: key.table == "clicks"):
            forget(world, item)
        world.at(day(398)).mature()
        done, new = rebuilt(world)
        assert equal(done)
        assert done.replayed.events == {"handled": 2}
        assert "last click, 10 of" in new.trace("in_1")

    def test_a_body_that_is_gone_early_is_named(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
        set_body(world, None)
        done, _ = rebuilt(world)
        assert done.replayed.troubles == [
            f"event evt_1 of {world.connection.id}: The body of this event is no longer there."
        ]
        assert not done.compared.equal
        assert any("sale#in_1 is missing" in line for line in done.compared.differences)


class TestLaterVersion:
    def test_what_an_earlier_one_could_not_read_is_handled(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        told_earlier = an_event_of_an_earlier_version(world, state="failed")
        done, new = rebuilt(world)
        assert new.state(told_earlier).state == "handled"
        assert new.balance("ann") == (980, 0, 0)
        assert not done.compared.equal
        assert any("sale#in_1 stands in the new" in line for line in done.compared.differences)

    def test_what_it_ignored_too(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        told_earlier = an_event_of_an_earlier_version(world, state="ignored")
        _, new = rebuilt(world)
        assert new.state(told_earlier).state == "handled"

    def test_what_was_sent_to_the_wrong_connection_stays_ignored(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        live = world.event("invoice.paid", an_invoice(), created=day(1), livemode=True)
        assert world.deliver(live).state == "ignored"
        done, new = rebuilt(world)
        assert done.compared.equal
        assert new.state(live["id"]).because == world.state(live["id"]).because

    def test_signed_bytes_that_are_no_json_stay_failed(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
        set_body(world, gzip.compress(b"\xff{"))
        done, new = rebuilt(world)
        assert world.state("evt_1").state == "handled"
        assert new.state("evt_1").state == "failed"
        assert done.replayed.troubled == 1


def set_body(world: World, blob: bytes | None) -> None:
    """Another body for every event that stands there."""
    for item in items(world, lambda key: key.table == "inbox"):
        if item.blob is not None:
            world.store.commit([Put(replace(item, blob=blob))])


def an_event_of_an_earlier_version(world: World, *, state: str) -> str:
    """An event that today's code would have handled, as one stamped it that could not."""
    event = world.event("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    elsewhere = object.__new__(World)
    elsewhere.__dict__ |= world.__dict__ | {"store": MemoryStore()}
    elsewhere.connections = Connections(elsewhere.store, world.sealer, lambda: world.ms)
    elsewhere.connection = elsewhere.a_connection(world.program)
    elsewhere.at(day(1)).deliver(event)
    for item in items(elsewhere, lambda key: key.table == "inbox"):
        id = item.key.pk.replace(elsewhere.connection.id, world.connection.id)
        moved = replace(item, key=replace(item.key, pk=id), version=0)
        if item.key.sk == "head":
            head = replace(
                records.read_inbox(item), connection=world.connection.id, state=state, because="new"
            )
            moved = records.inbox_item(head, version=0, blob=item.blob)
        world.store.commit([Put(moved)])
    return str(event["id"])


class TestTarget:
    def test_it_is_never_the_source(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        before = memory(world).everything()
        with pytest.raises(Conflict, match="not empty"):
            rebuilt(world, world.store)
        assert memory(world).everything() == before

    @pytest.mark.parametrize("table", ["records", "sessions", "clicks", "inbox"])
    def test_it_holds_something(self, table: Any, tmp_path: Path) -> None:
        target = MemoryStore()
        target.commit([Put(Item(key=Key(table, "p", "s")))])
        with pytest.raises(Conflict, match="not empty"):
            rebuilt(World(tmp_path), target)
        assert len(target.everything()) == 1

    def test_it_is_a_rebuild_of_others(self, tmp_path: Path) -> None:
        world, target = World(tmp_path), MemoryStore()
        rebuilt(world, target)
        with pytest.raises(Conflict, match="of other tables"):
            rebuild(world.store, target, named={"records": "others"}, now=world.ms)

    def test_somebody_works_with_it(self, tmp_path: Path) -> None:
        world, target = World(tmp_path), MemoryStore()
        _, new = rebuilt(world, target)
        new.programs = world.programs
        new.set(window_days=3)
        with pytest.raises(Conflict, match="in use"):
            rebuilt(world, target)

    def test_again_takes_in_what_came_since(self, tmp_path: Path) -> None:
        world, target = a_busy_program(World(tmp_path)), MemoryStore()
        rebuilt(world, target)
        before = target.everything()
        done, _ = rebuilt(world, target)
        assert target.everything() == before
        assert done.compared.equal
        world.set(hold_days=5)
        world.change_partner("ann", name="Ann")
        world.at(day(140)).enrol("new", partner="ann")
        world.tell_sale("order-9", "new", 700)
        done, new = rebuilt(world, target)
        assert done.compared.equal
        assert new.sale("order-9").credited == "ann"

    def test_the_source_is_only_read(self, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        before = memory(world).everything()
        rebuilt(world)
        assert memory(world).everything() == before


class TestPayouts:
    def test_money_that_was_paid_stays_what_it_was(self, tmp_path: Path) -> None:
        """The new books would have paid another amount: the next payout takes up the rest."""
        world = World(tmp_path)
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        world.at(day(1.5)).tell_sale("order-1", "sam", 4900)
        world.at(day(40)).mature()
        world.pay("june", "ann", 980)
        an_event_of_an_earlier_version(world, state="failed")
        world.at(day(41))
        done, new = rebuilt(world)
        assert not done.compared.equal
        assert new.balance("ann") == (0, 980, 980)
        assert [e.id for e in new.entries("ann") if e.kind == "payout"] == ["payout:june"]
        new.pay("july", "ann", 980)
        assert new.balance("ann") == (0, 0, 1960)

    def test_what_it_paid_is_shown_as_paid(self, tmp_path: Path) -> None:
        """The sale was released before the payout, so it is one of those that were paid."""
        world = World(tmp_path)
        world.enrol("sam", partner="ann")
        world.at(day(1)).tell_sale("order-1", "sam", 4900)
        world.at(day(40)).mature()
        world.pay("june", "ann", 980)
        world.at(day(41)).tell_sale("order-2", "sam", 2000)
        world.at(day(80)).mature()
        done, new = rebuilt(world)
        assert equal(done)
        for books in (world, new):
            shown = {
                id: books.sale(id).positions["ann|eur"].in_period(1).status()
                for id in ("order-1", "order-2")
            }
            assert shown == {"order-1": "paid", "order-2": "payable"}

    def test_what_was_payable_but_is_not_is_owed_back(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.enrol("sam", partner="ann")
        world.at(day(1)).tell_sale("order-1", "sam", 4900)
        world.at(day(40)).mature()
        world.pay("june", "ann", 980)
        told = next(t for t in tellings(world) if "sale" in t.body["told"])
        forget(world, told)
        _, new = rebuilt(world)
        assert new.balance("ann") == (0, -980, 980)


class TestComparison:
    """It sees every difference that matters, wherever it is."""

    def differences(self, source: World, target: World) -> list[str]:
        return compare_books(source.store, target.store, say=lambda line: None).differences

    @pytest.mark.parametrize(
        ("part", "changed"),
        [
            ("credited", "bob"),
            ("because", "otherwise"),
            ("held", "held"),
            ("trace", ()),
            ("positions", {"ann|eur": Position(pending=1)}),
        ],
    )
    def test_of_a_sale(self, part: str, changed: Any, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        _, new = rebuilt(world)
        key = keys.sale(world.scope, "in_1")
        item = new.store.get([key])[key]
        other = replace(records.read_sale(item), **{part: changed})
        new.store.commit([Put(replace(item, body=dump(other)))])
        named = "earned" if part == "positions" else part
        assert [f"sale#in_1: {named} was" in line for line in self.differences(world, new)] == [
            True
        ]

    def test_of_a_balance(self, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        _, new = rebuilt(world)
        post(new, pending=1, payable=-1)
        assert self.differences(world, new) == []
        assert compare_books(world.store, new.store, say=lambda line: None).moved == 1
        post(new, paid=1, payable=-1)
        assert [": paid was" in line for line in self.differences(world, new)] == [True]
        post(new, paid=-1)
        assert [": sum was" in line for line in self.differences(world, new)] == [True]

    def test_of_a_customer(self, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        _, new = rebuilt(world)
        household = new.store.get([keys.identity(world.scope, "key:friend")])
        name = str(next(iter(household.values())).body["household"])
        key = keys.household(world.scope, name)
        item = new.store.get([key])[key]
        known = records.read_household(item)
        other = replace(known, people=replace(known.people, touches={}, profiles={}))
        new.store.commit([Put(replace(item, body={**dump(other), "created_at": 1}))])
        said = " ".join(self.differences(world, new))
        assert "partner was bob" in said
        assert "profile was" in said

    def test_of_what_stands_in_one_of_them_alone(self, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        _, new = rebuilt(world)
        key = keys.sale(world.scope, "in_1")
        forget(new, new.store.get([key])[key])
        assert any("sale#in_1 is missing" in line for line in self.differences(world, new))
        assert any("sale#in_1 stands in" in line for line in self.differences(new, world))


class TestBreakingOff:
    """A store goes away at any call: the same command again goes on, and ends the same."""

    @pytest.mark.slow
    @pytest.mark.parametrize("which", ["source", "target"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_at_every_call(self, which: str, when: str, tmp_path: Path) -> None:
        world = a_busy_program(World(tmp_path))
        whole, _ = rebuilt(world)
        clean = at_rest(world)
        for at in range(1, 10_000, 1 if when == "before" else 4):
            target = MemoryStore()
            failing = memory(world) if which == "source" else target
            fails = FailsAt(at)
            setattr(failing, when, fails)
            try:
                rebuilt(world, target)
            except Unavailable:
                assert fails.left == 0
            setattr(failing, when, None)
            done, new = rebuilt(world, target)
            assert done.compared.equal, (at, done.compared.differences)
            assert at_rest(new) == clean, at
            assert done.replayed.events == whole.replayed.events
            if fails.left > 0:
                assert at > 30
                return
        raise AssertionError("it has more calls than were tried")


class FailsAt:
    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, call: str, writes: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Unavailable


def at_rest(world: World) -> dict[str, Any]:
    said = outcome(world)
    return {name: said[name] for name in ("sales", "balances")}


@pytest.fixture
def empty_tables(dynamo: Backend) -> Iterator[DynamoStore]:
    """New tables beside those of the store that is tested."""
    stage = f"new-{uuid.uuid4().hex[:8]}"
    client = boto3.client("dynamodb")
    create_missing(client, names_of(stage))
    yield DynamoStore(tables_of(stage))
    for name in names_of(stage).values():
        client.delete_table(TableName=name)


def test_on_dynamodb(dynamo: Backend, empty_tables: DynamoStore, tmp_path: Path) -> None:
    world = a_busy_program(World(tmp_path, store=dynamo.store))
    done, new = rebuilt(world, empty_tables)
    assert done.compared.differences == []
    assert done.replayed.events == {"handled": 4, "failed": 1}
    assert done.compared.counts["sale"] >= 5
    for partner in ("ann", "bob"):
        assert new.balance(partner) == world.balance(partner)
    again, _ = rebuilt(world, empty_tables)
    assert again.compared.equal


class TestRoles:
    def test_every_kind_of_item_has_one(self) -> None:
        """A key that is new in ``keys.py`` must be given a role, or a rebuild would refuse it."""
        scope = Scope("prg_1", "test")
        arguments = {"scope": scope, "at": 1, "mode": "test"}
        made: dict[str, Key] = {}
        for name, function in vars(keys).items():
            notes = getattr(function, "__annotations__", {})
            if notes.get("return") is Key and callable(function):
                told = {
                    n: Key("records", "prg_1#x", "x") if kind is Key else arguments.get(n, "x")
                    for n, kind in notes.items()
                    if n != "return"
                }
                made[name] = function(**told)
        assert len(made) >= 25
        roles = {name: role_of(key) for name, key in made.items()}
        assert {name for name, role in roles.items() if role is Role.COPIED} == {
            "program",
            "partner",
            "partner_id",
            "partner_email",
            "connection",
            "connected_account",
            "account_connection",
            "platform",
            "reconciliation",
            "oauth_code",
            "oauth_state",
            "click",
            "click_count",
            "stream_place",
            "inbox_body",
            "api_key",
        }
        assert roles["telling"] is Role.TELLING
        assert roles["payout"] is Role.PAYOUT
        assert roles["inbox"] is Role.EVENT

    def test_one_that_is_not_known_is_refused(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.store.commit([Put(Item(key=Key("records", f"{world.scope}#coupon#x", "coupon")))])
        with pytest.raises(Conflict, match="does not know what"):
            rebuilt(world)


def test_only_jobs_of_the_operator_walk() -> None:
    code = Path(__file__).parents[2] / "chalicelib"
    walking = {
        str(file.relative_to(code))
        for file in code.rglob("*.py")
        if ".walk(" in file.read_text() or ".scan" in file.read_text()
    }
    assert walking == {
        "storage/dynamo.py",
        "flows/copy_books.py",
        "flows/rebuild.py",
    }


def test_the_time_that_is_kept_is_the_shortest() -> None:
    assert KEPT_MS + DAY_MS == visit_records.CLICK_TTL_S * 1000 < records.INBOX_TTL_S * 1000
