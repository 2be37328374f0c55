"""The clock of a local run: the machine's own, shifted by what was asked for.

The offset is kept in a file, so that a restart stays on the same day. The fake Stripe has the
same clock and is told the offset.
"""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

STRIPE_TIMEOUT_SECONDS = 60


class ShiftedClock:
    """Callable that returns the shifted time, aware and in UTC."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing = threading.Lock()
        self.offset_seconds = kept_offset_seconds(file)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds)

    def set_offset(self, offset_seconds: float) -> None:
        """Move to the machine's time plus `offset_seconds`, on disk first."""
        with self._writing:
            fresh = self._file.with_suffix(".tmp")
            fresh.write_text(json.dumps({"offset_seconds": offset_seconds}))
            fresh.replace(self._file)
            self.offset_seconds = offset_seconds


def kept_offset_seconds(file: Path) -> float:
    """The offset kept in `file`; 0 before it was ever moved."""
    if not file.exists():
        return 0.0
    return float(json.loads(file.read_text())["offset_seconds"])


def tell_fake_stripe(url: str, offset_seconds: float) -> None:
    """Set the fake Stripe's clock. Raises OSError (urllib's errors are), a refusal included."""
    request = Request(
        f"{url}/_control/clock",
        data=json.dumps({"offset_seconds": offset_seconds}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    build_opener(ProxyHandler({})).open(request, timeout=STRIPE_TIMEOUT_SECONDS).close()
