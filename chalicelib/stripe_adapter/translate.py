"""Stripe's events into the house's facts: once, at the border.

``translate`` is pure and needs the standard library only: it runs before a webhook is answered.
"""

from collections.abc import Callable, Mapping

from chalicelib.core.told import Ignored, Reference, Told
from chalicelib.stripe_adapter.asked import ASKED, told_by_asking
from chalicelib.stripe_adapter.customers import told_by_customer, told_by_subscription
from chalicelib.stripe_adapter.envelope import Event, Unreadable, read_event
from chalicelib.stripe_adapter.invoices import (
    told_by_credit_note,
    told_by_invoice,
    told_by_invoice_payment,
)
from chalicelib.stripe_adapter.payments import (
    told_by_charge,
    told_by_dispute,
    told_by_intent,
    told_by_refund,
)
from chalicelib.stripe_adapter.sessions import told_by_session

__all__ = [
    "ENABLED_EVENTS",
    "KNOWN_TYPES",
    "Ignored",
    "Reference",
    "Told",
    "Unreadable",
    "translate",
]

_READERS: Mapping[str, Callable[[Event], Told | Ignored]] = {
    "checkout.session.completed": told_by_session,
    "checkout.session.async_payment_succeeded": told_by_session,
    "checkout.session.async_payment_failed": told_by_session,
    "invoice.paid": told_by_invoice,
    "invoice.voided": told_by_invoice,
    "invoice_payment.paid": told_by_invoice_payment,
    "payment_intent.succeeded": told_by_intent,
    "charge.refunded": told_by_charge,
    "refund.created": told_by_refund,
    "refund.updated": told_by_refund,
    "refund.failed": told_by_refund,
    "charge.dispute.created": told_by_dispute,
    "charge.dispute.closed": told_by_dispute,
    "charge.dispute.funds_withdrawn": told_by_dispute,
    "charge.dispute.funds_reinstated": told_by_dispute,
    "credit_note.created": told_by_credit_note,
    "credit_note.voided": told_by_credit_note,
    "customer.created": told_by_customer,
    "customer.updated": told_by_customer,
    "customer.deleted": told_by_customer,
    "customer.subscription.created": told_by_subscription,
    "customer.subscription.updated": told_by_subscription,
    "customer.subscription.deleted": told_by_subscription,
    "charge.succeeded": told_by_charge,
    "charge.captured": told_by_charge,
    "charge.refund.updated": told_by_refund,
}

# What a webhook endpoint asks for: never "*", never invoice.created (it would delay invoices).
ENABLED_EVENTS = tuple(_READERS)

# A merchant's own endpoint may send both of these for one invoice: they are the same fact.
_SAME_FACT = {"invoice.payment_succeeded": told_by_invoice}

# What Stripe answered when it was asked: told by us alone (``receive_webhook`` sees to that).
_OWN = {ASKED: told_by_asking}

KNOWN_TYPES = frozenset(_READERS) | frozenset(_SAME_FACT)


def translate(raw_body: bytes) -> Told | Ignored:
    """The facts that one event tells, or why it tells none.

    The body is Stripe's, in the shape of any API version. Raises ``Unreadable`` naming the field
    where the event is of a known type and cannot be read, and nothing else.
    """
    event = read_event(raw_body)
    read = _READERS.get(event.type) or _SAME_FACT.get(event.type) or _OWN.get(event.type)
    if read is None:
        return Ignored(because=f"event type {event.type} is not used")
    return read(event)
