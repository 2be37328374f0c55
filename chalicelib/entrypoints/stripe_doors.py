"""Stripe's doors: its webhooks, and the way to Stripe and back by OAuth (``oauth_doors``)."""

from typing import TYPE_CHECKING

from chalice.app import Blueprint, Response

from chalicelib import flows
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import JSON, answering, header, ok, raw_body
from chalicelib.log import log

if TYPE_CHECKING:
    from chalicelib.flows.receive_webhook import Received

doors = Blueprint(__name__)
STATES = ("failed", "handled", "ignored", "duplicate")  # of several the first is answered
SECONDS = 8.0  # then what is still owed is left to the sweeper, and Stripe gets its answer


@doors.route(
    "/stripe/webhooks/{connection}",
    methods=["POST"],
    content_types=[JSON, "application/json; charset=utf-8", "text/plain"],
)
@answering("webhook")
def post_webhook(connection: str) -> Response:
    """200 once the event is safely in the inbox and handled, ignored or marked as failed. The
    connection ``connect`` stands for all that were made by OAuth."""
    if connection == "connect":
        return _connect_webhook()
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
    _log(received, connection)
    return ok({"state": received.state, "reason": received.because})


@doors.route("/stripe/oauth/start", methods=["GET"])
def get_oauth_start() -> Response:
    from chalicelib.entrypoints.oauth_doors import show_start

    return show_start(doors.current_request)


@doors.route(
    "/stripe/oauth/start", methods=["POST"], content_types=["application/x-www-form-urlencoded"]
)
def post_oauth_start() -> Response:
    from chalicelib.entrypoints.oauth_doors import press_start

    return press_start(doors.current_request)


@doors.route("/stripe/oauth/callback", methods=["GET"])
def get_oauth_callback() -> Response:
    from chalicelib.entrypoints.oauth_doors import take_answer

    return take_answer(doors.current_request)


def _connect_webhook() -> Response:
    request = doors.current_request
    house = wiring.stores()
    received = flows.receive_connect_webhook.receive_connect_webhook(
        raw_body(request),
        header(request, "stripe-signature"),
        store=house.store,
        secrets=house.connect_secrets,
        now=wiring.now(),
        until=wiring.deadline(SECONDS),
        say=lambda received: _log(received, "connect"),
    )
    worst = min(received, key=lambda one: STATES.index(one.state))
    return ok({"state": worst.state, "reason": worst.because})


def _log(received: "Received", connection: str) -> None:
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
