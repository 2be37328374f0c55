"""Looks through whatever is written, logged or answered for whatever is secret.

    watch = Watch()
    watch.secret("s3same-0pen-please", "a webhook secret")
    watch.seen('{"key": "s3same-0pen-please"}', "an answer")
    watch.found()  -> ["an answer holds a webhook secret (s3s…)"]

The house's own secrets and Stripe's are told by their shape, so one that nobody told of is found,
too: plainly written, in hex, or in base64 at any of its three offsets. Others are looked for as
they are, and in the same disguises.
"""

import base64
import contextlib
import gzip
import re
from collections import deque
from urllib.parse import quote

SHAPES = "rfl_live_ rfl_test_ rfl_sign_ whsec_ sk_live_ sk_test_ rk_live_ rk_test_".split()
TAIL = re.compile(r"[A-Za-z0-9_-]{16}")
SHORTEST = 12  # what is shorter is no secret, and would be found everywhere
AT_ONCE = 1_000_000  # characters that wait before they are looked through
RECENT = 12


class Watch:
    """Not for several threads that look at once; for several that tell, yes."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, str]] = deque()
        self._size = 0
        self._lasting: dict[str, tuple[str, ...]] = {}
        self._recent: deque[tuple[str, str, tuple[str, ...]]] = deque(maxlen=RECENT)
        self._found: list[str] = []
        self._disguised = {shape: _disguises(shape.encode()) for shape in SHAPES}
        self.characters = 0
        self.secrets = 0

    def secret(self, secret: str | bytes, kind: str, *, passing: bool = False) -> None:
        """Tell of a secret. ``passing``: one of very many that live for a moment, as signatures
        do; only the latest are looked for."""
        raw = secret if isinstance(secret, bytes) else secret.encode(errors="replace")
        text = raw.decode("latin-1")
        if len(text.strip()) < SHORTEST or text.startswith(tuple(SHAPES)):
            return
        self.secrets += 1
        if passing:
            if all(known != text for _, known, _ in self._recent):
                plain = (text,)  # a digest is looked for as it is; a key's bytes as they print
                self._recent.append(
                    (kind, text, plain if isinstance(secret, str) else _needles(raw))
                )
        else:
            self._lasting.setdefault(kind + "\0" + text, _needles(raw))

    def seen(self, text: str | bytes | None, where: str) -> None:
        """Tell of something that was written, logged or answered. Packed bytes are unpacked."""
        if not text:
            return
        if isinstance(text, bytes):
            text = _unpacked(text)
        self.characters += len(text)
        self._waiting.append((where, text))
        self._size += len(text)
        if self._size > AT_ONCE:
            self._look()

    def found(self) -> list[str]:
        """What was found since this was asked last."""
        self._look()
        found, self._found = self._found, []
        return list(dict.fromkeys(found))

    def _look(self) -> None:
        waiting = []
        while self._waiting:
            waiting.append(self._waiting.popleft())
        self._size = 0
        if not self._in_text("\n".join(text for _, text in waiting)):
            return  # as nearly always: then it need not be known where
        for where, text in waiting:
            self._found += [f"{where} holds {what}" for what in self._in_text(text)]

    def _in_text(self, text: str) -> list[str]:
        """What secrets a text has, by their kinds."""
        found = []
        for shape, disguised in self._disguised.items():
            if shape in text and re.search(re.escape(shape) + TAIL.pattern, text):
                found.append(f"a secret ({shape}…)")
            for needle in disguised:
                if needle in text:
                    found.append(f"a secret in disguise ({shape}…)")
        known = [(name.split("\0"), needles) for name, needles in self._lasting.items()]
        known += [([kind, text], needles) for kind, text, needles in self._recent]
        for (kind, secret), needles in known:
            if any(needle in text for needle in needles):
                found.append(f"{kind} ({secret[:3]}…)")
        return found


def _needles(raw: bytes) -> tuple[str, ...]:
    text = raw.decode("latin-1")
    needles = {text, quote(text, safe=""), *_disguises(raw)}
    return tuple(needles)


def _disguises(raw: bytes) -> tuple[str, ...]:
    """In hex, and in base64 as it stands at each of three offsets within a longer text."""
    found = {raw.hex()}
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        known = whole[first:last]
        found |= {known, known.translate(str.maketrans("+/", "-_"))}
    return tuple(sorted(found))


def _unpacked(raw: bytes) -> str:
    if raw[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError):
            raw = gzip.decompress(raw)
    return raw.decode("latin-1")
