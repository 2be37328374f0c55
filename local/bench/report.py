"""bench.json: its keys, the limits among them, and what breaks one."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Report = dict[str, Any]

LIMITS: Mapping[str, float] = {
    "cold_start.ratio": 1.15,
    "cold_start.ratio_over_tls": 1.15,
    "click.write_units": 1,
    "click.calls": 1,
    "reward.write_units": 24,
    "reward.trips": 5,
    "memory.click_mb": 70,
    "zip.mb": 15,
    "tracker.brotli": 1_500,
    "usd_per_million_clicks": 4.40,
    "usd_per_million_events": 9.80,
    "scans": 0,
    "counts_that_the_database_tells_otherwise": 0,
    "counts_that_differ_when_full": 0,
    "growth.most": 1.5,
    "load.wrong": 0,
    "past.calls_ratio": 1.05,
    "past.written_ratio": 1.05,
    "past.memory_ratio": 1.15,
    "past.unexplained": 0,
    "past.again_found": 0,
    "past.again_written": 0,
}
"""The most that each number may be. Seconds are not among them: they are this machine's."""


def broken(report: Report) -> list[str]:
    """A sentence for each limit that is broken; what was not measured breaks none."""
    return [
        f"{name} is {value}, and may be {limit} at most"
        for name, limit in LIMITS.items()
        if (value := _at(report, name)) is not None and value > limit
    ]


def unmeasured(report: Report) -> list[str]:
    """The limits that the report says nothing about."""
    return [name for name in LIMITS if _at(report, name) is None]


def _at(report: Report, name: str) -> float | None:
    value: Any = report
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def whole(report: Report) -> Report:
    """The report with the day and what kind of machine this is. Raises ValueError if a number
    that has a limit is missing."""
    if missing := unmeasured(report):
        raise ValueError(f"not measured: {', '.join(missing)}")
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "python": platform.python_version(),
            "processor": platform.machine(),
            "processors": os.cpu_count(),
        },
    }
    return about | report
