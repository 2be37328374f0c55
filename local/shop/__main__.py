"""python -m local.shop --port 8000 --state-dir .local

`--port` is the app's; the shop takes the second after it.
"""

import argparse
import logging
import signal
from pathlib import Path

from local.place import HOST, Place
from local.shop.doors import Shop
from local.web_server import WebServer

WORKERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description="The demo shop.")
    parser.add_argument("--port", type=int, required=True, help="the app's port")
    parser.add_argument("--state-dir", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    place = Place(port=asked.port, state_dir=asked.state_dir.resolve())
    server = WebServer(HOST, place.ports["shop"], Shop(place).answer, workers=WORKERS)
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    server.serve_forever()


if __name__ == "__main__":
    main()
