"""The zip that Lambda runs: the house's code and its dependencies, compiled.

The same tree gives the same bytes: files are sorted and carry no time, so that a deployment of
nothing new uploads nothing and changes nothing.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from deploy.dependencies import REPOSITORY, Target, compile_tree, dependencies

MAX_BYTES = 15_000_000
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


def make_zip(file: Path, target: Target, *, project: Path = REPOSITORY) -> Path:
    """Write ``file`` for ``target``; returns it. Raises ``Refused`` if the packages are out of
    reach."""
    packages = dependencies(target)
    with tempfile.TemporaryDirectory() as made:
        own = Path(made)
        copy_code(project, own)
        compile_tree(own)
        members = dict(_files(packages)) | dict(_files(own))
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(members):
                _add(archive, name, members[name])
    return file


def copy_code(project: Path, to: Path) -> None:
    """``app.py`` and chalicelib, as they are here."""
    shutil.copyfile(project / "app.py", to / "app.py")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    shutil.copytree(project / "chalicelib", to / "chalicelib", ignore=ignored)


def _files(tree: Path) -> Iterator[tuple[str, Path]]:
    for file in tree.rglob("*"):
        if file.is_file():
            yield file.relative_to(tree).as_posix(), file


def _add(archive: zipfile.ZipFile, name: str, file: Path) -> None:
    member = zipfile.ZipInfo(name, _NO_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
    archive.writestr(member, file.read_bytes())
