from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tracker.page_server import PageServer, serving_pages


@pytest.fixture(scope="session")
def page_server() -> Iterator[PageServer]:
    with serving_pages() as running:
        yield running


@pytest.fixture
def site(page_server: PageServer) -> PageServer:
    """The merchant's sites and the tracker's doors, with nothing written down yet."""
    page_server.forget()
    return page_server


@pytest.fixture
def page(visitor: Callable[..., BrowserContext]) -> Iterator[Page]:
    """A visitor's tab. Whatever the tracker does, the page must never see an error."""
    tab = visitor().new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    assert errors == []
