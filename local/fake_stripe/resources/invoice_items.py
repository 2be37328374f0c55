"""Invoice items: put on a draft at once, or waiting for the customer's next invoice."""

from typing import Any

from ..calls import Call, Route, Rows, lay_over, merge_metadata, retrieving, within
from ..errors import invalid
from ..events import emit
from ..world import Object, World
from . import catalog
from .invoice_lines import compute, line_of_item


def make_item(world: World, customer: Object, amount: int, currency: str, **given: Any) -> Object:
    """A stored item; `_price`, `_tax_rates`, `_subscription` and `_subscription_item` are notes."""
    period = given.pop("period", None) or {"start": world.now, "end": world.now}
    price = world.table("price").get(given.get("_price") or "")
    quantity = given.pop("quantity", 1)
    pricing = None
    if price is not None:
        pricing = {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    subscription, parent = given.get("_subscription"), None
    if subscription:
        details = {"subscription": subscription}
        if given.get("_subscription_item"):
            details["subscription_item"] = given["_subscription_item"]
        parent = {"type": "subscription_details", "subscription_details": details}
    made = world.new(
        "invoiceitem",
        **{
            "amount": amount,
            "currency": currency,
            "customer": customer["id"],
            "date": world.now,
            "discountable": True,
            "discounts": [],
            "metadata": {},
            "net_amount": amount,
            "parent": parent,
            "period": period,
            "pricing": pricing,
            "proration": False,
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "tax_rates": [],
            "test_clock": customer["test_clock"],
        }
        | given,
    )
    emit(world, "invoiceitem.created", made)
    return made


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    draft = None
    if "invoice" in params:
        draft = world.get("invoice", params["invoice"], "invoice")
        if draft["status"] != "draft":
            raise invalid("This invoice is no longer editable", code="invoice_not_editable")
    owner = params.get("customer") or (draft or {}).get("customer")
    if owner is None:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = world.get("customer", owner, "customer")
    amount, currency, price = _amount(world, params)
    rates = params.get("tax_rates")
    item = make_item(
        world,
        customer,
        amount,
        currency,
        description=params.get("description") or (price and _name(world, price)),
        discountable=params.get("discountable", amount > 0),
        invoice=draft["id"] if draft else None,
        metadata={k: v for k, v in (params.get("metadata") or {}).items() if v != ""},
        period=params.get("period"),
        quantity=params.get("quantity", 1),
        tax_rates=[dict(r) for r in catalog.tax_rates(world, rates)],
        _price=price["id"] if price else None,
        _subscription=params.get("subscription"),
        _tax_rates=rates,
    )
    if draft is not None:
        line = line_of_item(world, item)
        line["invoice"] = draft["id"]
        if not draft["_lines"]:
            draft["currency"] = item["currency"]
        draft["_lines"].insert(0, line)
        compute(world, draft)
        emit(world, "invoice.updated", draft)
    return item


def _name(world: World, price: Object) -> str:
    return world.get("product", price["product"])["name"]


def _amount(world: World, params: Object) -> tuple[int, str, Object | None]:
    quantity = params.get("quantity", 1)
    price = None
    if "price" in (params.get("pricing") or {}):
        price = catalog.price_from(world, {"price": params["pricing"]["price"]})
    elif "price_data" in params:
        price = catalog.price_from(world, {"price_data": params["price_data"]})
    if price is not None:
        return price["unit_amount"] * quantity, price["currency"], price
    currency = params.get("currency", "eur").lower()
    if "amount" in params:
        return params["amount"], currency, None
    if "unit_amount_decimal" in params:
        return round(params["unit_amount_decimal"] * quantity), currency, None
    raise invalid("You must specify amount or pricing.", "amount", "parameter_missing")


def _update(call: Call) -> Object:
    item = call.world.get("invoiceitem", call.id)
    if item["invoice"] is not None:
        raise invalid("The fake Stripe changes invoice items only before they are on an invoice.")
    lay_over(item, call.params, "amount", "description", "discountable")
    merge_metadata(item, call.params.get("metadata"))
    return item


def _delete(call: Call) -> Object:
    item = call.world.get("invoiceitem", call.id)
    del call.world.table("invoiceitem")[item["id"]]
    emit(call.world, "invoiceitem.deleted", item)
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def _list(call: Call) -> Rows:
    params = call.params

    def keep(item: Object) -> bool:
        same = all(item[f] == params[f] for f in ("customer", "invoice") if f in params)
        waiting = "pending" not in params or (item["invoice"] is None) == params["pending"]
        return same and waiting and within(item["date"], params.get("created"))

    return Rows(call.world.rows("invoiceitem", keep), "/v1/invoiceitems")


ROUTES = [
    Route("POST", "/v1/invoiceitems", _create, "InvoiceItemCreateParams"),
    Route("GET", "/v1/invoiceitems", _list, "InvoiceItemListParams"),
    Route("GET", "/v1/invoiceitems/{}", retrieving("invoiceitem")),
    Route("POST", "/v1/invoiceitems/{}", _update, "InvoiceItemUpdateParams"),
    Route("DELETE", "/v1/invoiceitems/{}", _delete),
]
