"""Finds a Chromium for the browser tests, and installs one where it may.

    python -m local.chromium --install

As root on Debian or Ubuntu it uses apt-get, elsewhere Playwright's own download. With `CI=true` a
browser that is still missing is a failure; otherwise the browser tests are skipped with a word.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
APT_WITHIN_SECONDS = 600
DOWNLOAD_WITHIN_SECONDS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--install", action="store_true", help="install one if none is found")
    asked = parser.parse_args()
    found = find()
    if found is None and asked.install:
        install()
        found = find()
    if found:
        print(f"Chromium: {found}")
    elif os.environ.get("CI") == "true":
        sys.exit("There is no Chromium, and none could be installed. With CI=true that is failure.")
    else:
        print("There is no Chromium, and none could be installed: browser tests are skipped.")


def find() -> str | None:
    """The path of a browser: the variable CHROMIUM, one on the PATH, or Playwright's."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return _from_playwright()


def install() -> None:
    """Try the system's package, then Playwright's download. Says nothing of success."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install_it = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        for command in (["apt-get", "update", "-qq"], install_it):
            _attempt(command, seconds=APT_WITHIN_SECONDS, environment=environment)
        if shutil.which("chromium"):
            return
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    if os.geteuid() == 0:
        command.insert(-1, "--with-deps")
    _attempt(command, seconds=DOWNLOAD_WITHIN_SECONDS, environment=dict(os.environ))


def _attempt(command: list[str], *, seconds: float, environment: dict[str, str]) -> None:
    try:
        subprocess.run(command, check=False, timeout=seconds, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]} did not work: {error}", file=sys.stderr)


def _from_playwright() -> str | None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


if __name__ == "__main__":
    main()
