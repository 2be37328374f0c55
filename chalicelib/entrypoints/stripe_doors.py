"""Stripe's doors."""

from chalice.app import Blueprint, Response

from chalicelib import flows
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import JSON, answering, header, ok, raw_body
from chalicelib.log import log

doors = Blueprint(__name__)
SECONDS = 8.0  # then what is still owed is left to the sweeper, and Stripe gets its answer


@doors.route(
    "/stripe/webhooks/{connection}",
    methods=["POST"],
    content_types=[JSON, "application/json; charset=utf-8", "text/plain"],
)
@answering("webhook")
def post_webhook(connection: str) -> Response:
    """200 once the event is safely in the inbox and handled, ignored or marked as failed."""
    request = doors.current_request
    house = wiring.stores()
    received = flows.receive_webhook.receive_webhook(
        connection,
        raw_body(request),
        header(request, "stripe-signature"),
        store=house.store,
        connections=house.connections,
        now=wiring.now(),
        until=wiring.deadline(SECONDS),
    )
    log(
        "webhook",
        received.state,
        type=received.type,
        event=received.event,
        connection=connection,
        because=received.because,
        program=received.program,
        mode=received.mode,
    )
    return ok({"state": received.state, "reason": received.because})
