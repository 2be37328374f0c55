"""What 2025-09-30.clover broke: coupons moved below `source` and `promotion`.

Source: docs.stripe.com/changelog/clover, "Adds a coupon source to discounts" and "Promotion codes
have a polymorphic promotion"; stripe-python 13.0.0 release notes.
"""

from typing import Any


def discount(shown: dict[str, Any]) -> None:
    """`discount.source.coupon` was `discount.coupon`, always the whole coupon."""
    shown["coupon"] = shown.get("_coupon") or shown["source"].get("coupon")
    del shown["source"]


def promotion_code(shown: dict[str, Any]) -> None:
    """`promotion_code.promotion.coupon` was `promotion_code.coupon`, the whole coupon."""
    shown["coupon"] = shown.get("_coupon") or shown["promotion"].get("coupon")
    del shown["promotion"]


STEPS = (
    ("2025-09-30.clover", "discount", discount),
    ("2025-09-30.clover", "promotion_code", promotion_code),
)
