"""A rebuild: the inbox and the merchants' writes, worked out anew into empty tables.

What was received, told and paid is a history that stands in the tables, each thing with its time.
It is told again, by today's code, to a store that knows nothing of it, and both are compared. An
attempt that broke off is repeated by the same call, and goes on
(``docs/decisions/0012-rebuild.md``).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import Conflict
from chalicelib.flows.compare_books import Compared, compare_books
from chalicelib.flows.copy_books import OWN, TABLES, Copied, Say, SealAnew, copy_books
from chalicelib.flows.replay_books import Replayed, replay_books
from chalicelib.storage import keys
from chalicelib.storage.store import Item, Put, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was read, what was told again, and how the two compare."""

    copied: Copied
    replayed: Replayed
    compared: Compared

    @property
    def conclusion(self) -> str:
        """What it comes to, as a sentence."""
        troubled = self.replayed.troubled
        failed = f" {troubled} things could not be told again, see troubles." if troubled else ""
        if self.compared.equal:
            return f"The new tables say what the old ones say.{failed}"
        return f"The new tables differ in {self.compared.different} points.{failed}"


def rebuild(
    source: Store,
    target: Store,
    *,
    named: Mapping[str, str],
    now: Ms,
    say: Say = lambda line: None,
    pause: Callable[[float], None] = time.sleep,
    seal_anew: SealAnew = lambda item: item,
) -> Rebuilt:
    """Work out the source's books anew in the target; the source is only read. ``named`` are the
    source's tables, by which a target that was begun is known again.

    Raises ``Conflict`` for a target that holds anything else than a rebuild of this source,
    ``NotFound`` for tables that are not there, ``Unavailable`` when a store is away: then the same
    call goes on where it was.
    """
    source.walk("records", limit=1)  # so that a stage that is not there is named before all else
    _claim(target, named, now=now)
    copied = copy_books(source, target, now=now, say=say, seal_anew=seal_anew)
    say(f"to be told again: {len(copied.steps)}")
    replayed = replay_books(
        copied.steps, source=source, target=target, now=now, say=say, pause=pause
    )
    compared = compare_books(source, target, say=say)
    return Rebuilt(copied=copied, replayed=replayed, compared=compared)


def _claim(target: Store, named: Mapping[str, str], *, now: Ms) -> None:
    """Mark empty tables as a rebuild's, or find the mark of an earlier attempt."""
    pages = {table: target.walk(table, limit=len(OWN) + 1).items for table in TABLES}
    filled = [name for name, items in pages.items() if any(item.key not in OWN for item in items)]
    key = keys.rebuild_mark()
    mark = target.get([key]).get(key)
    if mark is not None and mark.body["of"] == dict(named):
        return
    if mark is not None:
        raise Conflict("The target is a rebuild of other tables. Take empty ones.")
    if filled:
        raise Conflict(f"The target is not empty: {', '.join(filled)}. Take empty tables.")
    target.commit([Put(Item(key=key, body={"of": dict(named), "begun_at": now}))])
