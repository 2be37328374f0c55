"""Secrets sealed for one stage, sealed anew for another: each stage has a key of its own."""

from dataclasses import replace

from chalicelib.flows.read_connection import secret_place
from chalicelib.flows.sign_up import signing_key_place
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Item


def resealed(item: Item, *, old: Sealer, new: Sealer) -> Item:
    """A program or a connection with its secrets sealed by ``new``; anything else as it is.
    Raises ``ValueError`` for a secret that ``old`` did not seal."""
    owner, _, id = item.key.pk.partition("#")

    def again(sealed: str, place: str) -> str:
        return new.seal(old.open(sealed, place=place), place=place)

    anew: dict[str, object] = {}
    if owner == "program" and (sealed := item.body.get("sealed_signing_key")):
        anew["sealed_signing_key"] = again(sealed, signing_key_place(id))
    if owner == "connection":
        if sealed := item.body.get("sealed_api_key"):
            anew["sealed_api_key"] = again(sealed, secret_place(id, "api_key"))
        anew["sealed_webhook_secrets"] = [
            again(sealed, secret_place(id, "webhook_secret"))
            for sealed in item.body.get("sealed_webhook_secrets", [])
        ]
    return replace(item, body={**item.body, **anew}) if anew else item
