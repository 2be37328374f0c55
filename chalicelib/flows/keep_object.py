"""What a read of Stripe's API told, taken in as if Stripe had sent it."""

from collections.abc import Callable

from chalicelib.core.facts import Ms
from chalicelib.flows.receive_webhook import Received, receive_verified
from chalicelib.storage.records import Connection
from chalicelib.storage.store import BookStore


def take_in(
    body: bytes,
    *,
    connection: Connection,
    store: BookStore,
    now: Ms,
    until: Callable[[], bool] = lambda: False,
) -> Received:
    """Into the inbox and booked, like a webhook without a signature: ``body`` is an event that
    ``objects`` or ``asked`` made, or one of Stripe's own list. Taken in before, it is a
    ``duplicate``. Raises ``Unavailable``."""
    return receive_verified(
        body, connection=connection, store=store, now=now, until=until, ours=True
    )
