"""Secrets sealed for one stage, sealed anew for another: each stage has a key of its own."""

from collections.abc import Mapping
from dataclasses import replace

from chalicelib.flows.read_connection import open_secret, secret_place
from chalicelib.flows.sign_up import signing_key_place
from chalicelib.flows.stripe_platform import platform_place
from chalicelib.storage import oauth_records, records
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Item


def resealed(item: Item, *, old: Sealer, new: Sealer) -> Item:
    """A program, a connection or a platform with its secrets sealed by ``new``; anything else as it
    is. Raises ``ValueError`` for a secret that ``old`` did not seal."""
    owner, _, id = item.key.pk.partition("#")
    anew: dict[str, object] = {}
    if owner == "program" and (sealed := item.body.get("sealed_signing_key")):
        place = signing_key_place(id)
        anew["sealed_signing_key"] = new.seal(old.open(sealed, place=place), place=place)
    if owner == "connection":
        connection = records.read_connection(item)

        def again(sealed: str, field: str) -> str:
            secret = open_secret(sealed, field, of=connection, sealer=old)
            return new.seal(secret, place=secret_place(connection.program, connection.id, field))

        if connection.sealed_api_key:
            anew["sealed_api_key"] = again(connection.sealed_api_key, "api_key")
        if connection.sealed_webhook_secrets:
            anew["sealed_webhook_secrets"] = [
                again(sealed, "webhook_secret") for sealed in connection.sealed_webhook_secrets
            ]
    if owner == "platform":
        anew |= _platform(item, old=old, new=new)
    return replace(item, body={**item.body, **anew}) if anew else item


def _platform(item: Item, *, old: Sealer, new: Sealer) -> Mapping[str, object]:
    stored = oauth_records.read_platform(item)

    def again(sealed: str, field: str) -> str:
        place = platform_place(stored.mode, field)
        return new.seal(old.open(sealed, place=place), place=place)

    anew = replace(
        stored,
        sealed_secret_key=again(stored.sealed_secret_key, "secret_key"),
        webhook_secrets=tuple(
            replace(secret, sealed=again(secret.sealed, "webhook_secret"))
            for secret in stored.webhook_secrets
        ),
    )
    return oauth_records.platform_item(anew, version=item.version).body
