"""Requests to Stripe: paced, tried again, and told apart when they fail. The only file that imports
its SDK, and only when a call is made: the doors for clicks and webhooks load this room without it.
"""

import contextlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core.refusals import KeyRefused, PermissionMissing, StripeAway, StripeRefused
from chalicelib.stripe_adapter.credentials import Credentials, credentials_of, is_account
from chalicelib.stripe_adapter.failures import Failure, read_failure
from chalicelib.stripe_adapter.pace import LONGEST_PAUSE_S, Pacer

if TYPE_CHECKING:
    import stripe
    from stripe._request_options import RequestOptions

Method = Literal["get", "post", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """``tries`` in all, each cut off after ``timeout_s`` without a byte, and none begun later than
    ``budget_s`` after the first."""

    tries: int
    timeout_s: float
    budget_s: float


WAITED_FOR = Patience(tries=3, timeout_s=5, budget_s=10)  # somebody waits for the door's answer
IN_A_JOB = Patience(tries=5, timeout_s=20, budget_s=75)
ONCE = Patience(tries=1, timeout_s=10, budget_s=0)


class Line:
    """Requests for one set of credentials, on the API version of the SDK. Answers are plain dicts.

    What passes (429, 5xx, time-outs, broken answers) is tried again within ``patience``, through
    the ``pacer``; the SDK itself tries nothing again. ``made`` counts requests.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        api_base: str = "",
        pacer: Pacer | None = None,
        patience: Patience = IN_A_JOB,
    ) -> None:
        self.credentials = credentials
        self.made = 0
        self._api_base, self._patience = api_base, patience
        self._pacer = pacer or Pacer()
        self._stripe: stripe.StripeClient | None = None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Raises what ``failures`` says; 404 is ``StripeRefused``."""
        return self._or_raise(self.ask("get", path, params))

    def find(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """As ``get``; ``None`` where there is no such thing."""
        answer = self.ask("get", path, params)
        if isinstance(answer, Failure) and answer.status == 404:
            return None
        return self._or_raise(answer)

    def page(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> tuple[tuple[dict[str, Any], ...], bool]:
        """A list's rows, and whether there are more behind them. What is no list is an answer that
        is broken, and never an empty one."""
        answer = self.get(path, params)
        rows = answer.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise StripeAway("Stripe answered a list that is none. Try again in a minute.")
        return tuple(rows), answer.get("has_more") is True

    def post(
        self, path: str, params: Mapping[str, Any] | None = None, *, idempotency_key: str = ""
    ) -> dict[str, Any]:
        """One change, however often it is tried: Stripe remembers the key for a day."""
        return self._or_raise(self.ask("post", path, params, idempotency_key=idempotency_key))

    def ask(
        self,
        method: Method,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        base: Literal["api", "connect"] = "api",
        idempotency_key: str = "",
    ) -> dict[str, Any] | Failure:
        """The answer, or why there is none; for those who make more of a failure than the table
        does."""
        key = idempotency_key or secrets.token_hex(16) if method == "post" else ""
        end = self._pacer.now() + self._patience.budget_s
        attempt = 1
        while True:
            self._pacer.wait()
            answer = self._sent(method, path, dict(params or {}), base, key)
            if not isinstance(answer, Failure) or not answer.passing(reading=method == "get"):
                return answer
            told = answer.retry_after_s
            if attempt >= self._patience.tries or (told or 0) > LONGEST_PAUSE_S:
                return answer
            self._pacer.back_off(attempt, told)
            attempt += 1
            if self._pacer.now() + (told or 0) > end:
                return answer

    def refusal(self, failure: Failure) -> Exception:
        return failure.refusal(connected=bool(self.credentials.account))

    def _or_raise(self, answer: dict[str, Any] | Failure) -> dict[str, Any]:
        if isinstance(answer, Failure):
            raise self.refusal(answer)
        return answer

    def _sent(
        self,
        method: Method,
        path: str,
        params: dict[str, Any],
        base: Literal["api", "connect"],
        idempotency_key: str,
    ) -> dict[str, Any] | Failure:
        """One request. What the SDK raises ends here, so that no traceback of ours leads to its
        text, which quotes the key. Its reading of answers is left out: it stumbles over errors
        that it does not know."""
        import stripe

        if self._stripe is None:
            self._stripe = _client(self.credentials, self._api_base, self._patience.timeout_s)
        options: RequestOptions = {"idempotency_key": idempotency_key} if idempotency_key else {}
        self.made += 1
        try:
            raw, status, headers = self._stripe._requestor.request_raw(
                method, path, params, options, base_address=base, api_mode="V1"
            )
        except (stripe.APIConnectionError, UnicodeDecodeError):  # it decodes what it would log
            return Failure(status=0)
        return _read(raw, status, {name.lower(): value for name, value in headers.items()})


def _client(credentials: Credentials, api_base: str, timeout_s: float) -> "stripe.StripeClient":
    """A client with our limits, on the API version of the SDK, which sends nothing about this
    machine and writes nothing to a log, whatever ``STRIPE_LOG`` says: answers hold secrets."""
    import stripe

    stripe.enable_telemetry = False
    stripe._util.STRIPE_LOG = None
    logging.getLogger("stripe").setLevel(logging.WARNING)
    return stripe.StripeClient(
        credentials.api_key,
        stripe_account=credentials.account or None,
        stripe_version=stripe.api_version,
        base_addresses={"api": api_base, "connect": api_base} if api_base else {},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout_s),
    )


def _read(raw: object, status: int, headers: Mapping[str, str]) -> dict[str, Any] | Failure:
    """A success's JSON object; else a failure, of status 0 where a success cannot be read."""
    body: object = None
    if isinstance(raw, bytes):
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(raw)
    if not 200 <= status < 300:
        return read_failure(
            status,
            body,
            retry_after=headers.get("retry-after", ""),
            should_retry=headers.get("stripe-should-retry", ""),
        )
    return body if isinstance(body, dict) else Failure(status=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that a key belongs to. ``name`` and ``currency`` (lower case) may be empty."""

    id: str
    livemode: bool
    name: str
    currency: str


def account_of(
    credentials: Credentials | str, *, api_base: str | None = None, pacer: Pacer | None = None
) -> Account:
    """Whose key this is, asked of Stripe once, with a timeout of 5 s and two retries. For an
    account connected by OAuth the connected one: with Stripe-Account, ``GET /v1/account`` answers
    it.

    Stripe's account object does not say the mode; the key does (``sk_test_…``, ``rk_live_…``).
    Restricted keys may be refused the account itself; Stripe's refusal names the account that the
    key is on, and that is answered then, without name and currency
    (https://github.com/dj-stripe/dj-stripe/pull/1131).

    Raises ``Invalid`` where Stripe refuses the key, ``Unavailable`` where it cannot be asked. No
    message holds any part of the key.
    """
    known = credentials_of(credentials) if isinstance(credentials, str) else credentials
    line = Line(known, api_base=api_base or "", pacer=pacer, patience=WAITED_FOR)
    answer = line.ask("get", "/v1/account")
    if isinstance(answer, Failure):
        if answer.account:
            account = known.account or answer.account
            return Account(id=account, livemode=known.livemode, name="", currency="")
        raise _unknown_account(line, answer)
    if not is_account(answer.get("id")):
        raise StripeAway("Stripe answered an account that is none. Try again in a minute.")
    name = _within(answer, "settings", "dashboard", "display_name")
    return Account(
        id=str(answer["id"]),
        livemode=known.livemode,
        name=name or _within(answer, "business_profile", "name"),
        currency=_within(answer, "default_currency").lower(),
    )


def _within(answer: object, *path: str) -> str:
    """A text within the answer; empty where there is none."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer if isinstance(answer, str) else ""


def _unknown_account(line: Line, failure: Failure) -> Exception:
    """As the table says, in the words of whoever just typed a key."""
    refusal = line.refusal(failure)
    if isinstance(refusal, PermissionMissing):
        return PermissionMissing("Stripe knows this key, but it may not read the account.")
    if failure.status == 400:
        return KeyRefused("Stripe did not take this key.")
    if isinstance(refusal, StripeRefused):
        return StripeAway("Stripe could not be asked whose key this is. Try again in a minute.")
    return refusal
