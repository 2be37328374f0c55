"""The house's own rules: shapes of routes, what a click loads, what `chalice deploy` does."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from app import app
from chalicelib.entrypoints.wiring import House
from chalicelib.settings import Settings
from chalicelib.storage.sealing import KmsSealer
from deploy.place import StagePlace
from tests.builders.stripe_bodies import a_session, an_event, signed
from tests.builders.world import MAY_1
from tests.doors_kit import WEBHOOK_SECRET, token

REPOSITORY = Path(__file__).parents[2]
CHALICE = Path(sys.executable).with_name("chalice")

COLD = """
import json, pathlib, sys, tempfile
from app import app
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import create_connection, create_program
from chalicelib.core.program import Website
from chalicelib.settings import Settings
from chalice.local import LambdaContext
from tests.fakes.memory_store import MemoryStore
import datetime
told = json.loads(sys.stdin.read())
wiring.set_clock(lambda: datetime.datetime.fromtimestamp(told["now"], datetime.UTC))
key_file = str(pathlib.Path(tempfile.mkdtemp()) / "key")
house = House(Settings(stage="x", tables={}, key_file=key_file), MemoryStore())
wiring.set_house(house)
common = {"store": house.store, "now": wiring.now_ms()}
program, _ = create_program("Acme", currency="eur", mode="test", sealer=house.sealer,
    website=Website(url="https://shop.example.com"), **common)
create_partner(PartnerChange(email="ann@example.com", key="ann"), program_id=program.id, **common)
connection = create_connection(program, api_key="", webhook_secret=told["secret"], livemode=False,
    sealer=house.sealer, **common)

def post(route, values, body, headers):
    path = route.format(**values)
    sent = {"Content-Type": "text/plain", **headers}
    return app({"resource": route, "path": path, "httpMethod": "POST", "headers": sent,
        "multiValueHeaders": {n: [v] for n, v in sent.items()}, "pathParameters": values or None,
        "queryStringParameters": None, "multiValueQueryStringParameters": None,
        "stageVariables": None, "body": body, "isBase64Encoded": False,
        "requestContext": {"resourcePath": route, "httpMethod": "POST", "path": path}}, context)

context = LambdaContext("api_handler", 256) if False else None
click = post("/t/click", {}, json.dumps({"p": program.id, "t": told["token"]}), {})
webhook = post("/stripe/webhooks/{connection}", {"connection": connection.id}, told["body"],
    {"Stripe-Signature": told["signature"]})
print("ANSWER" + json.dumps({
    "click": click["statusCode"],
    "told": click["headers"]["X-Refledger"] if "X-Refledger" in click["headers"] else
        click["multiValueHeaders"]["X-Refledger"][0],
    "webhook": [webhook["statusCode"], json.loads(webhook["body"])["data"]["state"]],
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "own": sorted(name for name in sys.modules if name.startswith("chalicelib"))}))
""".replace("from chalice.local import LambdaContext\n", "").replace(
    'LambdaContext("api_handler", 256) if False else None', "None"
)


@pytest.fixture(scope="module")
def cold() -> dict[str, object]:
    """A fresh interpreter that has served one click and one webhook."""
    body = an_event(
        "checkout.session.completed",
        a_session(client_reference_id=token("ann")),
        created=MAY_1,
    )
    told = {
        "now": MAY_1,
        "secret": WEBHOOK_SECRET,
        "token": token("ann"),
        "body": body.decode(),
        "signature": signed(body, WEBHOOK_SECRET, MAY_1),
    }
    ran = subprocess.run(
        [sys.executable, "-c", COLD],
        input=json.dumps(told),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, object] = json.loads(ran.stdout.split("ANSWER")[1])
    return answer


def test_a_click_and_a_webhook_are_served_cold(cold: dict[str, object]) -> None:
    assert (cold["click"], cold["told"]) == (204, "recorded")
    assert cold["webhook"] == [200, "handled"]


@pytest.mark.parametrize("module", ["stripe", "pydantic", "pydantic_core", "jinja2", "requests"])
def test_and_load_none_of_the_heavy_ones(cold: dict[str, object], module: str) -> None:
    assert module not in str(cold["modules"]).replace("'", " ").split()
    assert isinstance(cold["modules"], list)
    assert module not in cold["modules"]
    assert "chalice" in cold["modules"]  # the list is a real one


class TestRoutes:
    def test_a_segment_is_literal_or_one_whole_variable(self) -> None:
        for route in app.routes:
            for segment in route.strip("/").split("/"):
                assert re.fullmatch(r"[a-z0-9_.-]+|{[a-z_]+}", segment), route

    def test_siblings_share_one_variable_name(self) -> None:
        """API Gateway refuses a second one; local servers do not."""
        names: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for route in app.routes:
            segments = route.strip("/").split("/")
            for place, segment in enumerate(segments):
                if segment.startswith("{"):
                    names[tuple(segments[:place])].add(segment)
        assert names
        assert {parent: found for parent, found in names.items() if len(found) > 1} == {}

    def test_every_address_below_v1_asks_for_a_key(self) -> None:
        """The tests of keys and of isolation are generated from these."""
        assert {route for route in app.routes if route.startswith("/v1")} >= {
            "/v1/test",
            "/v1/program",
            "/v1/partners",
            "/v1/partners/{partner}",
            "/v1/partners/{partner}/ledger",
            "/v1/customers",
            "/v1/customers/{customer}",
            "/v1/transactions",
            "/v1/transactions/{transaction}",
            "/v1/transactions/{transaction}/refund",
            "/v1/transactions/{transaction}/confirm",
            "/v1/rewards",
            "/v1/payouts",
        }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project without its dependencies, so that packaging needs no network."""
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(
            REPOSITORY / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__", "deployments", "deployed"),
        )
    shutil.copy(REPOSITORY / "app.py", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


def chalice(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CHALICE), *words],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "HOME": str(copy)},
    )


@pytest.mark.parametrize(
    "words", [("deploy",), ("deploy", "--stage", "dev"), ("--debug", "deploy")], ids=" ".join
)
def test_chalice_deploy_refuses_with_a_sentence(copy: Path, words: tuple[str, ...]) -> None:
    ran = chalice(copy, *words)
    assert ran.returncode != 0
    assert "would make functions without their tables" in ran.stderr
    assert "Use `make deploy STAGE=dev`." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_chalice_package_makes_a_template_with_tables(copy: Path) -> None:
    ran = chalice(copy, "package", "--merge-template", ".chalice/resources.json", "out")
    assert ran.returncode == 0, ran.stderr
    template = json.loads((copy / "out" / "sam.json").read_text())
    kinds = [resource["Type"] for resource in template["Resources"].values()]
    assert kinds.count("AWS::DynamoDB::Table") == 4
    assert "AWS::Serverless::Function" in kinds


def test_each_stage_has_a_key_of_its_own_and_a_local_run_one_for_all(tmp_path: Path) -> None:
    deployed = House(Settings(stage="prod", tables={}, kms_key="alias/refledger-prod"))
    there = deployed.sealer_of("prod-2")
    assert isinstance(there, KmsSealer)
    assert there.key_id == StagePlace("prod-2").key_alias == "alias/refledger-prod-2"
    local = House(Settings(stage="local", tables={}, key_file=str(tmp_path / "key")))
    assert local.sealer_of("next") is local.sealer
