"""The life of a subscription: started, renewed, changed, ended. (`subscriptions` has the routes.)

A renewal makes a draft that is finalised and charged an hour later, as Stripe's is. Trials begin
with a paid zero invoice. Source: docs.stripe.com/billing/subscriptions/overview and /billing-cycle.
"""

from ..errors import StripeRefusal
from ..events import emit
from ..jobs import job
from ..periods import next_end
from ..world import Object, World, copied
from . import invoicing
from .invoice_making import make_invoice
from .subscription_lines import discounts_for, due_date, pending_lines, subscription_lines

WARNING_SECONDS = 3 * 86_400


def begin(
    world: World,
    subscription: Object,
    *,
    trial_end: int | None,
    method: Object | None,
    strict: bool,
) -> Object:
    """The first period, its invoice and its payment. Returns the invoice.

    With `strict` a declined payment raises; else the subscription stays `incomplete`."""
    now = world.now
    if trial_end is not None and trial_end > now:
        subscription.update(
            status="trialing", trial_start=now, trial_end=trial_end, billing_cycle_anchor=trial_end
        )
        _set_period(subscription, now, trial_end)
    else:
        _set_period(subscription, now, _end_after(subscription, now))
    subscription["_new"] = True
    invoice = _invoice(world, subscription, "subscription_create")
    subscription["latest_invoice"] = invoice["id"]
    invoicing.finalize(world, invoice)
    refusal = None
    if invoice["status"] == "open" and not subscription.get("_wait"):
        if subscription["collection_method"] == "charge_automatically":
            refusal = _charge(world, invoice, method)
        else:
            subscription["status"] = "active"
    if refusal is not None and strict:
        raise refusal
    if invoice["status"] == "paid" and subscription["status"] == "incomplete":
        subscription["status"] = "active"
    if invoice.get("_payment_intent"):
        intent = world.get("payment_intent", invoice["_payment_intent"])
        if intent["status"] == "processing":
            subscription["status"] = "active"
    subscription.pop("_new")
    emit(world, "customer.subscription.created", subscription)
    if subscription["status"] == "trialing":
        soon = max(world.now, subscription["trial_end"] - WARNING_SECONDS)
        world.schedule("trial_will_end", soon, subscription["id"])
    _plan_next(world, subscription)
    return invoice


def _charge(world: World, invoice: Object, method: Object | None) -> StripeRefusal | None:
    try:
        invoicing.collect(world, invoice, method)
    except StripeRefusal as refusal:
        return refusal
    return None


def _end_after(subscription: Object, start: int) -> int:
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    anchor = subscription["billing_cycle_anchor"]
    return next_end(anchor, start, recurring["interval"], recurring["interval_count"])


def _set_period(subscription: Object, start: int, end: int) -> None:
    for item in subscription["items"]["data"]:
        item.update(current_period_start=start, current_period_end=end)


def period_of(subscription: Object) -> tuple[int, int]:
    first = subscription["items"]["data"][0]
    return first["current_period_start"], first["current_period_end"]


def _plan_next(world: World, subscription: Object) -> None:
    world.unschedule("renew_subscription", subscription["id"])
    world.schedule("renew_subscription", period_of(subscription)[1], subscription["id"])


@job
def trial_will_end(world: World, id_: str) -> None:
    """Three days before a trial's end, or at once if it is shorter."""
    subscription = world.table("subscription").get(id_)
    if subscription is not None and subscription["status"] == "trialing":
        emit(world, "customer.subscription.trial_will_end", subscription)


@job
def renew_subscription(world: World, id_: str) -> None:
    """The end of a period: a trial ends, a cancellation takes hold, or the next period begins."""
    subscription = world.table("subscription").get(id_)
    if subscription is None or subscription["status"] in ("canceled", "incomplete_expired"):
        return
    if subscription["status"] == "incomplete":
        end(world, subscription, "incomplete_expired")
        return
    if subscription["cancel_at_period_end"]:
        end(world, subscription)
        return
    before = copied(subscription)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    start = period_of(subscription)[1]
    _set_period(subscription, start, _end_after(subscription, start))
    invoice = _invoice(world, subscription, "subscription_cycle")
    subscription["latest_invoice"] = invoice["id"]
    emit(world, "customer.subscription.updated", subscription, before=before)
    due = world.now + invoicing.DRAFT_SECONDS
    invoice["automatically_finalizes_at"] = due
    world.schedule("advance_invoice", due, invoice["id"])
    _plan_next(world, subscription)


def bill_now(world: World, subscription: Object, reason: str, *, lines: list[Object]) -> Object:
    """An invoice at once for `lines` (made with `_subscription_lines` or of pending items)."""
    invoice = _invoice(world, subscription, reason, lines=lines)
    subscription["latest_invoice"] = invoice["id"]
    invoicing.finalize(world, invoice)
    if invoice["status"] == "open":
        _charge(world, invoice, None)
    return invoice


def _invoice(
    world: World, subscription: Object, reason: str, lines: list[Object] | None = None
) -> Object:
    customer = world.get("customer", subscription["customer"])
    if lines is None:
        lines = pending_lines(world, subscription) + subscription_lines(world, subscription)
    invoice_id = world.new_id("invoice")
    details = {
        "metadata": copied(subscription["metadata"]),
        "subscription": subscription["id"],
        "subscription_proration_date": None,
    }
    made = make_invoice(
        world,
        customer,
        subscription["currency"],
        id=invoice_id,
        billing_reason=reason,
        collection_method=subscription["collection_method"],
        default_tax_rates=copied({"rates": subscription["default_tax_rates"]})["rates"],
        discounts=discounts_for(world, subscription),
        due_date=due_date(world, subscription),
        parent={"type": "subscription_details", "subscription_details": details},
        _lines=lines,
    )
    for item in world.rows("invoiceitem", lambda i: i.get("_taken") == subscription["id"]):
        item.update(invoice=invoice_id, _taken=None)
    return made


def end(world: World, subscription: Object, status: str = "canceled") -> None:
    """Ends it now, with `customer.subscription.deleted`."""
    world.unschedule("renew_subscription", subscription["id"])
    subscription.update(status=status, ended_at=world.now)
    subscription["canceled_at"] = subscription["canceled_at"] or world.now
    if status == "incomplete_expired":
        emit(world, "customer.subscription.updated", subscription)
        return
    emit(world, "customer.subscription.deleted", subscription)


def end_trial(world: World, subscription: Object) -> None:
    """`trial_end=now`: the first paid period begins at once."""
    subscription.update(status="active", trial_end=world.now, billing_cycle_anchor=world.now)
    restart(world, subscription, "subscription_update")


def restart(world: World, subscription: Object, reason: str) -> None:
    """A new period from now, billed at once, pending items with it."""
    subscription["billing_cycle_anchor"] = world.now
    _set_period(subscription, world.now, _end_after(subscription, world.now))
    lines = pending_lines(world, subscription) + subscription_lines(world, subscription)
    bill_now(world, subscription, reason, lines=lines)
    _plan_next(world, subscription)
