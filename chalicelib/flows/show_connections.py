"""Connections as they are shown and found: never with a secret."""

from chalicelib.core.refusals import NotFound
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.keep_endpoint import read_stored
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Store

PAGE = 100
MOST = 1_000  # of one program; of the deployment there may be any number


def connections_of(scope: Scope, *, store: Store) -> tuple[Connection, ...]:
    """The connections of a program's live or test side, newest first: at most 1,000."""
    begins = keys.connections_of(scope)
    found = _listed(store, after=begins, until=f"{begins}~", most=MOST)
    return tuple(sorted(found, key=lambda one: (-one.created_at, one.id)))


def open_connections(*, store: Store) -> tuple[Connection, ...]:
    """Every open connection of the deployment."""
    return tuple(one for one in _listed(store) if one.state == "open")


def find_connection(connection_id: str, *, scope: Scope, store: Store) -> Connection:
    """A connection of this program and mode; raises ``NotFound``, for another's as well."""
    if PLAIN_ID.fullmatch(connection_id):
        _, connection = read_stored(connection_id, store=store)
        if connection.scope == scope:
            return connection
    raise NotFound("There is no such connection.")


def _listed(
    store: Store, *, after: str = "", until: str = "", most: int | None = None
) -> list[Connection]:
    found: list[Connection] = []
    while most is None or len(found) < most:
        page = store.find(
            "records", "listing", keys.CONNECTIONS, after=after, until=until, limit=PAGE
        )
        places = [item.key for item in page.items]
        items = store.get(places) if places else {}
        found += [records.read_connection(items[key]) for key in places if key in items]
        last = page.items[-1].listing if page.items else None
        if not page.more or last is None:
            break
        after = last[1]
    return found
