"""Stripe's objects and events as webhooks carry them, in the layout of each API version.

Written from Stripe's changelog and API reference, and from the layouts of payloads that other
projects recorded. Every builder is keyword-only and valid by default; ``more`` overrides any
field. Money is in minor units, times are unix seconds.
"""

import hashlib
import hmac
import json
from typing import Any

Object = dict[str, Any]

VERSIONS = (
    "2020-08-27",
    "2022-11-15",
    "2024-12-18.acacia",
    "2025-03-31.basil",
    "2025-09-30.clover",
    "2026-03-25.dahlia",
    "2026-09-30.endive",
)
NEWEST = VERSIONS[-1]
BASIL, CLOVER = "2025-03-31", "2025-09-30"
MAY_1 = 1_777_636_800  # 2026-05-01 12:00 UTC
TOKEN = "A1b2C3d4E5f6G7h8I9j0K1_Ann"  # noqa: S105  (a visit's public token)


def since(version: str, day: str) -> bool:
    """Whether an API version is of that day or later; versions start with their day."""
    return version[:10] >= day


def build_event(
    type: str,
    object: Object,
    *,
    id: str = "evt_1",
    created: int = MAY_1,
    version: str = NEWEST,
    livemode: bool = False,
    account: str | None = None,
    previous: Object | None = None,
) -> Object:
    data: Object = {"object": object}
    if previous is not None:
        data["previous_attributes"] = previous
    event: Object = {
        "id": id,
        "object": "event",
        "api_version": version,
        "created": created,
        "data": data,
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }
    return event | ({"account": account} if account else {})


def as_body(event: Object) -> bytes:
    """The bytes of an event, not all ASCII where a name is not."""
    return json.dumps(event, ensure_ascii=False, indent=2).encode()


def an_event(type: str, object: Object, **about: Any) -> bytes:
    return as_body(build_event(type, object, **about))


