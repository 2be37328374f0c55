"""Whether Stripe signed a webhook, with the standard library alone.

``Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…]``: each ``v1`` is the HMAC-SHA256 of
``<t>.<raw body>`` under the whole ``whsec_…`` string (https://docs.stripe.com/webhooks/signature).
During a rotation Stripe signs with both secrets. A differential test holds this to
``stripe.WebhookSignature``.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from chalicelib.core.refusals import BadSignature

MAX_HEADER_CHARACTERS = 8_192


def verify(
    raw_body: bytes,
    header: str,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_s: int = 300,
) -> None:
    """Returns if one of ``secrets`` signed this body, not more than ``tolerance_s`` seconds ago.

    Blank secrets never match. A time in the future is let through, as in Stripe's SDK. ``now`` is
    aware. Raises ``BadSignature`` otherwise.
    """
    usable = [secret for secret in secrets if secret.strip(" \t\r\n\f\v")]
    if not usable:
        raise BadSignature("This connection has no webhook secret, so nothing can be verified.")
    signed_at, signatures = _parsed(header)
    signed = b"%d.%s" % (signed_at, raw_body)
    if not any(_signed_by(secret, signed, signatures) for secret in usable):
        raise BadSignature(
            "No v1 signature matches this body: the secret is another endpoint's, "
            "or the body was changed on its way."
        )
    if signed_at < now.timestamp() - tolerance_s:
        raise BadSignature(
            f"The signature is older than {tolerance_s} seconds: a replay, or a clock that is off."
        )


def _parsed(header: str) -> tuple[int, list[bytes]]:
    """The time and the v1 signatures of a header, split as Stripe's SDK splits it."""
    if not header:
        raise BadSignature("There is no Stripe-Signature header.")
    if len(header) > MAX_HEADER_CHARACTERS:
        raise BadSignature("The Stripe-Signature header is too long.")
    items = [item.split("=", 2) for item in header.split(",")]
    try:
        times = [item[1] for item in items if item[0] == "t"]
        signed_at = int(times[0])
        signatures = [item[1] for item in items if item[0] == "v1"]
    except (IndexError, ValueError):
        raise BadSignature("The Stripe-Signature header is not of the form t=…,v1=….") from None
    if not signatures:
        raise BadSignature("The Stripe-Signature header has no v1 signature.")
    return signed_at, [text.encode("utf-8", "surrogatepass") for text in signatures]


def _signed_by(secret: str, signed: bytes, signatures: list[bytes]) -> bool:
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)
