"""`python -m local.fake_stripe --port 8001 [--host 127.0.0.1] [--state FILE]`.

Says where it listens when it is ready, and ends on SIGTERM or SIGINT with its state saved.
"""

import argparse
import signal
import threading
from pathlib import Path

from .fake import FakeStripe
from .server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.fake_stripe", description="A fake Stripe.")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", type=Path, help="file that keeps the state between runs")
    parser.add_argument("--settle-seconds", type=int, default=3, help="how long delayed ones take")
    parser.add_argument("--no-check", action="store_true", help="do not check answers")
    asked = parser.parse_args()
    done = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: done.set())
    fake = FakeStripe(
        check=not asked.no_check, settle_seconds=asked.settle_seconds, state_file=asked.state
    )
    with serve(fake, host=asked.host, port=asked.port):
        print(f"The fake Stripe is ready on {fake.url}", flush=True)
        done.wait()


if __name__ == "__main__":
    main()
