"""What it means when Stripe does not do what it was asked: a closed table.

===========================  =====================================  ===========================
Stripe said                  it means                               raised
===========================  =====================================  ===========================
no answer, cut off, no JSON  Stripe or the network is unwell        ``StripeAway``, after tries
408, 409, 429, 5xx           the same, or too much was asked        ``StripeAway``, after tries
401                          the key is mistyped, rolled, expired   ``KeyRefused``
401 with Stripe-Account      the platform's key is                  ``PlatformRefused``
403 account_invalid          nobody is connected there any more     ``KeyRefused``
403                          the key may not do this                ``PermissionMissing``
404                          there is no such thing                 ``None``, where it was read
any other 4xx                what we asked is wrong                 ``StripeRefused``
any other                    an answer that nobody knows            ``StripeAway``
===========================  =====================================  ===========================

A 4xx counts only with Stripe's own error in it: what a proxy on the way says closes no connection,
and of nothing does it say that it is not there. Stripe's own sentences quote parts of the key, and
so none is passed on. https://docs.stripe.com/api/errors.

Nothing here imports its SDK.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.core.refusals import (
    KeyRefused,
    PermissionMissing,
    PlatformRefused,
    Refusal,
    StripeAway,
    StripeRefused,
)

AGAIN = frozenset({408, 409, 429})
_WORD = re.compile(r"[a-z][a-z0-9_.\[\]]{0,99}")
_PERMISSION = re.compile(r"\brak_[a-z0-9_]{1,80}_(?:read|write)\b")
_ACCOUNT = re.compile(r"on account '(acct_[A-Za-z0-9]+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that did not succeed. ``status`` is 0 where no whole answer came. ``said`` is
    Stripe's sentence: it may quote a part of the key, so that nobody shows it."""

    status: int
    code: str = ""
    param: str = ""
    said: str = field(default="", repr=False)
    retry_after_s: float | None = None
    should_retry: bool | None = None

    @property
    def permission(self) -> str:
        """The permission that Stripe's 403 names, empty if none."""
        named = _PERMISSION.search(self.said) if self.status == 403 else None
        return named.group(0) if named else ""

    @property
    def account(self) -> str:
        """The account that Stripe's 403 names, empty if none."""
        named = _ACCOUNT.search(self.said) if self.status == 403 else None
        return named.group(1) if named else ""

    @property
    def nobody_there(self) -> bool:
        """Whether a 403 says that no such account is connected."""
        return self.status == 403 and (
            self.code == "account_invalid" or "access may have been revoked" in self.said
        )

    def passing(self, *, reading: bool) -> bool:
        """Whether the same may succeed a moment later. A 5xx of a write that Stripe says not to
        repeat would be answered from memory."""
        if self.status >= 500 and not reading and self.should_retry is False:
            return False
        return (
            self.status == 0
            or self.status >= 500
            or self.status in AGAIN
            or bool(self.should_retry)
        )

    def refusal(self, *, connected: bool) -> Refusal:
        """What it means to whoever asked; ``connected``: on an account connected by OAuth."""
        if self.status == 401 and connected:
            return PlatformRefused(
                "Stripe does not take the platform's own secret key. Whoever runs this deployment"
                " must set a valid one; the connected accounts are untouched."
            )
        if self.status == 401:
            return KeyRefused(
                "Stripe does not know this key: it was mistyped, rolled, has expired or was"
                " deleted."
            )
        if self.nobody_there:
            return KeyRefused("This Stripe account is no longer connected, or does not exist.")
        if self.status == 403:
            return PermissionMissing(_may_not(self.permission), permission=self.permission)
        if 400 <= self.status < 500 and not self.passing(reading=True):
            word = f" ({self.code})" if self.code else ""
            return StripeRefused(
                f"Stripe did not take what was asked of it{word}.",
                stripe_code=self.code,
                param=self.param,
            )
        return StripeAway(self._away(), answered=self.status >= 500)

    def _away(self) -> str:
        if self.status == 429:
            return "Stripe is asked too often just now. Try again in a minute."
        if self.status == 0:
            return "Stripe could not be reached, or its answer broke off. Try again in a minute."
        return f"Stripe answers with an error of its own ({self.status}). Try again in a minute."


def read_failure(
    status: int, body: object, *, retry_after: str = "", should_retry: str = ""
) -> Failure:
    """From an answer's status, its JSON (or whatever came) and its two headers."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(body, dict) and isinstance(error, str):  # OAuth's own form
        told: Mapping[str, object] = {"code": error, "message": body.get("error_description")}
    else:
        told = error if isinstance(error, dict) else {}
    elsewhere = error is None and 400 <= status < 500 and status not in AGAIN
    said = told.get("message")
    code = _word(told.get("code"))
    if not code and told.get("type") == "idempotency_error":
        code = "idempotency_error"
    return Failure(
        status=429 if code == "rate_limit" else 0 if elsewhere else status,
        code=code,
        param=_word(told.get("param")),
        said=said[:2_000] if isinstance(said, str) else "",
        retry_after_s=_seconds(retry_after),
        should_retry={"true": True, "false": False}.get(should_retry.strip().lower()),
    )


def _word(told: object) -> str:
    return told if isinstance(told, str) and _WORD.fullmatch(told) else ""


def _seconds(told: str) -> float | None:
    """Whole or broken seconds. A date is not understood, and nothing was told then."""
    return float(told) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", told.strip()) else None


def _may_not(permission: str) -> str:
    if permission:
        return f"This Stripe key lacks the permission {permission}. Give it to the key in Stripe."
    return "Stripe knows this key, but does not let it do this."
