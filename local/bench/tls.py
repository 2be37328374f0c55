"""The same endpoint over TLS, as DynamoDB has it: a certificate, a handshake, nothing else.

The authorities that a function trusts are those that it would trust on AWS, and one made here.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.place import HOST

AUTHORITIES = Path(botocore.__file__).with_name("cacert.pem")


class Tls:
    """An endpoint in front of the one at ``port``. ``environment`` tells an app to use it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._behind, self.port = folder, port, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def environment(self) -> Mapping[str, str]:
        url, bundle = f"https://{HOST}:{self.port}", self._folder / "authorities.pem"
        return {"AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": str(bundle)}

    def __enter__(self) -> "Tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(self._folder))
        self._thread.start()
        serving = asyncio.start_server(self._pipe, HOST, 0, ssl=context)
        server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(timeout=10)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(HOST, self._behind)
        await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine and its key; the bundle that trusts it is written beside."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(public)
    secret.write_bytes(private)
    (folder / "authorities.pem").write_bytes(AUTHORITIES.read_bytes() + public)
    return certificate, secret
