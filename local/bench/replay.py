"""A DynamoDB that answers at once: each call as the one behind it answered the first of its kind.

Cold starts and warm clicks are timed against it, so that what is timed is the function. Only for
work whose writes are all alike: a read is answered by its request, a write by its operation.
"""

import http.client
import threading
from urllib.parse import urlsplit

from local.http_wire import Answer, Request
from local.place import HOST
from local.web_server import WebServer

_WRITES = ("PutItem", "UpdateItem")
_KEPT = ("content-type", "x-amz-crc32", "x-amzn-requestid")


class Replay:
    """An endpoint in front of the one at `upstream`."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._known: dict[tuple[str, bytes], Answer] = {}
        self._server = WebServer(HOST, 0, self._answer, workers=4)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.port}"

    def __enter__(self) -> "Replay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=10)

    def _answer(self, request: Request) -> Answer:
        operation = (request.header("X-Amz-Target") or "").rpartition(".")[2]
        kind = (operation, b"" if operation in _WRITES else request.body)
        known = self._known.get(kind)
        if known is None:
            known = self._ask(request)
            if known.status == 200:
                self._known[kind] = known
        return known

    def _ask(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(
            self._upstream.hostname or HOST, self._upstream.port, timeout=30
        )
        try:
            connection.request("POST", "/", body=request.body, headers=dict(request.headers))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() in _KEPT]
        return Answer(status=answer.status, headers=headers, body=body)
