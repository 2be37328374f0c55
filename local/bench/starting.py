"""Cold starts, warm clicks and memory of the packaged zip, beside its floors.

From the start of the process to the first click answered; the three are run by turns, so that
whatever else this machine does falls on all alike, and compared by their medians.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from local.bench.api_event import api_event
from local.bench.lambda_runtime import Function, Lambda, deployed_environment, runtime_folder
from local.bench.replay import Replay
from local.bench.scene import Scene, click_body, told_where
from local.bench.tls import Tls
from local.bench.zips import Zips

ROUNDS = 21
WARM_CLICKS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """A process that has answered a thousand clicks."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float
    peak_mb: float
    log_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """Seconds by function, and what they were like once warm."""

    seconds: dict[str, list[float]]
    warm: dict[str, Warm]
    zip_bytes: int

    def ratio(self, floor: str, *, tls: bool = False) -> float:
        kind = ", TLS" if tls else ""
        return median(self.seconds[f"app{kind}"]) / median(self.seconds[f"{floor}{kind}"])


class Stage:
    """Where functions run: a database that answers at once, and what they are told of it."""

    def __init__(self, folder: Path, scene: Scene, told: Mapping[str, str]) -> None:
        """``told`` is what the functions are told of the database."""
        self._folder, self._scene = folder, scene
        self._runtime = runtime_folder(folder / "runtime")
        here = told_where(folder, "")
        self._environment = {**here, **told, **deployed_environment("WebsiteHandler")}
        self._clicks = 5_000_000

    def function(self, function: Function) -> Lambda:
        environment = {
            name: value
            for name, value in self._environment.items()
            if name.startswith(("AWS_", "REFLEDGER_"))
        }
        log = self._folder / f"{function.folder.name}.log"
        return Lambda(function, runtime=self._runtime, environment=environment, log=log)

    def click(self, running: Lambda) -> float:
        """When the next click was answered."""
        self._clicks += 1
        body = click_body(self._scene.ids.program, self._clicks)
        answer, at = running.invoke(api_event("/t/click", body))
        told = answer.get("headers", {}).get("X-Refledger", "recorded")
        if answer["statusCode"] != 204 or told != "recorded":
            raise RuntimeError(f"a click was answered {answer}")
        return at


def measure_starting(zips: Zips, scene: Scene, replay: Replay, folder: Path) -> Starting:
    functions = {"app": zips.app, "chalice": zips.chalice, "handler": zips.handler}
    stage = Stage(folder, scene, {"AWS_ENDPOINT_URL": replay.url})
    with Tls(folder, replay.port) as tls:
        over_tls = Stage(folder, scene, tls.environment)
        seconds: dict[str, list[float]] = {}
        for number in range(ROUNDS + 1):
            for name, function in functions.items():
                for kind, where in ((name, stage), (f"{name}, TLS", over_tls)):
                    with where.function(function) as running:
                        took = where.click(running) - running.started
                    if number:  # the first round warms the disk's cache
                        seconds.setdefault(kind, []).append(took)
    warm = {name: _warm(stage, function) for name, function in functions.items()}
    return Starting(seconds=seconds, warm=warm, zip_bytes=zips.bytes)


def _warm(stage: Stage, function: Function) -> Warm:
    with stage.function(function) as running:
        before = stage.click(running)
        cpu, logged = running.cpu_seconds, running.log_bytes
        took = []
        for _ in range(WARM_CLICKS):
            at = stage.click(running)
            took.append(at - before)
            before = at
        return Warm(
            cpu_ms=(running.cpu_seconds - cpu) / WARM_CLICKS * 1000,
            p50_ms=median(took) * 1000,
            p99_ms=percentile(took, 99) * 1000,
            peak_mb=running.peak_mb,
            log_bytes=(running.log_bytes - logged) / WARM_CLICKS,
        )


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def show(measured: Starting) -> str:
    lines = [f"{'':14}{'start ms':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'cpu ms':>9}{'MB':>8}"]
    for name, seconds in measured.seconds.items():
        floor, _, tls = name.partition(", ")
        ratio = measured.ratio(floor, tls=bool(tls))
        line = f"{name:14}{median(seconds) * 1000:>10.0f}{ratio:>8.2f}"
        if not tls:
            warm = measured.warm[name]
            line += f"{warm.p50_ms:>9.2f}{warm.p99_ms:>9.2f}{warm.cpu_ms:>9.2f}{warm.peak_mb:>8.1f}"
        lines.append(line)
    return "\n".join([*lines, f"zip: {measured.zip_bytes:,} bytes"])
