"""Held over the whole test run: no secret is written, logged or answered, and what the doors answer
is what the API's description says. Whatever test breaks it fails.

It listens at four places through which everything goes, and replaces none of them:
- ``storage.checks``, which every store asks about every write, in the text that is then stored;
- ``log``'s way to the standard output, and what pytest captured of both outputs;
- ``Chalice.__call__``: what was sent with a request, and the whole answer;
- the sealers and the hashing of API keys, which meet every secret.
And when a whole local run ends, what its processes said and its database kept is looked through.
"""

import functools
import json
import re
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
from chalice.app import Chalice

import chalicelib.log
from chalicelib.flows import manage_programs
from chalicelib.storage import checks
from chalicelib.storage.sealing import FileSealer, KmsSealer
from chalicelib.storage.store import Put, Write
from tests.attack.described import contradictions
from tests.attack.secrets_watch import Watch
from tests.stack_kit import Stack

WATCH = Watch()
DIGEST = re.compile(r"[0-9a-f]{64}")
BROKEN: list[str] = []
"""What the doors answered against the description."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if getattr(checks._check_write, "watched", False):
        return
    _listen_to_writes()
    _listen_to_log()
    _listen_to_doors()
    _listen_to_secrets()
    _listen_to_local_runs()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "teardown":
        for title, text in report.sections:
            WATCH.seen(text, title)
        found = [*WATCH.found(), *BROKEN]
        BROKEN.clear()
        if found and report.outcome == "passed":
            report.outcome = "failed"
            report.longrepr = "\n".join(found)
    return report


def _listen_to_writes() -> None:
    check = checks._check_write

    @functools.wraps(check)
    def watched(write: Write) -> str:
        text = check(write)
        key = checks.key_of(write)
        where = f"the table {key.table}"
        WATCH.seen(f"{key.pk}\n{key.sk}", where)
        if isinstance(write, Put):
            WATCH.seen(text, where)
            for pair in (write.item.listing, write.item.due, write.item.partner):
                WATCH.seen(pair and "\n".join(pair), where)
            WATCH.seen(write.item.blob, where)
        return text

    watched.watched = True
    checks._check_write = watched


class _Outputs:
    """``sys`` as the log sees it: its lines go where they went, and are heard."""

    def __getattr__(self, name: str) -> Any:
        return self if name == "stdout" else getattr(sys, name)

    def write(self, text: str) -> int:
        WATCH.seen(text, "the log")
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def _listen_to_log() -> None:
    chalicelib.log.sys = _Outputs()


def _listen_to_doors() -> None:
    answer = Chalice.__call__

    @functools.wraps(answer)
    def watched(self: Chalice, event: Any, context: Any) -> Any:
        if self.app_name != "refledger" or "requestContext" not in event:
            return answer(self, event, context)
        _tell_what_was_sent(event)
        answered = answer(self, event, context)
        WATCH.seen(str(answered.get("body") or ""), "an answer")
        heads = {**answered.get("headers", {}), **answered.get("multiValueHeaders", {})}
        WATCH.seen(str(heads), "an answer's headers")
        BROKEN.extend(contradictions(event, answered))
        return answered

    Chalice.__call__ = watched


def _tell_what_was_sent(event: dict[str, Any]) -> None:
    """The signatures; keys are known by their shape."""
    for name, value in (event.get("headers") or {}).items():
        if name.lower() == "stripe-signature":
            for digest in DIGEST.findall(value[:1000]):
                WATCH.secret(digest, "a signature of Stripe's", passing=True)
    body = event.get("body")
    if event.get("resource") == "/t/signup" and isinstance(body, str) and '"signature"' in body:
        try:
            signature = json.loads(body)["signature"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if isinstance(signature, str) and DIGEST.fullmatch(signature):
            WATCH.secret(signature, "the signature of a sign-up", passing=True)


def _listen_to_secrets() -> None:
    for sealer in (FileSealer, KmsSealer):
        _hear(sealer, "seal", lambda told, made: told)
        _hear(sealer, "open", lambda told, made: made)
    _hear(FileSealer, "_key", lambda told, made: made, passing=True)
    digest: Callable[[str], str] = manage_programs._digest

    @functools.wraps(digest)
    def watched(key: str) -> str:
        WATCH.secret(key, "an API key")
        return digest(key)

    manage_programs._digest = watched


def _hear(
    owner: type, name: str, which: Callable[[Any, Any], str | bytes], *, passing: bool = False
) -> None:
    """Tell of the secret that goes into a method, or comes out of it."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def watched(self: Any, *told: Any, **more: Any) -> Any:
        if told and which(told[0], None):
            WATCH.secret(told[0], "a sealed secret")
        made = method(self, *told, **more)
        if which(None, made):
            WATCH.secret(made, "a sealed secret", passing=passing)
        return made

    setattr(owner, name, watched)


def _listen_to_local_runs() -> None:
    stop = Stack.stop

    @functools.wraps(stop)
    def watched(self: Stack, *how: int) -> int:
        code = stop(self, *how)
        WATCH.seen("\n".join(self.output), "what a local run said")
        for folder in ("logs", "ministack"):
            for file in (self.place.state_dir / folder).rglob("*"):
                if file.is_file() and file.stat().st_size < 50_000_000:
                    WATCH.seen(file.read_bytes(), f"{folder}/{file.name} of a local run")
        return code

    Stack.stop = watched
