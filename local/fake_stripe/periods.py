"""Billing periods: steps of days, weeks, months or years from an anchor, in UTC."""

import calendar
from datetime import UTC, datetime, timedelta


def step(anchor: int, interval: str, count: int) -> int:
    """`anchor` moved by `count` intervals; 31 January and a month is the last of February."""
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in ("day", "week"):
        days = count * (7 if interval == "week" else 1)
        return int((start + timedelta(days=days)).timestamp())
    months = start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def next_end(anchor: int, after: int, interval: str, count: int) -> int:
    """The first boundary later than `after`, counted from the anchor so that days do not drift."""
    steps = 1
    while step(anchor, interval, steps * count) <= after:
        steps += 1
    return step(anchor, interval, steps * count)
