"""A small HTTP/1.1 server: many kept-alive connections, few worker threads.

Python's own threading server keeps a thread per connection, and a browser keeps several idle ones.
Here idle connections wait in one selector and only a request that has begun takes a worker, so the
pool can be bounded. Bodies arrive as the exact bytes that were sent.
"""

import contextlib
import logging
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from local.http_wire import READ_TIMEOUT_SECONDS, Answer, Connection, Refused, Request

log = logging.getLogger("local.web_server")

MAX_CONNECTIONS = 512
IDLE_TIMEOUT_SECONDS = 75


class WebServer:
    """Serves `answer` on host and port. `serve_forever` returns after `shutdown`."""

    def __init__(
        self, host: str, port: int, answer: Callable[[Request], Answer], *, workers: int = 16
    ) -> None:
        self._answer = answer
        self._listener = socket.create_server((host, port), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._begun: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        self._returned: deque[Connection] = deque()
        self._idle: dict[int, Connection] = {}
        self._stopping = threading.Event()
        self._workers = [
            threading.Thread(target=self._work, daemon=True, name=f"worker-{n}")
            for n in range(workers)
        ]

    def serve_forever(self) -> None:
        for worker in self._workers:
            worker.start()
        last_sweep = time.monotonic()
        while not self._stopping.is_set():
            for key, _ in self._selector.select(timeout=5):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_in:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_in.recv(4096)
                else:
                    self._begun.put(self._take_from_idle(key.fd))
            while self._returned:
                self._wait_for_next(self._returned.popleft())
            if time.monotonic() - last_sweep > 5:
                last_sweep = time.monotonic()
                self._close_idle(older_than=last_sweep - IDLE_TIMEOUT_SECONDS)
        self._finish()

    def shutdown(self) -> None:
        """Take no more requests; those under way are answered. May be called from anywhere."""
        self._stopping.set()
        self._wake()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock, address = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(READ_TIMEOUT_SECONDS)
            if len(self._idle) >= MAX_CONNECTIONS:
                self._close_idle(older_than=time.monotonic(), at_most=16)
            self._wait_for_next(Connection(sock, address[0]))

    def _wait_for_next(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        self._idle[connection.sock.fileno()] = connection
        self._selector.register(connection.sock, selectors.EVENT_READ)

    def _take_from_idle(self, fd: int) -> Connection:
        connection = self._idle.pop(fd)
        self._selector.unregister(connection.sock)
        return connection

    def _close_idle(self, *, older_than: float, at_most: int = MAX_CONNECTIONS) -> None:
        old = [fd for fd, connection in self._idle.items() if connection.idle_since < older_than]
        for fd in old[:at_most]:
            self._take_from_idle(fd).close()

    def _wake(self) -> None:
        self._wake_out.send(b".")

    def _work(self) -> None:
        while (connection := self._begun.get()) is not None:
            try:
                staying = self._serve(connection)
            except OSError:
                staying = False
            except Exception:
                log.exception("a connection ended badly")
                staying = False
            if staying:
                self._returned.append(connection)
                self._wake()
            else:
                connection.close()

    def _serve(self, connection: Connection) -> bool:
        """Answer the requests at hand; True if the connection stays open."""
        while True:
            try:
                request = connection.read_request()
            except Refused as refused:
                answer = Answer(status=refused.status, body=f"{refused}\n".encode())
                connection.write(answer, head_only=False, keep_alive=False)
                connection.drain()
                return False
            if request is None:
                return False
            answer = self._answer(request)
            staying = request.keep_alive and not self._stopping.is_set()
            connection.write(answer, head_only=request.method == "HEAD", keep_alive=staying)
            if not staying:
                return False
            others_wait = not self._begun.empty()
            if not connection.ahead and (others_wait or not connection.more_soon()):
                return True

    def _finish(self) -> None:
        self._listener.close()
        for _ in self._workers:
            self._begun.put(None)
        deadline = time.monotonic() + 5
        for worker in self._workers:
            worker.join(timeout=max(0.0, deadline - time.monotonic()))
        self._close_idle(older_than=float("inf"))
        self._selector.close()
