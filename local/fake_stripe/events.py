"""Events: a frozen picture of an object, stored once, sent to every endpoint that wants it.

`emit` is called where a change happens; the picture is taken there, with the neighbours that older
API versions embed (`pictured`), so that rendering stays a pure function of the stored event.
"""

from typing import Any

from .blanks import blank
from .deliveries import wants
from .past import Drawn
from .world import Object, World, copied, public

Hearing = tuple[str, Object]  # the name of the world that owns an endpoint, and the endpoint


def emit(world: World, type_: str, changed: Object, *, before: Object | None = None) -> Object:
    """Stores the event and queues its deliveries. With `before`, tells what changed; if nothing
    did, no event is made. Returns the event (or `{}`)."""
    data: Object = {"object": pictured(world, changed)}
    if before is not None:
        data["previous_attributes"] = _previous(before, changed)
        if not data["previous_attributes"]:
            return {}
    own = [(world.name, e) for e in world.rows("webhook_endpoint") if not e.get("_connect")]
    return _store(world, type_, data, own + world.fake.connect.hearing(world))


def emit_for(world: World, type_: str, about: Object, hearing: list[Hearing]) -> Object:
    """An event of that account that is sent to the given endpoints alone."""
    return _store(world, type_, {"object": about}, hearing)


def _store(world: World, type_: str, data: Object, hearing: list[Hearing]) -> Object:
    if world.fake.illness.silences(type_, about_id(data)):
        return {}
    wanting = [(owner, e) for owner, e in hearing if wants(e, type_)]
    event = world.new(
        "event",
        type=type_,
        api_version=world.api_version,
        data=data,
        pending_webhooks=len(wanting),
        request=dict(world.request),
    )
    world.fake.check_event(event)
    for owner, endpoint in wanting:
        world.fake.deliveries.queue(world.name, event["id"], endpoint["id"], owner)
    return event


def about_id(data: Object) -> str:
    return str(data["object"].get("id", ""))


def pictured(world: World, value: Object) -> Object:
    """A copy with the notes that older versions are rendered from (all start with `_`)."""
    if isinstance(value, Drawn):
        return value
    if value.get("object") == "list":
        return value | {"data": [pictured(world, row) for row in value["data"]]}
    picture = copied(value)
    _add_notes(world, picture)
    return picture


def _add_notes(world: World, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _add_notes(world, item)
    if not isinstance(value, dict) or value.get("deleted") is True:
        return
    for name, inner in list(value.items()):
        if not name.startswith("_"):
            _add_notes(world, inner)
    match value.get("object"):
        case "charge":
            value["_refunds"] = [copied(r) for r in world.related("refund", value["id"])]
        case "payment_intent":
            charges = world.related("charge", value["id"])
            value["_charges"] = [pictured(world, c) for c in charges]
        case "discount" if isinstance(value.get("source"), dict):
            value["_coupon"] = _coupon(world, value["source"].get("coupon"))
        case "promotion_code":
            value["_coupon"] = _coupon(world, value["promotion"].get("coupon"))
        case "invoice" | "subscription":
            value["_discounts"] = [_discount(world, d) for d in value["discounts"]]
        case "line_item" | "invoiceitem" if isinstance(value.get("_price"), str):
            value["_price_object"] = copied(world.table("price")[value["_price"]])


def _coupon(world: World, coupon: Any) -> Any:
    return copied(world.table("coupon").get(coupon, {})) if isinstance(coupon, str) else coupon


def _discount(world: World, discount: Any) -> Any:
    if isinstance(discount, str):
        discount = copied(world.table("discount").get(discount, blank("discount", id=discount)))
        _add_notes(world, discount)
    return discount


def _previous(before: Object, after: Object) -> Object:
    """Stripe's `previous_attributes`: the old values of the fields that changed."""
    old, new = public(before), public(after)
    return {k: old.get(k) for k in new if old.get(k) != new[k]}
