"""Secrets at rest: sealed for one place, readable after the key was rotated, by nobody else."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.sealing import FileSealer, KmsSealer, Sealer

SECRET = "what nobody may read"  # noqa: S105  (no secret at all)
PLACE = "connection/con_1/api_key"


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of a key of a pretended AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture(params=["kms", "file"])
def sealer(request: pytest.FixtureRequest, tmp_path: Path) -> Sealer:
    if request.param == "file":
        return FileSealer(str(tmp_path / "key"))
    return KmsSealer(request.getfixturevalue("kms"))


def test_what_is_sealed_opens_at_its_place(sealer: Sealer) -> None:
    sealed = sealer.seal(SECRET, place=PLACE)
    assert SECRET not in sealed
    assert sealer.open(sealed, place=PLACE) == SECRET


@pytest.mark.parametrize(
    "elsewhere", ["connection/con_2/api_key", "connection/con_1/webhook_secret", "platform/api_key"]
)
def test_moved_to_another_record_or_field_it_does_not_open(sealer: Sealer, elsewhere: str) -> None:
    sealed = sealer.seal(SECRET, place=PLACE)
    with pytest.raises(ValueError, match="another place"):
        sealer.open(sealed, place=elsewhere)


@pytest.mark.parametrize("secret", ["", "too long " * 400])
def test_what_is_no_secret_is_refused(sealer: Sealer, secret: str) -> None:
    with pytest.raises(ValueError, match="1 to 3000 bytes"):
        sealer.seal(secret, place=PLACE)


def test_one_kind_does_not_open_the_others(kms: str, tmp_path: Path) -> None:
    ours, theirs = KmsSealer(kms), FileSealer(str(tmp_path / "key"))
    with pytest.raises(ValueError, match="KMS"):
        ours.open(theirs.seal(SECRET, place=PLACE), place=PLACE)
    with pytest.raises(ValueError, match="key file"):
        theirs.open(ours.seal(SECRET, place=PLACE), place=PLACE)


def test_old_records_open_after_the_kms_key_was_rotated(kms: str) -> None:
    sealer = KmsSealer(kms)
    before = sealer.seal(SECRET, place=PLACE)
    client = boto3.client("kms")
    client.enable_key_rotation(KeyId=kms)
    client.rotate_key_on_demand(KeyId=kms)
    after = sealer.seal(SECRET, place=PLACE)
    for sealed in (before, after):
        assert KmsSealer(kms).open(sealed, place=PLACE) == SECRET


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://kms.example.com"),
        ReadTimeoutError(endpoint_url="https://kms.example.com"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Decrypt"),
        ClientError(
            {
                "Error": {"Code": "KMSInternalException"},
                "ResponseMetadata": {"HTTPStatusCode": 500},
            },
            "Decrypt",
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_unavailable(kms: str, error: Exception) -> None:
    """And no bug: a door asks to be called again, a job waits."""
    sealer = KmsSealer(kms)
    sealed = sealer.seal(SECRET, place=PLACE)

    def away(**about: Any) -> None:
        raise error

    sealer.warm().meta.events.register("before-call.kms", away)
    with pytest.raises(Unavailable):
        sealer.open(sealed, place=PLACE)
    with pytest.raises(Unavailable):
        sealer.seal(SECRET, place=PLACE)


def test_what_is_set_wrongly_stays_loud(kms: str) -> None:
    with pytest.raises(ClientError, match="NotFoundException"):
        KmsSealer("alias/nobodys").seal(SECRET, place=PLACE)


def test_the_key_file_is_its_owners_alone_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "place" / "key"
    sealed = FileSealer(str(path)).seal(SECRET, place=PLACE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o644)
    assert FileSealer(str(path)).open(sealed, place=PLACE) == SECRET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="another key"):
        FileSealer(str(tmp_path / "other")).open(sealed, place=PLACE)
