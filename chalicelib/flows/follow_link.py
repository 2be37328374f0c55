"""A short link: records the click and sends the visitor on, never anywhere unregistered."""

import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from chalicelib.core.names import Ms
from chalicelib.core.program import PARTNER_KEY, Program
from chalicelib.core.refusals import NotFound, Unavailable
from chalicelib.core.validation import is_text
from chalicelib.flows.read_program import Programs
from chalicelib.flows.record_click import BOTS, Recorded, write_click
from chalicelib.storage.store import ItemStore

TOKEN_PARAMETER = "rfl"  # noqa: S105 - a name; the tracker adopts the token that stands in it
MAX_TO = 2000
URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Where to, and what was recorded on the way."""

    location: str
    recorded: Recorded


def follow_link(
    program_id: str,
    partner_key: str,
    to: str,
    *,
    user_agent: str,
    visit: bool = True,
    referrer: str,
    store: ItemStore,
    programs: Programs,
    now: Ms,
) -> Followed:
    """The visitor goes to the program's own site (``to`` is a path there) or to one of its
    registered Payment Links; an unknown partner's visitor goes there too, without a token.

    Raises ``NotFound`` for an unknown program. A store that cannot take the click does not stop
    the visitor.
    """
    busy = False
    try:
        program, partner = programs.get(program_id, partner_key)
    except Unavailable:
        program, partner = programs.get(program_id)  # as it is remembered, or not at all
        busy = True
    if program is None:
        raise NotFound("There is no such program.")
    target, parameter = destination(program, to)
    if busy and PARTNER_KEY.fullmatch(partner_key):
        # whether there is such a partner is looked up again wherever the token arrives
        token = f"{secrets.token_urlsafe(16)}_{partner_key}"
        target = with_parameter(target, parameter, token)
    if busy:
        return Followed(location=target, recorded=Recorded(because="the store is busy"))
    if not visit:
        return Followed(location=target, recorded=Recorded(because="not a visit"))
    if partner is None:
        return Followed(location=target, recorded=Recorded(because="unknown partner"))
    if BOTS.search(user_agent):
        return Followed(location=target, recorded=Recorded(because="a bot"))
    token = f"{secrets.token_urlsafe(16)}_{partner.key}"
    try:
        recorded = write_click(
            program.id,
            partner.key,
            token,
            page=target,
            referrer=referrer,
            subs=(),
            store=store,
            programs=programs,
            now=now,
        )
    except Unavailable:
        recorded = Recorded(because="the store is busy", program=program.id)
    if partner.status(now) == "active":
        target = with_parameter(target, parameter, token)
    return Followed(location=target, recorded=recorded)


def destination(program: Program, to: str) -> tuple[str, str]:
    """Where ``to`` leads, and the parameter that carries the token there. Whatever is neither a
    path of the site nor a registered Payment Link leads to the site's front page."""
    site = program.website.url.rstrip("/")
    front = site + "/"
    if not to or len(to) > MAX_TO or "\\" in to or not is_text(to):
        return front, TOKEN_PARAMETER
    to = quote(to, safe=URL_CHARACTERS)
    if to.startswith("/") and not to.startswith("//"):
        return site + to, TOKEN_PARAMETER
    if _bare(to) in {_bare(link) for link in program.website.payment_links}:
        return to, "client_reference_id"
    return front, TOKEN_PARAMETER


def _bare(url: str) -> str:
    """An address without query and fragment."""
    return url.split("#")[0].split("?")[0].rstrip("/")


def with_parameter(url: str, name: str, value: str) -> str:
    """The address with one query parameter set; one of that name that stands there already is
    the merchant's own and stays, if it is a checkout's reference."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if name == "client_reference_id" and any(n == name for n, _ in query):
        return url
    query = [(n, v) for n, v in query if n != name]
    return urlunsplit(parts._replace(query=urlencode([*query, (name, value)])))
