"""Each function may do what its stories do, and no more: what the doors ask of the store is noted
while they run, fail half-way and are swept, and held against the policies."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import pytest

from app import app
from chalicelib.core.refusals import Unavailable
from chalicelib.flows.ask_for_job import ask_for_backfill
from chalicelib.flows.plan_jobs import STANDING, read_job
from chalicelib.flows.receive_connect_webhook import DEAUTHORISED
from chalicelib.flows.show_jobs import list_job_sales
from chalicelib.storage.store import (
    Check,
    IndexName,
    Item,
    Key,
    Page,
    Put,
    Remove,
    TableName,
    Write,
)
from deploy.place import TABLE_RESOURCES
from deploy.template import DOORS
from local.fake_stripe import running_fake_stripe
from local.fake_stripe.world import account_id
from tests.builders.stripe_bodies import a_session, an_invoice
from tests.builders.world import MAY_1, World, day, token
from tests.doors_kit import Doors, Reply
from tests.fakes.memory_store import MemoryStore
from tests.flows import test_crash_everywhere as crashes
from tests.flows.account_kit import DAY, KEY, MINUTE, Account, Clock, Connected
from tests.oauth_kit import oauth_house

Right = tuple[str, str]
"""An action, and the table or ``table/index`` it is done to."""

ACTIONS = {Remove: "DeleteItem", Check: "ConditionCheckItem"}
BOOKING = {
    (action, "records")
    for action in ("BatchGetItem", "Query", "UpdateItem", "DeleteItem", "ConditionCheckItem")
}
"""One transaction does all of it; which of it depends on what is booked, so it goes together."""

ONCE_IN_A_WHILE = {"GetItem"}
"""A check that is a transaction's only member reads instead; no story here comes to that."""


