"""What requirements.txt names, as files for the machine that shall run them.

The pins are those of requirements.txt; what they need in turn is taken in the version that is
installed here, which is the one that was tested. Of Chalice only what its own packager ships goes
along (``chalice/packager.py``, ``_add_app_files``): the rest is its command line.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import chalice

from deploy.refusal import Refused

Target = Literal["arm64", "host"]
"""``arm64`` is Lambda on Graviton, ``host`` the machine that packages (MiniStack, the bench)."""

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / "build" / "dependencies"
PIP_SECONDS = 600
BOTOCORE_MODELS = frozenset({"dynamodb", "kms"})
"""The services that the house calls; botocore brings a description of every one there is."""
UNUSED = ("boto3/data", "boto3/examples", "stripe/params")
"""What is for other tools: Stripe's params are types alone, imported by type checkers."""
_CHALICE_FILES = ("__init__.py", "app.py")
_METADATA_KEPT = ("METADATA", "LICENSE", "LICENCE", "NOTICE", "COPYING", "licenses")
_NEVER_READ = frozenset({".pyi", ".pyx", ".pxd", ".c", ".h", ".typed", ".exe"})


def dependencies(target: Target, *, cache: Path = CACHE) -> Path:
    """A folder with the packages for ``target``, compiled, made once per set of pins.

    Raises ``Refused`` if pip cannot get them, with pip's last words.
    """
    pins = list(_pins())
    folder = cache / f"{target}-{_fingerprint(target, pins)}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as made:
        tree = Path(made) / "tree"
        _install(target, pins, Path(made), tree)
        _add_chalice(tree)
        _prune(tree)
        compile_tree(tree)
        try:
            tree.rename(folder)
        except OSError:
            assert folder.exists(), "somebody else made it at the same moment"
    return folder


def compile_tree(tree: Path) -> None:
    """Put a ``.pyc`` beside every source below ``tree``: /var/task is read-only, so that without
    them every cold start would compile. ``unchecked-hash`` spares Python the look at the source;
    the hash seed is fixed since sets are written in the order of their hashes."""
    command = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode"]
    command += ["unchecked-hash", "-s", str(tree), "-p", "/var/task", str(tree)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def _pins() -> Iterator[str]:
    """The lines of requirements.txt without Chalice, whose command line would come along."""
    for line in (REPOSITORY / "requirements.txt").read_text().splitlines():
        wanted = line.split("#")[0].strip()
        if wanted and not wanted.startswith("chalice"):
            yield wanted


def _constraints() -> list[str]:
    found = {each.metadata["Name"].lower(): each.version for each in metadata.distributions()}
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _fingerprint(target: Target, pins: list[str]) -> str:
    own = Path(__file__).read_text()
    told = [target, sys.version.split()[0], own, *pins, *_constraints()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _install(target: Target, pins: list[str], folder: Path, tree: Path) -> None:
    (folder / "constraints.txt").write_text("\n".join(_constraints()))
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["--no-compile", "--only-binary", ":all:", "--target", str(tree)]
    command += ["--constraint", str(folder / "constraints.txt")]
    if target == "arm64":
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        command += ["--implementation", "cp", "--python-version", minor]
        command += ["--platform", "manylinux2014_aarch64"]
    ran = subprocess.run(
        [*command, *pins], capture_output=True, text=True, timeout=PIP_SECONDS, check=False
    )
    if ran.returncode:
        said = "\n".join(ran.stderr.strip().splitlines()[-5:])
        raise Refused(f"The packages for {target} could not be had. pip said:\n{said}")


def _add_chalice(tree: Path) -> None:
    source = Path(chalice.__file__).parent
    (tree / "chalice").mkdir()
    for name in _CHALICE_FILES:
        shutil.copyfile(source / name, tree / "chalice" / name)
    for info in source.parent.glob("chalice-*.dist-info"):
        shutil.copytree(info, tree / info.name)


def _prune(tree: Path) -> None:
    """Drop what nothing reads at run time. Licences and versions stay."""
    shutil.rmtree(tree / "bin", ignore_errors=True)
    for unused in UNUSED:
        shutil.rmtree(tree / unused, ignore_errors=True)
    for model in (tree / "botocore" / "data").iterdir():
        if model.is_dir() and model.name not in BOTOCORE_MODELS:
            shutil.rmtree(model)
    for info in tree.glob("*.dist-info"):
        for file in info.iterdir():
            if not file.name.upper().startswith(tuple(name.upper() for name in _METADATA_KEPT)):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
    for file in tree.rglob("*"):
        if file.suffix in _NEVER_READ and file.is_file():
            file.unlink()
