"""Connect OAuth's doors: the page where an account's owner says yes or no, and the two calls that a
platform makes. The rules are in `connect`.

GET  /oauth/authorize    the page; POST /oauth/authorize is its form
POST /oauth/token        {"grant_type", "code" | "refresh_token"}, with the platform's secret key
POST /oauth/deauthorize  {"client_id", "stripe_user_id"}, with the same
Source: docs.stripe.com/connect/oauth-reference.
"""

import json
from functools import partial
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from ..api import Answer, ill
from ..connect import SCOPES
from ..errors import OAuthRefusal, StripeRefusal
from ..keys import LIVE, account_name, key_of
from ..world import Object, World
from . import html
from .pages import html_answer, redirect

if TYPE_CHECKING:
    from ..fake import FakeStripe

DENIED = "The user denied your request"


def answer(
    fake: "FakeStripe", method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Answer:
    """One request below `/oauth/`."""
    with fake.lock:
        return ill(fake, method, path, partial(_answer, fake, method, path, query, headers, body))


def _answer(
    fake: "FakeStripe", method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Answer:
    asked = _fields(query)
    form = _fields(body.decode("utf-8", "replace")) if method == "POST" else {}
    try:
        match method, path:
            case "GET", "/oauth/authorize":
                return _page(fake, asked)
            case "POST", "/oauth/authorize":
                return _decided(fake, form)
            case "POST", "/oauth/token":
                return _json(200, _token(fake, headers, form))
            case "POST", "/oauth/deauthorize":
                return _json(200, _deauthorize(fake, headers, form))
    except (OAuthRefusal, StripeRefusal) as refusal:
        return _json(refusal.status, refusal.body)
    finally:
        if method == "POST":
            fake.touched()
    return _json(404, StripeRefusal(f"Unrecognized request URL ({method}: {path}).").body)


# -- the browser's half ------------------------------------------------------------------------


def _page(fake: "FakeStripe", asked: dict[str, str]) -> Answer:
    platform, target = _checked(fake, asked)
    wrong = _wrong(asked)
    if wrong is not None:
        return redirect(_with(target, wrong | _state(asked)))
    kept = {k: v for k, v in asked.items() if k in _KEPT}
    mode = "live" if platform["world"].endswith(LIVE) else "test"
    return html_answer(200, html.authorize_page(platform["name"], mode, kept))


_KEPT = ("client_id", "redirect_uri", "response_type", "scope", "state")


def _decided(fake: "FakeStripe", form: dict[str, str]) -> Answer:
    platform, target = _checked(fake, form)
    wrong = _wrong(form)
    if wrong is None and form.get("decision") != "approve":
        wrong = {"error": "access_denied", "error_description": DENIED}
    if wrong is not None:
        return redirect(_with(target, wrong | _state(form)))
    scope = form.get("scope") or "read_write"
    try:
        code = fake.connect.approve(
            platform["client_id"], form.get("account", ""), scope=scope, redirect_uri=target
        )
    except ValueError as unfit:
        return html_answer(422, html.said_page("Not possible", f"{unfit}".capitalize() + "."))
    return redirect(_with(target, {"scope": scope, "code": code} | _state(form)))


def _checked(fake: "FakeStripe", asked: dict[str, str]) -> tuple[Object, str]:
    """The platform and where the browser goes back to. Without both there is no way back, so the
    refusal is shown here."""
    platform = fake.connect.platform(asked.get("client_id", ""))
    if platform is None:
        raise OAuthRefusal(
            "invalid_client", "No application matches the supplied client identifier"
        )
    registered = platform["redirect_uris"]
    target = asked.get("redirect_uri") or (registered[0] if registered else "")
    if target not in registered:
        raise OAuthRefusal(
            "invalid_redirect_uri",
            f"Invalid redirect URI '{escape(target)}'. Ensure this URI exactly matches one of the "
            "URIs specified in your application settings.",
        )
    return platform, target


def _wrong(asked: dict[str, str]) -> dict[str, str] | None:
    """What is told to the platform by redirect."""
    if asked.get("response_type", "code") != "code":
        return {
            "error": "unsupported_response_type",
            "error_description": "Only 'code' is supported as a response_type",
        }
    if (asked.get("scope") or "read_write") not in SCOPES:
        return {"error": "invalid_scope", "error_description": "Invalid scope"}
    if asked.get("scope") == "read_only":
        return {
            "error": "invalid_scope",
            "error_description": "The scope read_only is closed to new platforms",
        }
    return None


def _state(asked: dict[str, str]) -> dict[str, str]:
    return {"state": asked["state"]} if "state" in asked else {}


def _with(target: str, more: dict[str, str]) -> str:
    return f"{target}{'&' if '?' in target else '?'}{urlencode(more)}"


# -- the platform's half -----------------------------------------------------------------------


def _token(fake: "FakeStripe", headers: dict[str, str], form: dict[str, str]) -> Object:
    world = _caller(fake, headers, form)
    match form.get("grant_type"):
        case "authorization_code":
            if not form.get("code"):
                raise OAuthRefusal("invalid_request", "No authorization code specified")
            return fake.connect.exchange(world, form["code"])
        case "refresh_token":
            return fake.connect.refresh(world, form.get("refresh_token", ""))
        case None | "":
            raise OAuthRefusal("invalid_request", "No grant type specified")
        case other:
            raise OAuthRefusal("unsupported_grant_type", f"Unsupported grant type: {other}")


def _deauthorize(fake: "FakeStripe", headers: dict[str, str], form: dict[str, str]) -> Object:
    world = _caller(fake, headers, form)
    fake.connect.deauthorize(world, form.get("client_id", ""), form.get("stripe_user_id", ""))
    return {"stripe_user_id": form["stripe_user_id"]}


def _caller(fake: "FakeStripe", headers: dict[str, str], form: dict[str, str]) -> World:
    """The platform's side, by its key in the header or as `client_secret`."""
    key = form.get("client_secret") or key_of(headers.get("authorization", ""))
    if not key:
        raise OAuthRefusal(
            "invalid_client",
            "No authentication was provided. Send your secret API key using the Authorization "
            "header, or as a client_secret POST parameter.",
            401,
        )
    return fake.world(account_name(key, fake.ended_keys))


def _fields(text: str) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(text, keep_blank_values=True).items()}


def _json(status: int, value: Object) -> Answer:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Answer(status, json.dumps(value).encode(), headers)
