"""How fast Stripe is asked, and how long it is left alone after it refused.

Stripe lets through 25 requests a second per endpoint, and 25 in all in a sandbox, which the
merchant's own software shares (https://docs.stripe.com/rate-limits). Starts that are evenly spaced
at 18 a second put at most 19 into any second.
"""

import random
import threading
import time
from collections.abc import Callable

PER_SECOND = 18.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Pacer:
    """One for all calls on one account; may be shared between threads. ``clock`` gives seconds and
    never goes back; ``chance`` gives 0 to 1."""

    def __init__(
        self,
        *,
        per_second: float = PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._gap = 1 / per_second
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._next: float | None = None
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._clock()

    def wait(self) -> None:
        """Returns when the next call may begin. Nobody waits for a call's answer here: what is
        spaced are the beginnings."""
        with self._lock:
            now = self._clock()
            start = now if self._next is None else max(now, self._next)
            self._next = start + self._gap
        if start > now:
            self._sleep(start - now)

    def back_off(self, attempt: int, told_seconds: float | None) -> None:
        """After a failed try (``attempt`` counts from 1): no call begins for as long as Stripe
        told, else for 0.5 s, 1 s, 2 s, … of which half is by chance; never above 30 s. It is the
        next ``wait`` that waits, so that giving up costs no time."""
        if told_seconds is None:
            longest = FIRST_PAUSE_S * 2 ** min(attempt - 1, 10)
            pause = longest * (0.5 + self._chance() / 2)
        else:
            pause = max(told_seconds, self._gap)
        with self._lock:
            start = self._clock() + min(pause, LONGEST_PAUSE_S)
            self._next = start if self._next is None else max(start, self._next)
