"""A click: one attributed visit, one item written, whatever the answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from chalicelib.core.attribution_token import parse_token
from chalicelib.core.names import Ms
from chalicelib.core.program import Program
from chalicelib.core.validation import PLAIN_ID
from chalicelib.flows.read_program import Programs
from chalicelib.storage.store import ItemStore, Put, Stale
from chalicelib.storage.visit_records import Click, click_item

MAX_BODY_BYTES = 2048
MAX_PAGE = 230  # these keep an item below 1,000 bytes: one write unit a click
MAX_REFERRER = 110
MAX_SUBS = 5
MAX_SUB = 34
MAX_VALUE = 40  # of a parameter that is kept
KEPT_PARAMETERS = frozenset(
    """
    utm_source utm_medium utm_campaign utm_term utm_content sub1 sub2 sub3 sub4 sub5 subid
    """.split()
)

BOTS = re.compile(
    r"bot\b|crawler|spider|slurp|lighthouse|facebookexternalhit|embedly|pingdom|mediapartners",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """``because`` says why nothing was recorded; empty if it was."""

    because: str = ""
    program: str = ""


def record_click(
    raw_body: bytes, *, user_agent: str, store: ItemStore, programs: Programs, now: Ms
) -> Recorded:
    """Record what the tracker posted. Never raises but ``Unavailable``: a visitor must notice
    nothing, so bad input is a reason, not an error."""
    if len(raw_body) > MAX_BODY_BYTES:
        return Recorded(because="the body is larger than 2 kB")
    if BOTS.search(user_agent):
        return Recorded(because="a bot")
    try:
        body = json.loads(raw_body)
    except (ValueError, RecursionError):
        return Recorded(because="the body is not JSON")
    if not isinstance(body, dict):
        return Recorded(because="the body is not a JSON object")
    program_id, told_token = body.get("p"), body.get("t")
    if not isinstance(program_id, str) or not isinstance(told_token, str):
        return Recorded(because="program or token is missing")
    parsed = parse_token(told_token)
    if parsed is None or not PLAIN_ID.fullmatch(program_id):
        return Recorded(because="the token is malformed" if parsed is None else "unknown program")
    token, partner_key = parsed
    return write_click(
        program_id,
        partner_key,
        token,
        page=_text(body.get("u")),
        referrer=_text(body.get("r")),
        subs=_subs(body.get("s")),
        store=store,
        programs=programs,
        now=now,
    )


def write_click(
    program_id: str,
    partner_key: str,
    token: str,
    *,
    page: str,
    referrer: str,
    subs: tuple[str, ...],
    store: ItemStore,
    programs: Programs,
    now: Ms,
) -> Recorded:
    """One click of a known program and an active partner; the same token again writes nothing."""
    program, partner = programs.get(program_id, partner_key)
    if program is None:
        return Recorded(because="unknown program")
    if partner is None:
        return Recorded(because="unknown partner", program=program.id)
    if partner.status(now) != "active":
        return Recorded(because=f"the partner is {partner.status(now)}", program=program.id)
    click = Click(
        program=program.id,
        token=token,
        partner=partner.key.lower(),
        at=now,
        page=tidy_page(page, program),
        referrer=tidy_page(referrer, None)[:MAX_REFERRER],
        subs=subs,
    )
    try:
        store.commit([Put(click_item(click))])
    except Stale:
        return Recorded(because="already recorded", program=program.id)
    return Recorded(program=program.id)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _subs(value: Any) -> tuple[str, ...]:
    """Sub ids as ``name=value``, the first five, cut short: the item stays below one write unit."""
    if not isinstance(value, Mapping):
        return ()
    pairs = [f"{k}={v}"[:MAX_SUB] for k, v in value.items() if isinstance(v, str | int)]
    return tuple(_clean(pair) for pair in pairs[:MAX_SUBS])


def tidy_page(url: str, program: Program | None) -> str:
    """A page's address without its query, but for the listed parameters; for a referrer without
    any. Empty for what is no web address."""
    try:
        parts = urlsplit(url[:2000])
        port = f":{parts.port}" if parts.port else ""
        host = (parts.hostname or "") + port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    kept: list[tuple[str, str]] = []
    if program is not None:
        names = KEPT_PARAMETERS | set(program.website.parameters)
        kept = [(n, v[:MAX_VALUE]) for n, v in parse_qsl(parts.query)[:50] if n in names]
    query = "?" + urlencode(kept) if kept else ""
    return _clean(f"{parts.scheme}://{host}{parts.path[:150]}{query}")[:MAX_PAGE]


def _clean(text: str) -> str:
    """Printable ASCII only, without what JSON escapes, so that a character is a byte."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
