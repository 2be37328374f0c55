"""An event as Stripe sends it: who, what, when, and the object it is about.

https://docs.stripe.com/api/events/object. ``account`` stands only on events of connected accounts;
``api_version`` is the shape of the body (the endpoint's, else the account's).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from chalicelib.core.facts import Ms

MAX_SECONDS = 100_000_000_000  # the year 5138: what is later is not a time
READ_PREFIX = "read_"  # of the ids of events that we made of what we read
OWN_TYPES = "refledger."  # how the types begin that only we tell


class Unreadable(Exception):
    """A body that says it is ours to read, and cannot be. ``because`` names the field, and never
    repeats its value."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """``created`` in unix milliseconds; ``account`` and ``api_version`` empty where not told."""

    id: str
    type: str
    created: Ms
    livemode: bool
    account: str = ""
    api_version: str = ""

    @property
    def ours(self) -> bool:
        """It says that we made it ourselves, which nobody else may say."""
        return self.id.startswith(READ_PREFIX) or self.type.startswith(OWN_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An envelope with what is in it: the object, and what changed of it (``customer.updated``)."""

    envelope: Envelope
    object: Mapping[str, Any]
    previous: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return self.envelope.type

    @property
    def at(self) -> Ms:
        return self.envelope.created


def read_envelope(raw_body: bytes) -> Envelope:
    """The envelope of any event, of a known type or not; raises ``Unreadable``."""
    return read_event(raw_body).envelope


def read_event(raw_body: bytes) -> Event:
    """The whole event; raises ``Unreadable`` and nothing else, whatever the bytes."""
    body = _parsed(raw_body)
    if not isinstance(body, dict):
        raise Unreadable("the body is not a JSON object")
    data = body.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict):
        raise Unreadable("data.object is missing")
    livemode = body.get("livemode", False)  # what does not say that it is live is not
    if not isinstance(livemode, bool):
        raise Unreadable("livemode is neither true nor false")
    previous = data.get("previous_attributes") if isinstance(data, dict) else None
    return Event(
        envelope=Envelope(
            id=_text(body, "id"),
            type=_text(body, "type"),
            created=_created(body),
            livemode=livemode,
            account=_text(body, "account", needed=False),
            api_version=_text(body, "api_version", needed=False),
        ),
        object=about,
        previous=previous if isinstance(previous, dict) else {},
    )


def _text(body: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = body.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value) or len(value) > 255:
        raise Unreadable(f"{name} is missing or not a text of at most 255 characters")
    return value


def _created(body: Mapping[str, Any]) -> Ms:
    value = body.get("created")
    if type(value) is not int or not 0 <= value < MAX_SECONDS:
        raise Unreadable("created is not a time in whole seconds")
    return value * 1_000


def _parsed(raw_body: bytes) -> object:
    """Any JSON value, decimals exact. The errors are all that json, int and Decimal can raise."""
    try:
        body = json.loads(raw_body.decode(), parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable(f"the body is not JSON ({type(error).__name__})") from None
    if b"\\ud" in raw_body.lower():
        _refuse_lone_surrogates(body)
    return body


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _refuse_lone_surrogates(body: object) -> None:
    """A text with half a character can be neither stored nor shown."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Unreadable("the body holds half a character (a lone surrogate)")
