"""A store that notes which sales a job changed, and what they earned by it.

Everything goes to the store that it is given. A commit that writes a paid sale carries one write
more: a note of the sale, which adds up the entries that the job posted for it. So the notes are
complete wherever the job was killed, and their sum is exactly what the job did to the balances. A
commit that has no room left for its notes is followed by them. One job writes its notes at a time.
What a commit leaves for the sweeper, who notes nothing, falls due later than the job goes on.

The notes stand in ``sessions``, in one partition of the job, in the order of payment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.core.ledger import BUCKETS, Entry
from chalicelib.core.names import Ms, SaleId
from chalicelib.storage import keys, records
from chalicelib.storage.codec import dump, load
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import (
    MAX_WRITES,
    BookStore,
    Item,
    Key,
    Page,
    Put,
    TableName,
    Write,
)
from chalicelib.storage.visit_records import DAY_S

KEPT_DAYS = 90
LEFT_ALONE_MS = 2 * 3_600_000  # what the job's process left undone when it died, for the job


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A sale as a job changed it: ``place`` in the list of sales (time of payment, id), whether
    the job brought it, and by ``<partner key>|<currency>`` the minor units it earned through it."""

    sale: SaleId
    place: str
    new: bool = False
    earned: Mapping[str, int] = field(default_factory=dict)


class Noted:
    """A ``store.BookStore``; ``now`` is when the job was made."""

    def __init__(self, store: BookStore, job_id: str, *, scope: Scope, now: Ms) -> None:
        self._store, self._job_id, self._scope = store, job_id, scope
        self._expires_at = now // 1000 + KEPT_DAYS * DAY_S

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self._store.get(keys)

    def query(
        self,
        table: TableName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        return self._store.query(
            table, pk, after=after, until=until, limit=limit, backwards=backwards
        )

    def commit(self, writes: Sequence[Write]) -> None:
        notes = self._notes(writes)
        writes = [_later(write) for write in writes]
        if len(writes) + len(notes) <= MAX_WRITES:
            self._store.commit([*writes, *notes])
            return
        self._store.commit(writes)
        self._store.commit(notes)

    def _notes(self, writes: Sequence[Write]) -> list[Put]:
        found = _told_of(writes, self._scope)
        known = self._known([note.place for note in found])
        return [Put(self._item(note, known.get(note.place), writes)) for note in found]

    def _known(self, places: Sequence[str]) -> dict[str, Item]:
        wanted = {keys.job_sale(self._job_id, place): place for place in places}
        items = self._store.get(list(wanted)) if wanted else {}
        return {wanted[key]: item for key, item in items.items()}

    def _item(self, note: Note, known: Item | None, writes: Sequence[Write]) -> Item:
        new = self._is_new(writes, known is not None)
        if known is not None:
            before = read_note(known)
            earned = dict(before.earned)
            for name, minor in note.earned.items():
                earned[name] = earned.get(name, 0) + minor
            note, new = replace(note, earned=earned), new and before.new
        return Item(
            key=keys.job_sale(self._job_id, note.place),
            body=dump(replace(note, new=new)),
            version=known.version if known else 0,
            expires_at=self._expires_at,
        )

    def _is_new(self, writes: Sequence[Write], known: bool) -> bool:
        """Whether the sales that become one by this, or the same that stood at another place, came
        by this job, too: all those that were paid."""
        sales = f"{self._scope}#sale#"
        stood = [
            write.item.key
            for write in writes
            if isinstance(write, Put)
            and write.item.version
            and write.item.key.pk.startswith(sales)
            and not (known and write.item.listing)
        ]
        items = self._store.get(stood) if stood else {}
        places = [item.listing[1] for item in items.values() if item.listing]
        noted = self._known(places)
        return all(place in noted and read_note(noted[place]).new for place in places)


def _later(write: Write) -> Write:
    """What the sweeper would do soon, he does later."""
    if not isinstance(write, Put) or not write.item.due:
        return write
    kind, place = write.item.due
    if kind not in (keys.DUE_WORK, keys.DUE_INBOX):
        return write
    at, _, key = place.partition("#")
    due = (kind, keys.due(int(at) + LEFT_ALONE_MS, key))
    return replace(write, item=replace(write.item, due=due))


def read_note(item: Item) -> Note:
    return load(Note, item.body)


def notes_of(
    job_id: str, *, store: BookStore, after: str = "", limit: int
) -> tuple[Sequence[Note], bool]:
    """The sales that a job changed, by time of payment, and whether more follow; ``after`` is the
    place of one. A sale that became another's part, or was paid at another time than was told
    first, has left a note at each of its places: ``place`` of the sale says which one holds, and
    all of them together what it earned."""
    partition = keys.job_sale(job_id, "-").pk
    page = store.query("sessions", partition, after=after, limit=limit)
    return [read_note(item) for item in page.items], page.more


def _told_of(writes: Sequence[Write], scope: Scope) -> list[Note]:
    """What the commit says of the sales in it that are paid; not yet whether they are new."""
    puts = [write.item for write in writes if isinstance(write, Put)]
    places = [i.listing[1] for i in puts if i.listing and i.listing[0] == f"{scope}#sales"]
    ledgers = f"{scope}#ledger#"
    entries = [records.read_entry(item) for item in puts if item.key.pk.startswith(ledgers)]
    return [_with_entries(place, entries) for place in places]


def _with_entries(place: str, entries: Sequence[Entry]) -> Note:
    sale = place.split("#", 1)[1]
    earned: dict[str, int] = {}
    for entry in entries:
        if entry.sale == sale:
            name = f"{entry.partner}|{entry.currency}"
            minor = sum(posting.minor for posting in entry.postings if posting.account in BUCKETS)
            earned[name] = earned.get(name, 0) + minor
    return Note(sale=sale, place=place, earned=earned)
