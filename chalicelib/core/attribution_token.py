"""The token that names one attributed visit: ``<22 random>_<partner key>``.

The random part and the key are ``A-Z a-z 0-9 - _``, the key 1 to 64 of them, so the whole fits into
a Payment Link's ``client_reference_id`` (at most 200 of the same characters).
"""

import re

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}_([A-Za-z0-9_-]{1,64})")


def parse_token(text: str) -> tuple[str, str] | None:
    """The whole token and the partner's key in lower case; ``None`` if the text is no token."""
    match = _TOKEN.fullmatch(text)
    return (text, match.group(1).lower()) if match else None
