"""The website's doors: tracker, click, sign-up, short link. No key, any origin, no error shown."""

import json

from chalice.app import Blueprint, Response

from chalicelib import flows
from chalicelib.core.refusals import Invalid, NotFound, Unavailable
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import JSON, answering, base_url, header, query, raw_body
from chalicelib.flows.record_click import record_click
from chalicelib.log import log

doors = Blueprint(__name__)
TEXT = ["text/plain", JSON, "application/x-www-form-urlencoded", "application/octet-stream"]
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
SCRIPT = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=604800",
    "Cross-Origin-Resource-Policy": "cross-origin",
    **ANY_ORIGIN,
}


@doors.route("/t/{file}", methods=["GET"])
@answering("tracker")
def serve_tracker(file: str) -> Response:
    """``{program_id}.js``, or ``{program_id}.debug.js``."""
    request = doors.current_request
    program_id, _, kind = file.partition(".")
    if kind not in ("js", "debug.js"):
        raise NotFound("There is no such script.")
    program, _ = wiring.stores().programs.get(program_id)
    if program is None:
        raise NotFound("There is no such program.")
    text, etag = flows.show_tracker.show_tracker(
        program, base_url=base_url(request), now=wiring.now_ms(), debug=kind == "debug.js"
    )
    if _matches(header(request, "if-none-match"), etag):
        return Response(body="", status_code=304, headers={**SCRIPT, "ETag": etag})
    return Response(body=text, headers={**SCRIPT, "ETag": etag})


def _matches(asked: str, etag: str) -> bool:
    """``If-None-Match`` as caches send it: a list, weak where something compressed the answer."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in asked.split(","))


@doors.route("/t/click", methods=["POST"], content_types=TEXT)
def post_click() -> Response:
    """Always 204: what became of the click stands in ``X-Refledger``."""
    request = doors.current_request
    try:
        house = wiring.stores()
        recorded = record_click(
            raw_body(request),
            user_agent=header(request, "user-agent"),
            store=house.visits,
            programs=house.programs,
            now=wiring.now_ms(),
        )
        because = recorded.because
    except Unavailable:
        because = "the store is busy"
    except Exception as error:
        log("click", "bug", error=type(error).__name__)
        because = "something broke on our side"
    told = f"ignored; {because}" if because else "recorded"
    log("click", "ignored" if because else "recorded", because=because)
    exposed = {"Access-Control-Expose-Headers": "X-Refledger", "X-Refledger": told}
    return Response(body="", status_code=204, headers={**ANY_ORIGIN, **exposed})


@doors.route("/t/signup", methods=["POST"], content_types=TEXT)
def post_sign_up() -> Response:
    response = _sign_up()
    response.headers.update(ANY_ORIGIN)
    return response


@answering("signup")
def _sign_up() -> Response:
    request = doors.current_request
    house = wiring.stores()
    if len(raw_body(request)) > flows.sign_up.MAX_BODY_BYTES:
        raise Invalid({"body": ["This is larger than 8 kB."]})
    try:
        body = json.loads(raw_body(request))
    except (ValueError, RecursionError) as error:
        raise Invalid({"body": ["This is not JSON."]}) from error
    told = flows.sign_up.read_sign_up(body)
    flows.sign_up.sign_up(
        told,
        store=house.store,
        programs=house.programs,
        sealer=house.sealer,
        now=wiring.now_ms(),
    )
    return Response(
        body=json.dumps({"data": {"key": told.key}, "status": 1}),
        headers={"Content-Type": JSON, "Cache-Control": "no-store"},
    )


@doors.route("/r/{program}/{partner}", methods=["GET", "HEAD"])
@answering("link")
def get_link(program: str, partner: str) -> Response:
    """302 to the program's own site or one of its registered Payment Links. HEAD, which link
    checkers and previews send, is no visit."""
    request = doors.current_request
    house = wiring.stores()
    followed = flows.follow_link.follow_link(
        program,
        partner,
        query(request).get("to", ""),
        user_agent=header(request, "user-agent"),
        visit=request.method == "GET",
        referrer=header(request, "referer"),
        store=house.visits,
        programs=house.programs,
        now=wiring.now_ms(),
    )
    because = followed.recorded.because
    told = f"ignored; {because}" if because else "recorded"
    return Response(
        body="",
        status_code=302,
        headers={
            "Location": followed.location,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer-when-downgrade",
            "X-Refledger": told,
            "X-Robots-Tag": "noindex, nofollow",
        },
    )
