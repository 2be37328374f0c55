"""The operator's commands: what they make, what they print, and what they never print."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from chalicelib.entrypoints import cli, wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.settings import tables_of
from chalicelib.storage import keys, records
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.store import Item, Put, Store
from local import tables
from tests.builders.stripe_bodies import an_invoice
from tests.builders.world import World, day
from tests.doors_kit import Doors, Run
from tests.fakes.memory_store import MemoryStore
from tests.storage.played_dynamo import Answer, played_dynamo

STRIPE_KEY = "sk_" + "test_acme_1"


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
        (
            ("connection", "create", "{program}", "--by-hand"),
            "not a Stripe secret or restricted key",
        ),
        (("event", "replay", "con_nobody", "evt_1"), "no such event"),
        (("event", "replay", "con_nobody"), "Name a connection and an event"),
        (("rebuild", "--into", "No_Stage"), "A stage is"),
        (("rebuild", "--into", "x" * 21), "A stage is"),
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


class TestAws:
    """What AWS refuses is a sentence too, told in a shell of its own."""

    @pytest.fixture
    def shell(self, tmp_path: Path) -> Callable[..., tuple[int, str]]:
        def ran(*words: str, **environment: str) -> tuple[int, str]:
            clean = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "REFLEDGER"))}
            nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
            done = subprocess.run(
                [sys.executable, "-m", "chalicelib.entrypoints.cli", *words],
                env={**clean, **nowhere, "AWS_EC2_METADATA_DISABLED": "true", **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.stdout == ""
            return done.returncode, done.stderr

        return ran

    KEY = ("key", "create", "prg_1", "--mode", "test")
    PROGRAM = ("program", "create", "Acme", "--url", "https://acme.example")
    WHO: ClassVar = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

    def test_no_credentials(self, shell: Any) -> None:
        code, said = shell("--stage", "dev", *self.KEY, AWS_REGION="eu-west-3")
        assert (code, said.splitlines()) == (
            1,
            [
                "AWS refused: Unable to locate credentials",
                "Is this the account and the region of the stage?",
            ],
        )

    @pytest.mark.parametrize("words", [KEY, PROGRAM], ids=["table", "key"])
    def test_no_region(self, shell: Any, words: tuple[str, ...]) -> None:
        code, said = shell("--stage", "dev", *words, **self.WHO)
        assert (code, "Traceback" in said) == (1, False)
        assert "AWS refused: You must specify a region." in said

    def test_a_stage_that_is_not_there(self, shell: Any) -> None:
        def play(number: int) -> Answer:
            if "DynamoDB" in played.asked[number].headers["x-amz-target"]:
                return 400, {"__type": "com.amazonaws.dynamodb#ResourceNotFoundException"}
            return 400, {"__type": "NotFoundException", "message": "Alias is not found."}

        with played_dynamo() as played:
            played.play = play
            where = {**self.WHO, "AWS_ENDPOINT_URL": played.url, "AWS_REGION": "eu-west-3"}
            code, said = shell("--stage", "dev", *self.KEY, **where)
            assert (code, "Traceback" in said) == (1, False)
            assert "(ResourceNotFoundException)" in said
            assert "refledger-dev-records" in said
            code, said = shell("--stage", "dev", *self.PROGRAM, **where)
        assert (code, "Traceback" in said) == (1, False)
        assert "Alias is not found" in said
        assert "Is this the account and the region of the stage?" in said

    def test_the_region_of_aws_region_wins(self, shell: Any) -> None:
        with played_dynamo() as played:
            where = {"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "us-west-2"}
            shell("--stage", "dev", *self.KEY, AWS_ENDPOINT_URL=played.url, **self.WHO, **where)
            shell("--stage", "dev", *self.PROGRAM, AWS_ENDPOINT_URL=played.url, **self.WHO, **where)
        signed = {asked.headers["authorization"].split("/")[2] for asked in played.asked}
        assert signed == {"eu-west-3"}
        assert {asked.operation for asked in played.asked} >= {"BatchGetItem", "Encrypt"}

    @pytest.mark.parametrize("stage", ["Prod", "a_b", "a-", "x" * 21, ""])
    def test_what_is_no_stage(self, shell: Any, stage: str) -> None:
        code, said = shell("--stage", stage, *self.KEY)
        assert (code, said.startswith("A stage is 1 to 20 of a-z, 0-9 and -")) == (1, True)


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


class TestFailedEvents:
    def test_all_that_failed_are_replayed(self, doors: Doors, run: Run) -> None:
        """One fails again, one is what an earlier version could not read, one was handled."""
        broken = doors.event("checkout.session.completed", {"object": "checkout.session"})
        assert doors.deliver(broken).data["state"] == "failed"
        earlier = doors.event("invoice.paid", an_invoice(), id="evt_earlier")
        assert doors.deliver(earlier).data["state"] == "handled"
        key = keys.inbox(doors.connection.id, "evt_earlier")
        item = doors.store.get([key])[key]
        doors.store.commit([records.stamped(item, state="failed", now=1, because="new")])
        code, out, _ = run("event", "replay", "--failed")
        told = json.loads(out)
        assert (code, told["replayed"]) == (0, {"failed": 1, "handled": 1})
        assert [failed["event"] for failed in told["failed"]] == [broken["id"]]
        assert records.read_inbox(doors.store.get([key])[key]).state == "handled"
        _, out, _ = run("event", "replay", "--failed")
        assert json.loads(out)["replayed"] == {"failed": 1}

    def test_of_one_connection(self, doors: Doors, run: Run) -> None:
        broken = doors.event("checkout.session.completed", {"object": "checkout.session"})
        doors.deliver(broken)
        for connection, replayed in (("con_other", {}), (doors.connection.id, {"failed": 1})):
            _, out, _ = run("event", "replay", "--failed", connection)
            assert json.loads(out)["replayed"] == replayed

    def test_one_whose_body_has_expired_is_named(self, doors: Doors, run: Run) -> None:
        broken = doors.event("checkout.session.completed", {"object": "checkout.session"})
        doors.deliver(broken)
        for key, item in doors.store.everything().items():
            if key.table == "inbox":
                doors.store.commit([Put(replace(item, blob=None))])
        _, out, _ = run("event", "replay", "--failed")
        assert "no longer there" in json.loads(out)["failed"][0]["reason"]


class TestRebuild:
    def test_it_compares_and_ends_with_0(self, doors: Doors, run: Run) -> None:
        doors.deliver(doors.event("invoice.paid", an_invoice()))
        target = into(doors)
        code, out, err = run("rebuild", "--into", "next")
        told = json.loads(out)
        assert code == 0, out
        assert told["conclusion"] == "The new tables say what the old ones say."
        assert told["events"] == {"handled": 1}
        assert told["compared"]["sale"] > 0
        assert "to be told again: 1" in err
        assert any("#sale#" in key.pk for key in target.everything())

    def test_a_difference_is_named_and_ends_with_1(self, doors: Doors, run: Run) -> None:
        doors.deliver(doors.event("invoice.paid", an_invoice()))
        for key, item in doors.store.everything().items():
            if key.table == "inbox":
                doors.store.commit([Put(replace(item, blob=None))])
        into(doors)
        code, out, _ = run("rebuild", "--into", "next")
        told = json.loads(out)
        assert (code, told["equal"]) == (1, False)
        assert "differ in" in told["conclusion"]
        assert "1 things could not be told again" in told["conclusion"]
        assert told["differences"]
        assert "no longer there" in told["troubles"][0]

    def test_the_stage_itself_is_refused(self, doors: Doors, run: Run) -> None:
        into(doors)
        code, _, err = run("rebuild", "--into", "test")
        assert code == 1
        assert "of another stage" in err

    def test_a_target_with_something_in_it_is_refused(self, doors: Doors, run: Run) -> None:
        target = into(doors)
        target.commit([Put(Item(key=keys.program("prg_other")))])
        before = target.everything()
        code, out, err = run("rebuild", "--into", "next")
        assert (code, out, target.everything()) == (1, "", before)
        assert "not empty" in err

    @pytest.mark.ministack
    def test_of_a_local_run(
        self,
        ministack_url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Tables made by ``python -m local.tables``, then the command."""
        for name in ("STAGE", "BASE_URL", "STRIPE_API_BASE", "KEY_FILE"):
            monkeypatch.setenv(f"REFLEDGER_{name}", "")
        for name in ("ENDPOINT_URL", "DEFAULT_REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            monkeypatch.setenv(f"AWS_{name}", "")
        port = (urlsplit(ministack_url).port or 0) - 3
        told = {"base_url": f"http://localhost:{port}", "fake_stripe_url": "http://localhost:9"}
        (tmp_path / "demo.json").write_text(json.dumps(told))
        here = ("--local", str(tmp_path))
        assert tables.main(["local", *here]) == 0
        assert cli.main([*here, "rebuild", "--into", "next"]) == 1
        assert "no table refledger-next-records" in capsys.readouterr().err
        assert tables.main(["next", *here]) == 0
        monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
        world = World(tmp_path, store=DynamoStore(tables_of("local")))
        world.enrol("sam", partner="ann", stripe_customer_id="cus_1")
        world.tell("invoice.paid", an_invoice(paid_at=day(1)), created=day(1))
        wiring.set_clock(lambda: datetime.fromtimestamp(day(40), UTC))
        world.at(day(40)).mature()
        capsys.readouterr()
        code = cli.main([*here, "rebuild", "--into", "next"])
        out = capsys.readouterr().out
        assert code == 0, out
        assert json.loads(out)["compared"]["balance"] == 1


def into(doors: Doors) -> MemoryStore:
    """The house knows another stage's store from now on: one in memory."""
    target = MemoryStore()

    class Beside(House):
        def store_of(self, stage: str) -> Store:
            assert stage == "next"
            return target

    named = tables_of("test")
    doors.house = Beside(replace(doors.house.settings, tables=named), doors.store)
    return target
