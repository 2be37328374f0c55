"""Core's frozen values to compact JSON and back: fields at their default are left out, and a map
of facts by their own ids is a list of the facts.

Knows the shapes that core uses: dataclasses, tuples and frozensets of one type, maps by string,
int enums, optional ints, and the dated values of settings (a plain value, or a reward rule).
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from chalicelib.core.program import Dated, Rule

T = TypeVar("T")


def dump(value: Any) -> Any:
    """The value as JSON types. Raises TypeError for a float or a type it does not know."""
    if isinstance(value, IntEnum):
        return int(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Dated) and isinstance(value.value, Rule):
        return {"starts": value.starts, "rule": dump(value.value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: dump(getattr(value, f.name))
            for f in fields(value)
            if not _is_default(f, getattr(value, f.name))
        }
    if isinstance(value, Mapping):
        if value and all(getattr(item, "id", None) == key for key, item in value.items()):
            return [dump(value[key]) for key in sorted(value)]
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [dump(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not stored")


def load(shape: type[T], data: Any) -> T:
    """The value that ``dump`` made ``data`` from."""
    made: T = _load(shape, data)
    return made


def _is_default(f: "Field[Any]", value: Any) -> bool:
    if f.default is not MISSING:
        return bool(value == f.default)
    return f.default_factory is not MISSING and bool(value == f.default_factory())


def _load(shape: Any, data: Any) -> Any:
    origin = get_origin(shape)
    if origin is None:
        return _load_plain(shape, data)
    args = get_args(shape)
    if origin in (Union, types.UnionType):
        return None if data is None else _load(next(a for a in args if a is not type(None)), data)
    if origin is tuple:
        return tuple(_load(args[0], item) for item in data)
    if origin is frozenset:
        return frozenset(_load(args[0], item) for item in data)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if isinstance(data, list):
            return {item.id: item for item in (_load(args[1], each) for each in data)}
        return {key: _load(args[1], item) for key, item in data.items()}
    if origin is Literal:
        return data
    raise TypeError(f"{shape} is not stored")


def _load_plain(shape: Any, data: Any) -> Any:
    if shape is Dated and "rule" in data:
        return Dated(starts=data["starts"], value=_load(Rule, data["rule"]))
    if isinstance(shape, type) and is_dataclass(shape):
        hints = _hints(shape)
        return shape(**{name: _load(hints[name], item) for name, item in data.items()})
    if isinstance(shape, type) and issubclass(shape, IntEnum):
        return shape(data)
    return data


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape)
