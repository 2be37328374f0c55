"""MiniStack: the DynamoDB of a local run and of the contract tests, in its own environment.

It keeps its state only when it is stopped by SIGTERM and waited for, and it clears JSON files in
its `STATE_DIR`, so it gets a folder of its own.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from local.own_stripe import NOBODYS
from local.place import HOST, REPOSITORY
from local.processes import Child, Recipe

MINISTACK_PYTHON = REPOSITORY / ".venv-ministack" / "bin" / "python"
READY_WITHIN_SECONDS = 30


def ministack_environment(*, port: int, folder: Path) -> dict[str, str]:
    """DynamoDB and its streams only, on this machine only, saved to `folder`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_")) and name not in NOBODYS
    }
    return inherited | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "SERVICES": "dynamodb,dynamodbstreams",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_WORKER_THREADS": "8",
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }


def ministack_recipe(*, port: int, folder: Path, grace_seconds: float) -> Recipe:
    return Recipe(
        name="ministack",
        module="ministack",
        python=str(MINISTACK_PYTHON),
        folder=folder,
        environment=ministack_environment(port=port, folder=folder),
        ready_url=f"http://{HOST}:{port}/_ministack/health",
        grace_seconds=grace_seconds,
    )


@contextlib.contextmanager
def running_ministack(
    *, port: int, folder: Path, more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """For tests: one MiniStack on `port`, ended at the end; yields its address. `more` is set in
    its environment besides."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    recipe = ministack_recipe(port=port, folder=folder, grace_seconds=20)
    recipe = replace(recipe, environment={**recipe.environment, **(more or {})})
    child = Child(recipe, label=f"refledger:{folder}:", log=folder / "ministack.log")
    child.start()
    try:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not child.became_ready():
            if child.has_died() or time.monotonic() > deadline:
                raise RuntimeError(f"MiniStack did not start.\n{child.last_words()}")
            time.sleep(0.05)
        yield f"http://{HOST}:{port}"
    finally:
        child.stop()
