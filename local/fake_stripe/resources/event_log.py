"""The list of events. (`events.emit` makes them.) An event keeps the version of its account."""

from ..calls import Call, Route, Rows, retrieving, within
from ..world import Object


def _list(call: Call) -> Rows:
    params = call.params

    def keep(event: Object) -> bool:
        types = params.get("types") or ([params["type"]] if "type" in params else None)
        if types is not None and not any(_matches(event["type"], t) for t in types):
            return False
        if "delivery_success" in params and params["delivery_success"] == bool(
            event["pending_webhooks"]
        ):
            return False
        return within(event["created"], params.get("created"))

    return Rows(call.world.rows("event", keep), "/v1/events")


def _matches(type_: str, wanted: str) -> bool:
    return type_ == wanted or (wanted.endswith("*") and type_.startswith(wanted[:-1]))


ROUTES = [
    Route("GET", "/v1/events", _list, "EventListParams"),
    Route("GET", "/v1/events/{}", retrieving("event")),
]
