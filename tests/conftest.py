"""What holds for every test: no test reaches AWS, and tools of several rooms' tests."""

import pytest

pytest_plugins = [
    "tests.browser_kit",
    "tests.ministack_kit",
    "tests.stack_kit",
    "tests.attack.plugin",
]


@pytest.fixture(autouse=True)
def _nowhere_near_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented credentials, and no endpoint of the shell's: it would bypass moto."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
