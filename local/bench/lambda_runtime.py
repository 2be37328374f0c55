"""One Lambda function on this machine: the real runtime client on an unpacked zip.

`awslambdaric` is what runs a function on AWS. It asks the Runtime API for the next event and posts
the answer there; here a small HTTP server plays that API. The function's process sees its own
packages and the runtime client's, and nothing of this environment.
"""

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Any

from local.http_wire import Answer, Request
from local.place import HOST
from local.tables import RESOURCES
from local.web_server import WebServer

RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")
ANSWERED_WITHIN_SECONDS = 60
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An unpacked zip, and the handler in it."""

    folder: Path
    handler: str = "app.app"


def deployed_environment(logical_id: str) -> dict[str, str]:
    """What the deployed template tells a function by plain text. Raises KeyError for a function
    that it does not have."""
    resource = json.loads(RESOURCES.read_text())["Resources"][logical_id]
    variables = resource["Properties"]["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if isinstance(value, str)}


def runtime_folder(folder: Path) -> Path:
    """A folder that holds the runtime client alone, as /var/runtime does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME:
        installed = metadata.distribution(name)
        tops = {file.parts[0] for file in installed.files or [] if ".." not in file.parts}
        for top in tops:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(installed.locate_file(top))))
    return folder


class Lambda:
    """A running function. ``invoke`` may be called from the moment it is made: what is asked
    before it is ready is answered when it is."""

    def __init__(
        self, function: Function, *, runtime: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self._asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._server = WebServer(HOST, 0, self._api, workers=2)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._log = log
        with log.open("ab") as output:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [_base_python(), "-m", "awslambdaric", function.handler],
                cwd=function.folder,
                env=_environment(function, runtime, environment, self._server.port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Lambda":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._asked.put(b"")
        self._server.shutdown()
        self._thread.join(timeout=10)

    def invoke(self, event: Event) -> tuple[Any, float]:
        """The function's answer, and when it came (on the clock of ``started``). Raises
        RuntimeError if it died or failed."""
        self._asked.put(json.dumps(event).encode())
        deadline = time.monotonic() + ANSWERED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            try:
                at, body = self._answered.get(timeout=0.5)
            except queue.Empty:
                if self._process.poll() is not None:
                    break
                continue
            return json.loads(body), at
        raise RuntimeError(f"the function did not answer.\n{self._log.read_text()[-2000:]}")

    @property
    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    @property
    def peak_mb(self) -> float:
        """The most memory that was ever resident, in MB of a million bytes."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1_000_000
        raise RuntimeError("the kernel does not tell the peak of resident memory")

    @property
    def log_bytes(self) -> int:
        """How much it has logged so far."""
        return self._log.stat().st_size

    def _api(self, request: Request) -> Answer:
        if request.target.endswith("/invocation/next"):
            return self._next()
        self._answered.put((time.perf_counter(), request.body))
        return Answer(status=202, body=b"{}")

    def _next(self) -> Answer:
        event = self._asked.get()
        deadline_ms = int((time.time() + ANSWERED_WITHIN_SECONDS) * 1000)
        return Answer(
            status=200,
            headers=[
                ("Content-Type", "application/json"),
                ("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000000"),
                ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:f"),
                ("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
            ],
            body=event,
        )


def _base_python() -> str:
    """The interpreter itself, without this virtual environment."""
    return os.path.realpath(sys.executable)


def _environment(
    function: Function, runtime: Path, own: Mapping[str, str], port: int
) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return kept | {
        **own,
        "AWS_LAMBDA_RUNTIME_API": f"{HOST}:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "LAMBDA_TASK_ROOT": str(function.folder),
        "LAMBDA_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": f"{function.folder}:{runtime}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
