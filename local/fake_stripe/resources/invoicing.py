"""The life of an invoice: draft, finalised, paid or failed, voided. (`invoices` has the routes.)

From basil on an invoice is paid through invoice payments; each names the payment intent that paid.
Source: docs.stripe.com/invoicing/integration/workflow-transitions and
docs.stripe.com/api/invoice-payment.
"""

from ..errors import StripeRefusal, invalid
from ..events import emit
from ..jobs import job
from ..world import Object, World, copied
from . import customers, intents, payment_methods
from .invoice_lines import compute

DRAFT_SECONDS = 3_600
RETRY_DAYS = 3
MAX_ATTEMPTS = 4


def finalize(world: World, invoice: Object, *, intent: Object | None = None) -> None:
    """Fixes the sums, takes the customer's balance into account, makes the payment intent (or
    takes the given, paid one). An invoice with nothing due is paid at once."""
    if invoice["status"] != "draft":
        raise invalid(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    compute(world, invoice)
    customer = world.get("customer", invoice["customer"])
    _apply_balance(world, invoice, customer)
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] += 1
    hosted = f"{world.fake.url}/invoices/{invoice['id']}"
    invoice.update(
        effective_at=world.now,
        hosted_invoice_url=hosted,
        invoice_pdf=f"{hosted}/pdf",
        number=f"{customer['invoice_prefix']}-{number:04d}",
        status="open",
        automatically_finalizes_at=None,
        status_transitions=invoice["status_transitions"] | {"finalized_at": world.now},
    )
    if invoice["amount_due"] > 0:
        _expect_payment(world, invoice, intent)
    emit(world, "invoice.finalized", invoice)
    if invoice["amount_due"] == 0 or intent is not None:
        mark_paid(world, invoice, intent)


def _apply_balance(world: World, invoice: Object, customer: Object) -> None:
    """A credit lowers what is due; a negative total becomes credit; a debt is added."""
    before = customer["balance"]
    due = invoice["total"] + before
    after = min(due, 0)
    invoice.update(starting_balance=before, ending_balance=after)
    invoice.update(amount_due=max(due, 0), amount_remaining=max(due, 0))
    if after != before:
        customers.change_balance(
            world,
            customer,
            after - before,
            invoice["currency"],
            "applied_to_invoice",
            invoice=invoice["id"],
        )


def _expect_payment(world: World, invoice: Object, intent: Object | None) -> None:
    if intent is None:
        what = "Subscription" if invoice["parent"] else "Payment for Invoice"
        intent = intents.make_intent(
            world,
            invoice["amount_due"],
            invoice["currency"],
            customer=invoice["customer"],
            description=f"{what} {invoice['number']}",
            _invoice=invoice["id"],
        )
    payment = world.new(
        "invoice_payment",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    invoice["_payment_intent"] = intent["id"]
    invoice["_payment"] = payment["id"]


def collect(world: World, invoice: Object, method: Object | None = None) -> None:
    """Charges an open invoice. Raises the bank's refusal after `invoice.payment_failed`."""
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] != "open":
        raise invalid(f"Invoices in status {invoice['status']} cannot be paid.")
    method = method or _method(world, invoice)
    if method is None:
        _failed(world, invoice)
        raise StripeRefusal(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set one "
            "or pass `payment_method`.",
            code="invoice_payment_intent_requires_action",
        )
    intent = world.get("payment_intent", invoice["_payment_intent"])
    intents.confirm(world, intent, method)


def _method(world: World, invoice: Object) -> Object | None:
    subscription = world.table("subscription").get(subscription_of(invoice) or "")
    for owner in (invoice, subscription):
        if owner is not None and owner["default_payment_method"]:
            return world.get("payment_method", owner["default_payment_method"])
    return customers.default_method(world, world.get("customer", invoice["customer"]))


def subscription_of(invoice: Object) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


@intents.on_outcome
def _paid_or_failed(world: World, intent: Object, succeeded: bool) -> None:
    """The intent of an invoice tells it; one made by Checkout before its invoice is not heard."""
    invoice = world.table("invoice").get(intent.get("_invoice") or "")
    if invoice is None or invoice["status"] != "open":
        return
    if succeeded:
        mark_paid(world, invoice, intent)
    else:
        _failed(world, invoice)


def mark_paid(world: World, invoice: Object, intent: Object | None) -> None:
    """The invoice is paid: by that intent, or (None) because nothing was due."""
    if intent is not None:
        payment = world.get("invoice_payment", invoice["_payment"])
        transitions = payment["status_transitions"] | {"paid_at": world.now}
        paid = intent["amount_received"]
        payment.update(status="paid", amount_paid=paid, status_transitions=transitions)
        invoice.update(amount_paid=paid, amount_remaining=0, _charge=intent["latest_charge"])
        invoice.update(attempt_count=invoice["attempt_count"] + 1)
        emit(world, "invoice_payment.paid", payment)
    _settle(world, invoice)


