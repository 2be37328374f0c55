"""The script that runs on a merchant's website: one small file per program.

Its source is `source/refledger.js`; `python -m local.tracker_build` makes from it the files
in `built/`, one per set of features, in which a program's settings are still blanks
(`$PROGRAM`). `render` fills the blanks in, so that the script needs no second request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

_ROOM = Path(__file__).parent

STRIPE_PAYMENT_LINKS = "https://buy.stripe.com"

_PROGRAM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~-]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_PATH_PREFIX = re.compile(r"/([A-Za-z0-9._~-]+/)*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_ORIGIN = re.compile(r"(https?://)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}")

# A browser keeps no cookie longer than this (RFC 6265bis).
_LONGEST_COOKIE_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """What one program's script is told.

    `base_url` is where this house is reached, without a slash at its end. `parameters` are the
    names that carry a partner's key in a link (`?via=ann`), `path_prefix` what precedes a key
    in a path (`/aff/ann`; None for no such links). `payment_link_hosts` are the merchant's own
    Payment Link domains besides Stripe's: a host (`pay.example.com`, on https) or an origin
    (`http://localhost:8001`). `cross_domains` are exact hosts that share this program's visits;
    none switches the feature off. `require_consent` asks for consent like `data-consent` on the
    script tag, for places that strip such attributes.

    Raises ValueError for a value that could not work in a script.
    """

    program_id: str
    base_url: str
    attribution: Literal["last_click", "first_click"] = "last_click"
    cookie_days: int = 30
    parameters: tuple[str, ...] = ("via",)
    path_prefix: str | None = "/aff/"
    payment_link_hosts: tuple[str, ...] = ()
    capture_forms: bool = False
    cross_domains: tuple[str, ...] = ()
    require_consent: bool = False
    global_name: str = "refledger"
    click_path: str = "/t/click"
    signup_path: str = "/t/signup"

    def __post_init__(self) -> None:
        _demand("program_id", _PROGRAM_ID, self.program_id)
        _demand("base_url", _URL, self.base_url)
        _demand("global_name", _IDENTIFIER, self.global_name)
        _demand("click_path", _PATH, self.click_path)
        _demand("signup_path", _PATH, self.signup_path)
        _demand("parameters", _PARAMETER, *self.parameters)
        _demand("payment_link_hosts", _ORIGIN, *self.payment_link_hosts)
        _demand("cross_domains", _HOST, *self.cross_domains)
        if self.path_prefix is not None:
            _demand("path_prefix", _PATH_PREFIX, self.path_prefix)
        if self.attribution not in ("last_click", "first_click"):
            raise ValueError(f"attribution: {self.attribution!r} is not last_click or first_click")
        if not 1 <= self.cookie_days <= _LONGEST_COOKIE_DAYS:
            raise ValueError(f"cookie_days: 1 to {_LONGEST_COOKIE_DAYS}, not {self.cookie_days}")


def render(settings: TrackerSettings) -> str:
    """The JavaScript of `GET {base_url}/t/{program_id}.js`; ASCII only."""
    features = ["forms"] * settings.capture_forms + ["cross_domain"] * bool(settings.cross_domains)
    return _fill(_built("_".join(features) or "core"), settings)


def render_debug(settings: TrackerSettings) -> str:
    """The JavaScript of `GET {base_url}/t/{program_id}.debug.js`.

    It does what `render`'s does, and tells the console what it saw, did and left alone, and
    why. `render`'s loads it in its own place on a page with `?refledger_debug=1`.
    """
    return _fill(_built("debug"), settings)


def snippet(settings: TrackerSettings) -> str:
    """What a merchant installs: one tag, in the head of every page."""
    consent = ' data-consent="required"' if settings.require_consent else ""
    return f'<script async src="{_script_url(settings)}.js"{consent}></script>'


def etag(text: str) -> str:
    """A strong ETag, quotes included: it changes with any byte of the text."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _script_url(settings: TrackerSettings) -> str:
    return f"{settings.base_url}/t/{settings.program_id}"


def _fill(built: str, settings: TrackerSettings) -> str:
    blanks = _blanks(settings)
    names = "|".join(map(re.escape, blanks))
    # One pass, so that a value which looks like a blank stays what it is.
    return re.sub(rf"(?:{names})(?![\w$])", lambda blank: _json(blanks[blank[0]]), built)


def _blanks(settings: TrackerSettings) -> Mapping[str, object]:
    return {
        "$PROGRAM": settings.program_id,
        "$GLOBAL_NAME": settings.global_name,
        "$CLICK_URL": settings.base_url + settings.click_path,
        "$SIGNUP_URL": settings.base_url + settings.signup_path,
        "$DEBUG_URL": f"{_script_url(settings)}.debug.js",
        "$CONSENT_REQUIRED": settings.require_consent,
        "$FIRST_CLICK": settings.attribution == "first_click",
        "$COOKIE_MS": settings.cookie_days * 86_400_000,
        "$LINK": _link_pattern(settings),
        "$STRIPE_ELEMENTS": _stripe_elements(settings.payment_link_hosts),
        "$CROSS_DOMAINS": settings.cross_domains,
        "$FORMS": settings.capture_forms,
        "$CROSS_DOMAIN": bool(settings.cross_domains),
    }


def _link_pattern(settings: TrackerSettings) -> str:
    """A JavaScript regular expression for the page's whole address.

    Its second group is the partner's key; the first is empty, in the place where the script's
    other pattern has a token. Whatever precedes the key is matched from the leftmost.
    """
    ways = []
    if settings.path_prefix is not None:
        ways.append(r"^\w+://[^/]+" + _literally(settings.path_prefix))
    if settings.parameters:
        ways.append(f"[?&](?:{'|'.join(map(_literally, settings.parameters))})=")
    if not ways:
        return "(?!)"  # matches nothing
    return rf"()(?:{'|'.join(ways)})([\w-]{{1,64}})(?![^/?&#])"


def _literally(text: str) -> str:
    return text.replace(".", r"\.")


def _stripe_elements(payment_link_hosts: tuple[str, ...]) -> str:
    """A CSS selector for everything of Stripe's that takes a reference."""
    origins = [
        host if "://" in host else f"https://{host}"
        for host in (STRIPE_PAYMENT_LINKS, *payment_link_hosts)
    ]
    links = [f'a[href^="{origin}/"]' for origin in origins]
    return ",".join([*links, "stripe-pricing-table", "stripe-buy-button"])


def _json(value: object) -> str:
    """JSON that is also safe inside a script element: ASCII, and no `<`."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


@lru_cache
def _built(variant: str) -> str:
    return (_ROOM / "built" / f"{variant}.js").read_text(encoding="ascii").strip()


def _demand(name: str, pattern: re.Pattern[str], *values: str) -> None:
    for value in values:
        if not pattern.fullmatch(value):
            raise ValueError(f"{name}: {value!r} does not look like {pattern.pattern}")
