"""The webhook endpoint that Stripe tells us by: made, found again, changed and removed.

https://docs.stripe.com/api/webhook_endpoints. The secret stands in the answer to its making, and
nowhere after. The API version cannot be changed later. An account takes 16.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.refusals import Invalid, StripeAway, TooManyEndpoints
from chalicelib.stripe_adapter.client import WAITED_FOR, Line
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.failures import Failure
from chalicelib.stripe_adapter.pace import Pacer
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

EVENTS = frozenset(ENABLED_EVENTS)
OURS = "refledger_connection"
MOST_ENDPOINTS = 16
MOST_PAGES = 5  # of 100, where Stripe lets an account have more
_PATH = "/v1/webhook_endpoints"
_ID = re.compile(r"we_[A-Za-z0-9_]{1,250}")
_FULL = re.compile(r"maximum (?:number )?of (?:(\d+) )?(?:\w+ )?webhook endpoints", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """``secret`` only from ``make``."""

    id: str
    url: str
    events: frozenset[str]
    enabled: bool
    api_version: str
    secret: str = field(default="", repr=False)


def make(
    credentials: Credentials,
    *,
    url: str,
    events: Iterable[str],
    connection: str,
    attempt: str,
    api_base: str = "",
    pacer: Pacer | None = None,
) -> Endpoint:
    """A new endpoint in the SDK's API version, with its secret. The same ``attempt`` in the same
    words within a day gives the same endpoint and the same secret.

    Raises ``TooManyEndpoints``, ``Invalid`` for an address that Stripe does not take,
    ``PermissionMissing``, ``KeyRefused``, ``StripeAway``.
    """
    import stripe

    line = _line(credentials, api_base, pacer)
    params = {
        "url": url,
        "enabled_events": sorted(events),
        "api_version": stripe.api_version,
        "description": "Refledger",
        "metadata": {OURS: connection},
    }
    said = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]
    key = f"refledger-{connection}-{attempt}-{said}"
    answer = line.ask("post", _PATH, params, idempotency_key=key)
    if isinstance(answer, Failure):
        raise _not_made(line, answer)
    return _read(answer)


def find_ours(
    credentials: Credentials, *, connection: str, api_base: str = "", pacer: Pacer | None = None
) -> tuple[Endpoint, ...]:
    """Those that were made for this connection, newest first; never their secrets."""
    line = _line(credentials, api_base, pacer)
    found: list[Endpoint] = []
    params: dict[str, Any] = {"limit": 100}
    for _ in range(MOST_PAGES):
        rows, more = line.page(_PATH, params)
        found += [_read(row) for row in rows if (row.get("metadata") or {}).get(OURS) == connection]
        if not more or not rows:
            break
        params["starting_after"] = rows[-1]["id"]
    return tuple(found)


def change(
    credentials: Credentials,
    id: str,
    *,
    events: Collection[str] | None = None,
    url: str | None = None,
    enabled: bool | None = None,
    api_base: str = "",
    pacer: Pacer | None = None,
) -> Endpoint:
    """Whatever is given is set. Raises ``StripeRefused`` (``stripe_code`` resource_missing) for one
    that is gone, and as ``make``."""
    params: dict[str, Any] = {}
    if events is not None:
        params["enabled_events"] = sorted(events)
    if url is not None:
        params["url"] = url
    if enabled is not None:
        params["disabled"] = not enabled
    line = _line(credentials, api_base, pacer)
    answer = line.ask("post", _path(id), params)
    if isinstance(answer, Failure):
        raise _not_made(line, answer)
    return _read(answer)


def remove(
    credentials: Credentials, id: str, *, api_base: str = "", pacer: Pacer | None = None
) -> None:
    """Gone already is fine."""
    line = _line(credentials, api_base, pacer)
    answer = line.ask("delete", _path(id))
    if isinstance(answer, Failure) and answer.status != 404:
        raise line.refusal(answer)


def _line(credentials: Credentials, api_base: str, pacer: Pacer | None) -> Line:
    return Line(credentials, api_base=api_base, pacer=pacer, patience=WAITED_FOR)


def _path(id: str) -> str:
    assert _ID.fullmatch(id), "not a webhook endpoint's id"
    return f"{_PATH}/{id}"


def _not_made(line: Line, failure: Failure) -> Exception:
    """Stripe gives the limit no code of its own, only a sentence."""
    full = _FULL.search(failure.said) if failure.status == 400 else None
    if full:
        return TooManyEndpoints(
            f"This Stripe account has {full[1] or MOST_ENDPOINTS} webhook endpoints, as many as"
            " Stripe allows. Remove one that is not needed, in Stripe under Developers, Webhooks,"
            " and try again; nothing was made."
        )
    if failure.status == 400 and failure.param == "url":
        sentence = (
            "Stripe does not take this address for its webhooks. It must be reachable from the"
            " internet, and in live mode begin with https://."
        )
        return Invalid({"url": [sentence]}, sentence)
    return line.refusal(failure)


def _read(row: dict[str, Any]) -> Endpoint:
    id, url = row.get("id"), row.get("url")
    if not isinstance(id, str) or not isinstance(url, str):
        raise StripeAway("Stripe answered a webhook endpoint that is none. Try again in a minute.")
    return Endpoint(
        id=id,
        url=url,
        events=frozenset(row.get("enabled_events") or ()),
        enabled=row.get("status") == "enabled",
        api_version=str(row.get("api_version") or ""),
        secret=str(row.get("secret") or ""),
    )
