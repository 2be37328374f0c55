"""What 2022-11-15 broke: lists that stood open inside charges and payment intents.

Source: docs.stripe.com/changelog/2022-11-15, "Removes the charges attribute from the PaymentIntent
object" and "The Charges object no longer auto-expands refunds by default". (2022-08-01 broke what
Checkout makes, not how it looks: see `resources/checkout.py`.)
"""

from typing import Any


def payment_intent(shown: dict[str, Any]) -> None:
    """Before: `payment_intent.charges`, newest first."""
    url = f"/v1/charges?payment_intent={shown['id']}"
    shown["charges"] = _open_list(shown.get("_charges") or [], url)


def charge(shown: dict[str, Any]) -> None:
    """Before: `charge.refunds` stood open."""
    shown["refunds"] = _open_list(shown.get("_refunds") or [], f"/v1/charges/{shown['id']}/refunds")


def _open_list(data: list[dict[str, Any]], url: str) -> dict[str, Any]:
    return {
        "object": "list",
        "data": data[:10],
        "has_more": len(data) > 10,
        "total_count": len(data),
        "url": url,
    }


STEPS = (
    ("2022-11-15", "payment_intent", payment_intent),
    ("2022-11-15", "charge", charge),
)
