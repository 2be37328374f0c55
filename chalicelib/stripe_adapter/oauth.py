"""Stripe Connect by OAuth, for accounts that keep their own dashboard ("standard").

https://docs.stripe.com/connect/oauth-reference. The tokens that Stripe hands out are dropped: calls
are made with the platform's key and Stripe-Account. Another provider (Stripe Apps, whose tokens
last an hour) would be another ``OAuthProvider``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from chalicelib.core.refusals import OAuthRefused, StripeAway
from chalicelib.stripe_adapter.client import ONCE, WAITED_FOR, Line, Patience
from chalicelib.stripe_adapter.credentials import Credentials, is_account
from chalicelib.stripe_adapter.failures import Failure
from chalicelib.stripe_adapter.pace import Pacer

CONNECT_BASE = "https://connect.stripe.com"
_CODE = re.compile(r"[A-Za-z0-9_-]{4,500}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    client_id: str
    secret_key: str = field(repr=False)
    livemode: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised:
    """``livemode`` as Stripe told it: whoever stores this compares it with what was wanted."""

    account: str
    livemode: bool
    scope: str


class OAuthProvider(Protocol):
    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        """Where to send the browser."""

    def exchange(self, code: str) -> Authorised:
        """Spends the code. Raises ``OAuthRefused`` and ``StripeAway``."""

    def deauthorise(self, account: str) -> None:
        """Not connected any more is fine. Raises ``OAuthRefused`` and ``StripeAway``."""


class StripeConnect(OAuthProvider):
    """``connect_base`` is where browsers find the fake Stripe, ``api_base`` where we do; either
    stands for the other."""

    def __init__(
        self,
        platform: Platform,
        *,
        api_base: str = "",
        connect_base: str = "",
        pacer: Pacer | None = None,
    ) -> None:
        self._platform, self._pacer = platform, pacer
        self._shown = connect_base or api_base or CONNECT_BASE
        self._api_base = api_base or connect_base

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        asked = {
            "response_type": "code",
            "client_id": self._platform.client_id,
            "scope": "read_write",
            "state": state,
            "redirect_uri": redirect_uri,
        }
        return f"{self._shown}/oauth/authorize?{urlencode(asked)}"

    def exchange(self, code: str) -> Authorised:
        """Asked once and never again: a code that Stripe sees twice undoes the connection. Whoever
        meets ``StripeAway`` starts anew.
        """
        if not _CODE.fullmatch(code):
            raise _refused("invalid_grant")
        params = {"grant_type": "authorization_code", "code": code}
        line = self._line(ONCE)
        answer = line.ask("post", "/oauth/token", params, base="connect")
        if isinstance(answer, Failure):
            away = ": nothing is connected here. Start again with a new link."
            raise self._why(answer, away)
        account, livemode = answer.get("stripe_user_id"), answer.get("livemode")
        if not is_account(account):
            raise StripeAway("Stripe answered without an account. Start again with a new link.")
        if not isinstance(livemode, bool):
            raise StripeAway("Stripe answered without a mode. Start again with a new link.")
        return Authorised(
            account=str(account), livemode=livemode, scope=str(answer.get("scope") or "")
        )

    def deauthorise(self, account: str) -> None:
        params = {"client_id": self._platform.client_id, "stripe_user_id": account}
        line = self._line(WAITED_FOR)
        answer = line.ask("post", "/oauth/deauthorize", params, base="connect")
        if (
            isinstance(answer, Failure)
            and "not connected to stripe account" not in answer.said.lower()
        ):
            raise self._why(answer, ", so it may still count the account as connected. Try again.")

    def _line(self, patience: Patience) -> Line:
        key = Credentials(api_key=self._platform.secret_key, livemode=self._platform.livemode)
        return Line(key, api_base=self._api_base, pacer=self._pacer, patience=patience)

    def _why(self, failure: Failure, away: str) -> Exception:
        if failure.passing(reading=True):
            return StripeAway(f"Stripe could not be reached, or its answer broke off{away}")
        if failure.status == 401:
            return _refused("invalid_client")
        return _refused(failure.code or "unknown")


def in_plain_words(error: str) -> str:
    """What Stripe's word for an OAuth error means, and what to do; of the page where the merchant
    agrees and of the exchange alike. Words that nobody knows get a sentence, too."""
    return _WORDS.get(error, "Stripe would not connect the account. Start again with a new link.")


def _refused(error: str) -> OAuthRefused:
    return OAuthRefused(in_plain_words(error), error=error)


_WORDS: Mapping[str, str] = {
    "access_denied": "You did not agree in Stripe, so nothing was connected. Start again with a"
    " new link if that was a mistake.",
    "invalid_grant": "Stripe does not take this code: it was used already, is older than five"
    " minutes, or belongs to another platform or mode. Start again with a new link.",
    "invalid_client": "Stripe does not know this platform: its client id and secret key do not"
    " belong together, or one of them is of the other mode. Whoever runs this deployment must"
    " correct them.",
    "invalid_redirect_uri": "The address that Stripe is to come back to is not registered with the"
    " platform. Whoever runs this deployment must add it in Stripe's Connect settings.",
    "invalid_request": "Stripe did not understand what it was asked. Start again with a new link.",
    "invalid_scope": "Stripe does not give this platform the access it asks for.",
    "unauthorized_client": "Stripe does not let this platform connect accounts. Whoever runs this"
    " deployment must finish its registration for Connect.",
    "unsupported_grant_type": "Stripe does not connect accounts in this way any more.",
    "unsupported_response_type": "Stripe does not connect accounts in this way any more.",
    "server_error": "Stripe has a fault of its own just now. Start again with a new link.",
    "temporarily_unavailable": "Stripe is busy just now. Start again with a new link in a minute.",
}
