"""How long the oldest of what should have been done has waited: what the alarm listens to."""

from chalicelib.core.facts import Ms
from chalicelib.storage import keys
from chalicelib.storage.store import Store, TableName

LOOKED_AT = 10
"""Of each kind. The index may still show what was done a moment ago."""
_KINDS: tuple[tuple[TableName, str], ...] = (
    ("records", keys.DUE_WORK),
    ("inbox", keys.DUE_INBOX),
)


def minutes_overdue(*, store: Store, now: Ms) -> int:
    """Whole minutes since the oldest work item or event fell due that is still undone; 0 if none
    is. An event falls due two minutes after it came, work one minute after it was owed."""
    return max(_minutes(table, kind, store, now) for table, kind in _KINDS)


def _minutes(table: TableName, kind: str, store: Store, now: Ms) -> int:
    until = keys.due(now, "\U0010ffff")
    page = store.find(table, "due", kind, until=until, limit=LOOKED_AT)
    there = store.get([found.key for found in page.items]) if page.items else {}
    waiting = [
        int(item.due[1].partition("#")[0])
        for item in there.values()
        if item.due is not None and item.due[0] == kind
    ]
    return max(0, (now - min(waiting, default=now)) // 60_000)
