"""Authorised Stripe accounts as stored items, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from chalicelib.core.names import Ms
from chalicelib.storage import keys
from chalicelib.storage.codec import dump, load
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Item

How = Literal["key", "oauth"]
State = Literal["opening", "open", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An authorised Stripe account of a program: by an API key of its own, or (``how`` is
    ``oauth``) by the platform's. Secrets are sealed (``sealing.py``).

    ``sealed_webhook_secrets`` are newest first; ``secret_ends`` says beside each until when it is
    valid, 0 or nothing: for good. ``opening``: somebody began to connect it (one that was open
    before has a ``closed_at`` then). ``attempt`` names an endpoint that is being made at Stripe. A
    closed one keeps its history and no secret.
    """

    id: str
    program: str
    livemode: bool
    created_at: Ms
    account: str = ""
    sealed_api_key: str = field(default="", repr=False)
    sealed_webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    account_name: str = ""
    currency: str = ""
    how: How = "key"
    permissions: Mapping[str, bool] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    endpoint: str = ""
    endpoint_events: tuple[str, ...] = ()
    secret_ends: tuple[Ms, ...] = ()
    opening: bool = False
    attempt: str = ""
    closed_at: Ms = 0
    closed_because: str = ""

    @property
    def scope(self) -> Scope:
        return Scope(self.program, "live" if self.livemode else "test")

    @property
    def state(self) -> State:
        if self.opening:
            return "opening"
        return "closed" if self.closed_at else "open"

    def opened(self) -> "Connection":
        """As it is once nothing is left to be done to open it."""
        return replace(self, opening=False, attempt="", closed_at=0, closed_because="")

    def webhook_secrets(self, now: Ms) -> tuple[tuple[str, Ms], ...]:
        """The sealed secrets that are valid now, each with its end."""
        ends = (*self.secret_ends, *(0 for _ in self.sealed_webhook_secrets))
        found = zip(self.sealed_webhook_secrets, ends, strict=False)
        return tuple((sealed, end) for sealed, end in found if not end or now < end)

    def with_webhook_secret(self, sealed: str, *, now: Ms, others_end: Ms) -> "Connection":
        """With one more, the newest; the others end then, or when they would have (0: as they
        are)."""
        others = [
            (other, min(end or others_end, others_end) if others_end else end)
            for other, end in self.webhook_secrets(now)[: MAX_SECRETS - 1]
        ]
        return replace(
            self,
            sealed_webhook_secrets=(sealed, *(other for other, _ in others)),
            secret_ends=(0, *(end for _, end in others)),
        )


MAX_SECRETS = 4  # valid at once: each costs a delivery one more HMAC


def connection_item(connection: Connection, version: int = 0) -> Item:
    """Listed with all others of the deployment, those of a program and mode side by side."""
    return Item(
        key=keys.connection(connection.id),
        body=dump(connection),
        version=version,
        listing=(keys.CONNECTIONS, f"{keys.connections_of(connection.scope)}{connection.id}"),
    )


def read_connection(item: Item) -> Connection:
    return load(Connection, item.body)
