"""The stores that the contract is held against, each with fresh tables and its trips counted."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.dynamo_direct import DirectStore
from chalicelib.storage.store import Item, Key, Put, Store, TableName, Write
from local.tables import create_missing
from tests.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOGICAL_IDS: dict[TableName, str] = {
    "clicks": "ClicksTable",
    "inbox": "InboxTable",
    "records": "RecordsTable",
    "sessions": "SessionsTable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """``trips`` counts the network calls since the start: by DynamoDB operation on DynamoDB, by
    the store's call in memory. ``tables`` are the physical names (none in memory)."""

    store: Store
    trips: Counter[str]
    tables: dict[TableName, str]


def in_memory() -> Backend:
    store = MemoryStore()
    return Backend(store=store, trips=store.calls, tables={})


@contextmanager
def on_moto() -> Iterator[Backend]:
    with mock_aws():
        yield _emptied(_dynamo(None))


def on_ministack(url: str) -> Backend:
    return _emptied(_dynamo(url))


def on_ministack_directly(url: str) -> Backend:
    """The store that a visit uses, for all that it offers; the rest goes through the other one, so
    that each reads what the other wrote."""
    backend = on_ministack(url)
    assert isinstance(backend.store, DynamoStore)
    direct = _CountedDirectStore(backend.tables, backend.trips)
    store = _BothStores(backend.store, direct)
    return Backend(store=store, trips=backend.trips, tables=backend.tables)


class _CountedDirectStore(DirectStore):
    def __init__(self, tables: Mapping[TableName, str], trips: Counter[str]) -> None:
        super().__init__(tables)
        self._trips = trips

    def _send(self, operation: str, body: bytes) -> Mapping[str, Any]:
        self._trips[operation] += 1
        return super()._send(operation, body)


class _BothStores:
    """Reads by key and single versioned puts go directly."""

    def __init__(self, whole: DynamoStore, direct: DirectStore) -> None:
        self.query, self.find, self.walk = whole.query, whole.find, whole.walk
        self._whole, self._direct = whole, direct

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self._direct.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        match writes:
            case [Put(blind=False)]:
                self._direct.commit(writes)
            case _:
                self._whole.commit(writes)


@cache
def _dynamo(endpoint: str | None) -> tuple[Backend, "DynamoDBClient"]:
    """One store for all tests of a stand-in: making a client costs far more than emptying tables.
    AWS_ENDPOINT_URL must say the same; the argument keeps the stand-ins apart."""
    tables: dict[TableName, str] = {table: f"{table}-{uuid.uuid4().hex}" for table in LOGICAL_IDS}
    store = DynamoStore(tables)
    trips: Counter[str] = Counter()

    def count(event_name: str, **_: Any) -> None:
        trips[event_name.rpartition(".")[2]] += 1

    store.warm().meta.events.register_first("before-send.dynamodb", count)
    return Backend(store=store, trips=trips, tables=tables), boto3.client("dynamodb")


def _emptied(made: tuple[Backend, "DynamoDBClient"]) -> Backend:
    backend, client = made
    names = {LOGICAL_IDS[table]: physical for table, physical in backend.tables.items()}
    for physical in set(client.list_tables()["TableNames"]) & set(names.values()):
        client.delete_table(TableName=physical)
    create_missing(client, names)
    backend.trips.clear()
    return backend
