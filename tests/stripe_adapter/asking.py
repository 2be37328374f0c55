"""For tests of calls to Stripe: a clock that only moves when somebody waits, a server that answers
by a script, and a look for secrets in whatever was raised."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.pace import Pacer

TAIL = "Zq9x"  # what Stripe quotes of these keys
SECRET_KEY = "sk_" + f"test_acme_{TAIL}"
RESTRICTED_KEY = "rk_" + f"test_acme_{TAIL}"


@dataclass
class Waiting:
    """Seconds that pass only by waiting; ``waits`` are the pauses."""

    time: float = 1_000.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def pacer(self) -> Pacer:
        return Pacer(clock=self.now, sleep=self.sleep, chance=lambda: 1.0)


def credentials(key: str = SECRET_KEY, account: str = "") -> Credentials:
    return Credentials(api_key=key, livemode="_live_" in key, account=account)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Says:
    """An answer. ``body``: JSON, or bytes as they are. ``cut``: it ends in the middle. ``silent``:
    the connection ends without one. ``late_s``: only after so many real seconds."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False
    late_s: float = 0


class Scripted(ThreadingHTTPServer):
    """Answers what ``script`` says in turn, the last for ever, and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Says] = [Says()]
        self.asked: list[Asked] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, *answers: Says) -> None:
        self.script = list(answers)


class _Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        params = dict(parse_qsl(path.query) + parse_qsl(sent))
        self.server.asked.append(Asked(self.command, path.path, params, headers))
        script = self.server.script
        says = script.pop(0) if len(script) > 1 else script[0]
        time.sleep(says.late_s)
        self.close_connection = True
        if says.silent:
            return
        body = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
        self.send_response(says.status)
        for name, value in says.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")  # so that nobody asks again on a dead one
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if says.cut else body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def error(message: str = "", **more: Any) -> dict[str, Any]:
    """Stripe's error body."""
    return {"error": {"type": "invalid_request_error", "message": message, **more}}


def mute(raised: BaseException, *secrets: str) -> None:
    """That nothing about an error leads to a secret, or to Stripe's text, which quotes one."""
    assert raised.__context__ is None
    assert raised.__cause__ is None
    shown = "".join(traceback.format_exception(raised))
    shown += repr(raised) + repr(raised.args) + repr(getattr(raised, "errors", ""))
    for secret in (TAIL, *secrets):
        assert secret not in shown
