"""Programs and partners for the website's doors: kept for a minute while a process lives.

Money never reads from here: what a reward depends on is read fresh, in the booking.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.core.names import Ms
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import Unavailable
from chalicelib.core.validation import PLAIN_ID
from chalicelib.storage import keys
from chalicelib.storage.store import Item, ItemStore, Key
from chalicelib.storage.visit_records import read_partner, read_program

KEEP_MS = 60_000
KEEP_UNKNOWN_MS = 2_000
MOST = 5_000


@dataclass(slots=True)
class _Kept:
    value: Program | Partner | None
    until: Ms


class Programs:
    """Reads through a cache; a miss of program and partner together costs one batch read."""

    def __init__(self, store: ItemStore, clock: Callable[[], Ms]) -> None:
        self._store, self._clock = store, clock
        self._kept: dict[str, _Kept] = {}

    def get(self, program_id: str, partner_key: str = "") -> tuple[Program | None, Partner | None]:
        """The program, and the partner by its key in whatever case; None for what is unknown."""
        program_name, partner_name = program_id, f"{program_id}#{partner_key.lower()}"
        if not PLAIN_ID.fullmatch(program_id):
            return None, None
        wanted = {program_name: keys.program(program_id)}
        if not PLAIN_ID.fullmatch(partner_key):
            partner_key = ""
        if partner_key:
            wanted[partner_name] = keys.partner(program_id, partner_key)
        now = self._clock()
        missing = {name: key for name, key in wanted.items() if not self._fresh(name, now)}
        items = self._read(missing)
        if items is not None:
            if len(self._kept) > MOST:
                self._kept.clear()
            for name, key in missing.items():
                item = items.get(key)
                value: Program | Partner | None = None
                if item is not None:
                    read = read_program if name == program_name else read_partner
                    value = read(item)
                self._kept[name] = _Kept(value, now + (KEEP_MS if item else KEEP_UNKNOWN_MS))
        program = self._kept[program_name].value
        partner = self._kept[partner_name].value if partner_key else None
        assert program is None or isinstance(program, Program)
        assert partner is None or isinstance(partner, Partner)
        return program, partner

    def _read(self, missing: Mapping[str, Key]) -> Mapping[Key, Item] | None:
        """What is missing, read; None if the store is away and all of it was known before, so that
        a visitor is served with what stood a minute ago."""
        if not missing:
            return None
        try:
            return self._store.get(list(missing.values()))
        except Unavailable:
            if missing.keys() <= self._kept.keys():
                return None
            raise

    def _fresh(self, name: str, now: Ms) -> bool:
        kept = self._kept.get(name)
        return kept is not None and kept.until - KEEP_MS <= now < kept.until

    def forget(self) -> None:
        """Drop everything: this process has just changed something."""
        self._kept.clear()
