"""What Stripe is asked with, on whose account."""

import re
from dataclasses import dataclass, field

from chalicelib.core.refusals import Invalid

KEY = r"^[sr]k_(live|test)_[A-Za-z0-9_]{4,250}$"
NO_KEY = (
    "A Stripe key begins with rk_live_, rk_test_, sk_live_ or sk_test_ and goes on; Stripe shows"
    " it under Developers, API keys. (pk_… is a publishable key, whsec_… a signing secret.)"
)
NO_WHSEC = (
    "A signing secret begins with whsec_ and goes on; its endpoint's page in Stripe shows it."
)
_KEY = re.compile(KEY)
_WEBHOOK_SECRET = re.compile(r"whsec_[!-~]{10,250}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """``account`` is sent as Stripe-Account: of an account connected by OAuth, where ``api_key`` is
    the platform's. Empty for an account's own key."""

    api_key: str = field(repr=False)
    livemode: bool
    account: str = ""

    @property
    def restricted(self) -> bool:
        return self.api_key.startswith("rk_")


def is_account(told: object) -> bool:
    """Whether Stripe told an account's id."""
    return isinstance(told, str) and _ACCOUNT.fullmatch(told) is not None


def check_webhook_secret(secret: str) -> None:
    """Raises ``Invalid`` for what is no signing secret, and repeats no part of it."""
    if not _WEBHOOK_SECRET.fullmatch(secret):
        raise Invalid({"webhook_secret": [NO_WHSEC]}, NO_WHSEC)


def credentials_of(api_key: str) -> Credentials:
    """Those of an account's own key; the key itself tells its mode. Raises ``Invalid`` for what is
    no secret or restricted key, and repeats no part of it."""
    shape = _KEY.fullmatch(api_key)
    if not shape:
        raise Invalid(
            {"api_key": [NO_KEY]}, f"This is not a Stripe secret or restricted key. {NO_KEY}"
        )
    return Credentials(api_key=api_key, livemode=shape.group(1) == "live")
