"""The store that a visit uses: its signature against botocore's, and what it makes of errors and of
connections that end. What it stores and reads is held by the contract suite (``direct``)."""

import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.refusals import Unavailable
from chalicelib.storage import dynamo_direct
from chalicelib.storage.dynamo_direct import DirectStore, signed_headers
from chalicelib.storage.dynamo_tries import MAX_RETRIES
from chalicelib.storage.store import Add, Check, Item, Key, Put, Remove, Stale, Write

from .played_dynamo import Answer, Played, played_dynamo

KEY = Key("records", "prg_1", "one")
PUT = Put(Item(key=KEY, body={"name": "Ann"}))


class Direct:
    """A store, and the pauses that it makes."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.store = DirectStore({"records": "records-table"}, sleep=self.pauses.append)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    with played_dynamo() as played:
        monkeypatch.setenv("AWS_ENDPOINT_URL", played.url)
        yield played


@pytest.fixture
def direct(played: Played) -> Direct:
    return Direct()


def an_error(code: str, *, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "x"}


def always(answer: Answer) -> Callable[[int], Answer]:
    return lambda _: answer


def in_turn(*answers: Answer) -> Callable[[int], Answer]:
    return lambda number: answers[number]


DONE: Answer = (200, {})
NOTHING: Answer = (200, {"Responses": {}})
CONDITION = an_error("ConditionalCheckFailedException")
THROTTLED = an_error("ThrottlingException")
AWAY = an_error("InternalServerError", status=500)


class TestSignature:
    @settings(max_examples=200, deadline=None)
    @given(
        secret=st.text("abcXYZ019/+=", min_size=1, max_size=40),
        token=st.none() | st.text("abcXYZ019/+=%:;,@", min_size=1, max_size=60),
        body=st.binary(max_size=200) | st.text(max_size=50).map(lambda text: text.encode()),
        host=st.sampled_from(
            ["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566", "localhost:80", "[::1]:9"]
        ),
        region=st.sampled_from(["eu-central-1", "us-gov-west-1", "local"]),
        operation=st.sampled_from(["BatchGetItem", "UpdateItem"]),
    )
    def test_is_the_one_that_botocore_makes(
        self, secret: str, token: str | None, body: bytes, host: str, region: str, operation: str
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
            patch.setenv("AWS_SESSION_TOKEN", token or "")
            ours = signed_headers(operation, body, host, region)
        theirs = AWSRequest(
            method="POST",
            url=f"https://{host}/",
            data=body,
            headers={
                "Host": host,
                "X-Amz-Target": f"DynamoDB_20120810.{operation}",
                "Content-Type": "application/x-amz-json-1.0",
            },
        )
        signer = _SignerAt(ours["x-amz-date"], secret, token, region)
        signer.add_auth(theirs)
        assert ours == {name.lower(): value for name, value in theirs.headers.items()}

    def test_credentials_are_read_at_each_call(
        self, played: Played, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("first", "second"):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
            direct.store.commit([PUT])
        said = [asked.headers["authorization"] for asked in played.asked]
        assert ["Credential=first/" in said[0], "Credential=second/" in said[1]] == [True, True]


class _SignerAt(SigV4Auth):
    """botocore's signer, at a given time."""

    def __init__(self, stamp: str, secret: str, token: str | None, region: str) -> None:
        super().__init__(Credentials("AKIDEXAMPLE", secret, token or None), "dynamodb", region)
        self._stamp = stamp

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = self._stamp
        super()._modify_request_before_signing(request)


