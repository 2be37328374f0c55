"""The operator's commands: what they make, what they print, and what they never print."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.entrypoints import cli, wiring
from chalicelib.storage import records
from local.fake_stripe import running_fake_stripe
from tests.doors_kit import WEBHOOK_SECRET, Doors

STRIPE_KEY = "sk_" + "test_acme_1"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(doors: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the store in memory: (code, standard output, standard error)."""

    def ran(*words: str, secrets: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(secrets))
        capsys.readouterr()
        code = cli.main(["--stage", "test", *words], house=doors.house)
        out = capsys.readouterr()
        return code, out.out, out.err

    return ran


def test_program_partner_and_key_in_a_row(doors: Doors, run: Run) -> None:
    code, out, _ = run(
        "program", "create", "Acme 2", "--url", "https://a.example", "--mode", "test"
    )
    assert code == 0
    program = json.loads(out)
    assert program["name"] == "Acme 2"
    assert program["signing_key"].startswith("rfl_sign_")
    code, out, _ = run(
        "partner",
        "create",
        program["program_id"],
        "--email",
        "partner-3@example.com",
        "--key",
        "partner-3",
    )
    assert (code, json.loads(out)["key"]) == (0, "partner-3")
    code, out, err = run("key", "create", program["program_id"], "--mode", "test")
    key = json.loads(out)["api_key"]
    assert (code, key.startswith("rfl_test_")) == (0, True)
    assert doors.get("/v1/partners/partner-3", key).data["email"] == "partner-3@example.com"
    assert doors.get("/v1/program", key).data["website"]["url"] == "https://a.example"
    assert key not in err
    kept = str(doors.store.everything())
    assert key not in kept
    assert program["signing_key"] not in kept


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("program", "create", "A", "--url", "javascript:x"), "website.url"),
        (("program", "create", "", "--url", "https://a.example"), "name"),
        (("program", "create", "A", "--url", "https://a.example", "--currency", "xyz"), "currency"),
        (("partner", "create", "{program}", "--email", "nobody"), "email"),
        (("partner", "create", "{program}", "--email", "a@example.com", "--key", "a b"), "key"),
        (("partner", "create", "{program}", "--email", "ann@example.com", "--key", "x"), "e-mail"),
        (("partner", "create", "prg_nobody", "--email", "a@example.com"), "no such program"),
        (("key", "create", "prg_nobody", "--mode", "live"), "no such program"),
        (("connection", "create", "prg_nobody"), "no such program"),
        (("connection", "create", "{program}"), "api_key"),
        (("event", "replay", "con_nobody", "evt_1"), "no such event"),
    ],
    ids=str,
)
def test_a_refusal_is_a_sentence_and_code_1(
    doors: Doors, run: Run, words: tuple[str, ...], said: str
) -> None:
    before = doors.store.everything()
    code, out, err = run(*(word.format(program=doors.program.id) for word in words))
    assert code == 1
    assert said in err + out
    assert "Traceback" not in err
    assert doors.store.everything() == before


@pytest.mark.parametrize(
    "words",
    [
        ("--stage", "x"),
        ("program", "create", "A", "--url", "https://a.example"),
        ("--stage", "x", "key", "create", "p", "--mode", "prod"),
        ("--stage", "x", "--local", "y", "key", "create", "p", "--mode", "test"),
    ],
    ids=str,
)
def test_wrong_words_are_code_2(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    assert ended.value.code == 2


def test_a_local_run_that_is_not_up_is_named(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--local", str(tmp_path), "key", "create", "p", "--mode", "test"]) == 1
    assert "make run" in capsys.readouterr().err


class TestConnection:
    @pytest.fixture
    def connected(self, doors: Doors, run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
        with running_fake_stripe() as fake:
            settings = doors.house.settings
            object.__setattr__(settings, "stripe_api_base", fake.url)
            yield run(
                "connection",
                "create",
                doors.program.id,
                "--base-url",
                "https://refer.example.com",
                secrets=f"{STRIPE_KEY}\n{WEBHOOK_SECRET}\n",
            )

    def test_it_asks_stripe_whose_key_it_is(self, doors: Doors, connected: Any) -> None:
        code, out, err = connected
        assert code == 0, err
        made = json.loads(out)
        assert made["account"].startswith("acct_")
        assert made["livemode"] is False
        assert f"https://refer.example.com/stripe/webhooks/{made['connection_id']}" in err
        assert "invoice.paid" in err
        item = next(
            item
            for key, item in doors.store.everything().items()
            if key.pk == f"connection#{made['connection_id']}"
        )
        connection = records.read_connection(item)
        event = doors.event("balance.available", {"object": "balance"})
        assert doors.deliver(event, connection=connection).status == 200

    def test_no_secret_is_printed_or_stored_in_the_open(self, doors: Doors, connected: Any) -> None:
        _, out, err = connected
        for secret in (STRIPE_KEY, WEBHOOK_SECRET):
            assert secret not in out + err
            assert secret not in str(doors.store.everything())

    @pytest.mark.parametrize("secret", ["", " ", "whsec_", "sk_" + "test_acme_1", "secret"])
    def test_what_is_no_webhook_secret_is_refused(
        self, doors: Doors, run: Run, secret: str
    ) -> None:
        with running_fake_stripe() as fake:
            object.__setattr__(doors.house.settings, "stripe_api_base", fake.url)
            before = doors.writes()
            code, out, err = run(
                "connection", "create", doors.program.id, secrets=f"{STRIPE_KEY}\n{secret}\n"
            )
        assert (code, out) == (1, "")
        assert "whsec_" in err
        assert doors.writes() == before

    def test_stripe_away_is_a_sentence(self, doors: Doors, run: Run) -> None:
        object.__setattr__(doors.house.settings, "stripe_api_base", "http://127.0.0.1:9")
        code, _, err = run("connection", "create", doors.program.id, secrets=f"{STRIPE_KEY}\n")
        assert (code, STRIPE_KEY in err) == (1, False)
        assert "Stripe" in err


def test_an_event_is_replayed(doors: Doors, run: Run) -> None:
    event = doors.event("checkout.session.completed", {"object": "checkout.session"}, id="evt_1")
    assert doors.deliver(event).data["state"] == "failed"
    code, out, _ = run("event", "replay", doors.connection.id, "evt_1")
    assert (code, json.loads(out)["state"]) == (0, "failed")
    assert wiring.stores() is doors.house


def test_a_local_run_is_found_by_its_demo_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens there, so the store is away; the addresses are the run's own."""
    for name in ("STAGE", "BASE_URL", "STRIPE_API_BASE", "KEY_FILE"):
        monkeypatch.setenv(f"REFLEDGER_{name}", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    told = {"base_url": "http://localhost:9", "fake_stripe_url": "http://localhost:10"}
    (tmp_path / "demo.json").write_text(json.dumps(told))
    assert cli.main(["--local", str(tmp_path), "key", "create", "p", "--mode", "test"]) == 1
    assert "store is busy" in capsys.readouterr().err
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:12"
    assert os.environ["REFLEDGER_KEY_FILE"] == str(tmp_path / "key")
