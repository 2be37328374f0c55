"""Speed, memory and cost, measured here and now.

    python -m local.bench                              # everything; writes bench.json
    python -m local.bench units load [--report FILE]   # some parts; writes what they measured

Prints a table per part, and at the end which of the limits are broken: then it exits with 1.
"""

import argparse
import json
import sys
from pathlib import Path

from local.bench.parts import PARTS, Bench
from local.bench.report import broken, whole
from local.place import REPOSITORY


def main() -> int:
    asked = _arguments()
    with Bench() as bench:
        for name in asked.parts or PARTS:
            sys.stdout.write(f"\n{name}\n{PARTS[name](bench)}\n")
            sys.stdout.flush()
        report = bench.report if asked.parts else whole(bench.report)
    file = asked.report or (None if asked.parts else REPOSITORY / "bench.json")
    if file:
        file.write_text(json.dumps(report, indent=2) + "\n")
    over = broken(report)
    sys.stdout.write("\n" + ("\n".join(over) or "Every limit is kept.") + "\n")
    return 1 if over else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART")
    parser.add_argument("--report", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
