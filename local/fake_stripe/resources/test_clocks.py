"""Test clocks: a frozen time of its own for some customers, moved forward on request.

Source: docs.stripe.com/billing/testing/test-clocks. The work is done before the call returns, yet
the answer still says `advancing`, as Stripe's does; the next look says `ready`.
"""

from ..calls import Call, Route, listing_of, retrieving
from ..errors import invalid
from ..events import emit
from ..jobs import run_due
from ..world import Object, copied

KEPT_DAYS = 30
KIND = "test_helpers.test_clock"


def _create(call: Call) -> Object:
    made = call.world.new(
        KIND,
        deletes_after=call.world.fake.now() + KEPT_DAYS * 86_400,
        frozen_time=call.params["frozen_time"],
        name=call.params.get("name"),
        status="ready",
        status_details={},
    )
    emit(call.world, "test_helpers.test_clock.created", made)
    return made


def _advance(call: Call) -> Object:
    world, clock = call.world, call.world.get(KIND, call.id)
    target = call.params["frozen_time"]
    if target <= clock["frozen_time"]:
        raise invalid("A test clock can only be advanced into the future.", "frozen_time")
    before = copied(clock)
    clock.update(status="advancing", status_details={"advancing": {"target_frozen_time": target}})
    emit(world, "test_helpers.test_clock.advancing", clock)
    shown = copied(clock)
    run_due(world, target, clock["id"])
    clock.update(frozen_time=target, status="ready", status_details={})
    emit(world, "test_helpers.test_clock.ready", clock, before=before)
    return shown


def _delete(call: Call) -> Object:
    """Its customers and their subscriptions go with it, without events."""
    world, clock = call.world, call.world.get(KIND, call.id)
    subscriptions = world.rows("subscription")
    for customer in world.rows("customer", lambda c: c["test_clock"] == clock["id"]):
        for subscription in subscriptions:
            if subscription["customer"] == customer["id"]:
                world.table("subscription").pop(subscription["id"], None)
        world.table("customer")[customer["id"]] = {
            "id": customer["id"],
            "object": "customer",
            "deleted": True,
        }
    world.jobs = [j for j in world.jobs if j["clock"] != clock["id"]]
    del world.table(KIND)[clock["id"]]
    return {"id": clock["id"], "object": KIND, "deleted": True}


_URL = "/v1/test_helpers/test_clocks"
_LIST = "test_helpers.TestClockListParams"
ROUTES = [
    Route("POST", _URL, _create, "test_helpers.TestClockCreateParams"),
    Route("GET", _URL, listing_of(KIND, _URL), _LIST),
    Route("GET", _URL + "/{}", retrieving(KIND)),
    Route("POST", _URL + "/{}/advance", _advance, "test_helpers.TestClockAdvanceParams"),
    Route("DELETE", _URL + "/{}", _delete),
]
