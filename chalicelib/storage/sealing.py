"""Secrets at rest: sealed for one place, so that a ciphertext moved elsewhere does not open.

Deployed, KMS encrypts and decrypts (a secret is far below its limit of 4 KB), with the place as
encryption context: https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html.
Locally a key file (mode 600) does, through ``cryptography``, which is not shipped.
"""

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from chalicelib.core.refusals import Unavailable

MAX_SECRET_BYTES = 3000


class Sealer(Protocol):
    """``place`` names program and field, e.g. ``connection/con_1/webhook_secret``."""

    def seal(self, secret: str, *, place: str) -> str: ...

    def open(self, sealed: str, *, place: str) -> str:
        """The secret; raises ``ValueError`` if it was not sealed here, for this place. Both raise
        ``Unavailable`` while the key cannot be asked."""
        ...


class KmsSealer:
    """Seals with a KMS key. One call each; callers keep what they opened while they live."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=1, read_timeout=2, retries={"max_attempts": 2})
        return boto3.client("kms", config=config)

    def warm(self) -> Any:
        """The client, which is made now if it was not: during the start of a process, without a
        network call."""
        return self._client

    def seal(self, secret: str, *, place: str) -> str:
        _check(secret)
        with _away():
            answer = self._client.encrypt(
                KeyId=self.key_id, Plaintext=secret.encode(), EncryptionContext={"place": place}
            )
        return "kms:" + base64.b64encode(answer["CiphertextBlob"]).decode()

    def open(self, sealed: str, *, place: str) -> str:
        if not sealed.startswith("kms:"):
            raise ValueError("this was not sealed with KMS")
        blob = base64.b64decode(sealed[4:])
        try:
            with _away():
                answer = self._client.decrypt(
                    KeyId=self.key_id, CiphertextBlob=blob, EncryptionContext={"place": place}
                )
        except self._client.exceptions.InvalidCiphertextException as error:
            raise ValueError("this was sealed for another place") from error
        return str(answer["Plaintext"].decode())


@contextmanager
def _away() -> Iterator[None]:
    """What KMS may do a moment later (it is throttled, times out, or has a fault of its own) is
    ``Unavailable``; the same table as for DynamoDB says what that is."""
    from chalicelib.storage.dynamo_failures import CALL_ERRORS, failure_of
    from chalicelib.storage.dynamo_tries import Failure

    try:
        yield
    except CALL_ERRORS as error:
        if failure_of(error) is Failure.BUG:
            raise
        raise Unavailable("The key that seals secrets could not be asked; try again.") from error


class FileSealer:
    """Seals with AES-256-GCM under a key kept in a file that only its owner can read."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    @cached_property
    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key())

    def _key(self) -> bytes:
        """The key; made whole beside its place and moved there, so that of two processes that
        start at once neither reads a half of it."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(beside, self.path)
            beside.unlink()
        self.path.chmod(0o600)  # whatever a copy or a backup made of it
        return self.path.read_bytes()

    def seal(self, secret: str, *, place: str) -> str:
        _check(secret)
        nonce = secrets.token_bytes(12)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), place.encode())
        return "file:" + base64.b64encode(sealed).decode()

    def open(self, sealed: str, *, place: str) -> str:
        from cryptography.exceptions import InvalidTag

        if not sealed.startswith("file:"):
            raise ValueError("this was not sealed with a key file")
        blob = base64.b64decode(sealed[5:])
        try:
            secret: bytes = self._cipher.decrypt(blob[:12], blob[12:], place.encode())
        except InvalidTag as error:
            raise ValueError("this was sealed for another place, or with another key") from error
        return secret.decode()


def _check(secret: str) -> None:
    if not 0 < len(secret.encode()) <= MAX_SECRET_BYTES:
        raise ValueError(f"a secret has 1 to {MAX_SECRET_BYTES} bytes")
