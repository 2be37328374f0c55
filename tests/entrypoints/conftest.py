import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.entrypoints import cli, wiring
from tests.doors_kit import Doors, Run


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    yield Doors(tmp_path)
    wiring.set_house(None)
    wiring.set_clock(lambda: datetime.now(UTC))


@pytest.fixture
def run(doors: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the store in memory: (code, standard output, standard error)."""

    def ran(*words: str, secrets: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(secrets))
        capsys.readouterr()
        code = cli.main(["--stage", "test", *words], house=doors.house)
        out = capsys.readouterr()
        return code, out.out, out.err

    return ran
