"""Makes the virtual environments that the make targets need; does nothing when they are ready.

    python3 local/bootstrap.py run | dev

`run` is what `make run` needs: `.venv` with requirements-local.txt, and `.venv-ministack`. `dev`
has the tests' tools besides. Each environment carries a stamp of what it was made from, so a second
call takes a tenth of a second. Kept plain, so that an older Python can read it and say what is
wrong.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
HERE = Path(__file__).resolve().parent.parent
INCLUDED = ("requirements.txt", "requirements-local.txt")
ENVIRONMENTS = {
    "run": [(".venv", "requirements-local.txt"), (".venv-ministack", "requirements-ministack.txt")],
    "dev": [(".venv", "requirements-dev.txt"), (".venv-ministack", "requirements-ministack.txt")],
}


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit(f"Refledger needs Python 3.11 or newer; this is {found}. Set PYTHON to one.")
    if len(sys.argv) != 2 or sys.argv[1] not in ENVIRONMENTS:
        sys.exit("usage: bootstrap.py run|dev")
    import fcntl  # two first starts side by side must not install into one folder

    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for environment, requirements in ENVIRONMENTS[sys.argv[1]]:
            make_ready(HERE / environment, requirements)


def make_ready(folder: Path, requirements: str) -> None:
    """Leave `folder` with what `requirements` names, or end with a sentence."""
    python = folder / "bin" / "python"
    version = version_of(python)
    if version and is_ready(folder, requirements, version):
        return
    if not version:
        print(f"Making {folder.name} …", flush=True)
        attempt(
            [sys.executable, "-m", "venv", "--clear", folder],
            f"{folder.name} could not be made. On Debian and Ubuntu: apt-get install python3-venv",
        )
    print(f"Installing {requirements} into {folder.name} …", flush=True)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    attempt(
        [*pip, "-r", HERE / requirements],
        f"{requirements} could not be installed; pip said why above.",
    )
    made_from = fingerprint(requirements, version_of(python))
    stamp_file(folder, requirements).write_text(made_from)


def is_ready(folder: Path, requirements: str, version: str) -> bool:
    """What is stamped for development serves to run, too, if the pins are the same."""
    wider = {"requirements-local.txt": ["requirements-dev.txt"]}
    for one in [requirements, *wider.get(requirements, [])]:
        stamp = stamp_file(folder, one)
        if stamp.exists() and stamp.read_text() == fingerprint(one, version):
            return True
    return False


def stamp_file(folder: Path, requirements: str) -> Path:
    return folder / f".made-from-{requirements}"


def fingerprint(requirements: str, version: str) -> str:
    """Changes with the pins, those of the included files too, and with the Python inside."""
    digest = hashlib.sha256(version.encode())
    for name in (requirements, *INCLUDED):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def version_of(python: Path) -> str:
    """Empty where the interpreter is missing, too old, or the one it was made from is gone."""
    if not python.exists():
        return ""
    ask = "import sys; print(sys.version if sys.version_info >= (3, 11) else '')"
    asked = subprocess.run(
        [str(python), "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return asked.stdout.decode().strip()


def attempt(command: list, sentence: str) -> None:
    if subprocess.call([str(part) for part in command]) != 0:
        sys.exit(sentence)


if __name__ == "__main__":
    main()
