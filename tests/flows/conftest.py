"""What several files of these tests begin with; one that says the same name has its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.flows.account_kit import MINUTE, START, Account, Clock, Connected
from tests.flows.connecting_kit import Merchant
from tests.storage.backends import Backend, on_ministack, on_moto


@pytest.fixture
def account() -> Iterator[Account]:
    clock = Clock(START + 30 * MINUTE)
    with running_fake_stripe(clock=clock, seed=1) as fake:
        yield Account(fake, clock)
        assert fake.faults == []


@pytest.fixture
def ours(tmp_path: Path, account: Account) -> Connected:
    return Connected(tmp_path, account, "ours")


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe() as running:
        yield running
        assert running.faults == []


@pytest.fixture
def merchant(tmp_path: Path, fake: FakeStripe) -> Merchant:
    return Merchant(tmp_path, fake)


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.ministack)])
def dynamo(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The real store, in and out of the process."""
    if request.param == "moto":
        with on_moto() as backend:
            yield backend
        return
    url = request.getfixturevalue("ministack_url")
    request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", url)
    yield on_ministack(url)
