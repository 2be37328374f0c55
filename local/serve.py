"""The app process of a local run: the Chalice app behind HTTP, its schedules, its streams.

    python -m local.serve --port 8000 --state-dir .local

Reads the same environment as the deployed functions do; `local/run.py` sets it. Makes missing
tables before it listens. Ends on SIGTERM, after the requests under way.
"""

import argparse
import importlib
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as AwsConfig

from local.clock import ShiftedClock
from local.control import PREFIX, Control
from local.gateway import NOT_FOUND, Gateway
from local.http_wire import Answer, Request
from local.operator_rows import operator_rows
from local.place import HOST, REPOSITORY, TABLE_VARIABLES, Place
from local.schedules import Schedules
from local.streams import Streams
from local.tables import RESOURCES, create_missing, table_definitions
from local.web_server import WebServer

_AWS = AwsConfig(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 4})


def main() -> None:
    asked = _arguments()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    place = Place(port=asked.port, state_dir=asked.state_dir.resolve())
    names = {logical_id: os.environ[name] for logical_id, name in TABLE_VARIABLES.items()}
    create_missing(boto3.client("dynamodb", config=_AWS), names, resources=asked.resources)
    clock = ShiftedClock(place.clock_file)
    wiring = importlib.import_module(asked.wiring)
    wiring.set_clock(clock)
    app = importlib.import_module(asked.app).app
    schedules = Schedules(app, clock=clock)
    streams = Streams(
        app,
        client=boto3.client("dynamodbstreams", config=_AWS),
        table_of=lambda arn: names[table_with_stream(arn, asked.resources)],
    )
    control = Control(
        clock=clock,
        schedules=schedules,
        streams=streams,
        stores=lambda: operator_rows(wiring.stores()),
        fake_stripe_url=place.fake_stripe_url,
    )
    gateway = Gateway(
        app,
        base_url=place.base_url,
        clock=clock,
        not_found=not_found_answer(asked.resources),
        minimum_compression_size=minimum_compression_size(),
    )

    def answer(request: Request) -> Answer:
        door = control if request.target.startswith(PREFIX) else gateway
        return door.answer(request)

    ticking = {"schedules": schedules.tick_until, "streams": streams.feed_until}
    if asked.feed:
        from local.feed import Feed

        ticking["feed"] = Feed(wiring.stores).look_until
    _serve(WebServer(HOST, place.port, answer), ticking)


def _serve(server: WebServer, ticking: Mapping[str, Callable[[threading.Event], None]]) -> None:
    stopping = threading.Event()
    loops = [
        threading.Thread(target=tick, args=[stopping], name=name) for name, tick in ticking.items()
    ]

    def stop(*_: Any) -> None:
        stopping.set()
        server.shutdown()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for loop in loops:
        loop.daemon = True
        loop.start()
    server.serve_forever()
    for loop in loops:
        loop.join(timeout=3)


def table_with_stream(stream_arn: str, resources: Path) -> str:
    """The logical id of the table a stream function listens to.

    The code's ARN is a placeholder that the deployed template overrides, so it is the one table
    with a stream; were there several, the one whose name the placeholder holds.
    """
    streaming = [
        logical_id
        for logical_id, properties in table_definitions(resources).items()
        if "StreamSpecification" in properties
    ]
    named = [one for one in streaming if one.removesuffix("Table").lower() in stream_arn.lower()]
    return (named or streaming)[0]


def not_found_answer(resources: Path) -> Mapping[str, Any]:
    """What the deployed API answers for an unknown path: its gateway response, if it has one."""
    for resource in json.loads(resources.read_text())["Resources"].values():
        answers = resource.get("Properties", {}).get("GatewayResponses", {})
        template = answers.get("MISSING_AUTHENTICATION_TOKEN", {}).get("ResponseTemplates", {})
        if "application/json" in template:
            told: Mapping[str, Any] = json.loads(template["application/json"])
            return told
    return NOT_FOUND


def minimum_compression_size() -> int | None:
    config = REPOSITORY / ".chalice" / "config.json"
    if not config.exists():
        return None
    size = json.loads(config.read_text()).get("minimum_compression_size")
    return size if isinstance(size, int) else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--app", default="app", help="the module that has `app`")
    parser.add_argument("--wiring", default="chalicelib.entrypoints.wiring")
    parser.add_argument("--resources", type=Path, default=RESOURCES)
    parser.add_argument("--feed", action="store_true", help="read Stripe's list of events")
    return parser.parse_args()


if __name__ == "__main__":
    main()
