"""Feeds DynamoDB stream records to the app's stream functions, as Lambda's poller would.

Delivery is at least once: the position is kept in memory only, so after a restart a stream is
read again from its oldest record, and the functions tell repeats by their own checkpoints. A batch
that fails is handed over again, or from the first failed record where the function names it.
"""

import base64
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from chalice.app import Chalice, DynamoDBEventConfig
from chalice.local import LambdaContext

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

log = logging.getLogger("local.streams")

_POLL_SECONDS = 1
_LONGEST_PAUSE_SECONDS = 30
_LAMBDA_TIMEOUT_MS = 60_000
_LOST_POSITIONS = ("ExpiredIteratorException", "TrimmedDataAccessException")


class Streams:
    """Every stream function of an app, each with the one shard that MiniStack has."""

    def __init__(
        self, app: Chalice, *, client: "DynamoDBStreamsClient", table_of: Callable[[str], str]
    ) -> None:
        """`table_of` gives the table's name for the stream's (placeholder) ARN."""
        self._pumps = {
            source.name: _Pump(
                source.name,
                app.handler_map[source.name],
                client,
                table_of(source.stream_arn),
                source.batch_size,
            )
            for source in app.event_sources
            if isinstance(source, DynamoDBEventConfig)
        }

    @property
    def names(self) -> list[str]:
        return sorted(self._pumps)

    def drain(self, name: str) -> int:
        """Hand over all there is; returns how many records. Raises KeyError, and its own."""
        return self._pumps[name].drain()

    def feed_until(self, stopping: threading.Event) -> None:
        pause = _POLL_SECONDS
        while not stopping.wait(pause):
            try:
                for name in self.names:
                    self.drain(name)
                pause = _POLL_SECONDS
            except Exception:
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                log.exception("a stream's records wait; next try in %s s", pause)


class _Pump:
    def __init__(
        self,
        name: str,
        handler: Callable[[Any, Any], Any],
        client: "DynamoDBStreamsClient",
        table: str,
        batch_size: int,
    ) -> None:
        self._name = name
        self._handler = handler
        self._client = client
        self._table = table
        self._batch_size = batch_size
        self._arn = ""
        self._iterator: str | None = None
        self._restarted = False
        self._waiting: list[dict[str, Any]] = []
        self._one_at_a_time = threading.Lock()

    def drain(self) -> int:
        handed_over = 0
        with self._one_at_a_time:
            while self._waiting or self._fetch():
                count = len(self._waiting)
                self._hand_over()
                handed_over += count - len(self._waiting)
        return handed_over

    def _fetch(self) -> bool:
        """Read the next batch into `_waiting`; False at the end of the stream."""
        self._iterator = self._iterator or self._oldest()
        if self._iterator is None:
            return False
        try:
            page = self._client.get_records(ShardIterator=self._iterator, Limit=self._batch_size)
        except ClientError as error:
            self._iterator = None
            if error.response["Error"]["Code"] not in _LOST_POSITIONS or self._restarted:
                raise
            self._restarted = True
            return self._fetch()
        self._restarted = False
        self._iterator = page.get("NextShardIterator")
        self._waiting = [lambda_record(record, self._arn) for record in page["Records"]]
        return bool(self._waiting)

    def _oldest(self) -> str | None:
        streams = self._client.list_streams(TableName=self._table)["Streams"]
        if not streams:
            return None
        self._arn = streams[-1]["StreamArn"]
        shards = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        return self._client.get_shard_iterator(
            StreamArn=self._arn,
            ShardId=shards[0]["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]

    def _hand_over(self) -> None:
        context = LambdaContext(self._name, 256, max_runtime_ms=_LAMBDA_TIMEOUT_MS)
        result = self._handler({"Records": self._waiting}, context)
        failed = _failed_sequence_numbers(result)
        if not failed:
            self._waiting = []
            return
        numbers = [record["dynamodb"]["SequenceNumber"] for record in self._waiting]
        first = next((n for n, number in enumerate(numbers) if number in failed), 0)
        self._waiting = self._waiting[first:]
        raise RuntimeError(f"{self._name} could not handle record {numbers[first]}")


def _failed_sequence_numbers(result: Any) -> set[str]:
    """From Lambda's partial batch answer; empty if all went well."""
    if not isinstance(result, dict):
        return set()
    return {failure["itemIdentifier"] for failure in result.get("batchItemFailures", [])}


def lambda_record(record: Any, stream_arn: str) -> dict[str, Any]:
    """A record of the streams API in the form that a function gets it."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, datetime):
        change["ApproximateCreationDateTime"] = created.timestamp()
    for part in ("Keys", "NewImage", "OldImage"):
        if part in change:
            change[part] = _as_json(change[part])
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": record.get("awsRegion", "us-east-1"),
        "dynamodb": change,
        "eventSourceARN": stream_arn,
    }


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    return value
