"""Keeps the fake honest: requests and answers are held against the official SDK's own types.

On by default; `FakeStripe(check=False)` turns the check of answers off. A request that Stripe's
typed parameters do not know is refused as Stripe would; an answer that the SDK's resource types do
not know is the fake's own fault and becomes a 500.
"""

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .errors import StripeRefusal
from .sdk_hints import params_validator, resource_validator


class ShapeFault(AssertionError):
    """The fake made an object or event that the SDK's types refuse."""


@cache
def _params(dotted: str) -> TypeAdapter[Any]:
    return params_validator(dotted)


def read_params(dotted: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The request's parameters, typed by `stripe.params.<dotted>`.

    Raises `StripeRefusal` with Stripe's code and the parameter's name in brackets."""
    try:
        return _params(dotted).validate_python(raw)
    except ValidationError as wrong:
        raise _refusal(wrong) from None


def check_object(value: dict[str, Any]) -> None:
    """Raises `ShapeFault` if a rendered object (newest version) is not what the SDK declares."""
    name = value.get("object", "")
    if value.get("deleted") is True:
        return
    try:
        if name == "list":
            for item in value["data"]:
                check_object(item)
            return
        resource_validator(name).validate_python(value)
        if name == "event":
            check_object(value["data"]["object"])
    except KeyError as unknown:
        raise ShapeFault(f"{name}: unknown object or field {unknown}") from None
    except ValidationError as wrong:
        lines = [f"{_name(e['loc'])}: {e['msg']}" for e in wrong.errors()[:5]]
        raise ShapeFault(f"{name} {value.get('id')}: " + "; ".join(lines)) from None


def _name(loc: tuple[int | str, ...]) -> str:
    parts = [str(p) for p in loc if not str(p).startswith(("list[", "dict[", "literal["))]
    parts = [p for p in parts if p and not p[0].isupper() and not p.startswith("function-")]
    return parts[0] + "".join(f"[{p}]" for p in parts[1:]) if parts else ""


def _refusal(wrong: ValidationError) -> StripeRefusal:
    errors = wrong.errors(include_url=False)
    errors.sort(key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    name, kind = _name(first["loc"]), first["type"]
    if kind == "extra_forbidden":
        return StripeRefusal(
            f"Received unknown parameter: {name}", code="parameter_unknown", param=name
        )
    if kind == "missing":
        return StripeRefusal(
            f"Missing required param: {name}.", code="parameter_missing", param=name
        )
    if kind.startswith("int_"):
        return StripeRefusal(
            f"Invalid integer: {first['input']}", code="parameter_invalid_integer", param=name
        )
    if first["input"] == "":
        return StripeRefusal(
            f"You passed an empty string for '{name}'.",
            code="parameter_invalid_empty",
            param=name,
        )
    return StripeRefusal(f"Invalid {name}: {first['msg']}", param=name)
