"""What is stored is what was there."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.people import Household
from chalicelib.core.program import Program
from chalicelib.core.settlement import SettledSale
from chalicelib.storage.codec import dump, load
from tests.builders.stripe_bodies import a_charge, a_dispute, a_refund, a_session
from tests.builders.world import World, day, token
from tests.fakes.memory_store import MemoryStore


def test_whatever_a_story_leaves_behind(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.enrol("sam", partner="ann", email="sam@example.com")
    world.tell(
        "checkout.session.completed",
        a_session(client_reference_id=token("bob"), metadata={"partner_key": "ann"}),
        created=day(1),
    )
    world.tell("charge.refunded", a_charge(amount_refunded=500), created=day(2))
    world.tell("refund.created", a_refund(), created=day(2))
    world.tell("charge.dispute.created", a_dispute(), created=day(3))
    sale = world.sale("cs_test_1")
    assert sale.sale.refunds and sale.sale.refunded_totals and sale.sale.disputes and sale.trace
    assert load(SettledSale, dump(sale)) == sale
    assert load(Program, dump(world.program)) == world.program
    assert isinstance(world.store, MemoryStore)
    bodies = [i.body for k, i in world.store.everything().items() if k.sk == "!household"]
    assert bodies
    for body in bodies:
        plain = {n: v for n, v in body.items() if n != "created_at"}
        household = load(Household, plain)
        assert household.people.touches and dump(household) == plain


@pytest.mark.parametrize("value", [1.5, Decimal("1"), b"x", object(), {"a": 1.5}])
def test_refuses_what_it_does_not_know(value: Any) -> None:
    with pytest.raises(TypeError):
        dump(value)