def lower_due(world: World, invoice: Object, amount: int) -> None:
    """A credit note on an open invoice: that much less is asked for (more, when it is voided)."""
    invoice["amount_due"] -= amount
    invoice["amount_remaining"] -= amount
    if invoice.get("_payment_intent") and invoice["amount_due"] > 0:
        world.get("payment_intent", invoice["_payment_intent"])["amount"] = invoice["amount_due"]
        payment = world.get("invoice_payment", invoice["_payment"])
        payment["amount_requested"] = invoice["amount_due"]


def pay_by_credit(world: World, invoice: Object) -> None:
    """Credit notes left nothing to pay: the invoice is paid, and no money moved."""
    _drop_payment(world, invoice)
    _settle(world, invoice)


def _drop_payment(world: World, invoice: Object) -> None:
    if invoice.get("_payment_intent"):
        intent = world.get("payment_intent", invoice["_payment_intent"])
        intents.cancel(world, intent, "automatic")
        payment = world.get("invoice_payment", invoice["_payment"])
        transitions = payment["status_transitions"] | {"canceled_at": world.now}
        payment.update(status="canceled", status_transitions=transitions)


def pay_outside(world: World, invoice: Object) -> None:
    """Marked as paid outside Stripe: the intent is cancelled, the money is not Stripe's."""
    _drop_payment(world, invoice)
    due = invoice["amount_due"]
    invoice.update(amount_paid=due, amount_remaining=0, _paid_out_of_band=True)
    _settle(world, invoice)


def _settle(world: World, invoice: Object) -> None:
    invoice.update(
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
        status="paid",
        status_transitions=invoice["status_transitions"] | {"paid_at": world.now},
    )
    emit(world, "invoice.paid", invoice)
    emit(world, "invoice.payment_succeeded", invoice)
    _tell_subscription(world, invoice, "active")


def _failed(world: World, invoice: Object) -> None:
    attempts = invoice["attempt_count"] + 1
    again = None
    if attempts < MAX_ATTEMPTS and invoice["auto_advance"]:
        again = world.now + RETRY_DAYS * 86_400
        world.schedule("retry_invoice", again, invoice["id"])
    invoice.update(attempt_count=attempts, attempted=True, next_payment_attempt=again)
    emit(world, "invoice.payment_failed", invoice)
    _tell_subscription(world, invoice, "past_due")


def _tell_subscription(world: World, invoice: Object, status: str) -> None:
    subscription = world.table("subscription").get(subscription_of(invoice) or "")
    if subscription is None or subscription["status"] == status:
        return
    if subscription["status"] in ("canceled", "trialing", "incomplete_expired"):
        return
    if status == "past_due" and subscription["status"] == "incomplete":
        return
    before = copied(subscription)
    subscription["status"] = status
    if not subscription.get("_new"):
        emit(world, "customer.subscription.updated", subscription, before=before)


@job
def advance_invoice(world: World, id_: str) -> None:
    """Stripe's own hand: finalises a draft after an hour, then charges it."""
    invoice = world.table("invoice").get(id_)
    if invoice is None or not invoice["auto_advance"]:
        return
    if invoice["status"] == "draft":
        finalize(world, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        _try(world, invoice)


@job
def retry_invoice(world: World, id_: str) -> None:
    invoice = world.table("invoice").get(id_)
    if invoice is not None and invoice["status"] == "open":
        _try(world, invoice)


def _try(world: World, invoice: Object) -> None:
    try:
        collect(world, invoice)
    except StripeRefusal:
        return  # told by invoice.payment_failed; a retry is due


def void(world: World, invoice: Object) -> None:
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid("You can only void open or uncollectible invoices.")
    if invoice.get("_payment_intent"):
        intent = world.get("payment_intent", invoice["_payment_intent"])
        intents.cancel(world, intent, "void_invoice")
    invoice.update(
        status="void",
        auto_advance=False,
        status_transitions=invoice["status_transitions"] | {"voided_at": world.now},
    )
    emit(world, "invoice.voided", invoice)


def use_method(world: World, id_: str, invoice: Object) -> Object:
    method = payment_methods.use(world, id_)
    customer = world.get("customer", invoice["customer"])
    if method["customer"] is None:
        payment_methods.attach_to(world, method, customer)
    return method
