"""A merchant's own Stripe in test mode, in place of the fake one: `make run STRIPE_KEY=rk_test_…`.

The key is taken from the environment, given to the process that seals it and to no other, and never
written or shown. `STRIPE_API_BASE` is where Stripe is, for tests of this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

STRIPE = "https://api.stripe.com"
KEY, ADDRESS = "STRIPE_KEY", "STRIPE_API_BASE"
NOBODYS = frozenset({KEY, ADDRESS})
"""What no child inherits."""


class NotToBeUsed(Exception):
    """A sentence for the reader, with no part of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStripe:
    key: str = field(repr=False)
    address: str


def own_stripe(environ: Mapping[str, str]) -> OwnStripe | None:
    """What was asked for, if it was. Raises NotToBeUsed."""
    key = environ.get(KEY, "").strip()
    if not key:
        return None
    if re.match(r"[rs]k_live_", key):
        raise NotToBeUsed(
            "STRIPE_KEY is of Stripe's live mode. This machine takes a key of its test mode alone,"
            " which begins with rk_test_."
        )
    if not re.fullmatch(r"[rs]k_test_[A-Za-z0-9_]{4,250}", key):
        raise NotToBeUsed(
            "STRIPE_KEY is no key of Stripe's test mode: such a one begins with rk_test_ (or"
            " sk_test_)."
        )
    address = environ.get(ADDRESS, "").rstrip("/") or STRIPE
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1"):
        raise NotToBeUsed("STRIPE_API_BASE is https://… or an address of this machine.")
    return OwnStripe(key=key, address=address)
