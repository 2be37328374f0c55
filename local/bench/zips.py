"""The packaged app and its floors, unpacked as Lambda unpacks them.

All three go through the deployment's own packaging, for this machine, with the same packages.
"""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deploy.bundle import make_zip
from local.bench.lambda_runtime import Function
from local.place import REPOSITORY

FLOORS = {"chalice": "floor_chalice.py", "handler": "floor_handler.py"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Zips:
    """``bytes`` is the size of the app's zip, with everything in it."""

    app: Function
    chalice: Function
    handler: Function
    bytes: int


def make_zips(folder: Path) -> Zips:
    zips = {"app": make_zip(folder / "app.zip", "host", project=REPOSITORY)}
    for name, source in FLOORS.items():
        project = folder / f"{name}-project"
        (project / "chalicelib").mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name(source), project / "app.py")
        zips[name] = make_zip(folder / f"{name}.zip", "host", project=project)
    functions = {}
    for name, made in zips.items():
        with zipfile.ZipFile(made) as archive:
            archive.extractall(folder / name)
        functions[name] = Function(folder=folder / name)
    return Zips(**functions, bytes=zips["app"].stat().st_size)