class Noting(MemoryStore):
    """Notes what is asked of it, under the name of the function that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.running = ""
        self.noted: dict[str, set[Right]] = defaultdict(set)

    @contextmanager
    def as_function(self, name: str) -> Iterator[None]:
        before, self.running = self.running, name
        try:
            yield
        finally:
            self.running = before

    def note(self, action: str, table: str) -> None:
        self.noted[self.running].add((action, table))

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            self.note("BatchGetItem", key.table)
        return super().get(keys)

    def query(self, table: TableName, pk: str, **about: Any) -> Page:
        self.note("Query", table)
        return super().query(table, pk, **about)

    def find(self, table: TableName, index: IndexName, pk: str, **about: Any) -> Page:
        self.note("Query", f"{table}/{index}")
        return super().find(table, index, pk, **about)

    def commit(self, writes: Sequence[Write]) -> None:
        for write in writes:
            key = write.item.key if isinstance(write, Put) else write.key
            self.note(ACTIONS.get(type(write), "UpdateItem"), key.table)
        super().commit(writes)


class NotedWorld(World):
    """Knows which function each of its calls would run in."""

    RUNS_IN: ClassVar = {
        "website": ("click", "sign_up"),
        "webhook": ("deliver",),
        "api": ("enrol", "tell_sale", "tell_refund", "confirm", "pay", "set", "change_partner"),
        "mature-rewards": ("mature",),
        "sweep": ("sweep",),
        "count-clicks": ("stream",),
    }

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        for function, calls in NotedWorld.RUNS_IN.items():
            if name in calls:
                return self._noted(function, found)
        return found

    def _noted(self, function: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*words: Any, **told: Any) -> Any:
            assert isinstance(self.store, Noting)
            with self.store.as_function(function):
                return call(*words, **told)

        return noted


class NotedDoors(Doors):
    def ask(self, method: str, target: str, *more: Any, **told: Any) -> Reply:
        beginnings = {"website": DOORS["WebsiteHandler"], "webhook": DOORS["WebhookHandler"]}
        function = next(
            (name for name, begins in beginnings.items() if target.startswith(begins)), "api"
        )
        assert isinstance(self.store, Noting)
        with self.store.as_function(function):
            return super().ask(method, target, *more, **told)


@pytest.fixture(scope="module")
def needed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Right]]:
    """What every function was seen to need."""
    found: dict[str, set[Right]] = defaultdict(set)
    stores = [
        *through_crashes(tmp_path_factory),
        through_every_route(tmp_path_factory),
        through_jobs(tmp_path_factory),
    ]
    for store in stores:
        for function, rights in store.noted.items():
            found[function] |= rights
    return found


def through_crashes(folders: pytest.TempPathFactory) -> Iterator[Noting]:
    """Every door whole, and dying after each of its calls; the schedules do the rest."""
    for door in [*crashes.DOORS, late_terms, a_checkout]:
        for at in range(crashes.MOST_CALLS):
            store = Noting()
            world = NotedWorld(folders.mktemp("world"), store)
            act = door(world)
            fails = crashes.FailsOnce(Unavailable, at)
            store.after = fails
            with suppress(Unavailable):
                act()
            store.after = None
            world.stream(*[key for key in store.everything() if key.table == "clicks"])
            for on in (45, 46):
                world.at(day(on)).sweep()
            world.at(day(60)).mature()
            yield store
            if at and not fails.met:
                break


def late_terms(world: World) -> Callable[[], Any]:
    """Settings of a day in the past: the sweep settles what was paid since."""
    world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
    world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
    world.at(day(3))
    return lambda: world.set(hold_days=(7), starts=day(1))


def a_checkout(world: World) -> Callable[[], Any]:
    """By a token whose click nobody saw yet; then again, and then what nobody can read."""
    bought = a_session(client_reference_id=token("ann", 7))
    told = world.event("checkout.session.completed", bought, created=day(1))
    unreadable = world.event("checkout.session.completed", {"id": 1}, created=day(1))
    world.at(day(1))

    def act() -> None:
        for event in (told, told, unreadable):
            world.deliver(event)

    return act


def through_every_route(folders: pytest.TempPathFactory) -> Noting:
    """Each address that can be asked for, and the writes that a merchant makes."""
    store = Noting()
    doors = NotedDoors(folders.mktemp("doors"), store=store)
    doors.click()
    doors.sign_up(email="sam@example.com")
    doors.ask("GET", f"/r/{doors.program.id}/ann")
    doors.ask("GET", f"/t/{doors.program.id}.js")
    doors.a_customer("c1", partner={"key": "ann"})
    doors.a_customer("c2", token=token("ann", 9))
    doors.a_sale("s1")
    doors.a_sale("s2", customer="c2")
    doors.put("/v1/partners/ann", {"name": "Ann", "email": "ann-2@example.com"})
    doors.get("/v1/customers?partner=ann")
    doors.get("/v1/transactions?partner=ann")
    doors.days(40).mature()
    june = {"key": "june", "partner": {"key": "ann"}, "currency": "eur"}
    paid = doors.post("/v1/payouts", {**june, "expected_minor": doors.balance()[1]})
    assert paid.status in (200, 201), paid.body
    by_oauth(doors)
    names = {"{partner}": "ann", "{customer}": "c1", "{transaction}": "s1"}
    for route, methods in app.routes.items():
        target = route
        for name, value in names.items():
            target = target.replace(name, value)
        if "GET" in methods and "{" not in target and route.startswith("/v1"):
            reply = doors.get(target)
            assert reply.status == 200, (target, reply.body)
    return store


def by_oauth(doors: Doors) -> None:
    """An account is connected, heard of, and taken back; then another is disconnected."""
    with oauth_house(doors) as house:
        for account in ("acme", "bakery"):
            link = doors.post("/v1/connections/oauth", {}).data["link"]
            assert house.person().go(link, account).status == 200
        told = doors.event("invoice.paid", an_invoice(), account=account_id("acme"))
        gone = doors.event(DEAUTHORISED, {"id": "ca_1"}, account=account_id("acme"))
        for event in (told, gone):
            assert house.deliver(event).data["state"] == "handled"
        (left,) = [one for one in house.connections() if one.state == "open"]
        assert doors.call("DELETE", f"/v1/connections/{left.id}").status == 200


def through_jobs(folders: pytest.TempPathFactory) -> Noting:
    """Every kind of job, on an account of which nothing was told: the past tried out and brought
    in, then what happened since caught up with, asked about and compared."""
    store, clock = Noting(), Clock(MAY_1 + 20 * DAY + 1800)
    with running_fake_stripe(clock=clock, seed=1, check=False) as fake:
        account = Account(fake, clock)
        account.a_customer()
        ours = Connected(folders.mktemp("jobs"), account, "ours", store)
        ours.enrol_all()
        ours.failing = True
        past = {"begin": day(1), "end": day(15), "client_reference_id": token("ann", 3)}
        fake.make_past(KEY, story="payment", count=3, **past)

        def run_all(times: int) -> None:
            for _ in range(times):
                with store.as_function("run-jobs"):
                    ours.run()
                account.pass_time(15 * MINUTE)

        for preview in (True, False):
            about = {"scope": ours.world.scope, "store": store, "now": ours.ms()}
            told = ask_for_backfill(
                ours.connection.id, since=day(0) * 1000, preview=preview, **about
            )
            run_all(2)
            assert read_job(told.scope, told.id, store).state == "done"
            with store.as_function("api"):
                list_job_sales(told.id, scope=told.scope, store=store, limit=5)
        intent = account.an_intent(account.customers[0])
        account.a_refund(intent.id, 700)
        account.an_invoice(account.customers[0])
        ours.plan()
        run_all(24 * 4)
        for kind in STANDING:
            assert ours.job(kind).runs > 0, ours.job(kind).because
    return store


def allowed(statements: Any) -> set[Right]:
    return {
        (action.removeprefix("dynamodb:"), place)
        for statement in statements
        for action in statement["Action"]
        for resource in _resources(statement)
        if action.startswith("dynamodb:")
        for place in [_place(resource)]
        if place
    }


def _resources(statement: Any) -> list[Any]:
    resource = statement["Resource"]
    return resource if isinstance(resource, list) else [resource]


def _place(resource: Any) -> str:
    """``records``, or ``records/due``; empty for what is no table."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]} if name in TABLE_RESOURCES:
            return TABLE_RESOURCES[name]
        case {"Fn::Sub": str(text)}:
            name, _, index = text.removeprefix("${").partition(".Arn}/index/")
            return f"{TABLE_RESOURCES[name]}/{index}"
    return ""


FUNCTIONS = ("api", "website", "webhook", "mature-rewards", "sweep", "count-clicks", "run-jobs")


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does(
    function: str, needed: dict[str, set[Right]], policies: dict[str, Any]
) -> None:
    assert needed[function]
    assert needed[function] - allowed(policies[function]) == set()


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_and_no_more(
    function: str, needed: dict[str, set[Right]], policies: dict[str, Any]
) -> None:
    assert ("UpdateItem", "records") in needed[function]
    more = allowed(policies[function]) - needed[function] - BOOKING
    assert {right for right in more if right[0] not in ONCE_IN_A_WHILE} == set()


def test_the_parts_that_note_can_tell_rights_apart(policies: dict[str, Any]) -> None:
    assert ("Query", "inbox/due") in allowed(policies["sweep"])
    assert ("BatchGetItem", "sessions") in allowed(policies["api"])
    assert ("DeleteItem", "inbox") not in allowed(policies["api"])
