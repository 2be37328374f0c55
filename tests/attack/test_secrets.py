"""The watch over secrets sees a leak wherever one could be, and the house shows none."""

import base64
import dataclasses
import gc
import gzip
import hashlib
import hmac
import importlib
import json
import secrets
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import app
from chalicelib.flows.manage_programs import create_connection
from chalicelib.log import log
from chalicelib.storage.sealing import FileSealer
from chalicelib.storage.store import Item, Key, Put
from local.place import Place
from tests.attack.described import contradictions
from tests.attack.plugin import BROKEN, WATCH
from tests.attack.secrets_watch import Watch
from tests.builders.stripe_bodies import a_session, as_body, signed
from tests.doors_kit import WEBHOOK_SECRET, Doors, token
from tests.stack_kit import Stack
from tests.storage.backends import on_moto

STRIPE_KEY = "_".join(["rk", "test", "a1B2" * 6])
PLAIN = "correct-horse-battery"

DISGUISES: dict[str, Callable[[str], str | bytes]] = {
    "plain": str,
    "in a sentence": lambda secret: f'{{"error": "no such key {secret}!"}}',
    "hex": lambda secret: secret.encode().hex(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64, one further": lambda secret: base64.b64encode(b"x" + secret.encode() + b"y").decode(),
    "base64, two further": lambda secret: base64.b64encode(b"xy" + secret.encode()).decode(),
    "urlsafe": lambda secret: base64.urlsafe_b64encode(b"?" + secret.encode()).decode(),
    "packed": lambda secret: gzip.compress(secret.encode()),
}


class TestTheWatch:
    @pytest.mark.parametrize("disguise", DISGUISES)
    @pytest.mark.parametrize("secret", [STRIPE_KEY, WEBHOOK_SECRET, PLAIN, "a b/c+d e&f g"])
    def test_finds_a_secret_however_it_is_written(self, disguise: str, secret: str) -> None:
        watch = Watch()
        watch.secret(secret, "a secret")
        watch.seen("x" * 1000 + "\n", "a place")
        assert watch.found() == []
        watch.seen(DISGUISES[disguise](secret), "a place")
        [said] = watch.found()
        assert said.startswith("a place holds")
        assert secret not in said
        assert watch.found() == []

    def test_finds_one_that_nobody_told_of(self) -> None:
        watch = Watch()
        watch.seen(f"key={STRIPE_KEY}", "a place")
        assert watch.found()

    def test_looks_when_much_is_waiting(self) -> None:
        watch = Watch()
        watch.secret(PLAIN, "a secret")
        for _ in range(30):
            watch.seen(PLAIN + "x" * 100_000, "a place")
        assert watch._size < 1_100_000
        assert watch.found()

    @pytest.mark.parametrize("text", ["Bearer rfl_…", "rfl_test_", "whsec_…", "", "sk_test_abc"])
    def test_lets_a_hint_be(self, text: str) -> None:
        watch = Watch()
        watch.seen(text, "a place")
        assert watch.found() == []

    def test_sealed_and_hashed_are_no_leak(self, tmp_path: Path) -> None:
        watch = Watch()
        watch.secret(PLAIN, "a secret")
        watch.seen(FileSealer(str(tmp_path / "key")).seal(PLAIN, place="p"), "a place")
        watch.seen(hashlib.sha256(PLAIN.encode()).hexdigest(), "a place")
        assert watch.found() == []


class TestItListens:
    """Each leak here is made on purpose, and taken off the watch, which fails the test else."""

    def leaks(self, *places: str) -> None:
        found = WATCH.found()
        assert [said.split(" holds")[0] for said in found] == list(places), found

    def test_to_what_is_stored_in_memory(self, doors: Doors) -> None:
        doors.store.commit([Put(Item(key=Key("records", "p", "s"), body={"k": doors.key}))])
        self.leaks("the table records")
        doors.store.commit([Put(Item(key=Key("records", doors.signing_key, "s")))])
        self.leaks("the table records")
        packed = gzip.compress(doors.live_key.encode())
        doors.store.commit([Put(Item(key=Key("inbox", "p", "s"), blob=packed))])
        self.leaks("the table inbox")

    def test_to_what_is_stored_on_dynamodb(self) -> None:
        with on_moto() as backend:
            backend.store.commit([Put(Item(key=Key("records", "p", "s"), body={"k": STRIPE_KEY}))])
        self.leaks("the table records")

    def test_to_the_log(self, doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
        log("click", "ignored", because=f"no such key {doors.key}")
        assert doors.key in capsys.readouterr().out
        self.leaks("the log")

    def test_to_answers(self, doors: Doors) -> None:
        doors.put("/v1/program", {"name": STRIPE_KEY})
        assert any(said.startswith("an answer holds") for said in WATCH.found())

    def test_to_headers(self, doors: Doors) -> None:
        doors.ask("GET", f"/r/{doors.program.id}/ann?to=/{doors.key}")
        places = [said.split(" holds")[0] for said in WATCH.found()]
        assert "an answer's headers" in places

    def test_to_secrets_of_no_shape(self, doors: Doors) -> None:
        place = {"store": doors.store, "sealer": doors.house.sealer, "now": doors.clock.ms}
        create_connection(
            doors.program, api_key=PLAIN, webhook_secret=PLAIN[::-1], livemode=False, **place
        )
        WATCH.seen(PLAIN[::-1], "a place")
        WATCH.seen(PLAIN, "a place")
        assert len(WATCH.found()) == 2

    def test_to_signatures(self, doors: Doors) -> None:
        body = as_body(doors.event("unheard.of", {"id": "x"}))
        stripes = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
        doors.deliver(body, signature=stripes)
        ours = hmac.new(doors.signing_key.encode(), b"u1\n", hashlib.sha256).hexdigest()
        doors.sign_up(signature=ours)
        WATCH.seen(f"{stripes} {ours}", "a place")
        assert len(WATCH.found()) == 2

    def test_to_the_key_that_seals(self, doors: Doors) -> None:
        WATCH.seen(base64.b64encode((doors.folder / "key").read_bytes()).decode(), "a place")
        self.leaks("a place")

    def test_to_what_a_local_run_leaves(self, doors: Doors, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "app.log").write_text(f"asked with {doors.key}\n")
        (tmp_path / "ministack").mkdir()
        (tmp_path / "ministack" / "tables").write_bytes(b"\0" + doors.live_key.encode())
        said = f"from {STRIPE_KEY}"
        ended = subprocess.Popen(
            [sys.executable, "-c", f"print({said!r})"], stdout=subprocess.PIPE, text=True
        )
        Stack(place=Place(port=1, state_dir=tmp_path), process=ended, output=[said]).stop()
        self.leaks(
            "what a local run said",
            "logs/app.log of a local run",
            "ministack/tables of a local run",
        )

    def test_to_answers_that_the_description_does_not_know(self, doors: Doors) -> None:
        body = {"data": {"program": {"id": "p", "name": "n"}, "mode": "test"}, "status": 1}
        event = {"httpMethod": "GET", "resource": "/v1/test"}

        def answered(told: Any, status: int = 200, **headers: str) -> list[str]:
            answer = {"statusCode": status, "headers": headers, "body": json.dumps(told)}
            return contradictions(event, answer)

        assert answered(body) == []
        assert answered({**body, "extra": 1})
        assert answered({"data": body["data"]})
        assert answered(body, 418)
        assert answered(body, **{"Content-Type": "text/html"})
        assert contradictions({**event, "resource": "/v1/else"}, {"statusCode": 200})
        doors.get("/v1/test")
        assert BROKEN == []


def test_no_object_shows_a_secret(doors: Doors) -> None:
    """Whatever lives in the process after a click, a webhook, a sign-up and a call of the API."""
    doors.click()
    doors.deliver(doors.event("checkout.session.completed", a_session()))
    signature = hmac.new(doors.signing_key.encode(), b"u1\n", hashlib.sha256).hexdigest()
    doors.sign_up(signature=signature)
    doors.get("/v1/test")
    shown = 0
    mine = {doors.signing_key, doors.key, doors.live_key, WEBHOOK_SECRET, signature}
    for thing in gc.get_objects():
        if str(type(thing).__module__).startswith("chalicelib"):
            shown += 1
            text = repr(thing)
            assert not any(secret in text for secret in mine), type(thing)
    assert shown > 50


def test_no_dataclass_with_a_secret_field_shows_it() -> None:
    """By the names of the fields, so that a new one is met, too."""
    for late in ("flows.read_connection", "stripe_adapter.client"):
        importlib.import_module(f"chalicelib.{late}")
    telling = {"secret", "secrets", "api_key", "signing_key", "signature", "password"}
    checked = 0
    for made in list(gc.get_objects()):
        if isinstance(made, type) and dataclasses.is_dataclass(made):
            if not made.__module__.startswith("chalicelib"):
                continue
            for field in dataclasses.fields(made):
                if field.name in telling:
                    checked += 1
                    assert not field.repr, f"{made.__qualname__}.{field.name}"
    assert checked >= 2


def test_no_failure_tells_a_secret(doors: Doors, capfd: pytest.CaptureFixture[str]) -> None:
    """The store breaks with a secret in its message, at every call, at every door."""
    leak = "rfl_sign_" + secrets.token_urlsafe(24)

    class Broken(RuntimeError):
        pass

    def breaks(call: str, writes: object) -> None:
        raise Broken(f"cannot store {leak}")

    event = doors.event("checkout.session.completed", a_session(client_reference_id=token("ann")))
    knocks: list[Callable[[], Any]] = [
        lambda: doors.click(),
        lambda: doors.sign_up(),
        lambda: doors.deliver(event),
        lambda: doors.ask("GET", f"/r/{doors.program.id}/ann"),
        lambda: doors.ask("GET", f"/t/{doors.program.id}.js"),
        lambda: doors.get("/v1/customers"),
        lambda: doors.post("/v1/customers", {"key": "c1"}),
    ]
    for knock in knocks:
        doors.cold()
        doors.store.before = breaks
        reply = knock()
        doors.store.before = None
        text = reply.body.decode() + str(reply.headers)
        assert leak not in text
        assert "Broken" not in text and "cannot store" not in text
    spoken = "".join(capfd.readouterr())
    assert leak not in spoken
    assert '"outcome": "bug"' in spoken
    assert leak not in json.dumps([str(i) for i in doors.store.everything().values()])


def test_a_refused_seal_does_not_tell_what_it_refused(tmp_path: Path) -> None:
    sealer = FileSealer(str(tmp_path / "key"))
    sealed = sealer.seal(PLAIN, place="here")
    for wrong in (
        lambda: sealer.seal(PLAIN * 1000, place="here"),
        lambda: sealer.open(sealed, place="there"),
        lambda: sealer.open(PLAIN, place="here"),
    ):
        with pytest.raises(ValueError) as refused:
            wrong()
        assert PLAIN not in "".join(traceback.format_exception_only(refused.value))
    assert repr(sealer).count("key") <= 1
    assert PLAIN not in repr(vars(sealer))


def test_the_app_is_not_in_debug_mode() -> None:
    """Chalice answers tracebacks then."""
    assert app.debug is False
