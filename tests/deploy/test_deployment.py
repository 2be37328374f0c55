"""The real zip on an AWS account of this machine: a first tracked sale, an update with data in the
tables, removal and return.

One story in order: each test goes on where the one before it stopped, so they share a worker.
"""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.bundle import copy_code
from deploy.package import Package, package
from local.fake_stripe import FakeStripe, running_fake_stripe
from local.place import REPOSITORY
from tests.builders.stripe_bodies import an_event, an_invoice, signed
from tests.builders.world import token
from tests.deploy.conftest import Account

pytestmark = [
    pytest.mark.ministack,
    pytest.mark.slow,
    pytest.mark.xdist_group("deployment"),
]

STAGE = "trial"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130 Safari/537.36"
STRIPE_KEY = "sk_" + "test_acme_1"
TOKEN = token("ann")
WITHIN_SECONDS = 30


@dataclass
class Deployment:
    """What is deployed, and what the operator's commands answered so far."""

    aws: Account
    packed: Package
    stripe: FakeStripe
    told: dict[str, str] = field(default_factory=dict)
    stage: str = STAGE

    def cli(self, *words: str, said: str = "") -> dict[str, Any]:
        ran = self.aws.run(
            *("-m", "chalicelib.entrypoints.cli", "--stage", STAGE, *words),
            said=said,
            REFLEDGER_STRIPE_API_BASE=self.stripe.url,
        )
        assert ran.returncode == 0, ran.stderr
        self.told["stderr"] = ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """A request through the API gateway."""
        id = self.aws.outputs(self.stage)["RestAPIId"]
        url = f"{self.aws.url}/restapis/{id}/api/_user_request_{path}"
        request = urllib.request.Request(url, method=method, data=body)
        named = {"User-Agent": BROWSER, "Content-Type": "application/json"}
        for name, value in {**named, **headers}.items():
            request.add_header(name.replace("_", "-"), value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        bearer = f"Bearer {self.told['api_key']}"
        status, _, raw = self.call(method, f"/v1{path}", sent, Authorization=bearer)
        assert status in (200, 201, 202), (status, raw)
        return json.loads(raw)["data"]

    def run(self, function: str, event: dict[str, Any]) -> Any:
        """What a function answers to an event, called as the account's owner."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.function(function), Payload=json.dumps(event).encode()
        )
        told = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        return told

    def function(self, name: str) -> str:
        """The name that CloudFormation gave it."""
        (physical,) = (
            one["FunctionName"]
            for one in self.aws.client("lambda").list_functions()["Functions"]
            if one["FunctionName"].startswith(f"refledger-{STAGE}-{name}-")
        )
        return str(physical)

    def logs(self) -> str:
        """What the functions said, to show why a test failed."""
        logs = self.aws.client("logs")
        return "\n".join(
            event["message"].rstrip()
            for group in logs.describe_log_groups()["logGroups"]
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        )

    def balances(self) -> dict[str, int]:
        found: dict[str, int] = self.api("GET", "/partners/ann")["balances"]["eur"]
        return found


@pytest.fixture(scope="module")
def deployment(aws: Account, packed: Package) -> Iterator[Deployment]:
    with running_fake_stripe() as stripe:
        stripe.deliveries.configure({"mode": "hold"})  # nobody answers at that address
        yield Deployment(aws=aws, packed=packed, stripe=stripe)


SCHEDULED = {
    "version": "0",
    "id": "1",
    "source": "aws.events",
    "account": "000000000000",
    "region": "eu-central-1",
    "time": "2026-05-01T12:00:00Z",
    "detail-type": "Scheduled Event",
    "resources": [],
    "detail": {},
}


def eventually(check: Callable[[], bool]) -> None:
    """What a stream tells comes a moment later."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)


def test_nothing_is_made_before_somebody_agreed(deployment: Deployment) -> None:
    words = ("-m", "deploy", "up", "--stage", STAGE, "--package", str(deployment.packed.zip.parent))
    ran = deployment.aws.run(*words, said="n\n")
    assert (ran.returncode, ran.stderr) == (1, "Nothing was done.\n")
    assert "Account 000000000000, region eu-central-1" in ran.stdout
    assert deployment.aws.client("s3").list_buckets()["Buckets"] == []
    assert deployment.aws.client("cloudformation").describe_stacks()["Stacks"] == []


def test_it_is_deployed_and_says_what_comes_next(deployment: Deployment) -> None:
    said = deployment.aws.deploy(STAGE, deployment.packed)
    base_url = deployment.aws.outputs(STAGE)["BaseUrl"]
    assert f"The stack refledger-{STAGE} will be made" in said
    assert "+ RecordsTable (AWS::DynamoDB::Table)" in said
    assert f"Refledger {STAGE} is at {base_url}" in said
    assert f"--stage {STAGE} program create" in said


def test_the_same_command_again_says_that_nothing_changed(deployment: Deployment) -> None:
    said = deployment.aws.deploy(STAGE, deployment.packed)
    assert "Nothing has changed" in said
    assert "program create" not in said


def test_the_operator_makes_a_program_a_partner_a_key_and_a_connection(
    deployment: Deployment,
) -> None:
    program = deployment.cli(
        *("program", "create", "Acme", "--url", "https://acme.example", "--mode", "test")
    )
    id = deployment.told["program"] = program["program_id"]
    deployment.told["signing_key"] = program["signing_key"]
    deployment.cli("partner", "create", id, "--email", "ann@example.com", "--key", "ann")
    deployment.told["api_key"] = deployment.cli("key", "create", id, "--mode", "test")["api_key"]
    connection = deployment.cli("connection", "create", id, said=f"{STRIPE_KEY}\n")
    deployment.told["connection"] = connection["connection_id"]
    address = f"{deployment.aws.outputs(STAGE)['BaseUrl']}/stripe/webhooks/"
    (endpoint,) = deployment.stripe.world("acme").rows("webhook_endpoint")
    assert endpoint["url"] == f"{address}{connection['connection_id']}"
    deployment.told["webhook_secret"] = endpoint["_secret"]


def test_a_click_a_sign_up_and_a_signed_invoice_make_a_reward(deployment: Deployment) -> None:
    program = deployment.told["program"]
    assert deployment.api("PUT", "/program", {"hold_days": 0})
    status, headers, script = deployment.call("GET", f"/t/{program}.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert program.encode() in script
    click = json.dumps({"p": program, "t": TOKEN, "u": "https://acme.example/?via=ann"})
    status, headers, _ = deployment.call(
        "POST", "/t/click", click.encode(), Content_Type="text/plain"
    )
    assert (status, headers["X-Refledger"]) == (204, "recorded")
    told = {"p": program, "t": TOKEN, "key": "sam", "email": "sam@example.com"}
    status, _, raw = deployment.call(
        "POST", "/t/signup", json.dumps(told).encode(), Content_Type="text/plain"
    )
    assert status == 200, raw
    status, answer = deliver_invoice(deployment, 1)
    assert (status, answer.get("data", {}).get("state")) == (200, "handled"), deployment.logs()
    balances = deployment.balances()
    assert balances["pending_minor"] + balances["payable_minor"] == 980


def deliver_invoice(deployment: Deployment, number: int, *, secret: str = "") -> tuple[int, Any]:
    secret = secret or deployment.told["webhook_secret"]
    now = int(time.time())
    invoice = an_invoice(
        id=f"in_{number}",
        payment_intent=f"pi_{number}",
        charge=f"ch_{number}",
        paid_at=now,
        customer_email="sam@example.com",
    )
    body = an_event("invoice.paid", invoice, id=f"evt_{number}", created=now)
    status, _, raw = deployment.call(
        "POST",
        f"/stripe/webhooks/{deployment.told['connection']}",
        body,
        Stripe_Signature=signed(body, secret, now),
    )
    return status, json.loads(raw)


def test_a_forged_signature_is_refused(deployment: Deployment) -> None:
    status, answer = deliver_invoice(deployment, 2, secret="whsec_" + "e" * 24)
    assert (status, answer["code"]) == (400, "bad_signature")


def test_the_short_link_leads_on(deployment: Deployment) -> None:
    id = deployment.aws.outputs(STAGE)["RestAPIId"]
    url = (
        f"{deployment.aws.url}/restapis/{id}/api/_user_request_/r/{deployment.told['program']}/ann"
    )

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *about: Any, **more: Any) -> None:
            return None

    request = urllib.request.Request(url, headers={"User-Agent": BROWSER})
    opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as found:
        opener.open(request, timeout=60)
    assert found.value.code == 302
    assert found.value.headers["Location"].startswith("https://acme.example")


def test_the_stream_counts_the_clicks(deployment: Deployment) -> None:
    eventually(lambda: deployment.api("GET", "/partners/ann")["clicks"] == 2)


def test_the_schedules_run(deployment: Deployment) -> None:
    swept = deployment.run("Sweep", SCHEDULED)
    assert (swept["finished"], swept["failed"], swept["waiting_minutes"]) == (True, 0, 0)
    matured = deployment.run("MatureRewards", SCHEDULED)
    assert (matured["finished"], matured["failed"]) == (True, 0)
    assert deployment.balances()["payable_minor"] == 980


def test_the_past_is_brought_in_by_the_jobs(deployment: Deployment) -> None:
    """They ask Stripe with the key that the operator gave; here it is at another address."""
    aws, name = deployment.aws.client("lambda"), deployment.function("RunJobs")
    told = aws.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    told["REFLEDGER_STRIPE_API_BASE"] = deployment.stripe.url
    aws.update_function_configuration(FunctionName=name, Environment={"Variables": told})
    now = int(time.time())
    span = {"begin": now - 20 * 86_400, "end": now - 10 * 86_400}
    deployment.stripe.make_past(STRIPE_KEY, story="invoice", count=3, **span)
    asked = {"connection": deployment.told["connection"], "from": now - 30 * 86_400}
    for preview in (True, False):
        job = deployment.api("POST", "/backfills", {**asked, "preview": preview})
        ran = deployment.run("RunJobs", SCHEDULED)
        assert (ran["failed"], ran["finished"]) == (0, True), deployment.logs()
        done = deployment.api("GET", f"/jobs/{job['id']}")
        assert done["state"] == "done", (done, deployment.logs())
        assert len(deployment.api("GET", "/transactions")) == (1 if preview else 4)
    assert deployment.balances()["payable_minor"] == 980


def test_an_update_leaves_the_data(deployment: Deployment, tmp_path: Path) -> None:
    """A later version of the code, and a parameter besides."""
    later = tmp_path / "later"
    later.mkdir()
    copy_code(REPOSITORY, later)
    (later / ".chalice").symlink_to(REPOSITORY / ".chalice")
    door = later / "chalicelib" / "entrypoints" / "answers.py"
    text = door.read_text()
    assert text.count('"nosniff"') == 1
    door.write_text(text.replace('"nosniff"', '"nosniff", "X-Version": "later"'))
    packed = package(tmp_path / "out", "host", project=later)
    said = deployment.aws.deploy(
        STAGE, packed, SET="LogRetentionDays=7 BaseUrl=https://refer.example.com"
    )
    assert "~ APIHandler (AWS::Lambda::Function)" in said
    assert "~ APIHandlerLog (AWS::Logs::LogGroup)" in said
    assert "Table" not in [line for line in said.splitlines() if line.startswith("  ~")]
    bearer = f"Bearer {deployment.told['api_key']}"
    status, headers, _ = deployment.call("GET", "/v1/test", Authorization=bearer)
    assert (status, headers.get("X-Version")) == (200, "later")
    assert deployment.balances()["payable_minor"] == 980
    said = deployment.aws.deploy(STAGE, packed)
    assert "Nothing has changed" in said, "what SET said is kept"
    assert f"Refledger {STAGE} is at https://refer.example.com\n" in said


def test_destroying_asks(deployment: Deployment) -> None:
    ran = deployment.aws.destroy(STAGE, said="")
    assert (ran.returncode, ran.stderr) == (1, "Nothing was done.\n")
    ran = deployment.aws.destroy(STAGE, said=STAGE, data="delete")
    assert (ran.returncode, ran.stderr) == (1, "Nothing was done.\n")
    assert deployment.balances()["payable_minor"] == 980


def test_it_goes_and_comes_back_with_its_data(deployment: Deployment) -> None:
    ran = deployment.aws.destroy(STAGE, said=STAGE)
    assert ran.returncode == 0, ran.stderr
    assert "the data is kept" in ran.stdout
    assert deployment.aws.client("lambda").list_functions()["Functions"] == []
    assert len(deployment.aws.client("dynamodb").list_tables()["TableNames"]) == 4
    ran = deployment.aws.destroy(STAGE, said=STAGE)
    assert (ran.returncode, "only the data is left" in ran.stderr) == (1, True)
    deployment.aws.deploy(STAGE, deployment.packed)
    logs = deployment.aws.client("logs").describe_log_groups()["logGroups"]
    assert {group["retentionInDays"] for group in logs} == {7}, "what SET said outlives that too"
    assert deployment.balances()["payable_minor"] == 980
    assert deliver_invoice(deployment, 3)[1]["data"]["state"] == "handled"
    balances = deployment.balances()
    assert balances["pending_minor"] + balances["payable_minor"] == 2 * 980


def test_tables_whose_stack_was_deleted_by_hand_are_taken_over(deployment: Deployment) -> None:
    cloudformation = deployment.aws.client("cloudformation")
    cloudformation.delete_stack(StackName=f"refledger-{STAGE}")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=f"refledger-{STAGE}", WaiterConfig={"Delay": 1}
    )
    said = deployment.aws.deploy(STAGE, deployment.packed)
    assert "take over the tables and the key that were left" in said
    balances = deployment.balances()
    assert balances["pending_minor"] + balances["payable_minor"] == 2 * 980
    assert deliver_invoice(deployment, 4)[1]["data"]["state"] == "handled", "the key opens still"


