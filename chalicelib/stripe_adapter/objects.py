"""What a read of Stripe's API tells, as the event that would have told it.

An object becomes the body of an event of our own making, which goes the way of every webhook:
inbox, ``translate``, booking. Its id is made from its content, so the same read is the same event,
and an object that has changed is another.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.stripe_adapter.envelope import READ_PREFIX
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.object_times import told_at

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.calls import Kind

API_VERSION = (
    "2026-10-28.endive"  # the SDK's, which every read asks for (a test holds them together)
)
EXPAND: Mapping["Kind", tuple[str, ...]] = {
    "checkout.session": ("payment_intent.latest_charge", "invoice", "subscription"),
    "invoice": ("payments", "amount_paid_off_stripe"),
    "payment_intent": ("latest_charge",),
    "charge": ("refunds",),
    "refund": ("charge.refunds",),
}
"""What is asked for beside an object: who paid an invoice, and what of it outside Stripe, which no
webhook says since basil; when things happened; whether a refund is what a capture left over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list of Stripe's, and with what it is asked. ``window`` says that only objects made in the
    time looked at count: who a customer is, and what a subscription's metadata says, is as old as
    they are."""

    kind: "Kind"
    params: Mapping[str, Any] = field(default_factory=dict)
    window: bool = True


def _listed(kind: "Kind", *, window: bool = True, **params: str) -> Listed:
    expand = [f"data.{path}" for path in EXPAND.get(kind, ())]
    asked: dict[str, Any] = {**params, **({"expand": expand} if expand else {})}
    return Listed(kind=kind, params=asked, window=window)


LISTED: tuple[Listed, ...] = (
    _listed("customer", window=False),
    _listed("subscription", window=False, status="all"),
    _listed("checkout.session", status="complete"),
    _listed("invoice", status="paid"),
    _listed("payment_intent"),
    _listed("charge"),
    _listed("refund"),
    _listed("dispute"),
    _listed("credit_note"),
)
"""In the order in which they are read: who, why, what was paid, what was taken back. So a payment
intent finds its session and its invoice known."""


def event_of(kind: "Kind", object: Body, *, livemode: bool, account: str) -> bytes | None:
    """The event that would have told of this object as it stands; ``None`` where it tells nothing
    of money or people (``untold`` says why). ``account`` is that of a connection by OAuth, else
    empty."""
    type = _TYPES[kind](object)
    if type is None:
        return None
    return made_event(
        type,
        _closed(kind, object),
        created=told_at(kind, object),
        livemode=livemode,
        account=account,
    )


def made_event(type: str, object: Body, *, created: int, livemode: bool, account: str) -> bytes:
    """An event of our own making about an object, its id made from all that it says."""
    event: dict[str, Any] = {
        "object": "event",
        "type": type,
        "created": created,
        "livemode": livemode,
        **({"account": account} if account else {}),
        "api_version": API_VERSION,
        "data": {"object": _without_links(object)},
    }
    digest = hashlib.sha256(_as_body(event)).hexdigest()[:16]
    return _as_body({"id": f"{READ_PREFIX}{str(object.get('id'))[:200]}_{digest}", **event})


def with_object(event: Body, object: Body) -> bytes:
    """An event of Stripe's list, its object fetched again: id, type and time as they were.

    Listed events have the shape of the day on which they were made. The object has today's, and
    what was asked for beside it; but what has changed of it since stands as the event had it, or
    the past would be told with today's state. An object that is gone is left as the event had it.
    """
    data = event.get("data") or {}
    was = data.get("object") or {}
    if object.get("deleted"):
        return _as_body(event)
    object = _closed(str(object.get("object")), object)
    now = {**was, **object, **{name: was[name] for name in _CHANGES if name in was}}
    return _as_body({**event, "data": {**data, "object": _without_links(now)}})


_CHANGES = frozenset(
    "amount_captured amount_received amount_refunded captured customer_details email "
    "metadata name payment_status refunded refunds status voided_at".split()
)


def untold(kind: "Kind", object: Body) -> str:
    """Why an object tells nothing; an empty string where it does."""
    if _TYPES[kind](object) is not None:
        return ""
    if object.get("deleted"):
        return f"a deleted {_word(kind)}"
    if kind == "charge" and object.get("status") == "succeeded":
        return "a charge that is not captured is no payment"
    status = object.get("status")
    return f"{_word(kind)} with status {status if isinstance(status, str) else 'unknown'}: not paid"


def money_of(kind: "Kind", object: Body) -> tuple[str, int]:
    """Currency and minor units that an object is about; an empty currency where about none."""
    for name in _AMOUNTS.get(kind, ()):
        amount, code = object.get(name), object.get("currency")
        if type(amount) is int and isinstance(code, str):
            return code.lower(), amount
    return "", 0


_AMOUNTS: Mapping["Kind", tuple[str, ...]] = {
    "checkout.session": ("amount_total",),
    "invoice": ("amount_paid",),
    "payment_intent": ("amount_received",),
    "charge": ("amount_captured", "amount"),
    "refund": ("amount",),
    "dispute": ("amount",),
    "credit_note": ("amount",),
}


def _word(kind: "Kind") -> str:
    return kind.split(".")[-1].replace("_", " ")


def _of(type: str, *, status: Iterable[str] = ()) -> Callable[[Body], str | None]:
    wanted = frozenset(status)
    return lambda object: type if not wanted or object.get("status") in wanted else None


def _unless_deleted(type: str) -> Callable[[Body], str | None]:
    return lambda object: None if object.get("deleted") else type


def _invoice(invoice: Body) -> str | None:
    return {"paid": "invoice.paid", "void": "invoice.voided"}.get(str(invoice.get("status")))


def _charge(charge: Body) -> str | None:
    """One that was authorised first is told by its capture: what was refunded of it, its refunds
    tell themselves."""
    if charge.get("status") != "succeeded" or not charge.get("captured"):
        return None
    details = charge.get("payment_method_details")
    card = details.get("card") if isinstance(details, dict) else None
    if isinstance(card, dict) and card.get("capture_before") is not None:
        return "charge.captured"
    return "charge.refunded" if charge.get("amount_refunded") else "charge.succeeded"


_ENDED = ("won", "lost", "prevented", "warning_closed")


def _dispute(dispute: Body) -> str:
    ended = dispute.get("status") in _ENDED
    return "charge.dispute.closed" if ended else "charge.dispute.created"


def _credit_note(note: Body) -> str:
    return "credit_note.voided" if note.get("status") == "void" else "credit_note.created"


_TYPES: Mapping["Kind", Callable[[Body], str | None]] = {
    "customer": _unless_deleted("customer.created"),
    "subscription": _unless_deleted("customer.subscription.created"),
    "checkout.session": _of("checkout.session.completed", status=["complete"]),
    "invoice": _invoice,
    "invoice_payment": _of("invoice_payment.paid", status=["paid"]),
    "payment_intent": _of("payment_intent.succeeded", status=["succeeded"]),
    "charge": _charge,
    "refund": _unless_deleted("refund.updated"),
    "dispute": _dispute,
    "credit_note": _credit_note,
}


def _closed(kind: str, object: Body) -> Body:
    """The object as a webhook would have it: what a session refers to was expanded for its time
    alone, and tells of itself; a refund's charge says something of it where it was captured in
    part."""
    charge = object.get("charge")
    if kind == "checkout.session":
        opened: tuple[str, ...] = ("payment_intent", "invoice", "subscription", "customer")
    elif kind == "refund" and not _captured_in_part(charge):
        opened = ("charge",)
    else:
        return object
    return {
        name: value["id"] if name in opened and isinstance(value, dict) and "id" in value else value
        for name, value in object.items()
    }


def _captured_in_part(charge: Any) -> bool:
    return isinstance(charge, dict) and charge.get("amount_captured") != charge.get("amount")


def _without_links(value: Any) -> Any:
    """Without empty fields, links (they are other ones at each reading) and client secrets."""
    if isinstance(value, dict):
        return {
            name: _without_links(part)
            for name, part in value.items()
            if part is not None and not name.endswith(("url", "client_secret", "_pdf"))
        }
    if isinstance(value, list):
        return [_without_links(part) for part in value]
    return value


def _as_body(event: Body) -> bytes:
    return json.dumps(event, sort_keys=True, separators=(",", ":"), default=str).encode()
