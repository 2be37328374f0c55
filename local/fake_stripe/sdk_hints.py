"""Turns the Stripe SDK's annotations into pydantic validators that refuse unknown fields.

Two kinds come in: the TypedDicts of `stripe.params` (what a request may hold) and the annotated
`StripeObject` classes (what an answer holds). Each is rebuilt as a closed TypedDict:

- unknown keys are refused; a field that is not `Optional` must be there;
- `Literal[...] | str` is read as the literals alone: the SDK leaves enums open for the future,
  the fake must not invent values. `Literal['']` beside `str` stays, since '' means "unset";
- a reference to another resource is looked up only when it is met, so schemas stay small.

Source of the rules: the generated code of stripe 16.1.0 (API 2026-10-28.endive).
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    ForwardRef,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
)

import stripe
from pydantic import BeforeValidator, ConfigDict, TypeAdapter
from pydantic.functional_validators import AfterValidator
from stripe._object_classes import OBJECT_CLASSES
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject, UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict


def params_validator(dotted: str) -> TypeAdapter[Any]:
    """The validator of `stripe.params.<dotted>`; strings are read as the numbers they spell."""
    owner: Any = stripe.params
    *rooms, name = dotted.split(".")
    for room in rooms:
        owner = importlib.import_module(f"{owner.__name__}.{room}")
    return TypeAdapter(_params_dict(getattr(owner, name)))


@cache
def resource_validator(object_name: str) -> TypeAdapter[Any]:
    """The validator of the resource whose `object` field says `object_name`; strict types."""
    return TypeAdapter(_resource_dict(resource_class(object_name)))


def resource_class(object_name: str) -> type:
    """The SDK's class of an object name. Raises `KeyError` for a name the SDK does not know."""
    module, name = OBJECT_CLASSES[object_name]
    return getattr(importlib.import_module(module), name)


def nullable_fields(object_name: str) -> dict[str, Any]:
    """The fields of a resource that may be null, with their annotations."""
    cls = resource_class(object_name)
    return {k: v for k, v in _own_hints(cls).items() if _is_optional(v)}


@cache
def field_names(object_name: str) -> frozenset[str]:
    """Every field the SDK declares for a resource."""
    return frozenset(_own_hints(resource_class(object_name)))


class _Names(dict[str, Any]):
    """The names a module's annotations may use, those under `if TYPE_CHECKING:` included."""

    def __init__(self, module_name: str) -> None:
        self._module = sys.modules[module_name]
        self._hidden = _type_checking_imports(module_name)

    def __missing__(self, name: str) -> Any:
        if name in self._hidden:
            module, original = self._hidden[name]
            return getattr(importlib.import_module(module), original)
        if hasattr(self._module, name):
            return getattr(self._module, name)
        raise KeyError(name)  # a builtin


@cache
def _type_checking_imports(module_name: str) -> dict[str, tuple[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module_name]))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for item in node.body:
                if isinstance(item, ast.ImportFrom) and item.module:
                    for alias in item.names:
                        found[alias.asname or alias.name] = (item.module, alias.name)
    return found


def _evaluate(hint: Any, names: _Names) -> Any:
    text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    # Only the installed SDK's own annotations come here, never a caller's text.
    return eval(text, {"__builtins__": __builtins__}, names)  # noqa: S307


@cache
def _own_hints(cls: type) -> dict[str, Any]:
    names = _Names(cls.__module__)
    hints = {}
    for name, hint in inspect.get_annotations(cls).items():
        if isinstance(hint, str | ForwardRef):
            hint = _evaluate(hint, names)
        if get_origin(hint) is not ClassVar and not name.startswith("_"):
            hints[name] = hint
    return hints


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


def _closed(name: str, fields: dict[str, Any], *, strict: bool) -> Any:
    built = TypedDict(name, fields)
    built.__pydantic_config__ = ConfigDict(extra="forbid", strict=strict)
    return built


@cache
def _params_dict(cls: type) -> Any:
    names = _Names(cls.__module__)
    fields = {}
    for key, hint in cls.__annotations__.items():
        if key in RequestOptions.__annotations__:
            continue
        needed = get_origin(hint) is not NotRequired
        inner = hint if needed else get_args(hint)[0]
        fields[key] = (Required if needed else NotRequired)[_convert(inner, names, _params_leaf)]
    return _closed(cls.__name__, fields, strict=False)


@cache
def _resource_dict(cls: type) -> Any:
    names = _Names(cls.__module__)
    fields = {}
    for key, hint in _own_hints(cls).items():
        wrap = NotRequired if _is_optional(hint) else Required
        fields[key] = wrap[_convert(hint, names, _resource_leaf)]
    return _closed(cls.__qualname__.replace(".", "_"), fields, strict=True)


Leaf = Callable[[Any], Any]


def _convert(hint: Any, names: _Names, leaf: Leaf) -> Any:
    if isinstance(hint, str | ForwardRef):
        return _convert(_evaluate(hint, names), names, leaf)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(args, names, leaf)
    if origin is list:
        inner = list[_convert(args[0], names, leaf)]
        return Annotated[inner, BeforeValidator(_list_of)] if leaf is _params_leaf else inner
    if origin is dict or origin is UntypedStripeObject:
        return dict[str, _convert(args[-1], names, leaf)]
    if origin is not None and getattr(origin, "__name__", "") == "ListObject":
        return _list_object(_convert(args[0], names, leaf))
    return leaf(hint)


def _union(args: tuple[Any, ...], names: _Names, leaf: Leaf) -> Any:
    flat = [_evaluate(a, names) if isinstance(a, str | ForwardRef) else a for a in args]
    closed = any(get_origin(a) is Literal and get_args(a) != ("",) for a in flat)
    if leaf is _params_leaf:
        flat = [a for a in flat if get_origin(a) is not UntypedStripeObject]
    kept = [a for a in flat if not (closed and a is str)]
    return Union[tuple(_convert(a, names, leaf) for a in kept)]  # noqa: UP007


def _list_object(item: Any) -> Any:
    fields = {"object": Literal["list"], "data": list[item], "has_more": bool, "url": str}
    return _closed("List", {k: Required[v] for k, v in fields.items()}, strict=True)


def _list_of(value: Any) -> Any:
    """`a[0]=x&a[1]=y` reaches us as {'0': 'x', '1': 'y'}: a list is told by its place alone."""
    if isinstance(value, dict) and all(k.isdigit() for k in value):
        return [value[k] for k in sorted(value, key=int)]
    return value


def _params_leaf(hint: Any) -> Any:
    if is_typeddict(hint):
        return _params_dict(hint)
    return hint


def _resource_leaf(hint: Any) -> Any:
    if hint is Decimal:
        return str  # Stripe writes decimals as strings in JSON
    if not (isinstance(hint, type) and issubclass(hint, StripeObject)):
        return hint
    if hint in (StripeObject, UntypedStripeObject):
        return dict[str, Any]
    if "." in hint.__qualname__:
        return _resource_dict(hint)
    return Annotated[dict[str, Any], AfterValidator(_Reference(hint))]


class _Reference:
    """Validates an embedded resource by its own schema, built at the first meeting."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("deleted") is True:
            return value
        return _adapter(self._cls).validate_python(value)


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(_resource_dict(cls))
