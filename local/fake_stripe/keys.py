"""API keys and the accounts they open.

`sk_test_<name>_<anything>`, `rk_test_<name>_<anything>` and `pk_test_<name>_<anything>` belong to
the account made from `<name>`, the text up to the first `_` after the prefix (all of it if there is
none). So `sk_test_acme_1` and `rk_test_acme_2` share an account, and a key of Stripe's own form,
which has no further `_`, has one to itself.
"""

import re

from .errors import StripeRefusal

_SECRET = re.compile(r"(?:sk|rk)_test_([A-Za-z0-9]+)(?:_\w*)?")
_PUBLISHABLE = re.compile(r"pk_test_([A-Za-z0-9]+)(?:_\w*)?")


def key_of(authorization: str) -> str:
    """The key in `Bearer <key>` or `Basic <key>:`, else what stands there."""
    scheme, _, key = authorization.strip().partition(" ")
    return _basic_user(key) if scheme.lower() == "basic" else key.strip()


def account_name(key: str) -> str:
    """The name of a secret or restricted test key's account. Raises 401 for anything else."""
    found = _SECRET.fullmatch(key)
    if found is None:
        shown = f"{key[:8]}****{key[-4:]}" if len(key) > 12 else "****"
        said = f"Invalid API Key provided: {shown}" if key else "You did not provide an API key."
        raise StripeRefusal(said, status=401)
    return found[1]


def account_name_of_key(key: str) -> str:
    """For the control surface: any of the three kinds of key, bare."""
    found = _SECRET.fullmatch(key) or _PUBLISHABLE.fullmatch(key)
    if found is None:
        raise StripeRefusal("Not a test key", status=401)
    return found[1]


def publishable_key(name: str) -> str:
    return f"pk_test_{name}_publishable"


def _basic_user(encoded: str) -> str:
    import base64
    import binascii

    try:
        return base64.b64decode(encoded).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
