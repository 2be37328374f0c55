"""Calls to Stripe. The only file that imports its SDK, and only when a call is made: the doors for
clicks and webhooks load this room without it."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.refusals import Invalid, Refusal, Unavailable

if TYPE_CHECKING:
    import stripe

TIMEOUT_S = 5  # the SDK's own is 80
RETRIES = 2  # a StripeClient makes none unless told


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that a key belongs to. ``name`` and ``currency`` (lower case) may be empty."""

    id: str
    livemode: bool
    name: str
    currency: str


def account_of(api_key: str, *, api_base: str | None = None) -> Account:
    """Whose key this is, asked of Stripe once, with a timeout of 5 s and two retries.

    Stripe's account object does not say the mode; the key does (``sk_test_…``, ``rk_live_…``).
    Restricted keys may be refused the account itself; Stripe's refusal names the account that the
    key is on, and that is answered then, without name and currency
    (https://github.com/dj-stripe/dj-stripe/pull/1131).

    Raises ``Invalid`` where Stripe refuses the key, ``Unavailable`` where it cannot be asked. No
    message holds any part of the key.
    """
    livemode = _livemode(api_key)
    import stripe

    try:
        found = _client(api_key, api_base).v1.accounts.retrieve_current()
    except stripe.StripeError as error:
        known = _account_named_in(error)
        if known:
            return Account(id=known, livemode=livemode, name="", currency="")
        raise _refusal(error) from None
    told = found.to_dict()
    settings = told.get("settings") or {}
    name = (settings.get("dashboard") or {}).get("display_name") or (
        told.get("business_profile") or {}
    ).get("name")
    return Account(
        id=str(told["id"]),
        livemode=livemode,
        name=str(name or ""),
        currency=str(told.get("default_currency") or "").lower(),
    )


def _client(api_key: str, api_base: str | None) -> "stripe.StripeClient":
    """A client with our limits, on the API version of the SDK."""
    import stripe

    return stripe.StripeClient(
        api_key,
        stripe_version=stripe.api_version,
        base_addresses={"api": api_base, "connect": api_base} if api_base else {},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
    )


_KEY = re.compile(r"[sr]k_(live|test)_[A-Za-z0-9_]{4,250}")


def _livemode(api_key: str) -> bool:
    shape = _KEY.fullmatch(api_key)
    if not shape:
        raise Invalid(
            {
                "api_key": [
                    "A Stripe key is rk_live_, rk_test_, sk_live_ or sk_test_, and what follows."
                ]
            },
            "This is not a Stripe secret or restricted key.",
        )
    return shape.group(1) == "live"


def _account_named_in(error: "stripe.StripeError") -> str:
    if error.http_status != 403:
        return ""
    named = re.search(r"on account '(acct_[A-Za-z0-9]+)'", error.user_message or "")
    return named.group(1) if named else ""


def _refusal(error: "stripe.StripeError") -> Refusal:
    """Stripe's answer in our words; its own quote a part of the key. A closed table: what is not
    in it is Stripe being away."""
    sentence = {
        400: "Stripe did not take this key.",
        401: "Stripe does not know this key: it was mistyped, rolled or deleted.",
        403: "Stripe knows this key, but it may not read the account.",
    }.get(error.http_status or 0)
    if sentence:
        return Invalid({"api_key": [sentence]}, sentence)
    return Unavailable("Stripe could not be asked whose key this is. Try again in a minute.")
