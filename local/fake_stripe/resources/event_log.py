"""The list of events of the last 30 days. (`events.emit` makes them.) An event keeps the version of
its account. Source: docs.stripe.com/api/events/list."""

from ..calls import Call, Listed, Route
from ..errors import invalid, missing
from ..world import Object

KEPT_SECONDS = 30 * 86_400
MAX_TYPES = 20


def _list(call: Call) -> Listed:
    params = call.params
    types = _types(params)

    def keep(event: Object) -> bool:
        if types is not None and not any(_matches(event["type"], t) for t in types):
            return False
        wanted = params.get("delivery_success")
        return wanted is None or wanted != bool(event["pending_webhooks"])

    oldest = call.world.now - KEPT_SECONDS
    return Listed("event", "/v1/events", keep, params.get("created"), oldest=oldest)


def _types(params: Object) -> list[str] | None:
    """The wanted types, or None for all. Raises 400 for more than 20, or for both ways at once."""
    if "types" in params and "type" in params:
        raise invalid("You may only specify one of these parameters: type, types.")
    if len(params.get("types", [])) > MAX_TYPES:
        raise invalid(f"You can pass at most {MAX_TYPES} event types.", "types")
    return params.get("types") or ([params["type"]] if "type" in params else None)


def _matches(type_: str, wanted: str) -> bool:
    return type_ == wanted or (wanted.endswith("*") and type_.startswith(wanted[:-1]))


def _retrieve(call: Call) -> Object:
    event = call.world.peek("event", call.id)
    if event is None or event["created"] < call.world.now - KEPT_SECONDS:
        raise missing("event", call.id)
    return event


ROUTES = [
    Route("GET", "/v1/events", _list, "EventListParams"),
    Route("GET", "/v1/events/{}", _retrieve),
]
