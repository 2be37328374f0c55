"""What 2026-03-25.dahlia broke, of what the fake shows: the names of Checkout's `ui_mode`.

Source: the SDKs' enums before and after (stripe-node 22.0.0, stripe-mock 0.200.0's refusal of
`embedded`, stripe/stripe-mock issue 1636).
"""

from typing import Any

_OLD_NAMES = {"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}


def session(shown: dict[str, Any]) -> None:
    """`ui_mode` was `hosted`, `embedded` or `custom`."""
    shown["ui_mode"] = _OLD_NAMES.get(shown["ui_mode"], shown["ui_mode"])


STEPS = (("2026-03-25.dahlia", "checkout.session", session),)
