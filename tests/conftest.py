"""What holds for every test: no test reaches AWS, chance is the same in each run, and tools of
several rooms' tests."""

import os
import random
import secrets

import pytest

pytest_plugins = [
    "tests.browser_kit",
    "tests.ministack_kit",
    "tests.stack_kit",
    "tests.attack.plugin",
]

_chance = random.Random()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The ids and tokens that a test makes are its own ones, and the same tomorrow: what fails,
    fails again. ``SEED`` says others."""
    _chance.seed(f"{os.environ.get('SEED') or 1} {item.nodeid}")
    secrets.token_bytes = lambda nbytes=None: _chance.randbytes(nbytes or 32)


@pytest.fixture(autouse=True)
def _nowhere_near_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented credentials, and no endpoint of the shell's: it would bypass moto."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
