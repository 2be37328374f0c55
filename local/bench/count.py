"""The units and calls of each way through the app, counted on MiniStack behind a meter.

Everything is counted warm, as in a process that has served the same program a moment ago, unless
it says cold.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from local.bench.crowd import FEW, MANY, fill, one_customer
from local.bench.locks import Locks
from local.bench.meter import Meter, Tally
from local.bench.purchases import REWARD, Event, buyer, invoice_paid, purchase
from local.bench.running import free_port, running
from local.bench.scene import Scene, in_environment, make_tables, told_where
from local.bench.wire import Wire
from local.ministack import ministack_recipe
from local.place import HOST

REST_TRIES = 20
TIMES = 5
"""Each way is counted among few and among many; the middle one is compared. A body is compressed,
and one whose size lies at a whole kB costs a unit more or less by the digits in it."""
SMALL_BODY_BYTES = 2_048

Tallies = dict[str, Tally]


@contextmanager
def metered_scene(folder: Path) -> Iterator[tuple[Scene, Meter]]:
    """A program on a MiniStack of its own, behind a meter. ``folder`` is empty."""
    with _ministack(folder) as url, Meter(url) as meter, _app_on(folder, meter.url, url):
        yield Scene(), meter


@contextmanager
def plain_scene(folder: Path) -> Iterator[Scene]:
    """The same without a meter; inside, this process's environment says where everything is."""
    with _ministack(folder) as url, _app_on(folder, url, url):
        yield Scene()


@contextmanager
def _app_on(folder: Path, dynamodb: str, directly: str) -> Iterator[None]:
    with Locks() as locks, in_environment(told_where(folder, dynamodb) | locks.environment):
        make_tables(told_where(folder, directly))
        yield


@contextmanager
def _ministack(folder: Path) -> Iterator[str]:
    """One that keeps nothing when it ends."""
    kept = folder / "ministack"
    (kept / "tmp").mkdir(parents=True)
    port = free_port()
    recipe = ministack_recipe(port=port, folder=kept, grace_seconds=10)
    recipe = replace(recipe, environment={**recipe.environment, "PERSIST_STATE": "0"})
    with running(recipe, folder):
        yield f"http://{HOST}:{port}"


def count_few_and_many(folder: Path) -> tuple[Tallies, Tallies]:
    """The same counts among a hundred customers and among a hundred thousand."""
    with metered_scene(folder) as (scene, meter):
        one_customer(scene)
        wire, table = Wire(meter.upstream), scene.house.settings.tables["records"]
        fill(wire, table, 1, FEW)
        few = middle(count_all(scene, meter, first=1 + 100 * n) for n in range(TIMES))
        fill(wire, table, FEW, MANY)
        _await_rest(scene)
        return few, middle(count_all(scene, meter, first=1_000 + 100 * n) for n in range(TIMES))


