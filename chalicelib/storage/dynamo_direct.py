"""The part of the store that a visit needs, on DynamoDB with the standard library alone: making
botocore's client costs a cold process more than all the rest of a click (decision 0014).

Waits and tries as ``DynamoStore`` does; and a connection that the other side closed while the
process slept is seen before anything is sent, or else the call is said again.
"""

import hashlib
import hmac
import select
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from os import environ
from typing import Any
from urllib.parse import urlsplit

from . import dynamo_wire as wire
from .checks import checked
from .dynamo_tries import CONNECT_SECONDS, READ_SECONDS, Failed, Failure, failure_of_code, tried
from .store import Item, Key, Put, TableName, Write

KEPT_SECONDS = 10  # an idle connection: one kept for longer may be gone without a word


class DirectStore:
    """A ``store.ItemStore`` whose commits are one versioned put each. Safe to share between
    threads. Credentials, region and endpoint stand in the environment, as Lambda gives them."""

    def __init__(
        self, tables: Mapping[TableName, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._tables, self._sleep, self._own = dict(tables), sleep, threading.local()
        self._region = environ.get("AWS_DEFAULT_REGION") or environ["AWS_REGION"]
        named = environ.get("AWS_ENDPOINT_URL_DYNAMODB") or environ.get("AWS_ENDPOINT_URL")
        country = ".cn" if self._region.startswith("cn-") else ""
        url = urlsplit(named or f"https://dynamodb.{self._region}.amazonaws.com{country}")
        self._host = url.netloc
        kind: Callable[..., HTTPConnection] = HTTPConnection
        if url.scheme == "https":
            trusted = ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE"))
            kind = partial(HTTPSConnection, context=trusted)
        self._new = partial(kind, self._host, timeout=CONNECT_SECONDS)

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        ask = partial(self._call, "BatchGetItem", repeatable=True)
        return wire.read_batches(self._tables, keys, ask=ask, sleep=self._sleep)

    def commit(self, writes: Sequence[Write]) -> None:
        texts = checked(writes)
        match writes:
            case [Put(item=item, blind=False) as put]:
                arguments = wire.put_arguments(self._tables[item.key.table], put, texts[0])
                self._call("UpdateItem", arguments, repeatable=False)
            case _:
                raise TypeError("this store commits one versioned put at a time")

    def _call(self, operation: str, arguments: Any, *, repeatable: bool) -> Mapping[str, Any]:
        call = partial(self._send, operation, wire.to_json(arguments))
        return tried(call, repeatable=repeatable, sleep=self._sleep)

    def _send(self, operation: str, body: bytes) -> Mapping[str, Any]:
        try:
            connection = self._connection()
        except OSError as error:
            del self._own.connection
            raise Failed(Failure.REFUSED) from error
        try:
            headers = signed_headers(operation, body, self._host, self._region)
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            told = wire.from_json(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            broken = isinstance(error, ConnectionError | HTTPException)
            raise Failed(Failure.LOST, broken=broken) from error
        self._own.used = time.time()
        if answer.status == 200:
            return told
        code = str(told.get("__type", "")).rpartition("#")[2]
        if (failure := failure_of_code(code, answer.status)) is Failure.BUG:
            raise RuntimeError(f"{operation} was answered {answer.status} {code}")
        raise Failed(failure, code)

    def _connection(self) -> HTTPConnection:
        """This thread's connection, open. One that the other side has closed is readable."""
        connection: HTTPConnection = self._own.__dict__.setdefault("connection", self._new())
        if connection.sock:
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if poll.poll(0) or not 0 <= time.time() - self._own.used < KEPT_SECONDS:
                connection.close()
        if not connection.sock:
            connection.connect()
            connection.sock.settimeout(READ_SECONDS)
        return connection


def signed_headers(operation: str, body: bytes, host: str, region: str) -> dict[str, str]:
    """The headers of a call, signed as of now with the environment's credentials ("Create a signed
    AWS API request", Signature Version 4)."""
    now, token = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), environ.get("AWS_SESSION_TOKEN")
    headers = {"content-type": "application/x-amz-json-1.0", "host": host, "x-amz-date": now}
    headers |= {"x-amz-security-token": token} if token else {}
    headers |= {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    names, scope = ";".join(headers), f"{now[:8]}/{region}/dynamodb/aws4_request"
    said = "\n".join(f"{name}:{value}" for name, value in headers.items())
    asked = f"POST\n/\n\n{said}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
    signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = b"AWS4" + environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (*scope.split("/"), signed):
        key = hmac.digest(key, part.encode(), "sha256")
    who = f"AWS4-HMAC-SHA256 Credential={environ['AWS_ACCESS_KEY_ID']}/{scope}"
    return headers | {"authorization": f"{who}, SignedHeaders={names}, Signature={key.hex()}"}
