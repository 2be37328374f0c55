"""A sample on DynamoDB's surface, over a wire: what was found in memory holds there, too."""

from pathlib import Path

import pytest

from tests.conformance.histories import NAMED, numbered
from tests.conformance.history import History
from tests.conformance.replay import replay
from tests.storage.backends import on_ministack

pytestmark = pytest.mark.ministack
STORIES = ("a dispute that is won", "the three earliest of five", "a stranger takes nobody over")
NUMBERS = range(6)


@pytest.fixture
def url(ministack_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    return ministack_url


@pytest.mark.parametrize("name", STORIES)
def test_a_story_comes_to_the_same_on_dynamodb(name: str, url: str, tmp_path: Path) -> None:
    replay(History(story=NAMED[name]), tmp_path, store=on_ministack(url).store)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_history_comes_to_the_same_on_dynamodb(number: int, url: str, tmp_path: Path) -> None:
    replay(numbered(2026, number), tmp_path, store=on_ministack(url).store)
