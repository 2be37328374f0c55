"""What holds once everything has come to rest, whatever happened on the way."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from chalicelib.core.people import persons
from chalicelib.core.rewards import Considered
from chalicelib.core.settlement import SettledSale
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item, Key
from tests.builders.world import day
from tests.conformance.stage import Stage

MOST_SWEEPS = 20
Outcome = dict[str, Any]


class Broken(AssertionError):
    """A promise that does not hold."""


def come_to_rest(stage: Stage, on: float) -> None:
    """Past every hold: the stream tells of every click, the sweeper runs until there is nothing
    left, the hourly job releases."""
    stage.at(day(on))
    stage.stream(*stage.clicked())
    for _ in range(MOST_SWEEPS):
        stage.sweep()
        if not stage.owed_work():
            break
        stage.at(stage.now + 3600)
    stage.mature()
    stage.sweep()


def outcome(stage: Stage) -> Outcome:
    """What each program came to: its sales with their reasons, and every balance."""
    items = stage.everything()
    return {scope.program: books_of(scope, items) for scope in stage.scopes}


def books_of(scope: Scope, items: Mapping[Key, Item]) -> Outcome:
    """What one program came to."""
    balances = _balances(scope, items)
    return {
        "sales": {id: _told_of(settled) for id, settled in _sales(scope, items).items()},
        "balances": {name: b for name, b in balances.items() if any(b)},
    }


def _told_of(settled: SettledSale) -> Outcome:
    return {
        "ids": sorted(settled.sale.ids),
        "credited": settled.credited,
        "because": settled.because,
        "held": settled.held,
        "trace": [_line(told) for told in settled.trace],
        "total": {n: p.total for n, p in settled.positions.items() if p.total},
    }


def _line(told: Considered) -> str:
    return f"{told.considered} -> {told.verdict}: {told.because}"


def sums(told: Outcome) -> Outcome:
    """What does not depend on when money went out: each sale, and all that a partner earned."""
    return {
        program: {
            "sales": part["sales"],
            "balances": {name: sum(b) for name, b in part["balances"].items() if sum(b)},
        }
        for program, part in told.items()
    }


def check(stage: Stage) -> None:
    """Raises ``Broken``."""
    _need(not stage.owed_work(), f"work is left: {stage.owed_work()}")
    _need(not stage.unhandled(), f"events are left: {stage.unhandled()}")
    items = stage.everything()
    for scope in stage.scopes:
        sales = _sales(scope, items)
        _check_ledger(scope, items, sales)
        _check_places(scope, items, sales)
        _check_people(scope, items)
    _check_clicks(items)


def _need(holds: object, because: str) -> None:
    if not holds:
        raise Broken(because)


def _sales(scope: Scope, items: Mapping[Key, Item]) -> dict[str, SettledSale]:
    held = f"{scope}#sale#"
    return {
        key.pk.removeprefix(held): records.read_sale(item)
        for key, item in sorted(items.items(), key=lambda pair: pair[0].pk)
        if key.pk.startswith(held) and "of" not in item.body
    }


def _balances(scope: Scope, items: Mapping[Key, Item]) -> dict[str, tuple[int, int, int]]:
    held = f"{scope}#balance#"
    found = {}
    for key, item in items.items():
        if key.pk.startswith(held):
            balance = records.read_balance(item)
            name = f"{key.pk.removeprefix(held)}|{key.sk}"
            found[name] = (balance.pending, balance.payable, balance.paid)
    return found


def _check_ledger(
    scope: Scope, items: Mapping[Key, Item], sales: Mapping[str, SettledSale]
) -> None:
    """Postings sum to zero, balance = sum of entries = sum of what the sales stand at, and no
    cause was settled twice."""
    held = f"{scope}#ledger#"
    entries = [records.read_entry(i) for key, i in items.items() if key.pk.startswith(held)]
    causes = Counter(entry.id for entry in entries)
    _need(max(causes.values(), default=1) == 1, f"settled twice: {causes.most_common(1)}")
    zero: Counter[str] = Counter()
    accounts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        for posting in entry.postings:
            _need(type(posting.minor) is int, f"{entry.id} posts {posting.minor!r}")
            zero[entry.currency] += posting.minor
            accounts[f"{entry.partner}|{entry.currency}"][posting.account] += posting.minor
    _need(not any(zero.values()), f"postings do not sum to zero: {dict(zero)}")
    balances = _balances(scope, items)
    for name in {*balances, *accounts}:
        posted = tuple(accounts[name][bucket] for bucket in ("pending", "payable", "paid"))
        stands = balances.get(name, (0, 0, 0))
        _need(stands == posted, f"balance of {name} is {stands}, its entries sum to {posted}")
    _check_positions(scope, items, sales, balances)


def _check_positions(
    scope: Scope,
    items: Mapping[Key, Item],
    sales: Mapping[str, SettledSale],
    balances: Mapping[str, tuple[int, int, int]],
) -> None:
    summed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for settled in sales.values():
        for name, position in settled.positions.items():
            partner, currency = name.split("|")
            held = items.get(keys.balance(scope, partner, currency))
            now = position.in_period(records.read_balance(held).period)
            for n, minor in enumerate((now.pending, now.payable, now.paid)):
                summed[name][n] += minor
    for name in {*balances, *summed}:
        stands, told = balances.get(name, (0, 0, 0)), tuple(summed[name])
        _need(stands == told, f"balance of {name} is {stands}, its sales stand at {told}")


def _check_places(
    scope: Scope, items: Mapping[Key, Item], sales: Mapping[str, SettledSale]
) -> None:
    """Every id leads to its sale; every paid sale of a customer has one place among the
    customer's; nothing that was due is left unreleased."""
    places = set()
    for id, settled in sales.items():
        _need(id == settled.sale.canonical, f"{settled.sale.canonical} stands under {id}")
        for other in settled.sale.ids - {id}:
            alias = items.get(keys.sale(scope, other))
            _need(alias and alias.body.get("of") == id, f"{other} does not lead to {id}")
        if settled.pointer:
            place = keys.pointer(scope, settled.pointer_part, settled.pointer)
            _need(place in items, f"{id} has no place among its customer's sales")
            _need(records.read_pointer(items[place]).sale == id, f"{place} is not of {id}")
            places.add(place)
    inside = f"{scope}#household#"
    there = {k for k in items if k.pk.startswith(inside) and k.sk.startswith("sale#")}
    _need(there == places, f"places without a sale: {there - places}")


