"""A meter on the wire between the app and its DynamoDB: every call with what it costs.

It stands as an endpoint of its own and passes each call on, so it counts whatever library speaks,
retries included. Around a write it reads the items before and after, by calls that are not counted.
What DynamoDB reports by itself is kept beside what the rules say, so that the two can be compared.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.bench.units import Image, Write, item_bytes, read_units, write_of
from local.bench.wire import TARGET, Wire
from local.http_wire import Answer, Request
from local.place import HOST
from local.web_server import WebServer

LONE_WRITES = {"PutItem", "UpdateItem", "DeleteItem"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: its operation, the status of its answer, and its units by the rules. `reported`
    are the units of writes as the database itself told them."""

    operation: str
    status: int
    writes: Sequence[Write] = ()
    read_units: float = 0
    reported: float = 0

    @property
    def told_otherwise(self) -> bool:
        """Whether the database counted a write that it did differently."""
        return self.status == 200 and self.reported != sum(write.total for write in self.writes)


@dataclass(slots=True)
class Tally:
    """The calls of one stretch of work."""

    calls: list[Call] = field(default_factory=list)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    @property
    def writes(self) -> list[Write]:
        return [write for call in self.calls for write in call.writes]

    @property
    def write_units(self) -> int:
        return sum(write.total for write in self.writes)

    @property
    def reported(self) -> float:
        return sum(call.reported for call in self.calls)

    @property
    def read_units(self) -> float:
        return sum(call.read_units for call in self.calls)


class Meter:
    """An endpoint in front of the one at `upstream`. `tally` holds the calls since it was set."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._wire = Wire(upstream)
        self._server = WebServer(HOST, 0, self._answer, workers=8)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.tally = Tally()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.port}"

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=10)

    @contextmanager
    def counting(self) -> Iterator[Tally]:
        """The tally of what is done inside."""
        self.tally = Tally()
        yield self.tally
        self.tally = Tally()

    def _answer(self, request: Request) -> Answer:
        operation = (request.header("X-Amz-Target") or "").removeprefix(TARGET)
        asked = json.loads(request.body or b"{}")
        places = _written(operation, asked)
        who = request.header("Authorization") or ""
        before = [self._item(table, key, who) for table, key in places]
        if places:
            asked["ReturnConsumedCapacity"] = "INDEXES"
        status, headers, answered = self._wire.send(operation, json.dumps(asked).encode(), who)
        after = [self._item(table, key, who) for table, key in places]
        told = json.loads(answered or b"{}")
        self.tally.calls.append(
            Call(
                operation=operation,
                status=status,
                writes=[
                    write_of(table, key, old, new, transaction=operation not in LONE_WRITES)
                    for (table, key), old, new in zip(places, before, after, strict=True)
                ],
                read_units=_read(operation, asked, told),
                reported=_reported(told) if places else 0,
            )
        )
        return Answer(status=status, headers=headers, body=answered)

    def _item(self, table: str, key: Image, who: str) -> Image | None:
        asked = {"TableName": table, "Key": key, "ConsistentRead": True}
        item: Image | None = self._wire.call("GetItem", asked, who).get("Item")
        return item


def _written(operation: str, asked: Mapping[str, Any]) -> list[tuple[str, Image]]:
    """Table and key of each item that a call writes or checks."""
    if operation in LONE_WRITES:
        return [_place(asked)]
    if operation == "TransactWriteItems":
        return [_place(part) for write in asked["TransactItems"] for part in write.values()]
    if operation == "BatchWriteItem":
        raise ValueError("the store has no batch writes, so the meter does not count them")
    return []


def _place(asked: Mapping[str, Any]) -> tuple[str, Image]:
    full = asked.get("Key") or asked["Item"]
    return asked["TableName"], {name: full[name] for name in ("pk", "sk")}


def _read(operation: str, asked: Mapping[str, Any], told: Mapping[str, Any]) -> float:
    match operation:
        case "GetItem":
            size = item_bytes(told.get("Item", {}))
            return read_units([size], consistent=bool(asked.get("ConsistentRead")))
        case "Query" | "Scan":
            sizes = [item_bytes(item) for item in told.get("Items", [])]
            consistent = bool(asked.get("ConsistentRead"))
            return read_units(sizes, consistent=consistent, together=True)
        case "BatchGetItem":
            return sum(
                _batch_units(of_table, told.get("Responses", {}).get(table, []))
                for table, of_table in asked["RequestItems"].items()
            )
    return 0


def _batch_units(asked: Mapping[str, Any], found: Sequence[Image]) -> float:
    missing = len(asked["Keys"]) - len(found)
    sizes = [item_bytes(item) for item in found] + [0] * missing
    return read_units(sizes, consistent=bool(asked.get("ConsistentRead")))


def _reported(told: Mapping[str, Any]) -> float:
    consumed = told.get("ConsumedCapacity", [])
    of_tables = consumed if isinstance(consumed, list) else [consumed]
    return sum(table["CapacityUnits"] for table in of_tables)
