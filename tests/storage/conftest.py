from collections.abc import Iterator

import pytest

from chalicelib.storage.store import Store

from .backends import Backend, in_memory, on_ministack, on_ministack_directly, on_moto

MINISTACK = pytest.param("ministack", marks=pytest.mark.ministack)
DIRECT = pytest.param("direct", marks=pytest.mark.ministack)


@pytest.fixture(params=["memory", "moto", MINISTACK, DIRECT])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each store in turn."""
    yield from _backend(request)


@pytest.fixture(params=["memory", MINISTACK, DIRECT])
def threaded_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each store that holds its promises between threads: moto checks and writes without a lock."""
    yield from _backend(request)


@pytest.fixture(params=["moto", MINISTACK])
def dynamo(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The store on DynamoDB, in and out of the process."""
    yield from _backend(request)


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.store


def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    match request.param:
        case "memory":
            yield in_memory()
        case "moto":
            with on_moto() as backend:
                yield backend
        case "ministack":
            url = request.getfixturevalue("ministack_url")
            request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", url)
            yield on_ministack(url)
        case "direct":
            url = request.getfixturevalue("ministack_url")
            request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", url)
            yield on_ministack_directly(url)