class TestWrites:
    def test_a_put_is_one_call(self, played: Played, direct: Direct) -> None:
        direct.store.commit([PUT])
        (asked,) = played.asked
        assert asked.operation == "UpdateItem"
        assert asked.body["TableName"] == "records-table"
        assert asked.body["ConditionExpression"] == "attribute_not_exists(#v)"

    @pytest.mark.parametrize(
        "writes",
        [
            [Add(KEY, {"n": 1})],
            [Remove(KEY, 1)],
            [Check(KEY, 1)],
            [Put(Item(key=KEY), blind=True)],
            [PUT, Put(Item(key=Key("records", "prg_1", "two")))],
        ],
        ids=["add", "remove", "check", "blind", "two"],
    )
    def test_anything_else_is_refused_unsent(
        self, played: Played, direct: Direct, writes: list[Write]
    ) -> None:
        with pytest.raises(TypeError):
            direct.store.commit(writes)
        assert not played.asked

    @pytest.mark.parametrize(
        "code", ["ProvisionedThroughputExceededException", "ThrottlingException"]
    )
    def test_throttling_is_tried_again_and_then_unavailable(
        self, played: Played, direct: Direct, code: str
    ) -> None:
        played.play = always(an_error(code))
        with pytest.raises(Unavailable):
            direct.store.commit([PUT])
        assert len(played.asked) == 1 + MAX_RETRIES
        assert len(direct.pauses) == MAX_RETRIES
        assert all(0 <= pause <= 0.1 for pause in direct.pauses)

    @pytest.mark.parametrize(
        "code", ["ConditionalCheckFailedException", "TransactionConflictException"]
    )
    def test_a_condition_or_a_conflict_is_stale_at_once(
        self, played: Played, direct: Direct, code: str
    ) -> None:
        played.play = always(an_error(code))
        with pytest.raises(Stale):
            direct.store.commit([PUT])
        assert len(played.asked) == 1

    @pytest.mark.parametrize("answer", [AWAY, (503, b"<html>"), (502, {"message": "?"})], ids=str)
    def test_a_lost_answer_is_not_tried_again(
        self, played: Played, direct: Direct, answer: Any
    ) -> None:
        played.play = always(answer)
        with pytest.raises(Unavailable, match="did not answer"):
            direct.store.commit([PUT])
        assert len(played.asked) == 1

    def test_nor_is_one_that_never_comes(
        self, played: Played, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dynamo_direct, "READ_SECONDS", 0.05)
        played.play = always("says nothing")
        with pytest.raises(Unavailable, match="did not answer"):
            direct.store.commit([PUT])
        assert len(played.asked) == 1

    @pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "New", ""])
    def test_everything_else_is_loud(self, played: Played, direct: Direct, code: str) -> None:
        played.play = always(an_error(code))
        with pytest.raises(RuntimeError, match=f"UpdateItem was answered 400 {code}"):
            direct.store.commit([PUT])
        assert len(played.asked) == 1


class TestReads:
    @pytest.mark.parametrize(
        "answer", [THROTTLED, AWAY, (503, b"<html>"), "hangs up"], ids=lambda answer: str(answer)
    )
    def test_always_tried_again(self, played: Played, direct: Direct, answer: Answer) -> None:
        played.play = in_turn(answer, answer, NOTHING)
        assert direct.store.get([KEY]) == {}
        played.play = always(answer)
        with pytest.raises(Unavailable):
            direct.store.get([KEY])
        assert len(played.asked) == 2 * (1 + MAX_RETRIES)

    def test_strongly_consistent(self, played: Played, direct: Direct) -> None:
        played.play = always(NOTHING)
        direct.store.get([KEY])
        asked = played.asked[0].body["RequestItems"]["records-table"]
        assert asked == {
            "Keys": [{"pk": {"S": "prg_1"}, "sk": {"S": "one"}}],
            "ConsistentRead": True,
        }

    def test_keys_left_over_are_asked_for_again(self, played: Played, direct: Direct) -> None:
        def play(number: int) -> Answer:
            asked = played.asked[number].body["RequestItems"]["records-table"]["Keys"]
            left = {"records-table": {"Keys": asked[1:]}} if asked[1:] else {}
            return 200, {"Responses": {"records-table": asked[:1]}, "UnprocessedKeys": left}

        played.play = play
        keys = [Key("records", "p", str(n)) for n in range(5)]
        assert set(direct.store.get(keys)) == set(keys)
        assert len(played.asked) == 5

    def test_keys_that_stay_left_over_make_it_unavailable(
        self, played: Played, direct: Direct
    ) -> None:
        def play(number: int) -> Answer:
            asked = played.asked[number].body["RequestItems"]["records-table"]
            return 200, {"Responses": {}, "UnprocessedKeys": {"records-table": asked}}

        played.play = play
        with pytest.raises(Unavailable):
            direct.store.get([KEY])
        assert len(played.asked) == 1 + MAX_RETRIES


