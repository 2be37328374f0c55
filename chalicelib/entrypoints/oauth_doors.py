"""Connecting a Stripe account by OAuth: the page that a one-time link opens, its button, and
Stripe's way back. What a person reads is a page; the merchant's server asks for links by API.

The routes stand in ``stripe_doors`` and ``api_connections``, which import this when one of them is
asked for: a process that serves clicks or webhooks does without."""

import functools
import re
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from chalice.app import Request, Response

from chalicelib import flows
from chalicelib.core.refusals import Invalid, Refusal, Unavailable
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import (
    address,
    header,
    json_body,
    ok,
    query,
    raw_body,
    where_of,
)
from chalicelib.entrypoints.api_shapes import moment
from chalicelib.log import log
from chalicelib.storage.keys import Scope

COOKIE = "__Host-refledger-oauth"
COOKIE_SECONDS = 3600  # a link and a state take ten minutes each; then a page may be loaded again
BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_FORM_BYTES = 4096


Handler = Callable[[Request], Response]


def paged(handler: Handler) -> Handler:
    """A door for people: refusals and bugs are pages, too."""

    @functools.wraps(handler)
    def answered(request: Request) -> Response:
        from chalicelib.entrypoints.oauth_pages import stopped_page

        try:
            response = handler(request)
        except Refusal as refusal:
            word = getattr(refusal, "word", refusal.code)
            log("oauth", "refused", status=refusal.status, because=word)
            busy = isinstance(refusal, Unavailable)
            title = "Try again in a minute" if busy else "Not connected"
            then = getattr(refusal, "next", "Load this page again in a minute." if busy else "")
            return stopped_page(title, refusal.message, then, status=refusal.status)
        except Exception as error:
            log("oauth", "bug", status=500, error=type(error).__name__, where=where_of(error))
            said = "Something broke on our side. It was noted."
            return stopped_page("Not connected", said, status=500)
        log("oauth", "answered", status=response.status_code)
        return response

    return answered


@paged
def show_start(request: Request) -> Response:
    """The page that names the program. It spends nothing, so that whatever looks at links may."""
    from chalicelib.entrypoints.oauth_pages import start_page

    asked = query(request)
    program, code = asked.get("program", ""), asked.get("code", "")
    house = wiring.stores()
    browser = _browser(request) or secrets.token_urlsafe(32)
    start = flows.start_oauth.look_at_start(
        program, code, browser=browser, store=house.store, now=wiring.now_ms()
    )
    at = address(request)
    stripe = " ".join(filter(None, ["https://*.stripe.com", house.settings.stripe_api_base]))
    return start_page(
        start.program,
        start.mode,
        base_url=at,
        hidden={
            "program": program,
            "code": code,
            "token": flows.start_oauth.page_token(browser, code),
        },
        form_action=f"'self' {_origin(at)} {stripe}",
        cookies=[_cookie(browser)],
    )


@paged
def press_start(request: Request) -> Response:
    """The page's button: the code is spent, and the browser goes on to Stripe."""
    form = _form(request)
    program, code = form.get("program", ""), form.get("code", "")
    browser = _browser(request)
    flows.start_oauth.check_page(browser, code, form.get("token", ""))
    house = wiring.stores()
    location = flows.start_oauth.begin_oauth(
        program,
        code,
        browser=browser,
        redirect_uri=f"{address(request)}/stripe/oauth/callback",
        provider=house.oauth_provider,
        store=house.store,
        sealer=house.sealer,
        now=wiring.now_ms(),
    )
    return Response(
        body="",
        status_code=303,
        headers={
            "Location": location,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Set-Cookie": [_cookie(browser)],
        },
    )


@paged
def take_answer(request: Request) -> Response:
    """Stripe's way back: the account is connected, or the page says why not and what to do."""
    from chalicelib.entrypoints.oauth_pages import connected_page

    told = query(request)
    house = wiring.stores()
    finished = flows.finish_oauth.finish_oauth(
        flows.finish_oauth.Answer(
            state=told.get("state", ""),
            code=told.get("code", ""),
            error=told.get("error", ""),
            description=told.get("error_description", ""),
        ),
        browser=_browser(request),
        provider=house.oauth_provider,
        store=house.store,
        sealer=house.sealer,
        now=wiring.now_ms(),
        api_base=house.settings.stripe_api_base,
    )
    connection = finished.connection
    log(
        "oauth",
        "duplicate" if finished.again else "connected",
        program=finished.program.id,
        connection=connection.id,
        mode=connection.scope.mode,
    )
    return connected_page(
        finished.program,
        connection.scope.mode,
        base_url=address(request),
        account=connection.account,
        name=connection.account_name,
        connection=connection.id,
    )


def make_link(scope: Scope, request: Request) -> Response:
    """A one-time link to the page, for a program whose server has it opened by a person."""
    if json_body(request) != {}:
        raise Invalid({"body": ["Nothing is asked for here: send {}."]})
    house, now = wiring.stores(), wiring.now_ms()
    code = flows.start_oauth.make_start_code(
        scope.program, mode=scope.mode, store=house.store, now=now
    )
    link = flows.start_oauth.start_link(address(request), scope.program, code)
    expires_at = moment(now + flows.start_oauth.CODE_MS)
    return ok({"link": link, "mode": scope.mode, "expires_at": expires_at}, status=201)


def _form(request: Request) -> dict[str, str]:
    raw = raw_body(request)[:MAX_FORM_BYTES].decode("ascii", "replace")
    return {name: values[-1] for name, values in parse_qs(raw).items()}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _browser(request: Request) -> str:
    """The secret that this browser keeps, or an empty string."""
    for pair in header(request, "cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and BROWSER.fullmatch(value):
            return value
    return ""


def _cookie(browser: str) -> str:
    return f"{COOKIE}={browser}; Path=/; Max-Age={COOKIE_SECONDS}; Secure; HttpOnly; SameSite=Lax"
