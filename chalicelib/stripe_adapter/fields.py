"""Typed looks into Stripe's JSON. Each raises ``Unreadable`` naming the field, never its value.

An absent field and ``null`` are the same everywhere: which of the two Stripe sends differs by
version.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.facts import Ms
from chalicelib.core.money import MAX_DIGITS, currency_code
from chalicelib.core.refusals import Invalid
from chalicelib.stripe_adapter.envelope import MAX_SECONDS, Unreadable

Body = Mapping[str, Any]

MAX_ID = 255  # Stripe's ids are at most 255 characters
MAX_TEXT = 5_000  # Stripe's own bound for its texts


def part(body: Body, name: str) -> Body:
    """An object inside the body; empty if absent. PHP-made fixtures and very old versions write an
    empty object as ``[]``."""
    value = body.get(name)
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{_called(body, name)} is not an object")
    return value


def rows(body: Body, name: str) -> list[Body]:
    """The objects of a list, be it Stripe's ``{"data": […]}`` or bare; empty if absent."""
    value = body.get(name)
    if isinstance(value, dict):
        value = value.get("data")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Unreadable(f"{_called(body, name)} is not a list of objects")
    return value


def text(body: Body, name: str) -> str:
    """A text, trimmed; empty if absent."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unreadable(f"{_called(body, name)} is not a text")
    return value.strip()


def flag(body: Body, name: str) -> bool:
    """True or false; false if absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Unreadable(f"{_called(body, name)} is neither true nor false")
    return bool(value)


def id_of(body: Body) -> str:
    """The object's own id."""
    value = body.get("id")
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        raise Unreadable(f"{_called(body, 'id')} is missing or not an id")
    return value


def reference(body: Body, name: str) -> str:
    """The id that a field refers to, be it an id, an expanded object, ``{id, deleted: true}`` or
    null; empty if there is none."""
    value = body.get(name)
    if isinstance(value, dict):
        value = value.get("id")
        if value is None:
            raise Unreadable(f"{_called(body, name)} is an object without an id")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_ID:
        raise Unreadable(f"{_called(body, name)} is not a reference")
    return value


def whole(body: Body, name: str) -> int | None:
    """A whole number of minor units, of either sign, at most 12 digits; ``None`` if absent."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise Unreadable(f"{_called(body, name)} is not a whole number")
    if abs(value) >= 10**MAX_DIGITS:
        raise Unreadable(f"{_called(body, name)} has more than {MAX_DIGITS} digits")
    return value


def amount_or_none(body: Body, name: str) -> int | None:
    """As ``whole``, and not negative."""
    value = whole(body, name)
    if value is not None and value < 0:
        raise Unreadable(f"{_called(body, name)} is negative")
    return value


def amount(body: Body, name: str) -> int:
    """An amount that must be there."""
    value = amount_or_none(body, name)
    if value is None:
        raise Unreadable(f"{_called(body, name)} is missing")
    return value


def currency(body: Body, name: str = "currency") -> str:
    """A known currency in lower case, from any case."""
    if body.get(name) is None:
        raise Unreadable(f"{_called(body, name)} is missing")
    try:
        return currency_code(body.get(name))
    except Invalid:
        raise Unreadable(f"{_called(body, name)} is not a currency that we know") from None


def moment(body: Body, name: str) -> Ms | None:
    """A time in unix milliseconds, from Stripe's whole seconds; ``None`` if absent."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < MAX_SECONDS:
        raise Unreadable(f"{_called(body, name)} is not a time in whole seconds")
    return value * 1_000


def _called(body: Body, name: str) -> str:
    """``invoice.amount_paid`` where the object says what it is, else the field's own name."""
    kind = body.get("object")
    return f"{kind}.{name}" if isinstance(kind, str) and len(kind) <= 40 else name
