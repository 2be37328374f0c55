"""Asking Stripe what no event has told: what a payment is for, which refunds there were, who a
customer is. Each answer is the body of an event, to be taken in (``keep_object``) in its order; the
last one of a question says that it was asked."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import StripeRefused
from chalicelib.core.sale import Sale
from chalicelib.core.settlement import SettledSale
from chalicelib.storage.records import Connection
from chalicelib.stripe_adapter.asked import claims_asked, refunds_asked
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.objects import EXPAND, event_of
from chalicelib.stripe_adapter.readers import subscription_of_invoice

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.calls import Kind, StripeCalls

_KINDS: Mapping[str, "Kind"] = {
    "in": "invoice",
    "cs": "checkout.session",
    "pi": "payment_intent",
    "ch": "charge",
    "py": "charge",
}
MOST_CLAIMS = 10  # invoices, or sessions, that one payment intent may have paid
MOST_REFUND_PAGES = 5  # of 100 refunds of one charge


def read_claims(
    intent_id: str, *, calls: "StripeCalls", connection: Connection
) -> tuple[bytes, ...]:
    """The invoice or session that a payment intent paid; if there is none (or no such intent),
    that Stripe was asked. Two reads, or four where there is an invoice.

    Raises what ``StripeCalls`` raises.
    """
    asking = _Asking(calls, connection)
    claims = tuple(asking.claims(intent_id))
    return claims or (asking.asked(intent_id),)


def read_answers(
    settled: SettledSale,
    *,
    calls: "StripeCalls",
    connection: Connection,
    now: Ms,
    alone: bool = True,
) -> tuple[bytes, ...]:
    """The answers to the sale's open question; nothing where there is none. Once they are taken in
    the sale asks no more, or no sooner than a day later. ``alone`` says that the program has no
    other Stripe account on this side: else one that does not know the payment answers nothing.

    Raises what ``StripeCalls`` raises.
    """
    asking = _Asking(calls, connection)
    about = settled.question.about if settled.question else ()
    bodies: list[bytes] = []
    sale = settled.sale
    if about and not alone and not asking.knows(sale):
        return ()
    if "claims" in about:
        for id in sorted(sale.ids):
            bodies += asking.claims(id) if id.startswith("pi_") else ()
    if "customer" in about:
        bodies += asking.customer(settled.owner)
    if "refunds" in about:
        for charge, total in sorted(sale.refunded_totals.items()):
            bodies += asking.refunds(charge, stood_at=total.amount, at=now)
    if {"claims", "customer"} & set(about):
        bodies.append(asking.asked(sale.canonical))
    return tuple(bodies)


class _Asking:
    """The questions, on one connection."""

    def __init__(self, calls: "StripeCalls", connection: Connection) -> None:
        self._calls = calls
        self._livemode = connection.livemode
        self._account = account_told(connection)

    def asked(self, sale_id: str) -> bytes:
        return claims_asked(sale_id, livemode=self._livemode, account=self._account)

    def knows(self, sale: Sale) -> bool:
        """Whether the payment is this account's: one read, by the id that names the sale."""
        kind = _KINDS.get(sale.canonical.partition("_")[0])
        return kind is not None and self._calls.retrieve(kind, sale.canonical) is not None

    def claims(self, intent_id: str) -> Iterator[bytes]:
        """The session in payment mode; or the invoice, and the session that its subscription came
        from, which alone knows who brought the customer."""
        payment = {"type": "payment_intent", "payment_intent": intent_id}
        for row in self._rows("invoice_payment", {"payment": payment}):
            yield from self._told("invoice_payment", row)
            invoice = self._object("invoice", row.get("invoice"))
            subscription = subscription_of_invoice(invoice or {})
            if subscription:
                yield from self._sessions({"subscription": subscription})
            if invoice is not None:
                yield from self._told("invoice", invoice)
        yield from self._sessions({"payment_intent": intent_id})

    def _sessions(self, of: Mapping[str, str]) -> Iterator[bytes]:
        expand = [f"data.{path}" for path in EXPAND["checkout.session"]]
        for row in self._rows("checkout.session", {**of, "expand": expand}):
            yield from self._told("checkout.session", row)

    def customer(self, identity: str) -> Iterator[bytes]:
        customer = self._object("customer", identity.removeprefix("stripe:"))
        if customer is not None:
            yield from self._told("customer", customer)

    def refunds(self, charge_id: str, *, stood_at: int, at: Ms) -> Iterator[bytes]:
        charge = self._calls.retrieve("charge", charge_id)
        expand = [f"data.{path}" for path in EXPAND["refund"]]
        after = ""
        for _ in range(MOST_REFUND_PAGES if charge else 0):
            page = self._calls.page(
                "refund", params={"charge": charge_id, "expand": expand}, after=after
            )
            for row in page.rows:
                yield from self._told("refund", row)
            if not page.more:
                break
            after = str(page.rows[-1]["id"])
        yield refunds_asked(
            charge_id,
            charge,
            stood_at=stood_at,
            asked_at=at // 1000,
            livemode=self._livemode,
            account=self._account,
        )

    def _rows(self, kind: "Kind", params: Mapping[str, Any]) -> tuple[Body, ...]:
        """A short list; empty where Stripe does not know what it is asked about."""
        try:
            return self._calls.page(kind, params=params, limit=MOST_CLAIMS).rows
        except StripeRefused as refused:
            if refused.stripe_code == "resource_missing":
                return ()
            raise

    def _object(self, kind: "Kind", reference: object) -> Body | None:
        id = reference.get("id") if isinstance(reference, dict) else reference
        if not isinstance(id, str) or not id:
            return None
        return self._calls.retrieve(kind, id, expand=EXPAND.get(kind, ()))

    def _told(self, kind: "Kind", object: Body) -> Iterator[bytes]:
        body = event_of(kind, object, livemode=self._livemode, account=self._account)
        if body is not None:
            yield body


def account_told(connection: Connection) -> str:
    """The account that events of this connection name: only those connected by OAuth do."""
    return connection.account if connection.how == "oauth" else ""
