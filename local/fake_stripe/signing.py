"""The signature of a webhook: with the endpoint's secret, and for a day with the one before it."""

import hashlib
import hmac
from typing import Any


def signature_header(secrets: list[str], timestamp: int, body: bytes) -> str:
    """`Stripe-Signature`: HMAC-SHA256 of `<t>.<body>`, one `v1` for each secret that is valid now.
    docs.stripe.com/webhooks#verify-manually and #roll-endpoint-secrets."""
    signed = f"{timestamp}.".encode() + body
    made = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]
    return f"t={timestamp}," + ",".join(f"v1={one}" for one in made)


def secrets_of(endpoint: dict[str, Any], now: int) -> list[str]:
    """Newest first; a rolled one signs as well until its end."""
    old = [o["secret"] for o in endpoint.get("_old_secrets", []) if o["until"] > now]
    return [endpoint["_secret"], *old]
