"""Reads the form encoding of Stripe's API: `a[b][0]=x` and `expand[]=y`, in body or query."""

from typing import Any
from urllib.parse import parse_qsl

MAX_FIELDS = 2_000
MAX_DEPTH = 12


def decode(text: str) -> dict[str, Any]:
    """A tree of dicts and strings. Lists come as dicts with the keys '0', '1', ...; what is a
    list is told by the schema (`sdk_hints`), since metadata may have digits for keys too.

    Raises `ValueError` for more than `MAX_FIELDS` fields or `MAX_DEPTH` levels."""
    tree: dict[str, Any] = {}
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    for name, value in pairs:
        head, _, rest = name.partition("[")
        path = [head, *(part.rstrip("]") for part in rest.split("["))] if rest else [head]
        if len(path) > MAX_DEPTH:
            raise ValueError("too deep")
        _put(tree, path, value)
    return tree


def _put(tree: dict[str, Any], path: list[str], value: str) -> None:
    node = tree
    for part in path[:-1]:
        part = part or str(len(node))
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{part} is both a value and a group")
        node = inner
    node[path[-1] or str(len(node))] = value
