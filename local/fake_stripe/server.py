"""The HTTP server: a thread a connection, kept alive, no delay, one lock inside the fake."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from . import api, control
from .fake import FakeStripe
from .web import oauth, pages

MAX_BODY = 2_000_000
IDLE_SECONDS = 60


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], fake: FakeStripe) -> None:
        self.fake = fake
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    wbufsize = -1  # one segment an answer
    server_version: ClassVar[str] = "FakeStripe/1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            self._write(api.Answer(413, b"", {}))
            return
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        headers = {k.lower(): v for k, v in self.headers.items()}
        self._write(answer(self.server.fake, method, path, query, headers, body))

    def _write(self, made: api.Answer) -> None:
        if made.late_seconds:
            time.sleep(made.late_seconds)
        if made.sent_bytes is not None:
            self.close_connection = True
            if not made.sent_bytes:
                return
        self.send_response(made.status)
        for name, value in made.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(made.body)))
        self.end_headers()
        self.wfile.write(made.body[: made.sent_bytes])
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the fake is watched through `/_control/health`."""


def answer(
    fake: FakeStripe, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> api.Answer:
    """One request to any of the four faces: control, Connect OAuth, browser, API."""
    if path.startswith("/_control/"):
        return control.answer(fake, method, path, body)
    if path.startswith("/oauth/"):
        return oauth.answer(fake, method, path, query, headers, body)
    shown = pages.answer(fake, method, path, query, body)
    if shown is not None:
        return shown
    return api.answer(fake, method, path, query, headers, body)


@contextmanager
def serve(fake: FakeStripe, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeStripe]:
    """Serves `fake` until the block ends; `fake.url` says where. Port 0 takes a free one."""
    server = _Server((host, port), fake)
    fake.url = f"http://{'localhost' if host == '0.0.0.0' else host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.daemon = True
    thread.start()
    fake.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        fake.stop()
        thread.join(5)


@contextmanager
def running_fake_stripe(**settings: Any) -> Iterator[FakeStripe]:
    """A fake on a free port for the length of a block; `settings` are `FakeStripe`'s."""
    with serve(FakeStripe(**settings)) as fake:
        yield fake
