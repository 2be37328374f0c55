"""One MiniStack process for the tests that want a DynamoDB over a wire (marker `ministack`).

It lives in its own virtual environment, since it pins another botocore; `make test` installs it.
"""

import socket
from collections.abc import Iterator

import pytest

from local.ministack import MINISTACK_PYTHON, running_ministack
from local.place import HOST


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MiniStack that this test run starts at its first use and stops at its end.

    One that is missing fails the test, with the way to get it; it is never skipped.
    """
    if not MINISTACK_PYTHON.exists():
        pytest.fail("MiniStack is not installed: `make test` installs it into .venv-ministack")
    folder = tmp_path_factory.mktemp("ministack")
    with running_ministack(port=free_port(), folder=folder) as url:
        yield url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