def _check_people(scope: Scope, items: Mapping[Key, Item]) -> None:
    """Every identity of a household leads to it; two customers of the merchant's are never one."""
    inside = f"{scope}#household#"
    for key, item in items.items():
        if not key.pk.startswith(inside) or key.sk != "!household" or "of" in item.body:
            continue
        household = records.read_household(item)
        for person in persons(household.people):
            mine = [i for i in person.identities if i.startswith("key:")]
            _need(len(mine) < 2, f"customers of the merchant's were made one: {mine}")
        for identity in household.people.identities():
            found = items.get(keys.identity(scope, identity))
            _need(found, f"{identity} leads nowhere")
            name = str(found.body["household"]) if found else ""
            while "of" in items[keys.household(scope, name)].body:
                name = str(items[keys.household(scope, name)].body["of"])
            _need(name == household.id, f"{identity} leads to {name}, not {household.id}")


def _check_clicks(items: Mapping[Key, Item]) -> None:
    """Each click was counted once."""
    told: Counter[Key] = Counter()
    for key, item in items.items():
        if key.table == "clicks" and key.sk == "click":
            click = records.read_click(item)
            told[keys.click_count(click.program, click.partner, "total")] += 1
    counted = {k: i.numbers["clicks"] for k, i in items.items() if k.sk == "total"}
    _need(counted == dict(told), f"clicks {dict(told)} were counted as {counted}")


def standing(stage: Stage) -> dict[Key, Item]:
    """All that is stored, but for the inbox: what a repeat must leave as it is."""
    return {key: item for key, item in stage.everything().items() if key.table != "inbox"}
