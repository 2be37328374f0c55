"""A DynamoDB that answers as a test plays it, over a real connection: with a status and a body, by
closing the connection, or not at all."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Answer = tuple[int, Any] | Literal["hangs up", "says nothing"]
"""A body that is bytes is sent as it is, everything else as JSON."""


@dataclass(frozen=True, slots=True)
class Asked:
    operation: str
    headers: dict[str, str]
    raw: bytes
    connection: int

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body


@dataclass(slots=True)
class Played:
    """``play`` is asked for each answer, by the number of the call. ``closes`` ends a connection
    after its answer, without a word of it. ``ended`` tells the server's threads to let go."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    play: Callable[[int], Answer] = lambda _: (200, {})
    closes: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def played_dynamo(trusted: ssl.SSLContext | None = None) -> Iterator[Played]:
    """Listens until the end; on TLS with ``trusted``'s certificate, if one is given."""
    played = Played()
    connections = iter(range(1_000_000))

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.number = next(connections)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            operation = headers["x-amz-target"].rpartition(".")[2]
            played.asked.append(Asked(operation, headers, raw, self.number))
            match played.play(len(played.asked) - 1):
                case "hangs up":
                    self.close_connection = True
                case "says nothing":
                    played.ended.wait(10)
                    self.close_connection = True
                case status, body:
                    self._answer(status, body if isinstance(body, bytes) else json.dumps(body))

        def _answer(self, status: int, body: bytes | str) -> None:
            raw = body if isinstance(body, bytes) else body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
            self.close_connection = played.closes

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Door) as server:
        if trusted is not None:
            server.socket = trusted.wrap_socket(server.socket, server_side=True)
        scheme = "https" if trusted else "http"
        played.url = f"{scheme}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield played
        finally:
            played.ended.set()
            server.shutdown()
            thread.join(timeout=5)
