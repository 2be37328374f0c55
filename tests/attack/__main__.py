"""``make attack``: the API fuzzed with REQUESTS requests (20,000) from SEED (1)."""

import contextlib
import io
import os
import sys
import time

from tests.attack.fuzz import fuzz


def main() -> int:
    requests = int(os.environ.get("REQUESTS") or 20_000)
    seed = int(os.environ.get("SEED") or 1)
    print(f"{requests} requests from seed {seed} …", flush=True)
    begun = time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the app's log
            statuses = fuzz(requests, seed=seed)
    except BaseExceptionGroup as found:  # with the call as a curl line
        print(found)
        print(f"Again: SEED={seed} REQUESTS={requests} make attack")
        return 1
    seconds = time.monotonic() - begun
    for status, count in sorted(statuses.items()):
        print(f"  {status}  {count:>7}")
    print(f"{statuses.total()} requests in {seconds:.0f} s, no 5xx, every answer as described")
    return 0


if __name__ == "__main__":
    sys.exit(main())