def test_a_part_of_the_tables_is_not_taken_over(deployment: Deployment) -> None:
    deployment.aws.client("dynamodb").create_table(
        TableName="refledger-half-records",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    ran = deployment.aws.run("-m", "deploy", "up", "--stage", "half", YES="1")
    assert ran.returncode == 1
    assert "refledger-half-clicks" in ran.stderr
    assert "make destroy STAGE=half DATA=delete" in ran.stderr
    assert deployment.aws.destroy("half", said="delete half", data="delete").returncode == 0


def test_a_first_deployment_that_fails_says_why_and_leaves_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    template = json.loads(deployment.packed.template.read_text())
    template["Resources"]["UncountedClicks"]["Properties"]["MessageRetentionPeriod"] = 1
    (tmp_path / "template.json").write_text(json.dumps(template))
    (tmp_path / "deployment.zip").write_bytes(deployment.packed.zip.read_bytes())
    words = ("-m", "deploy", "up", "--stage", "broken", "--package", str(tmp_path))
    ran = deployment.aws.run(*words, YES="1")
    assert ran.returncode == 1
    assert "It failed at UncountedClicks (AWS::SQS::Queue): Invalid value" in ran.stderr
    assert "run the same command again" in ran.stderr
    assert not any(
        "broken" in name for name in deployment.aws.client("dynamodb").list_tables()["TableNames"]
    )
    deployment.aws.deploy("broken", deployment.packed)


def test_a_rebuild_into_another_stage_is_signed_and_opened_with_its_key(
    deployment: Deployment,
) -> None:
    """Whose functions may use no other stage's key. Twice, as after one that broke off."""
    for _ in range(2):
        told = deployment.cli("rebuild", "--into", "broken")
        assert (told["equal"], told["troubles"]) == (True, [])
    there = replace(deployment, stage="broken")
    assert deliver_invoice(there, 5)[1]["data"]["state"] == "handled", deployment.logs()
    balances = there.balances()
    assert balances["pending_minor"] + balances["payable_minor"] == 4 * 980
    key = there.told["signing_key"].encode()
    signature = hmac.new(key, b"late\nlate@example.com", hashlib.sha256).hexdigest()
    told = {"p": there.told["program"], "t": TOKEN, "key": "late", "email": "late@example.com"}
    body = json.dumps({**told, "signature": signature}).encode()
    status, _, raw = there.call("POST", "/t/signup", body, Content_Type="text/plain")
    assert status == 200, (raw, deployment.logs())
    deployment.aws.destroy("broken", said="delete broken", data="delete")


def test_an_update_that_would_lose_data_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    template = json.loads(deployment.packed.template.read_text())
    properties = template["Resources"]["ClicksTable"]["Properties"]
    properties["TableName"] = {"Fn::Sub": "refledger-${Stage}-clicks2"}
    (tmp_path / "template.json").write_text(json.dumps(template))
    (tmp_path / "deployment.zip").write_bytes(deployment.packed.zip.read_bytes())
    words = ("-m", "deploy", "up", "--stage", STAGE, "--package", str(tmp_path))
    ran = deployment.aws.run(*words, YES="1")
    assert (ran.returncode, "This would lose data" in ran.stderr) == (1, True)


def test_all_of_it_goes_when_told_so(deployment: Deployment) -> None:
    ran = deployment.aws.destroy(STAGE, said=f"delete {STAGE}", data="delete")
    assert ran.returncode == 0, ran.stderr
    assert deployment.aws.client("dynamodb").list_tables()["TableNames"] == []
    assert deployment.aws.client("kms").list_aliases()["Aliases"] == []
    s3 = deployment.aws.client("s3")
    (bucket,) = s3.list_buckets()["Buckets"]
    assert "Versions" not in s3.list_object_versions(Bucket=bucket["Name"])
    ran = deployment.aws.destroy(STAGE, said=f"delete {STAGE}", data="delete")
    assert (ran.returncode, ran.stderr) == (1, f"There is no refledger-{STAGE} here.\n")
