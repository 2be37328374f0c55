"""Renders the one internal shape in an endpoint's API version.

Each step takes an object one breaking version back. A rendering applies, newest first, every step
younger than the wanted version, to the object and to all it embeds. Versions in between behave as
the older neighbour of the breaks listed here; `STEPS` is the whole list of breaks the fake knows.
"""

import json
from collections.abc import Callable
from typing import Any

from ..world import copied, public
from . import basil, clover, dahlia, early

NEWEST = "2026-10-28.endive"
SUPPORTED = (
    "2020-08-27",
    "2022-11-15",
    "2024-09-30.acacia",
    "2025-03-31.basil",
    "2025-09-30.clover",
    "2026-03-25.dahlia",
    NEWEST,
)

Step = Callable[[dict[str, Any]], None]
# The version that broke, the object it broke, and the step to the shape before it.
STEPS: tuple[tuple[str, str, Step], ...] = (
    *dahlia.STEPS,
    *clover.STEPS,
    *basil.STEPS,
    *early.STEPS,
)


def render(picture: dict[str, Any], version: str) -> dict[str, Any]:
    """The object in `version`, without the fake's notes. `picture` is left as it was."""
    steps = [(name, step) for since, name, step in STEPS if since > version]
    if not steps:
        return public(picture)
    shown = copied(picture)
    _apply(shown, steps)
    return public(shown)


def render_event(event: dict[str, Any], version: str) -> bytes:
    """The body of a webhook: the event with its object in `version`."""
    return json.dumps(shown_event(event, version), indent=2, ensure_ascii=False).encode()


def shown_event(event: dict[str, Any], version: str) -> dict[str, Any]:
    """An event as an endpoint of `version` gets it; `previous_attributes` are of that version."""
    shown = public({k: v for k, v in event.items() if k != "data"})
    shown["api_version"] = version
    now = event["data"]["object"]
    shown["data"] = {"object": render(now, version)}
    if "previous_attributes" in event["data"]:
        before = render(now | event["data"]["previous_attributes"], version)
        after = shown["data"]["object"]
        changed = {k: before.get(k) for k in after if before.get(k) != after[k]}
        shown["data"]["previous_attributes"] = changed
    return shown


def _apply(value: Any, steps: list[tuple[str, Step]]) -> None:
    if isinstance(value, list):
        for item in value:
            _apply(item, steps)
    elif isinstance(value, dict) and value.get("deleted") is not True:
        for inner in list(value.values()):
            _apply(inner, steps)
        for name, step in steps:
            if value.get("object") == name:
                step(value)
