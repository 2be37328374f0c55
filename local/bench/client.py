"""A light HTTP client: requests made beforehand, kept-alive connections, a few threads."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from local.place import HOST

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer; ``head`` is its status line and headers as they came."""

    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str:
        wanted = name.lower() + ":"
        lines = (line for line in self.head.split("\r\n") if line.lower().startswith(wanted))
        return next(lines, "").partition(":")[2].strip()


def request_bytes(
    method: str, target: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A whole request, ready to be sent."""
    named = {"Host": HOST, "User-Agent": "bench", "Content-Type": "text/plain", **dict(headers)}
    lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client:
    """One connection. Not safe to share between threads."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, raw: bytes) -> Reply:
        """Raises OSError where the other side is gone."""
        self._socket.sendall(raw)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        reply = Reply(status=int(head.split(b" ")[1]), head=head.decode("latin-1"), body=b"")
        missing = int(reply.header("Content-Length") or 0) - len(body)
        while missing > 0:
            more = self._more()
            body += more
            missing -= len(more)
        return Reply(status=reply.status, head=reply.head, body=body)

    def _more(self) -> bytes:
        data = self._socket.recv(256 * 1024)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


@dataclass(slots=True)
class Driven:
    """How long it took in all, and each answer by itself."""

    wall_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.wall_seconds


def drive(
    port: int, requests: Sequence[bytes], *, workers: int, check: Callable[[Reply], None]
) -> Driven:
    """Send them all, each worker one after the other. Raises what ``check`` or a worker raised."""
    driven, waiting, errors = Driven(), iter(requests), list[Exception]()
    taking = threading.Lock()

    def work() -> None:
        try:
            with Client(port) as client:
                while True:
                    with taking:
                        raw = next(waiting, None)
                    if raw is None or errors:
                        return
                    begun = time.perf_counter()
                    reply = client.ask(raw)
                    driven.seconds.append(time.perf_counter() - begun)
                    check(reply)
        except Exception as error:  # it is raised below, in the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    driven.wall_seconds = time.perf_counter() - begun
    if errors:
        raise errors[0]
    return driven
