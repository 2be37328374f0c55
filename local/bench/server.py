"""One app behind the local server, without schedules and streams.

python -m local.bench.server --app app --port 8000
"""

import argparse
import importlib
import signal
from datetime import UTC, datetime
from typing import Any

from local.gateway import Gateway
from local.http_wire import Answer, Request
from local.place import HOST
from local.web_server import WebServer

READY = "/_ready"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--app", required=True, help="the module that has `app`")
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    gateway = Gateway(
        importlib.import_module(asked.app).app,
        base_url="https://refer.example.com",
        clock=lambda: datetime.now(UTC),
    )

    def answer(request: Request) -> Answer:
        return Answer(status=200) if request.target == READY else gateway.answer(request)

    server = WebServer(HOST, asked.port, answer)

    def stop(*_: Any) -> None:
        server.shutdown()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
