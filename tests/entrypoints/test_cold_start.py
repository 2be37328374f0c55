"""What a fresh process loads and sends: for a click, and at its start if told what it serves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.program import Dated, Partner, Program, Website
from chalicelib.entrypoints.wiring import LATE, House
from chalicelib.settings import Settings
from chalicelib.storage import visit_records
from chalicelib.storage.checks import checked
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.dynamo_direct import DirectStore
from chalicelib.storage.dynamo_wire import put_arguments, to_json
from chalicelib.storage.store import Item, Put
from tests.doors_kit import token
from tests.fakes.memory_store import MemoryStore
from tests.storage.played_dynamo import Answer, Played, played_dynamo

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = {"pynamodb", "botocore", "boto3", "urllib3", "requests", "stripe"} | {
    "pydantic",
    "pydantic_core",
    "jinja2",
    "cryptography",
}
MOST_OWN_MODULES = 33
"""Of ours, that a click may load: what stands in them is read from disk and run before the answer.
Raise it with a reason: the last two were files of doors, of connections and of jobs."""

SERVE = """
import json, sys
opened = []
sys.addaudithook(lambda what, said: opened.append(str(said[0])) if what == "open" else None)
from app import app
models = sum("service-2.json" in name for name in opened)
events = json.loads(sys.stdin.read())
answers = [app(event, None) for event in events]
print("ANSWER" + json.dumps({"answers": answers, "modules": sorted(sys.modules),
    "models": models}))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended: its answers, the modules that it had loaded, and how many models
    of AWS's services it had read when it had started, as the making of a client does."""

    answers: list[dict[str, Any]]
    modules: list[str]
    models: int
    logged: list[dict[str, Any]] = field(default_factory=list)

    @property
    def libraries(self) -> set[str]:
        return {name.partition(".")[0] for name in self.modules} & LIBRARIES

    @property
    def own(self) -> list[str]:
        return [name for name in self.modules if name.startswith("chalicelib")]


def served(played: Played, *events: dict[str, Any], **environment: str) -> Ran:
    """A fresh process, with an environment as Lambda's, after it has answered the events."""
    ran = subprocess.run(
        [sys.executable, "-c", SERVE],
        input=json.dumps(events),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            name: value
            for name, value in {
                "PATH": os.environ["PATH"],
                "AWS_ENDPOINT_URL": played.url,
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_SESSION_TOKEN": "testing",
                "AWS_REGION": "eu-central-1",
                "AWS_DEFAULT_REGION": "eu-central-1",
                **environment,
            }.items()
            if value
        },
    )
    assert ran.returncode == 0, ran.stderr
    lines, _, answer = ran.stdout.partition("ANSWER")
    return Ran(**json.loads(answer), logged=[json.loads(line) for line in lines.splitlines()])


def a_request_without_a_key() -> dict[str, Any]:
    about = {"resource": "/v1/test", "path": "/v1/test", "httpMethod": "GET"}
    context = {"resourcePath": "/v1/test", "httpMethod": "GET", "path": "/v1/test"}
    return {**a_click(""), **about, "body": None, "requestContext": context}


def a_click(token: str) -> dict[str, Any]:
    headers = {"Content-Type": "text/plain", "User-Agent": "Mozilla/5.0"}
    return {
        "resource": "/t/click",
        "path": "/t/click",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": json.dumps({"p": "prg_1", "t": token, "u": "https://shop.example.com/?via=ann"}),
        "isBase64Encoded": False,
        "requestContext": {"resourcePath": "/t/click", "httpMethod": "POST", "path": "/t/click"},
    }


def a_program() -> Program:
    website = Website(url="https://shop.example.com")
    return Program(
        id="prg_1", name="Acme", currency="eur", mode="live", created_at=0, website=website
    )


def as_stored(item: Item) -> dict[str, Any]:
    """The item as it lies in DynamoDB."""
    said = put_arguments("t", Put(item), checked([Put(item)])[0])
    values = said["ExpressionAttributeValues"].items()
    return {**said["Key"], **{name.removeprefix(":"): value for name, value in values}}


@pytest.fixture
def played() -> Iterator[Played]:
    """A DynamoDB that knows program and partner, and takes every write."""
    emails = (Dated(starts=0, value="ann@example.com"),)
    ann = Partner(id="ptn_1", key="ann", emails=emails, created_at=0)
    known = [
        as_stored(visit_records.program_item(a_program())),
        as_stored(visit_records.partner_item("prg_1", ann)),
    ]

    def play(number: int) -> Answer:
        if played.asked[number].operation == "BatchGetItem":
            return 200, to_json({"Responses": {"refledger-dev-records": known}})
        return 200, {}

    with played_dynamo() as played:
        played.play = play
        yield played


