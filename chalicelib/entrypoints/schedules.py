"""What runs by the clock or by a stream. Each is a Lambda function of its own, so nothing here
leans on ``app.py``."""

from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib import flows
from chalicelib.entrypoints import wiring
from chalicelib.log import log
from chalicelib.storage.store import Key

doors = Blueprint(__name__)
SECONDS = 240.0  # of the five minutes that .chalice/config.json gives a scheduled function
CLICKS_STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/placeholder/stream/placeholder"


@doors.schedule(Rate(1, unit=Rate.HOURS), name="mature_rewards")
def mature_rewards(event: CloudWatchEvent) -> dict[str, Any]:
    """Pending rewards whose hold has passed become payable."""
    house = wiring.stores()
    done = flows.mature_rewards.mature_rewards(
        store=house.store, now=wiring.now_ms(), until=wiring.deadline(SECONDS)
    )
    told = {
        "released": done.released,
        "stayed": done.stayed,
        "failed": done.failed,
        "finished": done.finished,
    }
    log("mature_rewards", "ran", **told)
    return told


@doors.schedule(Rate(1, unit=Rate.MINUTES), name="sweep")
def sweep(event: CloudWatchEvent) -> dict[str, Any]:
    """Work and events that were left undone are done."""
    house = wiring.stores()
    done = flows.sweep.sweep(
        store=house.store,
        connections=house.connections,
        now=wiring.now_ms(),
        until=wiring.deadline(SECONDS),
    )
    told = {
        "count": done.settled + done.handled,
        "failed": done.failed,
        "finished": done.finished,
        "waiting_minutes": flows.find_overdue.minutes_overdue(
            store=house.store, now=wiring.now_ms()
        ),
    }
    log("sweep", "ran", **told)
    return told


@doors.on_dynamodb_record(stream_arn=CLICKS_STREAM, batch_size=100, name="count_clicks")
def count_clicks(event: Any) -> dict[str, Any]:
    """New clicks are counted, and told to those who waited for them."""
    house = wiring.stores()
    clicks = [
        Key("clicks", str(record.keys["pk"]["S"]), str(record.keys["sk"]["S"]))
        for record in event
        if record.event_name == "INSERT"
    ]
    counted = flows.count_clicks.count_clicks(clicks, store=house.store, now=wiring.now_ms())
    log("count_clicks", "ran", count=counted)
    return {"count": counted}
