"""What DynamoStore makes of DynamoDB's errors, and when it tries again.

Errors are played at the wire, by botocore's own events: neither stand-in throttles, conflicts or
loses an answer.
"""

import json
import socket
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.checks import INDEXES
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.dynamo_items import IntAttribute
from chalicelib.storage.dynamo_tries import MAX_RETRIES
from chalicelib.storage.dynamo_wire import INDEX_KEYS
from chalicelib.storage.store import Add, Check, Item, Key, Put, Remove, Stale, Write
from local.tables import table_definitions

from .backends import LOGICAL_IDS

KEY = Key("records", "prg_1", "one")
OTHER = Key("records", "prg_1", "two")

LONE: list[Write] = [Put(Item(key=KEY)), Add(KEY, {"n": 1}), Remove(KEY, 1)]
TOGETHER: list[Write] = [Put(Item(key=KEY)), Add(OTHER, {"n": 1})]


class Wire:
    """Answers every request by what ``play`` says: a status and a body, or an exception."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.pauses: list[float] = []
        self.store = DynamoStore({"records": "records-table"}, sleep=self.pauses.append)
        self.forget()
        self.store.warm().meta.events.register_first("before-send.dynamodb", self._answer)

    def forget(self) -> None:
        self.bodies.clear()
        self.pauses.clear()
        self.play: Callable[[int], tuple[int, dict[str, Any]]] = lambda _: (200, {})

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.bodies.append(json.loads(request.body))
        status, body = self.play(len(self.bodies) - 1)
        return AWSResponse(request.url, status, {}, _Raw(json.dumps(body).encode()))


class _Raw:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.content


_the_wire = cache(Wire)  # making a client takes a third of a second


@pytest.fixture
def wire() -> Wire:
    wire = _the_wire()
    wire.forget()
    return wire


def an_error(code: str, *, status: int = 400, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "x", **more}


def cancelled(*codes: str) -> tuple[int, dict[str, Any]]:
    reasons = [{"Code": code} for code in codes]
    return an_error("TransactionCanceledException", CancellationReasons=reasons)


def no_answer(_: int) -> Any:
    raise ReadTimeoutError(endpoint_url="https://dynamodb")


def no_connection(_: int) -> Any:
    raise ConnectTimeoutError(endpoint_url="https://dynamodb")


THROTTLED = [
    an_error("ProvisionedThroughputExceededException"),
    an_error("ThrottlingException"),
    an_error("RequestLimitExceeded"),
]
BROKEN = [an_error("InternalServerError", status=500), (503, {}), (502, {"message": "?"})]


class TestLoneWrites:
    @pytest.mark.parametrize("write", LONE)
    @pytest.mark.parametrize("answer", THROTTLED, ids=str)
    def test_throttling_is_tried_again_and_then_unavailable(
        self, wire: Wire, write: Write, answer: Any
    ) -> None:
        wire.play = lambda _: answer
        with pytest.raises(Unavailable):
            wire.store.commit([write])
        assert len(wire.bodies) == 1 + MAX_RETRIES
        assert len(wire.pauses) == MAX_RETRIES
        assert all(0 <= pause <= 0.1 for pause in wire.pauses)

    def test_throttling_that_passes_is_not_seen(self, wire: Wire) -> None:
        wire.play = lambda trip: THROTTLED[0] if trip < MAX_RETRIES else (200, {})
        wire.store.commit([LONE[0]])
        assert len(wire.bodies) == 1 + MAX_RETRIES

    def test_a_connection_never_made_is_tried_again(self, wire: Wire) -> None:
        wire.play = no_connection
        with pytest.raises(Unavailable):
            wire.store.commit([LONE[1]])
        assert len(wire.bodies) == 1 + MAX_RETRIES

    @pytest.mark.parametrize("write", LONE)
    @pytest.mark.parametrize("play", [no_answer, *[lambda _, a=a: a for a in BROKEN]])
    def test_a_lost_answer_is_never_tried_again(self, wire: Wire, write: Write, play: Any) -> None:
        """It may have been written: again, an Add would count twice and a Put would be Stale."""
        wire.play = play
        with pytest.raises(Unavailable, match="did not answer"):
            wire.store.commit([write])
        assert len(wire.bodies) == 1

    @pytest.mark.parametrize(
        "code", ["ConditionalCheckFailedException", "TransactionConflictException"]
    )
    def test_a_condition_or_a_conflict_is_stale_at_once(self, wire: Wire, code: str) -> None:
        wire.play = lambda _: an_error(code)
        with pytest.raises(Stale):
            wire.store.commit([LONE[0]])
        assert len(wire.bodies) == 1

    @pytest.mark.parametrize(
        "code", ["ValidationException", "ResourceNotFoundException", "AccessDeniedException", "New"]
    )
    def test_everything_else_is_loud(self, wire: Wire, code: str) -> None:
        wire.play = lambda _: an_error(code)
        with pytest.raises(ClientError, match=code):
            wire.store.commit([LONE[0]])
        assert len(wire.bodies) == 1


class TestTransactions:
    @pytest.mark.parametrize(
        "codes",
        [
            ("None", "ConditionalCheckFailed"),
            ("TransactionConflict", "None"),
            ("ThrottlingError", "ConditionalCheckFailed"),
        ],
    )
    def test_stale(self, wire: Wire, codes: tuple[str, ...]) -> None:
        wire.play = lambda _: cancelled(*codes)
        with pytest.raises(Stale):
            wire.store.commit(TOGETHER)
        assert len(wire.bodies) == 1

    @pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
    def test_throttled(self, wire: Wire, code: str) -> None:
        wire.play = lambda _: cancelled("None", code)
        with pytest.raises(Unavailable):
            wire.store.commit(TOGETHER)
        assert len(wire.bodies) == 1 + MAX_RETRIES

    @pytest.mark.parametrize(
        "codes",
        [
            ("ValidationError", "ConditionalCheckFailed"),
            ("None", "ItemCollectionSizeLimitExceeded"),
            ("None", "None"),
        ],
    )
    def test_a_bug_is_loud_even_beside_a_condition(
        self, wire: Wire, codes: tuple[str, ...]
    ) -> None:
        wire.play = lambda _: cancelled(*codes)
        with pytest.raises(ClientError):
            wire.store.commit(TOGETHER)

    @pytest.mark.parametrize("play", [no_answer, lambda _: BROKEN[0]])
    def test_a_lost_answer_is_asked_for_again_with_the_same_token(
        self, wire: Wire, play: Any
    ) -> None:
        wire.play = lambda trip: play(trip) if trip == 0 else (200, {})
        wire.store.commit(TOGETHER)
        wire.store.commit(TOGETHER)
        tokens = [body["ClientRequestToken"] for body in wire.bodies]
        assert tokens[0] == tokens[1] != tokens[2]


class TestReads:
    @pytest.mark.parametrize("play", [no_answer, no_connection, lambda _: THROTTLED[0]])
    @pytest.mark.parametrize(
        "read",
        [
            lambda store: store.get([KEY]),
            lambda store: store.query("records", "prg_1", limit=1),
            lambda store: store.find("records", "due", "d", limit=1),
            lambda store: store.commit([Check(KEY, 1)]),
        ],
        ids=["get", "query", "find", "check"],
    )
    def test_always_tried_again(self, wire: Wire, read: Any, play: Any) -> None:
        wire.play = play
        with pytest.raises(Unavailable):
            read(wire.store)
        assert len(wire.bodies) == 1 + MAX_RETRIES

    def test_all_but_index_reads_are_strongly_consistent(self, wire: Wire) -> None:
        """Neither stand-in ever answers with something old."""
        wire.play = lambda _: (200, {"Responses": {}, "Items": []})
        wire.store.get([KEY])
        wire.store.query("records", "p", limit=1)
        wire.store.commit([Check(KEY, 0)])
        wire.store.find("records", "due", "d", limit=1)
        batch, query, check, find = wire.bodies
        assert batch["RequestItems"]["records-table"]["ConsistentRead"] is True
        assert query["ConsistentRead"] is True
        assert check["ConsistentRead"] is True
        assert "ConsistentRead" not in find

    def test_keys_left_over_are_asked_for_again(self, wire: Wire) -> None:
        def play(_: int) -> tuple[int, dict[str, Any]]:
            asked = wire.bodies[-1]["RequestItems"]["records-table"]["Keys"]
            left = {"records-table": {"Keys": asked[1:]}} if asked[1:] else {}
            return 200, {"Responses": {"records-table": asked[:1]}, "UnprocessedKeys": left}

        wire.play = play
        keys = [Key("records", "p", str(n)) for n in range(5)]
        assert set(wire.store.get(keys)) == set(keys)
        assert len(wire.bodies) == 5

    def test_keys_that_stay_left_over_make_it_unavailable(self, wire: Wire) -> None:
        def play(_: int) -> tuple[int, dict[str, Any]]:
            asked = wire.bodies[-1]["RequestItems"]["records-table"]["Keys"]
            return 200, {"Responses": {}, "UnprocessedKeys": {"records-table": {"Keys": asked}}}

        wire.play = play
        with pytest.raises(Unavailable):
            wire.store.get([KEY])
        assert len(wire.bodies) == 1 + MAX_RETRIES


class TestStartAndTime:
    def test_warm_and_making_a_store_send_nothing(self, wire: Wire) -> None:
        client = wire.store.warm()
        assert client is wire.store.warm()
        assert not wire.bodies
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 2)
        assert config.retries["total_max_attempts"] == 1

    def test_a_server_that_accepts_and_says_nothing(self, monkeypatch: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(Unavailable, match="did not answer"):
                DynamoStore({"records": "records-table"}).commit([LONE[0]])

    def test_a_server_that_is_away(self, monkeypatch: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(Unavailable):
            DynamoStore({"records": "records-table"}).commit([LONE[0]])


class TestTables:
    def test_the_template_makes_the_indexes_that_the_store_uses(self) -> None:
        definitions = table_definitions()
        for table, logical_id in LOGICAL_IDS.items():
            made = {
                index["IndexName"]: tuple(part["AttributeName"] for part in index["KeySchema"])
                for index in definitions[logical_id].get("GlobalSecondaryIndexes", [])
            }
            assert made == {index: INDEX_KEYS[index] for index in INDEXES[table]}

    def test_what_lives_how_long_and_who_listens(self) -> None:
        definitions = table_definitions()
        ttl = {"AttributeName": "ttl", "Enabled": True}
        for table, logical_id in LOGICAL_IDS.items():
            properties = definitions[logical_id]
            assert properties["BillingMode"] == "PAY_PER_REQUEST"
            assert properties.get("TimeToLiveSpecification") == (
                None if table == "records" else ttl
            )
            assert ("StreamSpecification" in properties) == (table == "clicks")
            recovery = properties["PointInTimeRecoverySpecification"]
            assert recovery == {"PointInTimeRecoveryEnabled": True}


class TestIntAttribute:
    @pytest.mark.parametrize("value", [True, 1.0, "1", None])
    def test_refuses_all_but_int(self, value: Any) -> None:
        with pytest.raises(TypeError):
            IntAttribute(attr_name="v").serialize(value)

    def test_keeps_an_int(self) -> None:
        attribute = IntAttribute(attr_name="v")
        assert attribute.deserialize(attribute.serialize(-(10**37))) == -(10**37)
