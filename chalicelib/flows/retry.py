"""Trying again what somebody else got in the way of."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import Stale

TRIES = 10
T = TypeVar("T")


def until_not_stale(call: Callable[[int], T], *, pause: Callable[[float], None] = time.sleep) -> T:
    """What ``call`` (of the attempt's number, from 0) answers, from the first attempt that does not
    raise ``Stale``; a moment's pause, growing and never the same, lies between two. Raises
    ``Unavailable`` after ten."""
    for attempt in range(TRIES):
        try:
            return call(attempt)
        except Stale:
            pause(random.uniform(0, min(0.02 * 2**attempt, 0.5)))
    raise Unavailable
