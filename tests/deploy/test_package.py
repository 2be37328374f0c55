"""The zip: small, compiled for the runtime, the same bytes from the same tree."""

import importlib.util
import marshal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.bundle import MAX_BYTES, copy_code, make_zip
from deploy.package import Package
from local.fake_stripe import running_fake_stripe
from local.place import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deployment")]

UNCHECKED_HASH = 0b01
AARCH64 = 183  # EM_AARCH64
HEADER_BYTES = 16  # of a .pyc: magic number, flags, hash (PEP 552)
TAG = f".cpython-{sys.version_info.major}{sys.version_info.minor}.pyc"


@pytest.fixture(scope="module")
def host(packed: Package) -> zipfile.ZipFile:
    return zipfile.ZipFile(packed.zip)


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """What is deployed. The first one fetches the packages of another architecture."""
    return zipfile.ZipFile(make_zip(tmp_path_factory.mktemp("arm64") / "deployment.zip", "arm64"))


def shared_objects(archive: zipfile.ZipFile) -> dict[str, int]:
    """The machine that each library is for, by its name: e_machine of its ELF header."""
    found = {}
    for name in archive.namelist():
        if ".so" in Path(name).suffixes:
            header = archive.read(name)[:20]
            assert header[:4] == b"\x7fELF", name
            found[name] = struct.unpack_from("<H", header, 18)[0]
    return found


def test_every_library_of_the_deployed_zip_is_for_arm64(arm64: zipfile.ZipFile) -> None:
    found = shared_objects(arm64)
    assert any("pydantic_core" in name for name in found)
    assert set(found.values()) == {AARCH64}, found


def test_the_deployed_zip_is_small_and_has_the_same_code(
    arm64: zipfile.ZipFile, host: zipfile.ZipFile
) -> None:
    assert arm64.filename is not None
    assert Path(arm64.filename).stat().st_size < MAX_BYTES

    def sources(archive: zipfile.ZipFile) -> set[str]:
        return {name for name in archive.namelist() if name.endswith(".py")}

    assert sources(arm64) == sources(host)


def test_it_is_below_fifteen_megabytes(packed: Package) -> None:
    assert packed.zip.stat().st_size < MAX_BYTES == 15_000_000


def test_every_source_has_its_bytecode_which_is_not_checked(host: zipfile.ZipFile) -> None:
    names = set(host.namelist())
    assert "app.py" in names
    for name in names:
        if name.endswith(".py"):
            folder, _, file = name.rpartition("/")
            compiled = "/".join(
                filter(None, [folder, "__pycache__", file.removesuffix(".py") + TAG])
            )
            header = host.read(compiled)[:8]
            assert header[:4] == importlib.util.MAGIC_NUMBER
            assert int.from_bytes(header[4:8], "little") == UNCHECKED_HASH, compiled


def test_bytecode_names_the_place_where_it_runs(host: zipfile.ZipFile) -> None:
    compiled = [name for name in host.namelist() if name.endswith(TAG)]
    places = {marshal.loads(host.read(name)[HEADER_BYTES:]).co_filename for name in compiled}
    assert "/var/task/app.py" in places
    assert all(place.startswith("/var/task/") for place in places)


def test_only_the_models_in_use_go_along(host: zipfile.ZipFile) -> None:
    models = {name.split("/")[2] for name in host.namelist() if name.startswith("botocore/data/")}
    assert {one for one in models if not one.endswith(".json")} == {"dynamodb", "kms"}
    assert {"endpoints.json", "partitions.json", "sdk-default-configuration.json"} <= models


def test_what_lambda_does_not_run_stays_here(host: zipfile.ZipFile) -> None:
    rooms = {name.split("/")[0] for name in host.namelist()}
    for unwanted in ("pip", "setuptools", "click", "yaml", "tests", "local", "deploy", "bin"):
        assert unwanted not in rooms
    chalice = {name for name in host.namelist() if name.startswith("chalice/")}
    assert {name for name in chalice if name.endswith(".py")} == {
        "chalice/__init__.py",
        "chalice/app.py",
    }


def test_what_is_in_it_asks_stripe(host: zipfile.ZipFile, tmp_path: Path) -> None:
    """Without the SDK's types of parameters, which fill two megabytes."""
    assert not any(name.startswith("stripe/params/") for name in host.namelist())
    host.extractall(tmp_path)
    with running_fake_stripe() as fake:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", ASKS, str(tmp_path), fake.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (0, "()\n"), ran.stderr


ASKS = """
import sys
sys.path[:] = [sys.argv[1], *[p for p in sys.path if "site-packages" not in p]]
from chalicelib.stripe_adapter.calls import StripeCalls
from chalicelib.stripe_adapter.credentials import Credentials
import stripe
assert stripe.__file__.startswith(sys.argv[1])
credentials = Credentials(api_key="sk_" + "test_acme_1", livemode=False)
print(StripeCalls(credentials, api_base=sys.argv[2]).page("event").rows)
"""


def test_what_is_not_python_goes_along(host: zipfile.ZipFile) -> None:
    assert any(
        name.startswith("chalicelib/tracker/") and not name.endswith((".py", ".pyc"))
        for name in host.namelist()
    )


def test_each_package_brings_its_licence(host: zipfile.ZipFile) -> None:
    """Where its wheel has one; each says its version."""
    infos = {name.split("/")[0] for name in host.namelist() if ".dist-info/" in name}
    assert {one.split("-")[0] for one in infos} >= {"boto3", "botocore", "chalice", "stripe"}
    for info in infos:
        files = [name.upper() for name in host.namelist() if name.startswith(f"{info}/")]
        assert f"{info}/METADATA".upper() in files
        assert any("LICEN" in one or "COPYING" in one for one in files), info


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    """Wherever it lies, and whenever it was written."""
    made = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        source = REPOSITORY if name == "here" else tmp_path / "here"
        copy_code(source, tmp_path / name)
        made.append(make_zip(tmp_path / f"{name}.zip", "host", project=tmp_path / name))
    assert made[0].read_bytes() == made[1].read_bytes()
