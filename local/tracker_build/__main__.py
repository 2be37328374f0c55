"""`python -m local.tracker_build`: install the pinned minifier and build every variant.

Needs Node 20 or newer, npm and, for the first run, a network. What it writes to
`chalicelib/tracker/built/` is committed, so nobody else needs any of this.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            print(f"{tool} is needed to build the tracker and is not on the PATH", file=sys.stderr)
            return 1
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["node", "build.mjs"]):
        finished = subprocess.run(command, cwd=HERE, timeout=300, check=False)
        if finished.returncode:
            return finished.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
