"""A web server for pages under test: it plays the merchant's sites and the tracker's doors.

Which site a request is for is told by its host name; all are this one server. It writes down
what reached the doors, in the order of arrival.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from chalicelib.tracker import TrackerSettings, render, render_debug, snippet

SHOP = "www.shop.test"
PROGRAM = "prog_1"


@dataclass(kw_only=True)
class Arrival:
    """A request that reached a door of the tracker, or asked before it came (OPTIONS)."""

    method: str
    path: str
    body: dict[str, Any]
    content_type: str


@dataclass(kw_only=True)
class PageServer:
    port: int
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    forms_received: list[str] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    tests: int = 0
    settings: TrackerSettings = field(init=False)
    signup_answer: tuple[int, bytes] = (200, b'{"data":{"key":"u_1"},"status":1}')

    def __post_init__(self) -> None:
        self.install()

    def install(self, **settings: Any) -> None:
        """Serve the tracker with these settings, and a plain page at every other path."""
        self.settings = TrackerSettings(
            **{
                "program_id": PROGRAM,
                "base_url": f"http://{self.tracker_host}:{self.port}",
                "payment_link_hosts": (f"http://pay.test:{self.port}",),
                **settings,
            }
        )

    @property
    def tracker_host(self) -> str:
        """Each test's own: what the pages of the one before still send is not this one's."""
        return f"partners-{self.tests}.test"

    def forget(self) -> None:
        self.tests += 1
        self.pages.clear()
        self.forms_received.clear()
        self.arrivals.clear()
        self.requests.clear()
        self.signup_answer = PageServer.signup_answer
        self.install()

    def page(
        self, path: str, body: str = "", *, tag: str | None = None, csp: str | None = None
    ) -> None:
        """Put a page with the snippet, or another `tag`, at a path on every site."""
        head = snippet(self.settings) if tag is None else tag
        html = f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"
        self.pages[path] = (html, {"Content-Security-Policy": csp} if csp else {})

    def url(self, path: str, *, host: str = SHOP) -> str:
        return f"http://{host}:{self.port}{path}"

    def clicks(self) -> list[dict[str, Any]]:
        return [each.body for each in self.arrivals if each.path == "/t/click"]

    def signups(self) -> list[dict[str, Any]]:
        return [each.body for each in self.arrivals if each.path == "/t/signup"]

    def wait_for(self, path: str, count: int = 1, *, seconds: float = 5) -> list[dict[str, Any]]:
        """The bodies that reached a door, once there are that many; more is a failure too."""
        deadline = time.monotonic() + seconds
        found: list[dict[str, Any]] = []
        while time.monotonic() < deadline:
            found = [each.body for each in self.arrivals if each.path == path]
            if len(found) >= count:
                break
            time.sleep(0.01)
        assert len(found) == count, f"{path}: {found}"
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    house: PageServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        host = (self.headers["Host"] or "").split(":")[0]
        self.house.requests.append(f"{host}{self.path}")
        settings = self.house.settings
        if parts.path == f"/t/{settings.program_id}.js":
            self._answer(200, render(settings).encode(), "application/javascript")
        elif parts.path == f"/t/{settings.program_id}.debug.js":
            self._answer(200, render_debug(settings).encode(), "application/javascript")
        elif parts.path == "/favicon.ico":
            self._answer(204, b"", "image/x-icon")
        elif parts.path == "/stub.js":
            self._answer(200, _STUB, "application/javascript")
        else:
            if parts.path not in self.house.pages:
                self.house.page(parts.path)
            html, headers = self.house.pages[parts.path]
            self._answer(200, html.encode(), "text/html; charset=utf-8", headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        path = urlsplit(self.path).path
        if not path.startswith("/t/"):
            self.house.forms_received.append(body)
            self._answer(200, b"<!doctype html>thanks", "text/html")
            return
        content_type = self.headers["Content-Type"] or ""
        self._note(
            Arrival(method="POST", path=path, body=json.loads(body), content_type=content_type)
        )
        headers = {"Access-Control-Allow-Origin": "*"}
        if path == "/t/signup":
            self._answer(*self.house.signup_answer, "application/json", headers)
            return
        headers["Access-Control-Expose-Headers"] = "X-Refledger"
        headers["X-Refledger"] = "recorded"
        self._answer(204, b"", "text/plain", headers)

    def do_OPTIONS(self) -> None:
        self._note(Arrival(method="OPTIONS", path=self.path, body={}, content_type=""))
        self._answer(403, b"", "text/plain")

    def _note(self, arrival: Arrival) -> None:
        if (self.headers["Host"] or "").split(":")[0] == self.house.tracker_host:
            self.house.arrivals.append(arrival)

    def _answer(
        self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests say what they saw themselves."""


_STUB = (
    b"window.refledger=window.refledger||function(){(refledger.q=refledger.q||[]).push(arguments)};"
)


@contextmanager
def serving_pages() -> Iterator[PageServer]:
    """The server on a free port of 127.0.0.1, stopped at the end."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    house = PageServer(port=server.server_address[1])
    handler.house = house
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield house
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
