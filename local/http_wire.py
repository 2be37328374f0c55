"""HTTP/1.1 as bytes on a socket: requests read, answers written, both bounded."""

import socket
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 10 * 1024 * 1024
READ_TIMEOUT_SECONDS = 15
LINGER_SECONDS = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`target` is the path and query as sent; header names keep their case."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    peer: str
    keep_alive: bool

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((v for k, v in self.headers if k.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class Refused(Exception):
    """A request that is not read to its end; the connection closes after the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Connection:
    """One client's socket and the bytes that were read ahead. Used by one thread at a time."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock = sock
        self.peer = peer
        self.ahead = bytearray()
        self.idle_since = time.monotonic()

    def read_request(self) -> Request | None:
        """The next request, or None where the client has closed. Raises Refused, OSError."""
        head = self._read_head()
        if head is None:
            return None
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = _parsed_request_line(request_line)
        headers = [_parsed_header(line) for line in lines]
        fields = {name.lower(): value for name, value in headers}
        connection = fields.get("connection", "").lower()
        keep_alive = "close" not in connection and (
            version == "HTTP/1.1" or "keep-alive" in connection
        )
        return Request(
            method=method,
            target=target,
            headers=headers,
            body=self._read_body(headers, fields),
            peer=self.peer,
            keep_alive=keep_alive,
        )

    def _read_head(self) -> bytes | None:
        while (end := self.ahead.find(b"\r\n\r\n")) < 0:
            if len(self.ahead) > MAX_HEAD_BYTES:
                raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if not self._read_more():
                return None
        head = bytes(self.ahead[:end])
        del self.ahead[: end + 4]
        return head.lstrip(b"\r\n")

    def _read_body(self, headers: list[tuple[str, str]], fields: dict[str, str]) -> bytes:
        chunked = "transfer-encoding" in fields
        lengths = {value for name, value in headers if name.lower() == "content-length"}
        if len(lengths) > 1 or (chunked and lengths):
            raise Refused(HTTPStatus.BAD_REQUEST)
        if not chunked and not lengths:
            return b""
        if fields.get("expect", "").lower() == "100-continue" and not self.ahead:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if chunked:
            return self._read_chunks(fields["transfer-encoding"])
        length = lengths.pop()
        if not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.BAD_REQUEST)
        return self._read_exactly(int(length))

    def _read_chunks(self, encoding: str) -> bytes:
        if encoding.strip().lower() != "chunked":
            raise Refused(HTTPStatus.NOT_IMPLEMENTED)
        body = bytearray()
        while True:
            size = self._read_line().split(b";")[0].strip()
            try:
                wanted = int(size, 16)
            except ValueError:
                raise Refused(HTTPStatus.BAD_REQUEST) from None
            if wanted == 0:
                break
            if len(body) + wanted > MAX_BODY_BYTES:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            body += self._read_exactly(wanted)
            self._read_line()
        while self._read_line():
            pass
        return bytes(body)

    def _read_line(self) -> bytes:
        while (end := self.ahead.find(b"\r\n")) < 0:
            if len(self.ahead) > MAX_HEAD_BYTES or not self._read_more():
                raise Refused(HTTPStatus.BAD_REQUEST)
        line = bytes(self.ahead[:end])
        del self.ahead[: end + 2]
        return line

    def _read_exactly(self, length: int) -> bytes:
        if length < 0 or length > MAX_BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        while len(self.ahead) < length:
            if not self._read_more():
                raise ConnectionError("the client closed in the middle of a body")
        data = bytes(self.ahead[:length])
        del self.ahead[:length]
        return data

    def _read_more(self) -> bool:
        data = self.sock.recv(256 * 1024)
        self.ahead += data
        return bool(data)

    def write(self, answer: Answer, *, head_only: bool, keep_alive: bool) -> None:
        self.sock.sendall(_serialised(answer, head_only=head_only, keep_alive=keep_alive))

    def more_soon(self) -> bool:
        """Whether the next request is here already, or comes within a blink."""
        if self.ahead:
            return True
        self.sock.settimeout(LINGER_SECONDS)
        try:
            return self._read_more()
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(READ_TIMEOUT_SECONDS)

    def drain(self) -> None:
        """Read away what a refused client still sends, so that it gets to see the answer."""
        self.sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 2
        self.sock.settimeout(0.5)
        while time.monotonic() < deadline and self.sock.recv(1024 * 1024):
            pass

    def close(self) -> None:
        self.sock.close()


def _parsed_request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refused(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    if "://" in target.split("?")[0]:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    if not target.startswith("/") or not method.isalpha():
        raise Refused(HTTPStatus.BAD_REQUEST)
    return method, target, version


def _parsed_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise Refused(HTTPStatus.BAD_REQUEST)
    return name, value.strip(" \t")


def _serialised(answer: Answer, *, head_only: bool, keep_alive: bool) -> bytes:
    phrase = HTTPStatus(answer.status).phrase if answer.status in _KNOWN_STATUSES else ""
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Date: {formatdate(usegmt=True)}"]
    for name, value in answer.headers:
        if "\r" in value or "\n" in value or "\n" in name:
            raise ValueError(f"line break in the answer's header {name!r}")
        lines.append(f"{name}: {value}")
    bodyless = answer.status in (204, 304) or answer.status < 200
    if not bodyless:
        lines.append(f"Content-Length: {len(answer.body)}")
    if not keep_alive:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return head if head_only or bodyless else head + answer.body


_KNOWN_STATUSES = frozenset(status.value for status in HTTPStatus)
