"""One plain call to a local DynamoDB, without a client library."""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from local.place import HOST

TARGET = "DynamoDB_20120810."
_LOCAL = (
    "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request,"
    " SignedHeaders=host, Signature=none"
)
IDLE_SECONDS = 2
_KEPT = ("content-type", "x-amz-crc32", "x-amzn-requestid", "x-amzn-errortype")


class Wire:
    """Calls to ``url``; a connection per thread."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._own = threading.local()

    def send(
        self, operation: str, body: bytes, authorization: str = _LOCAL
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers that a client needs, and body. MiniStack takes account and region from
        the authorization, and looks at nothing else of it."""
        connection = self._connection()
        headers = {
            "X-Amz-Target": TARGET + operation,
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": authorization,
        }
        try:
            connection.request("POST", "/", body=body, headers=headers)
            answer = connection.getresponse()
            told = answer.read()
        except Exception:
            connection.close()
            raise
        self._own.used = time.monotonic()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() in _KEPT]
        return answer.status, kept, told

    def _connection(self) -> http.client.HTTPConnection:
        """This thread's connection; one that was idle may have been closed by the other side."""
        known: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if known is None:
            host, port = self._url.hostname or HOST, self._url.port
            known = self._own.connection = http.client.HTTPConnection(host, port, timeout=60)
        elif time.monotonic() - getattr(self._own, "used", 0.0) > IDLE_SECONDS:
            known.close()
        return known

    def call(
        self, operation: str, asked: Mapping[str, Any], authorization: str = _LOCAL
    ) -> dict[str, Any]:
        """The answer as JSON. Raises RuntimeError for a refusal."""
        status, _, told = self.send(operation, json.dumps(asked).encode(), authorization)
        if status != 200:
            raise RuntimeError(f"{operation} was answered {status}: {told[:300]!r}")
        answer: dict[str, Any] = json.loads(told)
        return answer
