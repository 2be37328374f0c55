"""What can be seen of the tracker from inside a page."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{1,64}")

# Long enough for a request that should not have been made to arrive.
SETTLED_MS = 200


def loaded(page: Page, name: str = "refledger") -> Page:
    """Wait until the script, which is async, has run."""
    page.wait_for_function(f"typeof window.{name} == 'function' && !window.{name}.q")
    return page


def opened(page: Page, url: str) -> Page:
    page.goto(url)
    return loaded(page)


def settled(page: Page) -> None:
    page.wait_for_timeout(SETTLED_MS)


def token(page: Page) -> str | None:
    return page.evaluate("refledger('token')")


def the_cookies(page: Page) -> list[dict[str, Any]]:
    return [dict(each) for each in page.context.cookies()]


def the_cookie(page: Page) -> dict[str, Any]:
    [cookie] = the_cookies(page)
    assert cookie["name"] == "refledger"
    return cookie


def in_local_storage(page: Page) -> str | None:
    return page.evaluate("localStorage.getItem('refledger')")


def nothing_stored(page: Page) -> bool:
    lengths = page.evaluate("[localStorage.length, sessionStorage.length]")
    return the_cookies(page) == [] and lengths == [0, 0]
