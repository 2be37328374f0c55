"""The routes of invoices, their lines and their payments."""

from ..calls import Call, Listed, Route, Rows, lay_over, merge_metadata, owner_in, retrieving
from ..errors import invalid
from ..events import emit
from ..world import Object, copied
from . import catalog, coupons, invoicing
from .invoice_lines import compute, line_of_item
from .invoice_making import make_invoice
from .payment_methods import use


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    if "customer" not in params:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = world.get("customer", params["customer"], "customer")
    pending = []
    if params.get("pending_invoice_items_behavior") == "include":
        pending = world.rows(
            "invoiceitem", lambda i: i["customer"] == customer["id"] and i["invoice"] is None
        )
    currency = params.get("currency") or (pending[0]["currency"] if pending else None)
    currency = (currency or customer["currency"] or "eur").lower()
    discounts = coupons.discounts_from(world, params.get("discounts"))
    values = {k: params[k] for k in ("description", "footer", "days_until_due") if k in params}
    values.pop("days_until_due", None)
    method = params.get("default_payment_method")
    made = make_invoice(
        world,
        customer,
        currency,
        auto_advance=params.get("auto_advance", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        default_payment_method=use(world, method)["id"] if method else None,
        default_tax_rates=[
            copied(r) for r in catalog.tax_rates(world, params.get("default_tax_rates"))
        ],
        discounts=[d["id"] for d in discounts],
        due_date=_due(call),
        metadata={k: v for k, v in (params.get("metadata") or {}).items() if v != ""},
        shipping_cost=_shipping(call),
        _lines=[line_of_item(world, item) for item in pending],
        **_of_subscription(call),
        **values,
    )
    for item in pending:
        item["invoice"] = made["id"]
    if made["auto_advance"]:
        due = world.now + invoicing.DRAFT_SECONDS
        made["automatically_finalizes_at"] = due
        world.schedule("advance_invoice", due, made["id"])
    return made


def _due(call: Call) -> int | None:
    if "days_until_due" in call.params:
        return call.world.now + call.params["days_until_due"] * 86_400
    return call.params.get("due_date")


def _shipping(call: Call) -> Object | None:
    if "shipping_cost" not in call.params:
        return None
    rate = catalog.shipping_rate_from(call.world, call.params["shipping_cost"])
    amount = rate["fixed_amount"]["amount"]
    return {
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "shipping_rate": rate["id"],
    }


def _of_subscription(call: Call) -> Object:
    if "subscription" not in call.params:
        return {}
    subscription = call.world.get("subscription", call.params["subscription"], "subscription")
    details = {
        "subscription": subscription["id"],
        "metadata": copied(subscription["metadata"]),
        "subscription_proration_date": None,
    }
    return {"parent": {"type": "subscription_details", "subscription_details": details}}


def _update(call: Call) -> Object:
    world, params = call.world, call.params
    invoice = world.get("invoice", call.id)
    before = copied(invoice)
    lay_over(invoice, params, "description", "footer", "auto_advance", "due_date")
    merge_metadata(invoice, params.get("metadata"))
    if "default_tax_rates" in params and invoice["status"] == "draft":
        rates = catalog.tax_rates(world, params["default_tax_rates"] or [])
        invoice["default_tax_rates"] = [copied(r) for r in rates]
        compute(world, invoice)
    if "discounts" in params and invoice["status"] == "draft":
        made = coupons.discounts_from(world, params["discounts"], invoice=invoice["id"])
        invoice["discounts"] = [d["id"] for d in made]
        compute(world, invoice)
    if params.get("default_payment_method"):
        method = use(world, params["default_payment_method"])
        invoice["default_payment_method"] = method["id"]
    emit(world, "invoice.updated", invoice, before=before)
    return invoice


def _delete(call: Call) -> Object:
    world, invoice = call.world, call.world.get("invoice", call.id)
    if invoice["status"] != "draft":
        raise invalid("You can only delete draft invoices.", code="invoice_not_editable")
    del world.table("invoice")[invoice["id"]]
    emit(world, "invoice.deleted", invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


def _finalize(call: Call) -> Object:
    world, invoice = call.world, call.world.get("invoice", call.id)
    lay_over(invoice, call.params, "auto_advance")
    invoicing.finalize(world, invoice)
    if invoice["auto_advance"] and invoice["status"] == "open":
        world.schedule("advance_invoice", world.now + invoicing.DRAFT_SECONDS, invoice["id"])
    return invoice


def _pay(call: Call) -> Object:
    world, params = call.world, call.params
    invoice = world.get("invoice", call.id)
    if invoice["status"] == "draft":
        invoicing.finalize(world, invoice)
        if invoice["status"] == "paid":
            return invoice
    if params.get("paid_out_of_band"):
        if invoice["status"] != "open":
            raise invalid("Invoice is already paid", code="invoice_already_paid")
        invoicing.pay_outside(world, invoice)
        return invoice
    named = params.get("payment_method") or params.get("source")
    method = invoicing.use_method(world, named, invoice) if named else None
    invoicing.collect(world, invoice, method)
    return invoice


def _void(call: Call) -> Object:
    invoice = call.world.get("invoice", call.id)
    invoicing.void(call.world, invoice)
    return invoice


def _mark_uncollectible(call: Call) -> Object:
    invoice = call.world.get("invoice", call.id)
    if invoice["status"] != "open":
        raise invalid("You can only mark open invoices as uncollectible.")
    now = call.world.now
    transitions = invoice["status_transitions"] | {"marked_uncollectible_at": now}
    invoice.update(status="uncollectible", status_transitions=transitions)
    emit(call.world, "invoice.marked_uncollectible", invoice)
    return invoice


def _send(call: Call) -> Object:
    world, invoice = call.world, call.world.get("invoice", call.id)
    if invoice["status"] == "draft":
        invoicing.finalize(world, invoice)
    emit(world, "invoice.sent", invoice)
    return invoice


def _list(call: Call) -> Listed:
    params = call.params

    def keep(invoice: Object) -> bool:
        names = ("customer", "status", "collection_method")
        same = all(invoice[f] == params[f] for f in names if f in params)
        of = "subscription" not in params or (
            invoicing.subscription_of(invoice) == params["subscription"]
        )
        return same and of

    return Listed("invoice", "/v1/invoices", keep, params.get("created"), owner_in(params))


def _lines(call: Call) -> Rows:
    invoice = call.world.get("invoice", call.id)
    return Rows(invoice["_lines"], f"/v1/invoices/{invoice['id']}/lines")


def _payments(call: Call) -> Listed:
    params = call.params
    wanted = params.get("payment") or {}

    def keep(payment: Object) -> bool:
        same = all(payment[f] == params[f] for f in ("invoice", "status") if f in params)
        paid_by = all(payment["payment"].get(k) == v for k, v in wanted.items())
        return same and paid_by

    owner, url = owner_in(params) or owner_in(wanted), "/v1/invoice_payments"
    return Listed("invoice_payment", url, keep, params.get("created"), owner)


ROUTES = [
    Route("POST", "/v1/invoices", _create, "InvoiceCreateParams"),
    Route("GET", "/v1/invoices", _list, "InvoiceListParams"),
    Route("GET", "/v1/invoices/{}", retrieving("invoice")),
    Route("POST", "/v1/invoices/{}", _update, "InvoiceUpdateParams"),
    Route("DELETE", "/v1/invoices/{}", _delete),
    Route("POST", "/v1/invoices/{}/finalize", _finalize, "InvoiceFinalizeInvoiceParams"),
    Route("POST", "/v1/invoices/{}/pay", _pay, "InvoicePayParams"),
    Route("POST", "/v1/invoices/{}/void", _void, "InvoiceVoidInvoiceParams"),
    Route("POST", "/v1/invoices/{}/send", _send, "InvoiceSendInvoiceParams"),
    Route("POST", "/v1/invoices/{}/mark_uncollectible", _mark_uncollectible),
    Route("GET", "/v1/invoices/{}/lines", _lines, "InvoiceLineItemListParams"),
    Route("GET", "/v1/invoice_payments", _payments, "InvoicePaymentListParams"),
    Route("GET", "/v1/invoice_payments/{}", retrieving("invoice_payment")),
]
