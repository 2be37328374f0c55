"""People who visit the demo shop, each with a browser of their own; one whole run for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.shop.shopper import Shopper
from tests.stack_kit import Stack


@pytest.fixture
def shopper(
    visitor: Callable[..., BrowserContext], stack: Stack
) -> Iterator[Callable[..., Shopper]]:
    """`shopper()` is a new person; takes Playwright's options for a context.

    At the end none of them may have seen an error, nor a refusal by the shop's strict policy.
    """
    people: list[Shopper] = []

    def arrives(**options: object) -> Shopper:
        people.append(Shopper(visitor(**options), stack))
        return people[-1]

    yield arrives
    for person in people:
        person.await_answers()
    assert [trouble for person in people for trouble in person.troubles] == []
