"""One account's reads, as a job makes them: an object by its id, and a page of a list."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.stripe_adapter.client import Line
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.pace import Pacer

Kind = Literal[
    "invoice",
    "payment_intent",
    "charge",
    "refund",
    "dispute",
    "credit_note",
    "checkout.session",
    "customer",
    "subscription",
    "invoice_payment",
    "event",
]

PATHS: Mapping[Kind, str] = {
    "invoice": "/v1/invoices",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "credit_note": "/v1/credit_notes",
    "checkout.session": "/v1/checkout/sessions",
    "customer": "/v1/customers",
    "subscription": "/v1/subscriptions",
    "invoice_payment": "/v1/invoice_payments",
    "event": "/v1/events",
}
MOST_ROWS = 100  # Stripe gives no more a page
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True)
class Rows:
    """A page; ``more`` if another stands behind it."""

    rows: tuple[dict[str, Any], ...]
    more: bool


class StripeCalls:
    """Paced, tried five times where it may help, in the SDK's API version; see ``Line``.

    Raises ``StripeAway`` when all tries failed, ``KeyRefused``, ``PermissionMissing``, and
    ``StripeRefused`` for what Stripe will never answer (a cursor that is gone: ``stripe_code``
    resource_missing). ``made`` counts requests, those tried again as well.
    """

    def __init__(
        self, credentials: Credentials, *, api_base: str = "", pacer: Pacer | None = None
    ) -> None:
        self._line = Line(credentials, api_base=api_base, pacer=pacer)

    @property
    def made(self) -> int:
        return self._line.made

    def retrieve(self, kind: Kind, id: str, *, expand: Sequence[str] = ()) -> dict[str, Any] | None:
        """The object as it is now; a deleted customer is ``{"id", "object", "deleted": True}``;
        ``None`` if there is none. What cannot be an id is not asked for."""
        if not _ID.fullmatch(id):
            return None
        params = {"expand": list(expand)} if expand else {}
        return self._line.find(f"{PATHS[kind]}/{id}", params)

    def page(
        self,
        kind: Kind,
        *,
        params: Mapping[str, Any] | None = None,
        after: str = "",
        limit: int = MOST_ROWS,
    ) -> Rows:
        """Up to ``limit`` (1 to 100) objects, newest first as Stripe lists them, behind the one
        with the id ``after``. ``params`` are Stripe's filters, nested as its SDK takes them:
        ``{"created": {"gte": 1}, "status": "paid", "expand": ["data.customer"]}``."""
        asked = {**(params or {}), "limit": limit}
        if after:
            asked["starting_after"] = after
        return Rows(*self._line.page(PATHS[kind], asked))
