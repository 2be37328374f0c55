"""Checks of plain JSON fields for the doors that load no validation library."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chalicelib.core.refusals import Invalid

EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f]{1,64}@[^\s@.<>]+(\.[^\s@.<>]+)+")
MAX_EMAIL = 254
MAX_KEY_BYTES = 255  # of the merchant's own keys, in UTF-8: they stand in the store's sort keys
MAX_URL = 255
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of a program, a partner, a connection
MAX_TAGS = 20
MAX_TAG = 100


class FieldErrors:
    """Collects what is wrong, field by field; ``check`` raises it all at once."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def add(self, field: str, message: str) -> None:
        self.errors.setdefault(field, []).append(message)

    def check(self) -> None:
        if self.errors:
            raise Invalid(self.errors)


def is_text(text: str) -> bool:
    """Text fit to be stored: no control characters, no lone surrogates."""
    return text.isprintable() or all(c.isprintable() or c == " " for c in text)


def short_text(
    body: Mapping[str, Any], field: str, errors: FieldErrors, *, most: int, needed: bool = False
) -> str:
    """A text of at most ``most`` characters, trimmed; empty if absent and not needed."""
    value = body.get(field)
    if value is None or value == "":
        if needed:
            errors.add(field, "This is required.")
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and needed:
        value = str(value)
    if not isinstance(value, str):
        errors.add(field, "This must be a text.")
        return ""
    value = value.strip()
    if needed and not value:
        errors.add(field, "This is required.")
    elif len(value) > most:
        errors.add(field, f"This has at most {most} characters.")
    elif not is_text(value):
        errors.add(field, "This has characters that cannot be stored.")
    else:
        return value
    return ""


def email_problem(text: str) -> str:
    """What is wrong with an e-mail address, or an empty string."""
    if (
        len(text.encode(errors="replace")) > MAX_EMAIL
        or not EMAIL.fullmatch(text)
        or not is_text(text)
    ):
        return "This is not an e-mail address."
    return ""


def key_problem(text: str) -> str:
    """What is wrong with a merchant's own key for a thing, or an empty string."""
    if not is_text(text):
        return "This has characters that cannot be stored."
    if len(text.encode()) > MAX_KEY_BYTES:
        return f"This has at most {MAX_KEY_BYTES} bytes; a letter outside ASCII is two to four."
    return ""


SITE = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9_.~-]+)*/?")
PAYMENT_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/[!-~]{1,400}")


def site_problem(url: str) -> str:
    """What is wrong with the address of a program's website, or an empty string."""
    if len(url) > MAX_URL or not SITE.fullmatch(url) or not _has_port(url):
        return "Write the website's address as https://shop.example.com."
    return ""


def payment_link_problem(url: str) -> str:
    """What is wrong with the address of a Payment Link, or an empty string."""
    if not PAYMENT_LINK.fullmatch(url) or not _has_port(url):
        return "Write a Payment Link as https://buy.stripe.com/…"
    return ""


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def email_address(body: Mapping[str, Any], field: str, errors: FieldErrors) -> str:
    """An e-mail address, trimmed; empty if absent."""
    value = short_text(body, field, errors, most=MAX_EMAIL)
    if value and email_problem(value):
        errors.add(field, email_problem(value))
        return ""
    return value


def tag_list(body: Mapping[str, Any], field: str, errors: FieldErrors) -> tuple[str, ...]:
    """At most 20 texts of at most 100 characters."""
    value = body.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        errors.add(field, f"This is a list of at most {MAX_TAGS} texts.")
        return ()
    tags = [short_text({field: tag}, field, errors, most=MAX_TAG) for tag in value]
    return tuple(tag for tag in tags if tag)
