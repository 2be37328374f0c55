"""An app with every kind of door the runner has to serve. It stands for `wiring`, too."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
from chalice.app import Chalice, CORSConfig, Cron, Rate, Response

app = Chalice(app_name="tiny")
_clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
seen: list[str] = []


def set_clock(clock: Callable[[], datetime]) -> None:
    global _clock
    _clock = clock


class _Listing:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def list_all_for_operator(self) -> list[dict[str, Any]]:
        return self._rows


class _Stores:
    inbox = _Listing([{"id": "evt_1", "type": "invoice.paid", "state": "handled", "reason": ""}])
    work = _Listing([])


def stores() -> _Stores:
    return _Stores()


def _dynamo() -> Any:
    return boto3.client("dynamodb")


@app.route("/now")
def now() -> dict[str, Any]:
    return {"now": int(_clock().timestamp()), "pid": os.getpid()}


@app.route("/digest", methods=["POST"], content_types=["application/json", "text/plain", "x/y"])
def digest() -> dict[str, Any]:
    body = app.current_request.raw_body
    return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}


@app.route("/event/{one}/literal")
def event(one: str) -> dict[str, Any]:
    return {"one": one, "event": app.current_request.to_original_event()}


@app.route("/event/fixed/literal")
def fixed_event() -> dict[str, Any]:
    return {"one": "the literal route"}


@app.route("/cookies")
def cookies() -> Response:
    return Response(
        body="<p>" + "ü" * 2_000,
        headers={"Set-Cookie": ["a=1; Path=/", "b=2; Path=/"], "Content-Type": "text/html"},
    )


@app.route("/nothing", methods=["POST"], content_types=["text/plain"])
def nothing() -> Response:
    return Response(body="", status_code=204, headers={"X-Refledger": "recorded"})


@app.route("/open", cors=CORSConfig(allow_origin="*"))
def open_to_all() -> dict[str, Any]:
    return {}


@app.route("/broken")
def broken() -> dict[str, Any]:
    raise RuntimeError("on purpose")


@app.route("/items/{key}", methods=["GET", "PUT"])
def items(key: str) -> dict[str, Any]:
    table = os.environ["REFLEDGER_CLICKS_TABLE"]
    if app.current_request.method == "PUT":
        _dynamo().put_item(TableName=table, Item={"pk": {"S": key}, "sk": {"S": "-"}})
    found = _dynamo().get_item(TableName=table, Key={"pk": {"S": key}, "sk": {"S": "-"}})
    return {"there": "Item" in found, "seen": key in seen}


@app.schedule(Rate(5, unit=Rate.MINUTES))
def sweep(event: Any) -> dict[str, Any]:
    return {"at": event.to_dict()["time"]}


@app.schedule(Cron(0, "*", "*", "*", "?", "*"))
def failing(event: Any) -> None:
    raise RuntimeError("on purpose")


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:us-east-1:000000000000:table/clicks/stream/placeholder",
    batch_size=2,
)
def count_clicks(event: Any) -> None:
    for record in event:
        seen.append(record.new_image["pk"]["S"])
