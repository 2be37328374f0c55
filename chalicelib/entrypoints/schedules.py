"""What runs by the clock or by a stream. Each is a Lambda function of its own, so nothing here
leans on ``app.py``."""

from functools import partial
from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib import flows
from chalicelib.entrypoints import wiring
from chalicelib.log import log
from chalicelib.storage.store import Key

doors = Blueprint(__name__)
SECONDS = 240.0  # of the five minutes that .chalice/config.json gives a scheduled function
JOB_SECONDS = 180.0  # the page under way then has two minutes more, however slow Stripe is
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


@doors.schedule(Rate(1, unit=Rate.MINUTES), name="run_jobs")
def run_jobs(event: CloudWatchEvent) -> dict[str, Any]:
    """What is asked of Stripe apart from any request: catching up, resolving, reconciling."""
    house = wiring.stores()
    done = flows.run_jobs.run_jobs(
        store=house.store,
        connections=house.connections,
        stripe=house.stripe,
        now=wiring.now_ms,
        until=wiring.deadline(JOB_SECONDS),
        look_after=partial(
            flows.keep_endpoint.keep_events,
            store=house.store,
            sealer=house.sealer,
            api_base=house.settings.stripe_api_base,
        ),
    )
    told = {"count": done.pages, "failed": done.failed, "finished": done.finished}
    log("run_jobs", "busy" if done.busy else "ran", **told)
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
