"""The stories, with any part of what Stripe told lost for good, and the objects read in its place:
they end as if every webhook had come."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.compare_objects import Compared, compare_objects
from chalicelib.stripe_adapter.calls import Rows
from chalicelib.stripe_adapter.objects import LISTED
from tests.builders.stripe_bodies import a_refund
from tests.builders.world import World, day
from tests.conformance.at_rest import Outcome, books_of
from tests.conformance.long_stories import LONG
from tests.conformance.short_stories import SHORT
from tests.conformance.story import Story
from tests.conformance.worked_stories import WORKED

Object = dict[str, Any]
LATER = 60  # days after the story's end, on which its objects are read

ALL = SHORT | WORKED | LONG
STORIES = {name: story for name, story in ALL.items() if story.tells and not story.paid_out}
FORGOTTEN = {
    "a customer kept out for a while, and a sale for good",
    "metadata names the customer's partner",
}
"""Metadata says one thing first and another later: no object remembers the first."""


BY_CHARGE_ALONE = {
    "an invoice in two payments, refunded and disputed",
    "refunds told by the charge alone",
}
"""Of a refund nothing but its charge tells, as if the endpoint were not sent refunds: they are
found by their ids when they are read."""


class Account:
    """The objects of a story as they stand in the end, and as a read gives them."""

    def __init__(self, story: Story) -> None:
        self.stand: dict[str, dict[str, Object]] = {}
        for _, object, on in sorted(story.tells, key=lambda told: told[2]):
            kind = object["object"]
            known = self.stand.setdefault(kind, {}).get(object["id"])
            made = known["created"] if known else _made(kind, object, on)
            self.stand[kind][object["id"]] = object | {"created": made}
        self._add_refunds(story)

    def _add_refunds(self, story: Story) -> None:
        """What only its charge told of in the story is an object of its own."""
        for charge in self.stand.get("charge", {}).values():
            refunds = self.stand.setdefault("refund", {})
            untold = not any(refund["charge"] == charge["id"] for refund in refunds.values())
            if charge["amount_refunded"] and untold:
                on = max(on for _, told, on in story.tells if told["id"] == charge["id"])
                about = {"charge": charge["id"], "payment_intent": charge["payment_intent"]}
                refund = a_refund(id="re_9", amount=charge["amount_refunded"], **about)
                refunds["re_9"] = refund | {"created": day(on)}

    def get(self, kind: str, id: Any) -> Object | None:
        return self.stand.get(kind, {}).get(id)

    def read(self, kind: str) -> list[Object]:
        return [self._opened(kind, object) for object in self.stand.get(kind, {}).values()]

    def _opened(self, kind: str, object: Object) -> Object:
        """With what ``objects.EXPAND`` asks for."""
        if kind == "payment_intent":
            return object | {"latest_charge": self._open("charge", object, "latest_charge")}
        if kind == "invoice":
            paid = self.stand.get("invoice_payment", {}).values()
            mine = [payment for payment in paid if payment["invoice"] == object["id"]]
            return object | {"payments": {"object": "list", "data": mine}}
        if kind == "charge":
            refunds = self.stand.get("refund", {}).values()
            mine = [refund for refund in refunds if refund["charge"] == object["id"]]
            return object | {"refunds": {"object": "list", "data": mine}}
        if kind == "checkout.session":
            intent = self._open("payment_intent", object, "payment_intent")
            if isinstance(intent, dict):
                intent = self._opened("payment_intent", intent)
            opened = {n: self._open(n, object, n) for n in ("invoice", "subscription")}
            return object | opened | {"payment_intent": intent}
        return object

    def _open(self, kind: str, object: Object, name: str) -> Any:
        return self.get(kind, object.get(name)) or object.get(name)

    # as ``StripeCalls``

    def retrieve(self, kind: str, id: str, *, expand: Sequence[str] = ()) -> Object | None:
        found = self.get(kind, id)
        return self._opened(kind, found) if found else None

    def page(
        self, kind: str, *, params: Mapping[str, Any], after: str = "", limit: int = 100
    ) -> Rows:
        if kind == "invoice_payment":
            wanted = params["payment"]["payment_intent"]
            rows = [r for r in self.read(kind) if r["payment"].get("payment_intent") == wanted]
        else:
            wanted = params["payment_intent"]
            stand = self.stand.get(kind, {}).values()
            rows = [self._opened(kind, r) for r in stand if r["payment_intent"] == wanted]
        return Rows(tuple(rows), False)


def _made(kind: str, object: Object, on: float) -> int:
    """When an object was made: the builders do not say of all. A checkout is opened and paid in
    the same second: many a story has no payment beside it, which would date it."""
    if kind == "charge" or kind == "customer":
        return int(object["created"])
    return day(on)


def read_all(world: World, account: Account) -> Compared:
    whole = Compared()
    for listed in LISTED:
        compared = compare_objects(
            listed.kind,
            account.read(listed.kind),
            connection=world.connection,
            calls=account,
            store=world.store,
            now=world.ms,
            since=world.ms + 1,
        )
        whole = whole.plus(compared)
    return whole


def told(story: Story, folder: Path, lost: set[int]) -> World:
    """The story as it happens, but for the tellings that are lost."""
    folder.mkdir()
    world = World(folder, **story.settings)
    steps = [
        (on, world.event(type, object, created=day(on)))
        for n, (type, object, on) in enumerate(story.tells)
        if n not in lost
    ]
    acts = [(act.on, act.do) for act in story.acts if act.door != "look"]
    for on, step in sorted([*steps, *acts], key=lambda s: s[0]):
        world.at(day(on))
        if callable(step):
            step(world)
        else:
            world.deliver(step)
    return world.at(day(LATER + max(on for *_, on in story.tells)))


def books(world: World) -> Outcome:
    world.at(day(400))
    world.stream(*[k for k in world.everything() if k.table == "clicks" and k.sk == "click"])
    for _ in range(5):
        world.sweep()
    world.mature()
    assert not world.works()
    told = books_of(world.scope, world.everything())
    paid = {id: sale for id, sale in told["sales"].items() if sale["because"] != "not paid"}
    return {**told, "sales": paid}  # of what was never paid no object need be read


@pytest.mark.parametrize("name", sorted(STORIES.keys() - BY_CHARGE_ALONE))
def test_a_story_told_in_full_lacks_nothing(name: str, tmp_path: Path) -> None:
    story = STORIES[name]
    world = told(story, tmp_path / "full", set())
    compared = read_all(world, Account(story))
    assert (compared.found, compared.unexplained) == (0, 0), compared.examples


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_story_of_which_a_part_is_read(name: str, tmp_path: Path) -> None:
    story, rng = STORIES[name], random.Random(name)
    plain = books(told(story, tmp_path / "full", set()))
    for share in (1.0, rng.choice([0.15, 0.4, 0.7])):
        lost = {n for n in range(len(story.tells)) if rng.random() < share}
        if name in FORGOTTEN:
            lost -= {n for n, told in enumerate(story.tells) if told[0].startswith("customer.")}
        world = told(story, tmp_path / f"without {share}", lost)
        compared = read_all(world, Account(story))
        assert compared.unexplained == 0, compared.examples
        assert read_all(world, Account(story)).found == 0
        assert books(world) == plain