def middle(counts: Iterable[Tallies]) -> Tallies:
    """Of each way the count that lies in the middle, by write units, then by calls."""
    ways: dict[str, list[Tally]] = {}
    for tallies in counts:
        for name, tally in tallies.items():
            ways.setdefault(name, []).append(tally)
    return {name: sorted(found, key=_costs)[len(found) // 2] for name, found in ways.items()}


def _costs(tally: Tally) -> tuple[int, int]:
    return tally.write_units, len(tally.calls)


def _await_rest(scene: Scene) -> None:
    """MiniStack stands still for seconds at a time while Python collects a full one's garbage."""
    for number in range(900, 900 + REST_TRIES):
        with suppress(RuntimeError):
            one_customer(scene, number)
            break


def count_all(scene: Scene, meter: Meter, *, first: int = 1) -> Tallies:
    """One tally per way, with customers and purchases numbered from `first`."""
    tallies: Tallies = {}

    def counted(name: str, do: Callable[[], object]) -> None:
        with meter.counting() as tally:
            do()
        tallies[name] = tally

    _warm_up(scene, first)
    _count_website(scene, counted, first + 10)
    _count_rewards(scene, counted, first + 20)
    _count_purchase(scene, counted, first + 30)
    return tallies


Counting = Callable[[str, Callable[[], object]], None]


def _warm_up(scene: Scene, number: int) -> None:
    """Another customer's whole way: every cache is filled, every module loaded."""
    scene.click(number)
    scene.sign_up(number, buyer(number))
    for event in purchase(number, partner="ann"):
        scene.deliver(event)


def _count_website(scene: Scene, counted: Counting, number: int) -> None:
    scene.cold()
    counted("click, cold", lambda: scene.click(number))
    counted("click", lambda: scene.click(number + 1))
    counted("its counting", lambda: scene.count_click(number + 1))
    counted("sign-up", lambda: scene.sign_up(number + 1, buyer(number + 1)))
    _warm_up(scene, number + 2)


def _count_rewards(scene: Scene, counted: Counting, number: int) -> None:
    """Two invoices, each the first payment of a customer who signed up through a click, and a third
    of a customer who has paid before."""
    before = scene.pending()
    for who, name, at_most in (
        (number, "reward", SMALL_BODY_BYTES),
        (number + 1, "reward, Stripe's body", 0),
    ):
        scene.click(who)
        scene.sign_up(who, buyer(who))
        event = invoice_paid(who, bytes_at_most=at_most)  # made, and paid, after the sign-up
        counted(name, partial(_handled, scene, event))
    again = invoice_paid(number + 2, customer=number + 1)
    counted("reward, renewal", partial(_handled, scene, again))
    counted("event again", lambda: scene.deliver(again))
    if scene.pending() != before + 3 * REWARD:
        raise RuntimeError("the invoices did not earn their rewards")


def _count_purchase(scene: Scene, counted: Counting, number: int) -> None:
    scene.click(number)
    before = scene.pending()
    events = purchase(number, partner="ann")
    for event in events:
        counted(f"sale: {event.type}", partial(_handled, scene, event))
    if scene.pending() != before + REWARD:
        raise RuntimeError("the purchase did not earn its reward")
    nothing_new = next(e for e in events if e.type == "customer.subscription.created")
    counted("event, nothing new", lambda: _handled(scene, another(nothing_new)))
    unused = another(nothing_new, type="customer.subscription.paused")
    counted("event, not used", lambda: scene.deliver(unused))


def another(event: Event, *, type: str = "customer.subscription.updated", mark: str = "") -> Event:
    """Another event that tells the same."""
    told = json.loads(event.body)
    told |= {"id": f"{told['id']}{mark}{type[-4:]}", "type": type}
    return Event(type=type, body=json.dumps(told, indent=2, ensure_ascii=False).encode())


def _handled(scene: Scene, event: Event) -> None:
    state = scene.deliver(event)
    if state != "handled":
        raise RuntimeError(f"{event.type} was {state}")


def sale_total(tallies: Tallies) -> Tally:
    """All events of one payment together."""
    return Tally(
        [c for name, tally in tallies.items() if name.startswith("sale: ") for c in tally.calls]
    )


def show(tallies: Tallies) -> str:
    """A table of the ways, and for those that write the items one by one."""
    lines = [f"{'':32}{'write units':>12}{'reported':>10}{'read units':>12}{'calls':>7}"]
    for name, tally in [*tallies.items(), ("sale, all its events", sale_total(tallies))]:
        lines.append(
            f"{name:32}{tally.write_units:>12}{tally.reported:>10.0f}{tally.read_units:>12.1f}"
            f"{len(tally.calls):>7}  {' '.join(_short(call) for call in tally.operations)}"
        )
    for name in ("reward", "reward, Stripe's body", "event, nothing new"):
        lines += ["", f"{name}, item by item:"]
        for write in tallies[name].writes:
            indexes = " ".join(f"{index}+{units}" for index, units in write.indexes.items())
            lines.append(f"  {write.units:>3} {write.bytes:>6} B  {write.key[:96]}  {indexes}")
    return "\n".join(lines)


def _short(operation: str) -> str:
    return {"TransactWriteItems": "transact", "BatchGetItem": "batch-get"}.get(
        operation, operation.removesuffix("Item").lower()
    )