def signed(body: bytes, secret: str, t: int) -> str:
    """The ``Stripe-Signature`` header of a body."""
    digest = hmac.new(secret.encode(), b"%d.%s" % (t, body), hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def an_invoice(
    *,
    version: str = NEWEST,
    id: str = "in_1",
    total: int = 4900,
    total_excluding_tax: int | None = 4900,
    tax: int = 0,
    amount_paid: int = 4900,
    amount_shipping: int = 0,
    currency: str = "eur",
    customer: Any = "cus_1",
    customer_email: str | None = "sam@example.com",
    paid_at: int | None = MAY_1 - 2,
    payment_intent: str | None = "pi_1",
    charge: str | None = "ch_1",
    subscription: str | None = "sub_1",
    metadata: Object | None = None,
    subscription_metadata: Object | None = None,
    **more: Any,
) -> Object:
    line: Object = {"id": "il_1", "object": "line_item", "amount": total, "currency": currency}
    line["metadata"] = subscription_metadata or {}
    invoice: Object = {
        "id": id,
        "object": "invoice",
        "amount_due": amount_paid,
        "amount_paid": amount_paid,
        "amount_remaining": 0,
        "billing_reason": "subscription_cycle" if subscription else "manual",
        "collection_method": "charge_automatically",
        "created": MAY_1 - 60,
        "currency": currency,
        "customer": customer,
        "customer_email": customer_email,
        "customer_name": "Sam Ä.",
        "discounts": [],
        "lines": {"object": "list", "data": [line], "has_more": False, "total_count": 1},
        "livemode": False,
        "metadata": metadata or {},
        "shipping_cost": None,
        "status": "paid",
        "status_transitions": {"finalized_at": MAY_1 - 30, "paid_at": paid_at, "voided_at": None},
        "subtotal": total,
        "total": total,
    }
    if since(version, "2022-08-01"):
        invoice |= {"amount_shipping": amount_shipping, "total_excluding_tax": total_excluding_tax}
    if since(version, BASIL):
        invoice |= _since_basil(line, subscription, subscription_metadata, tax)
    else:
        invoice |= _until_basil(line, subscription, subscription_metadata, tax)
        invoice |= {"payment_intent": payment_intent, "charge": charge, "discount": None}
        invoice |= {"paid": True, "paid_out_of_band": False}
        if not since(version, "2023-08-16"):
            invoice.pop("subscription_details")
    return invoice | more


def _since_basil(line: Object, subscription: str | None, metadata: Any, tax: int) -> Object:
    """basil puts what an invoice is for under ``parent``, and leaves payments to be expanded."""
    line["parent"] = {
        "type": "subscription_item_details",
        "subscription_item_details": {"subscription": subscription, "proration": False},
    }
    details = {"subscription": subscription, "metadata": metadata or {}}
    return {
        "parent": {"type": "subscription_details", "subscription_details": details}
        if subscription
        else None,
        "total_taxes": [{"amount": tax, "tax_behavior": "inclusive"}] if tax else [],
    }


def _until_basil(line: Object, subscription: str | None, metadata: Any, tax: int) -> Object:
    line |= {"subscription": subscription, "type": "subscription", "proration": False}
    return {
        "subscription": subscription,
        "subscription_details": {"metadata": metadata or {}},
        "tax": tax or None,
        "total_tax_amounts": [{"amount": tax, "inclusive": True}] if tax else [],
    }


def an_invoice_paid(
    *, version: str = NEWEST, created: int = MAY_1, type: str = "invoice.paid", **invoice: Any
) -> Object:
    """The event; what is not its own goes to ``an_invoice``."""
    return build_event(
        type, an_invoice(version=version, **invoice), created=created, version=version
    )


def an_invoice_payment(
    *,
    id: str = "inpay_1",
    invoice: Any = "in_1",
    payment_intent: str | None = "pi_1",
    charge: str | None = None,
    amount_paid: int = 4900,
    **more: Any,
) -> Object:
    payment = {"type": "payment_intent", "payment_intent": payment_intent}
    if charge:
        payment = {"type": "charge", "charge": charge}
    return {
        "id": id,
        "object": "invoice_payment",
        "amount_paid": amount_paid,
        "amount_requested": amount_paid,
        "created": MAY_1 - 30,
        "currency": "eur",
        "invoice": invoice,
        "is_default": True,
        "livemode": False,
        "payment": payment,
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": MAY_1 - 2},
    } | more


def a_session(
    *,
    version: str = NEWEST,
    id: str = "cs_test_1",
    mode: str = "payment",
    payment_status: str = "paid",
    amount_total: int | None = 4900,
    amount_tax: int = 0,
    amount_shipping: int = 0,
    amount_discount: int = 0,
    currency: str = "eur",
    client_reference_id: str | None = TOKEN,
    customer: Any = "cus_1",
    email: str | None = "sam@example.com",
    name: str | None = "Sam Ä.",
    payment_intent: Any = "pi_1",
    invoice: Any = None,
    subscription: Any = None,
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    session: Object = {
        "id": id,
        "object": "checkout.session",
        "amount_subtotal": amount_total,
        "amount_total": amount_total,
        "client_reference_id": client_reference_id,
        "created": MAY_1 - 300,
        "currency": currency,
        "customer": customer,
        "customer_email": None,
        "livemode": False,
        "metadata": metadata or {},
        "mode": mode,
        "payment_intent": payment_intent if mode == "payment" else None,
        "payment_status": payment_status,
        "setup_intent": "seti_1" if mode == "setup" else None,
        "status": "complete",
        "subscription": subscription or ("sub_1" if mode == "subscription" else None),
        "total_details": {
            "amount_discount": amount_discount,
            "amount_shipping": amount_shipping,
            "amount_tax": amount_tax,
        },
    }
    details: Object = {"email": email, "phone": None, "tax_exempt": "none", "tax_ids": []}
    if since(version, "2022-11-15"):
        details["name"] = name
        session["invoice"] = invoice
        session["shipping_cost"] = None
    session["customer_details"] = details
    if since(version, BASIL):
        session["presentment_details"] = None
    if since(version, "2024-12-18") and not since(version, CLOVER):
        session["currency_conversion"] = None
    return session | more


def a_session_completed(
    *,
    version: str = NEWEST,
    created: int = MAY_1,
    type: str = "checkout.session.completed",
    **session: Any,
) -> Object:
    """The event; what is not its own goes to ``a_session``."""
    return build_event(
        type, a_session(version=version, **session), created=created, version=version
    )


def a_charge(
    *,
    version: str = NEWEST,
    id: str = "ch_1",
    amount: int = 4900,
    amount_captured: int | None = None,
    amount_refunded: int = 0,
    captured: bool = True,
    status: str = "succeeded",
    currency: str = "eur",
    customer: Any = "cus_1",
    payment_intent: Any = "pi_1",
    invoice: Any = None,
    refunds: list[Object] | None = None,
    email: str | None = None,
    receipt_email: str | None = None,
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    charge: Object = {
        "id": id,
        "object": "charge",
        "amount": amount,
        "amount_captured": (amount if captured else 0)
        if amount_captured is None
        else amount_captured,
        "amount_refunded": amount_refunded,
        "billing_details": {"address": {}, "email": email, "name": None, "phone": None},
        "captured": captured,
        "created": MAY_1 - 5,
        "currency": currency,
        "customer": customer,
        "disputed": False,
        "livemode": False,
        "metadata": metadata or {},
        "paid": status == "succeeded",
        "payment_intent": payment_intent,
        "payment_method_details": {"card": {"brand": "visa"}, "type": "card"},
        "receipt_email": receipt_email,
        "refunded": amount_refunded == amount,
        "status": status,
    }
    if not since(version, BASIL):
        charge["invoice"] = invoice
    if not since(version, "2022-11-15"):
        charge["refunds"] = {"object": "list", "data": refunds or [], "has_more": False}
    return charge | more


def an_intent(
    *,
    version: str = NEWEST,
    id: str = "pi_1",
    amount_received: int | None = 4900,
    status: str = "succeeded",
    currency: str = "eur",
    customer: Any = "cus_1",
    charge: str = "ch_1",
    invoice: Any = None,
    receipt_email: str | None = None,
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    intent: Object = {
        "id": id,
        "object": "payment_intent",
        "amount": amount_received,
        "amount_received": amount_received,
        "capture_method": "automatic",
        "created": MAY_1 - 10,
        "currency": currency,
        "customer": customer,
        "livemode": False,
        "metadata": metadata or {},
        "receipt_email": receipt_email,
        "status": status,
    }
    if not since(version, BASIL):
        intent["invoice"] = invoice
    if since(version, "2022-11-15"):
        intent["latest_charge"] = charge
    else:
        money = {"amount": amount_received, "currency": currency, "customer": customer}
        embedded = a_charge(version=version, id=charge, payment_intent=id, **money)
        intent["charges"] = {"object": "list", "data": [embedded], "has_more": False}
    return intent | more


def a_refund(
    *,
    id: str = "re_1",
    amount: int = 1000,
    status: str | None = "succeeded",
    charge: Any = "ch_1",
    payment_intent: Any = "pi_1",
    currency: str = "eur",
    **more: Any,
) -> Object:
    return {
        "id": id,
        "object": "refund",
        "amount": amount,
        "charge": charge,
        "created": MAY_1,
        "currency": currency,
        "metadata": {},
        "payment_intent": payment_intent,
        "reason": None,
        "status": status,
    } | more


def a_dispute(
    *,
    id: str = "du_1",
    amount: int = 4900,
    status: str | None = "needs_response",
    charge: Any = "ch_1",
    payment_intent: Any = "pi_1",
    **more: Any,
) -> Object:
    return {
        "id": id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge,
        "created": MAY_1,
        "currency": "eur",
        "livemode": False,
        "metadata": {},
        "payment_intent": payment_intent,
        "reason": "fraudulent",
        "status": status,
    } | more


def a_credit_note(
    *,
    version: str = NEWEST,
    id: str = "cn_1",
    invoice: Any = "in_1",
    amount: int = 1000,
    type: str = "post_payment",
    refunded: int = 0,
    status: str = "issued",
    **more: Any,
) -> Object:
    note: Object = {
        "id": id,
        "object": "credit_note",
        "amount": amount,
        "created": MAY_1,
        "currency": "eur",
        "customer": "cus_1",
        "invoice": invoice,
        "livemode": False,
        "metadata": {},
        "out_of_band_amount": None,
        "status": status,
        "total": amount,
        "type": type,
    }
    if since(version, BASIL):
        before = type == "pre_payment"
        note["pre_payment_amount"] = amount if before else 0
        note["post_payment_amount"] = 0 if before else amount
        row = {"amount_refunded": refunded, "refund": "re_1", "type": "refund"}
        note["refunds"] = [row] if refunded else []
    else:
        note["refund"] = "re_1" if refunded else None
    return note | more


def a_customer(
    *,
    id: str = "cus_1",
    email: str | None = "sam@example.com",
    name: str | None = "Sam Ä.",
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    return {
        "id": id,
        "object": "customer",
        "balance": 0,
        "created": MAY_1 - 86_400,
        "email": email,
        "livemode": False,
        "metadata": metadata or {},
        "name": name,
    } | more


def a_subscription(
    *,
    version: str = NEWEST,
    id: str = "sub_1",
    customer: Any = "cus_1",
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    period = {"current_period_start": MAY_1, "current_period_end": MAY_1 + 2_592_000}
    item: Object = {"id": "si_1", "object": "subscription_item"}
    subscription: Object = {
        "id": id,
        "object": "subscription",
        "created": MAY_1 - 3_600,
        "currency": "eur",
        "customer": customer,
        "items": {"object": "list", "data": [item]},
        "livemode": False,
        "metadata": metadata or {},
        "status": "active",
    }
    (item if since(version, BASIL) else subscription).update(period)
    return subscription | more
