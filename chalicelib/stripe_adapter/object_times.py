"""When what an object tells happened, as near as the object itself can say.

An event carries its own time; an object that is read later carries a few. Each rule here gives
the time that the event would have had, give or take a second, or an earlier one: evidence is never
told later than it was, and a payment is dated as its charge dates it in either case. What no object
says:

- when a payment intent was captured by hand: its authorisation stands for it, up to a week before
  (``charge.created``; the balance transaction would know, which our permissions do not read);
- when a Checkout Session was completed: its payment, invoice or subscription was made then; of one
  that sets up a card, or is paid with nothing, only when the page was opened is known, up to a day
  before;
- when metadata or an e-mail was last changed: it stands as of the object's making;
- when a refund failed: it stands as of its making. What then disagrees with its charge is asked.
"""

from collections.abc import Callable, Mapping

from chalicelib.stripe_adapter.envelope import MAX_SECONDS
from chalicelib.stripe_adapter.fields import Body

Second = int


def told_at(kind: str, object: Body) -> Second:
    """Unix seconds; 0 where the object names no time at all."""
    return _RULES.get(kind, _created)(object)


def _created(object: Body) -> Second:
    return _second(object, "created")


def _second(object: Body, name: str) -> Second:
    value = object.get(name)
    return value if type(value) is int and 0 <= value < MAX_SECONDS else 0


def _opened(object: Body, name: str) -> Body:
    """What a field refers to, where it was expanded."""
    value = object.get(name)
    return value if isinstance(value, dict) else {}


def _transition(object: Body, name: str) -> Second:
    return _second(_opened(object, "status_transitions"), name)


def _intent(intent: Body) -> Second:
    """When its charge was made, which is when it succeeded; a bank's debit is a payment from when
    it was charged, as its ``charge.succeeded`` says too."""
    return _created(_opened(intent, "latest_charge")) or _created(intent)


def _session(session: Body) -> Second:
    intent, invoice = _opened(session, "payment_intent"), _opened(session, "invoice")
    return max(
        _created(session),
        _created(_opened(intent, "latest_charge")),
        _transition(invoice, "paid_at"),
        _created(_opened(session, "subscription")),
    )


def _invoice(invoice: Body) -> Second:
    name = "voided_at" if invoice.get("status") == "void" else "paid_at"
    return _transition(invoice, name) or _created(invoice)


def _invoice_payment(payment: Body) -> Second:
    return _transition(payment, "paid_at") or _created(payment)


def _charge(charge: Body) -> Second:
    """What it says was refunded it says as of its last refund."""
    listed = _opened(charge, "refunds").get("data")
    refunds = listed if isinstance(listed, list) else []
    return max([_created(charge), *(_created(row) for row in refunds if isinstance(row, dict))])


def _credit_note(note: Body) -> Second:
    return max(_second(note, "voided_at"), _created(note))


_RULES: Mapping[str, Callable[[Body], Second]] = {
    "checkout.session": _session,
    "invoice": _invoice,
    "invoice_payment": _invoice_payment,
    "payment_intent": _intent,
    "charge": _charge,
    "credit_note": _credit_note,
}
