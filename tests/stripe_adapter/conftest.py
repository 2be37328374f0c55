"""Servers that play Stripe, and a clock that only moves when somebody waits."""

from collections.abc import Iterator

import pytest

from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.stripe_adapter.asking import Scripted, Waiting, scripted


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def answering() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe(seed=1) as running:
        yield running
        assert running.faults == []
