"""What the command says when it does not go on, and what it tells the operator to type next."""

import json
import os
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)

from chalicelib.entrypoints import cli
from deploy.__main__ import _what_helps
from deploy.account import RUNTIMES, STAGE, check_python, checked_stage
from deploy.refusal import Refused
from deploy.stack import Change, ChangeSet, _failure
from deploy.template import KEPT_KINDS, RESOURCES, Template
from deploy.up import Wishes, _parameters, next_steps, refuse_loss
from local.place import REPOSITORY


def refusal(code: str, status: int) -> ClientError:
    about: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(about, "DescribeStacks")


def deploy(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """In a shell that knows no account."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return subprocess.run(
        [sys.executable, "-m", "deploy", *words],
        cwd=REPOSITORY,
        env={**clean, **nowhere, "AWS_EC2_METADATA_DISABLED": "true", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("stage", ["dev", "prod", "a", "a-1", "x" * 20])
def test_stages(stage: str) -> None:
    assert checked_stage(stage) == stage


@pytest.mark.parametrize(
    "stage", ["Prod", "a_b", "-a", "a-", "x" * 21, "a b", "prod\n", "ä", "../x"]
)
def test_what_is_no_stage(stage: str) -> None:
    with pytest.raises(Refused, match="1 to 20"):
        checked_stage(stage)


def test_the_command_line_takes_the_same_stages() -> None:
    assert cli.STAGE.pattern == STAGE.pattern


@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_stage_must_be_said(verb: str) -> None:
    ran = deploy(verb, "--stage", "")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Say which stage")


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = deploy("up", "--stage", "dev")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "No AWS region is set. Say one: `export AWS_REGION=eu-central-1`.\n"


def test_no_credentials() -> None:
    ran = deploy("up", "--stage", "dev", AWS_DEFAULT_REGION="eu-central-1")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("AWS does not know who you are")
    assert "Traceback" not in ran.stderr
    assert "goes on from there" not in ran.stderr


def test_a_profile_that_there_is_not_is_no_matter_of_trying_again() -> None:
    ran = deploy("up", "--stage", "dev", AWS_PROFILE="nobody", AWS_REGION="eu-central-1")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "AWS refused: The config profile (nobody) could not be found\n"


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (refusal("ValidationError", 400), False),
        (refusal("AccessDenied", 403), False),
        (refusal("Throttling", 400), True),
        (refusal("ExpiredTokenException", 400), True),
        (refusal("InternalFailure", 500), True),
        (NoRegionError(), False),
        (NoCredentialsError(), False),
        (ProfileNotFound(profile="nobody"), False),
        (EndpointConnectionError(endpoint_url="https://x.example"), True),
        (ReadTimeoutError(endpoint_url="https://x.example"), True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_trying_again_is_advised_where_it_can_help(
    error: BotoCoreError | ClientError, helps: bool
) -> None:
    assert ("The same command again" in _what_helps(error)) is helps


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (4, 0)])
def test_a_python_that_lambda_does_not_run(version: tuple[int, int]) -> None:
    with pytest.raises(Refused, match=r"Lambda has no Python \d\.\d+, only 3\.11"):
        check_python(version)


@pytest.mark.parametrize("version", sorted(RUNTIMES))
def test_a_python_that_it_does(version: tuple[int, int]) -> None:
    check_python(version)


def test_the_functions_run_the_python_that_packaged_them(template: Template) -> None:
    mine = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = {
        one["Properties"]["Runtime"]
        for one in template["Resources"].values()
        if one["Type"] == "AWS::Serverless::Function"
    }
    assert found == {mine}


def test_set_wants_names_that_there_are(template: Template) -> None:
    wishes = Wishes(stage="dev", parameters={"AlarmMail": "ann@example.com"})
    with pytest.raises(Refused, match="SET knows no AlarmMail; it knows AlarmEmail"):
        _parameters(template, wishes, {})
    ran = deploy("up", "--stage", "dev", SET="AlarmMail=ann@example.com")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("SET knows no AlarmMail; it knows AlarmEmail, BaseUrl, ")
    assert "SET wants names and values" in deploy("up", "--stage", "dev", SET="AlarmEmail").stderr


def test_what_was_told_before_is_kept(template: Template) -> None:
    wishes = Wishes(stage="dev", parameters={"ClicksPerSecond": "7"})
    before = {"ClicksPerSecond": "5", "AlarmEmail": "ann@example.com", "OfOldTimes": "1"}
    assert _parameters(template, wishes, before) == {
        "Stage": "dev",
        "ClicksPerSecond": "7",
        "AlarmEmail": "ann@example.com",
    }


@pytest.mark.parametrize("kind", KEPT_KINDS)
@pytest.mark.parametrize(
    ("action", "anew", "lost"),
    [
        ("Add", False, False),
        ("Modify", False, False),
        ("Modify", True, True),
        ("Remove", False, True),
    ],
)
def test_what_holds_data_is_neither_removed_nor_replaced(
    kind: str, action: str, anew: bool, lost: bool
) -> None:
    change = Change(action=action, resource="RecordsTable", type=kind, anew=anew)
    changes = ChangeSet("1", "UPDATE", [change])
    with pytest.raises(Refused, match="RecordsTable") if lost else nullcontext():
        refuse_loss(changes)


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("decreases account's UnreservedConcurrentExecution below 100", "SET=WebhookConcurrency=0"),
        ("refledger-x-records already exists", "belongs to no stack, or to another"),
        ("is not authorized to perform iam:CreateRole", "The credentials may not"),
    ],
)
def test_a_failure_comes_with_advice(why: str, advice: str) -> None:
    said = _failure("ROLLBACK_COMPLETE", [f"Sweep (AWS::Lambda::Function): {why}", "later"])
    assert said.startswith(f"It failed at Sweep (AWS::Lambda::Function): {why}.")
    assert advice in said
    assert "run the same command again" in said
    assert "its console says" in _failure("UPDATE_ROLLBACK_FAILED", ["later"])
    assert "does not say why" in _failure("UPDATE_ROLLBACK_FAILED", [])


def test_the_next_steps_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    said = next_steps("prod", "https://x.example/api")
    lines = [line for line in said.splitlines() if "chalicelib.entrypoints.cli" in line]
    assert len(lines) == 4
    for line in lines:
        python, _, _, *words = shlex.split(line)
        assert (REPOSITORY / python).exists() or Path(python).exists()
        asked = cli._parser().parse_args(words)
        assert asked.stage == "prod"
        assert getattr(asked, "mode", None) in (None, "live"), "as the README says"
    assert 'src="https://x.example/api/t/PROGRAM_ID.js"' in said


def test_every_parameter_stands_where_names_are_looked_up(template: Template) -> None:
    assert json.loads(RESOURCES.read_text())["Parameters"] == template["Parameters"]
