"""An AWS account on this machine for the deployment's tests: MiniStack with every service, which
runs the packaged zip and holds each function to its own role's policy (``AUTH``)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy.package import Package, package
from deploy.template import Template, make_template
from local.ministack import MINISTACK_PYTHON, running_ministack
from local.place import REPOSITORY
from tests.ministack_kit import free_port

REGION = "eu-central-1"
ROOT = "testing"  # who deploys: MiniStack's root


@dataclass(frozen=True)
class Account:
    """What a shell with credentials can do."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        clean = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "REFLEDGER_"))}
        return clean | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,  # as the README says it
            "AWS_ACCESS_KEY_ID": ROOT,
            "AWS_SECRET_ACCESS_KEY": ROOT,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def run(
        self, *words: str, said: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """``python …`` as the shell would run it; ``said`` is typed."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=REPOSITORY,
            env={**self.environment, **environment},
            input=said,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def deploy(self, stage: str, packed: Package, **environment: str) -> str:
        """``make deploy STAGE=… YES=1`` of what was packaged for this machine; what it said."""
        words = ("-m", "deploy", "up", "--stage", stage, "--package", str(packed.zip.parent))
        ran = self.run(*words, YES="1", **environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def destroy(
        self, stage: str, *, said: str, data: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        words = ("-m", "deploy", "down", "--stage", stage, "--data", data)
        return self.run(*words, said=f"{said}\n")

    def client(self, service: str) -> Any:
        client: Any = boto3.client  # its stubs know services by literal names only
        return client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ROOT,
            aws_secret_access_key=ROOT,
        )

    def outputs(self, stage: str) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"refledger-{stage}")[
            "Stacks"
        ]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with an_account(tmp_path_factory.mktemp("account")) as account:
        yield account


@contextmanager
def an_account(folder: Path, *, concurrency: int = 1000) -> Iterator[Account]:
    """An empty one, with a limit for Lambda."""
    if not MINISTACK_PYTHON.exists():
        pytest.fail("MiniStack is not installed: `make test` installs it into .venv-ministack")
    more = {
        "SERVICES": "",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(concurrency),
        "PERSIST_STATE": "0",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ROOT,
        "AWS_SECRET_ACCESS_KEY": ROOT,
    }
    with running_ministack(port=free_port(), folder=folder, more=more) as url:
        yield Account(url)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Zip and template for this machine."""
    return package(tmp_path_factory.mktemp("packed"), "host")


@pytest.fixture(scope="session")
def template() -> Template:
    return make_template("./deployment.zip")


@pytest.fixture(scope="session")
def policies() -> dict[str, Any]:
    """Every function's rights, by the name of its policy file."""
    folder: Path = REPOSITORY / ".chalice"
    return {
        file.stem.removeprefix("policy-"): json.loads(file.read_text())["Statement"]
        for file in folder.glob("policy-*.json")
    }
