"""One JSON line per outcome, on standard output. No personal data, no secret, no body."""

import json
import sys
from typing import Any

NAMES = frozenset(
    """
    door outcome because status type event connection program mode partner sale job released
    stayed failed finished waiting_minutes count error where household payout calls
    """.split()
)
"""What a line may carry. A name that is not here is a mistake in the code, so it raises."""


def log(door: str, outcome: str, **told: Any) -> None:
    """Write one line; control characters are escaped by JSON, values cut at 300 characters."""
    unknown = told.keys() - NAMES
    if unknown:
        raise ValueError(f"not to be logged: {', '.join(sorted(unknown))}")
    line = {"door": door, "outcome": outcome}
    line |= {name: _short(value) for name, value in told.items() if value not in (None, "")}
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def _short(value: Any) -> Any:
    return value if isinstance(value, bool | int) else str(value)[:300]
