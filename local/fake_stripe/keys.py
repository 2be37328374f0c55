"""API keys and the accounts they open.

`sk_test_<name>_<anything>`, `rk_test_<name>_<anything>` and `pk_test_<name>_<anything>` belong to
the account made from `<name>`, the text up to the first `_` after the prefix (all of it if there is
none). So `sk_test_acme_1` and `rk_test_acme_2` share an account, and a key of Stripe's own form,
which has no further `_`, has one to itself. With `live` for `test` they open the same account's
live side, which shares nothing with its test side; the world of that side is named `<name>:live`.

Every such key is good until `/_control/keys` says that it is expired (rolled) or unknown.
"""

import re

from .errors import StripeRefusal

LIVE = ":live"
_SECRET = re.compile(r"(?:sk|rk)_(test|live)_([A-Za-z0-9]+)(?:_\w*)?")
_PUBLISHABLE = re.compile(r"pk_(test|live)_([A-Za-z0-9]+)(?:_\w*)?")


def key_of(authorization: str) -> str:
    """The key in `Bearer <key>` or `Basic <key>:`, else what stands there."""
    scheme, _, key = authorization.strip().partition(" ")
    return _basic_user(key) if scheme.lower() == "basic" else key.strip()


def account_name(key: str, ended: dict[str, str]) -> str:
    """The name of the world that a secret or restricted key opens; `ended` says which keys are
    `expired` or `unknown`. Raises 401 for anything else."""
    found = _SECRET.fullmatch(key)
    if found is None or ended.get(key) == "unknown":
        said = "Invalid API Key provided: " + masked(key)
        raise StripeRefusal(said if key else "You did not provide an API key.", status=401)
    if ended.get(key) == "expired":
        raise StripeRefusal(
            "Expired API Key provided: " + masked(key), status=401, code="api_key_expired"
        )
    return _world_name(found)


def account_name_of_key(key: str) -> str:
    """For the control surface: any of the three kinds of key, bare."""
    found = _SECRET.fullmatch(key) or _PUBLISHABLE.fullmatch(key)
    if found is None:
        raise StripeRefusal("Not an API key", status=401)
    return _world_name(found)


def masked(key: str) -> str:
    """As Stripe shows a key in its errors."""
    return f"{key[:8]}****{key[-4:]}" if len(key) > 12 else "****"


def base_name(world_name: str) -> str:
    """The account's name, whichever side."""
    return world_name.removesuffix(LIVE)


def publishable_key(world_name: str) -> str:
    mode = "live" if world_name.endswith(LIVE) else "test"
    return f"pk_{mode}_{base_name(world_name)}_publishable"


def _world_name(found: re.Match[str]) -> str:
    return found[2] + (LIVE if found[1] == "live" else "")


def _basic_user(encoded: str) -> str:
    import base64
    import binascii

    try:
        return base64.b64decode(encoded).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
