"""A real Chromium for tests: where it is, how it is started, what a visitor is.

A room's conftest takes the fixtures by name:

    from tests.browser_kit import browser, playwright, visitor

    __all__ = ["browser", "playwright", "visitor"]

Every host name leads to this machine, so a page under test can have any domain
(`http://www.shop.test:8002/`) and can reach nothing outside.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

# What an ordinary visitor's browser calls itself; headless Chromium says that it is headless.
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-blink-features=AutomationControlled",  # else navigator.webdriver is true
    "--host-resolver-rules=MAP * 127.0.0.1",
)

# A step that takes longer than this has failed.
TIMEOUT_MS = 10_000


def chromium_path(playwright: Playwright) -> str | None:
    """The Chromium on the PATH, else the one Playwright installed, else nothing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def launch(playwright: Playwright, **options: Any) -> Browser:
    """A headless Chromium. Without one the test skips, or with CI=true fails."""
    path = chromium_path(playwright)
    if path is None:
        sentence = "no Chromium: install one, or run `playwright install chromium`"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), **options)


def new_visitor(browser: Browser, **options: Any) -> BrowserContext:
    """A person with a browser of their own: no cookies, no storage, an ordinary user agent."""
    context = browser.new_context(**{"user_agent": USER_AGENT, **options})
    context.set_default_timeout(TIMEOUT_MS)
    return context


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = launch(playwright)
    yield running
    running.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """`visitor()` makes a person; takes Playwright's options for a context."""
    with ExitStack() as people:

        def arrives(**options: Any) -> BrowserContext:
            context = new_visitor(browser, **options)
            people.callback(context.close)
            return context

        yield arrives
