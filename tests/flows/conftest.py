from collections.abc import Iterator

import pytest

from tests.storage.backends import Backend, on_ministack, on_moto


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
