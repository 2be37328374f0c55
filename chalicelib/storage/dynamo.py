"""The store on DynamoDB, through PynamoDB.

Every call waits at most 1 s for a connection and 2 s for an answer, and is tried at most 3 times.
Retries are made here and not by botocore, which would repeat a write whose answer got lost: an
``Add`` would count twice, and a put that was written would come back as ``Stale``, which promises
that nothing was written. So a lone write is repeated only if it was certainly not done; a
transaction carries a token by which DynamoDB knows its repetition (API_TransactWriteItems, good
for ten minutes); reads may always be repeated.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from botocore.client import BaseClient
from pynamodb.connection import Connection
from pynamodb.constants import BATCH_GET_ITEM, TRANSACT_WRITE_ITEMS
from pynamodb.expressions.condition import Condition

from ..core.refusals import NotFound
from .checks import check_page, check_walk, checked, key_of
from .dynamo_failures import CALL_ERRORS, failure_of, is_no_table
from .dynamo_items import LONE, VERSION, meta_table, request, text
from .dynamo_tries import CONNECT_SECONDS, READ_SECONDS, Failed, Failure, tried
from .dynamo_wire import INDEX_KEYS, Raw, found_item, item_of, raw_key, read_batches, version_of
from .store import Check, IndexName, Item, Key, Page, Stale, TableName, Write

_Answer = TypeVar("_Answer")


class DynamoStore:
    """A ``store.Store``. ``tables`` gives the deployed name of each table that is used.

    Making one touches neither network nor disk; ``warm`` builds the client. Safe to share between
    threads once warm. Region, credentials and ``AWS_ENDPOINT_URL`` come from the environment.
    """

    def __init__(
        self,
        tables: Mapping[TableName, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tables = dict(tables)
        self._sleep = sleep
        self._connection = Connection(
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            max_retry_attempts=0,
            retry_configuration="LEGACY",
        )
        for table, physical_name in self._tables.items():
            self._connection.add_meta_table(meta_table(table, physical_name))

    def warm(self) -> BaseClient:
        """Build botocore's client now, during the start of a process and outside the time of its
        first request, without a network call if the credentials stand in the environment. Returns
        the client, whose events count trips."""
        return self._connection.client

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        def ask(arguments: dict[str, Any]) -> Any:
            return self._call(partial(self._connection.dispatch, BATCH_GET_ITEM, arguments))

        return read_batches(self._tables, keys, ask=ask, sleep=self._sleep)

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
        check_page(table, None, pk, after, until, limit)
        raws = self._between(table, None, pk, after, until, limit + 1, backwards)
        found = [item_of(table, raw) for raw in raws]
        return Page(found[:limit], more=len(found) > limit)

    def find(
        self,
        table: TableName,
        index: IndexName,
        pk: str,
        *,
        after: str = "",
        until: str = "",
        limit: int,
        backwards: bool = False,
    ) -> Page:
        check_page(table, index, pk, after, until, limit)
        raws = self._between(table, index, pk, after, until, limit + 1, backwards)
        found = [found_item(table, index, raw) for raw in raws]
        return Page(found[:limit], more=len(found) > limit)

    def walk(self, table: TableName, *, after: Key | None = None, limit: int) -> Page:
        check_walk(table, after, limit)
        start: Any = raw_key(after) if after else None
        while True:
            call = partial(
                self._connection.scan,
                self._tables[table],
                limit=limit,
                exclusive_start_key=start,
                consistent_read=True,
            )
            try:
                answer = self._call(call)
            except CALL_ERRORS as error:
                if is_no_table(error):
                    raise NotFound(f"There is no table {self._tables[table]}.") from error
                raise
            found = [item_of(table, raw) for raw in answer["Items"]]
            start = answer.get("LastEvaluatedKey")
            if found or not start:
                return Page(found, more=bool(start))

    def commit(self, writes: Sequence[Write]) -> None:
        texts = checked(writes)
        match writes:
            case [Check() as check]:
                return self._hold(check)
            case _:
                return self._write(writes, texts)

    def _hold(self, check: Check) -> None:
        """A check alone: there is no such write, so a consistent read is compared."""
        answer = self._call(
            partial(
                self._connection.get_item,
                self._tables[check.key.table],
                check.key.pk,
                check.key.sk,
                consistent_read=True,
                attributes_to_get=VERSION.attr_name,
            )
        )
        if version_of(answer.get("Item", {})) != check.version:
            raise Stale(f"{check.key} is no longer at version {check.version}")

    def _write(self, writes: Sequence[Write], texts: Sequence[str]) -> None:
        said = [
            request(self._connection, self._tables[key_of(write).table], write, body)
            for write, body in zip(writes, texts, strict=True)
        ]
        match said:
            case [(verb, arguments)]:
                lone = partial(self._connection.dispatch, LONE[verb], arguments)
                self._call(lone, repeatable=False)
            case _:
                transaction = {
                    "TransactItems": [{verb: arguments} for verb, arguments in said],
                    "ClientRequestToken": uuid.uuid4().hex,
                }
                self._call(partial(self._connection.dispatch, TRANSACT_WRITE_ITEMS, transaction))

    def _between(
        self,
        table: TableName,
        index: IndexName | None,
        pk: str,
        after: str,
        until: str,
        count: int,
        backwards: bool,
    ) -> list[Raw]:
        """At most ``count`` raw items, in one trip unless they pass 1 MB together.

        DynamoDB takes one condition on the sort key. BETWEEN includes both ends, so that with both
        bounds one more is read and what equals ``after`` is dropped. A LastEvaluatedKey does not
        mean that more items follow ("Paginating table query results"), so ``more`` is never read
        from it: the callers ask for one item above their limit.
        """
        if after and until and (after <= until if backwards else after >= until):
            return []
        sort = INDEX_KEYS[index][1] if index else "sk"
        found: list[Raw] = []
        start: Any = None
        while True:
            missing = count - len(found) + (1 if after and until and not start else 0)
            answer = self._call(
                partial(
                    self._connection.query,
                    self._tables[table],
                    pk,
                    range_key_condition=_bounds(sort, after, until, backwards),
                    index_name=index,
                    consistent_read=index is None,
                    limit=missing,
                    scan_index_forward=not backwards,
                    exclusive_start_key=start,
                )
            )
            found += [raw for raw in answer["Items"] if not after or raw[sort]["S"] != after]
            start = answer.get("LastEvaluatedKey")
            if not start or len(found) >= count:
                return found[:count]

    def _call(self, call: Callable[[], _Answer], *, repeatable: bool = True) -> _Answer:
        """The call's answer. Raises Stale, or Unavailable once the tries are used up."""

        def once() -> _Answer:
            try:
                return call()
            except CALL_ERRORS as error:
                failure = failure_of(error)
                if failure is Failure.BUG:
                    raise
                raise Failed(failure, str(error)) from error

        return tried(once, repeatable=repeatable, sleep=self._sleep)


def _bounds(sort: str, after: str, until: str, backwards: bool) -> Condition | None:
    key = text(sort)
    match bool(after), bool(until):
        case True, True:
            return key.between(until, after) if backwards else key.between(after, until)
        case True, False:
            return key < after if backwards else key > after
        case False, True:
            return key >= until if backwards else key <= until
        case _:
            return None