class TestConnections:
    def test_one_is_kept(self, played: Played, direct: Direct) -> None:
        for _ in range(3):
            direct.store.commit([PUT])
        assert {asked.connection for asked in played.asked} == {0}

    def test_not_for_long(
        self, played: Played, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An older one may be forgotten by a firewall, which tells nobody."""
        monkeypatch.setattr(dynamo_direct, "KEPT_SECONDS", 0)
        direct.store.commit([PUT])
        direct.store.commit([PUT])
        assert [asked.connection for asked in played.asked] == [0, 1]

    def test_one_that_was_closed_meanwhile_is_seen_before_anything_is_sent(
        self, played: Played, direct: Direct
    ) -> None:
        played.closes = True
        direct.store.commit([PUT])
        assert select.select([direct.store._own.connection.sock], [], [], 5)[0]  # it has arrived
        played.closes = False
        direct.store.commit([PUT])
        assert [asked.connection for asked in played.asked] == [0, 1]
        assert not direct.pauses

    def test_a_put_on_one_that_breaks_is_said_again(self, played: Played, direct: Direct) -> None:
        played.play = in_turn("hangs up", DONE)
        direct.store.commit([PUT])
        assert [asked.connection for asked in played.asked] == [0, 1]
        assert played.asked[0].raw == played.asked[1].raw

    def test_and_if_its_condition_fails_then_nobody_knows(
        self, played: Played, direct: Direct
    ) -> None:
        """Stale promises that nothing was written, and the first time it may have been."""
        played.play = in_turn("hangs up", CONDITION)
        with pytest.raises(Unavailable, match="did not answer"):
            direct.store.commit([PUT])
        assert len(played.asked) == 2

    def test_throttled_before_its_condition_fails_it_is_stale(
        self, played: Played, direct: Direct
    ) -> None:
        played.play = in_turn(THROTTLED, CONDITION)
        with pytest.raises(Stale):
            direct.store.commit([PUT])

    def test_one_that_always_breaks_is_given_up(self, played: Played, direct: Direct) -> None:
        played.play = always("hangs up")
        with pytest.raises(Unavailable):
            direct.store.commit([PUT])
        assert len(played.asked) == 1 + MAX_RETRIES

    def test_half_an_answer_is_none(self, played: Played, direct: Direct) -> None:
        played.play = in_turn((200, b'{"Responses"'), NOTHING)
        assert direct.store.get([KEY]) == {}

    def test_each_thread_has_its_own(self, played: Played, direct: Direct) -> None:
        meeting = threading.Barrier(4)

        def put() -> None:
            meeting.wait(10)
            direct.store.commit([PUT])
            meeting.wait(10)

        threads = [threading.Thread(target=put) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len({asked.connection for asked in played.asked}) == 4

    def test_a_server_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        direct = Direct()
        with pytest.raises(Unavailable):
            direct.store.commit([PUT])
        assert len(direct.pauses) == MAX_RETRIES

    def test_waits_are_short(self, played: Played, direct: Direct) -> None:
        direct.store.commit([PUT])
        connection = direct.store._connection()
        assert connection.timeout == 1  # for the connection
        assert connection.sock.gettimeout() == 2  # for an answer


class TestEndpoints:
    @pytest.mark.parametrize(
        ("environment", "host"),
        [
            ({}, "dynamodb.eu-central-1.amazonaws.com"),
            ({"AWS_ENDPOINT_URL": "http://one:1"}, "one:1"),
            (
                {"AWS_ENDPOINT_URL": "http://one:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://two:2"},
                "two:2",
            ),
        ],
    )
    def test_as_the_environment_says(
        self, environment: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert DirectStore({})._new().host == host.partition(":")[0]

    @pytest.mark.parametrize(
        "region",
        [
            "us-east-1",
            "eu-central-1",
            "ap-southeast-5",
            "cn-north-1",
            "us-gov-west-1",
            "me-south-1",
        ],
    )
    def test_in_each_region_where_botocore_goes(
        self, region: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        theirs = boto3.client("dynamodb", config=Config(account_id_endpoint_mode="disabled"))
        ours = DirectStore({})._new()
        assert f"https://{ours.host}" == theirs.meta.endpoint_url
        assert (ours.port, ours.default_port) == (443, 443)

    def test_tls_is_checked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with played_dynamo(_certificate(tmp_path)) as played:
            monkeypatch.setenv("AWS_ENDPOINT_URL", played.url)
            with pytest.raises(Unavailable):
                Direct().store.commit([PUT])
            assert not played.asked
            monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
            direct = Direct()
            direct.store.commit([PUT])
            direct.store.commit([PUT])
        assert len({asked.connection for asked in played.asked}) == 1


def _certificate(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(own, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