class TestAColdClick:
    def test_costs_two_calls_and_the_next_one_one(self, played: Played) -> None:
        ran = served(played, a_click(token("ann", 1)), a_click(token("ann", 2)))
        told = [answer["headers"]["X-Refledger"] for answer in ran.answers]
        assert told == ["recorded", "recorded"]
        operations = [asked.operation for asked in played.asked]
        assert operations == ["BatchGetItem", "UpdateItem", "UpdateItem"]
        assert {asked.connection for asked in played.asked} == {0}

    def test_loads_no_library_but_chalice(self, played: Played) -> None:
        ran = served(played, a_click(token("ann")))
        assert "chalice.app" in ran.modules
        assert "http.client" in ran.modules
        assert ran.libraries == set()

    def test_loads_few_of_our_own_modules(self, played: Played) -> None:
        ran = served(played, a_click(token("ann")))
        assert len(ran.own) <= MOST_OWN_MODULES, ran.own
        for left_out in ("core.facts", "storage.records", "flows.book_facts", "tracker"):
            assert f"chalicelib.{left_out}" not in ran.own

    def test_with_credentials_in_a_profile_goes_the_long_way(
        self, played: Played, tmp_path: Path
    ) -> None:
        profile = tmp_path / "credentials"
        profile.write_text(
            "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
        )
        ran = served(
            played,
            a_click(token("ann")),
            AWS_ACCESS_KEY_ID="",
            AWS_SHARED_CREDENTIALS_FILE=str(profile),
        )
        assert [answer["headers"]["X-Refledger"] for answer in ran.answers] == ["recorded"]
        assert "pynamodb" in ran.libraries
        assert "chalicelib.storage.dynamo_direct" not in ran.own


class TestWarming:
    def test_nothing_unless_told(self, played: Played) -> None:
        ran = served(played)
        assert ran.libraries == set()
        assert "http.client" not in ran.modules
        assert ran.models == 0

    @pytest.mark.parametrize(
        ("doors", "libraries", "models", "ready"),
        [
            ("website", set(), 0, "storage.dynamo_direct"),
            ("webhook", {"pynamodb", "botocore", "urllib3", "boto3"}, 2, "flows.receive_webhook"),
            (
                "api",
                {"pynamodb", "botocore", "urllib3", "pydantic", "pydantic_core"},
                1,
                "entrypoints.api_bodies",
            ),
        ],
    )
    def test_makes_what_the_doors_need_and_no_call(
        self, played: Played, doors: str, libraries: set[str], models: int, ready: str
    ) -> None:
        ran = served(played, REFLEDGER_WARM=doors, REFLEDGER_KMS_KEY="alias/key")
        assert ran.libraries == libraries
        assert f"chalicelib.{ready}" in ran.own
        assert ran.models == models
        assert not played.asked

    @pytest.mark.parametrize(
        ("doors", "file"), [("webhook", "stripe_doors"), ("api", "api")], ids=str
    )
    def test_forgets_no_flow_that_the_doors_name(self, doors: str, file: str) -> None:
        text = (REPOSITORY / "chalicelib" / "entrypoints" / f"{file}.py").read_text()
        named = set(re.findall(r"flows\.(\w+)\.", text))
        assert named
        assert {f"flows.{flow}" for flow in named} <= set(LATE[doors].split())

    def test_of_unknown_doors_is_loud(self) -> None:
        with pytest.raises(KeyError):
            House(Settings(stage="test", tables={}), MemoryStore()).warm("wesbite")

    @pytest.mark.parametrize(
        ("environment", "error"),
        [
            ({"REFLEDGER_WARM": "nonsense"}, "KeyError"),
            (
                {
                    "REFLEDGER_WARM": "website",
                    "AWS_CA_BUNDLE": "/nowhere/ca.pem",
                    "AWS_ENDPOINT_URL": "https://127.0.0.1:9",
                },
                "FileNotFoundError",
            ),
            ({"REFLEDGER_WARM": "webhook"}, "RuntimeError"),  # and no key is named
        ],
        ids=["unknown doors", "no certificates", "no key"],
    )
    def test_that_fails_is_logged_once_and_the_process_starts(
        self, played: Played, environment: dict[str, str], error: str
    ) -> None:
        ran = served(played, a_request_without_a_key(), **environment)
        assert [answer["statusCode"] for answer in ran.answers] == [401]
        warmed = [line for line in ran.logged if line["door"] == "warm"]
        assert warmed == [{"door": "warm", "outcome": "bug", "error": error}]

    def test_that_fails_leaves_clicks_as_they_were(self, played: Played) -> None:
        ran = served(played, a_click(token("ann")), REFLEDGER_WARM="nonsense")
        assert [answer["headers"]["X-Refledger"] for answer in ran.answers] == ["recorded"]

    def test_each_of_the_doors_is_known(self) -> None:
        assert set(LATE) == {"website", "webhook", "api"}


class TestVisits:
    def test_go_directly_where_credentials_stand_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = Settings(stage="test", tables={})
        assert isinstance(House(settings).visits, DirectStore)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        assert isinstance(House(settings).visits, DynamoStore)

    def test_and_to_the_store_that_a_house_was_given(self) -> None:
        store = MemoryStore()
        assert House(Settings(stage="test", tables={}), store).visits is store
