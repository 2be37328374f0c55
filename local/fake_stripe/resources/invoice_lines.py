"""Invoice lines and the sums they make."""

from typing import Any

from ..blanks import listing
from ..pricing import Line, Sum, price_lines
from ..world import Object, World, copied
from . import catalog, coupons


def make_line(world: World, **given: Any) -> Object:
    """A line that is not yet priced. Needs amount, currency, period; `_tax_rates` may be None."""
    price = world.table("price").get(given.get("_price") or "")
    pricing = None
    if price is not None:
        pricing = {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    line = {
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "metadata": {},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": 1,
        "quantity_decimal": str(given.get("quantity", 1)),
        "subtotal": given["amount"],
        "taxes": [],
        "_tax_rates": None,
    }
    return world.new("line_item", **line | given)


def line_of_item(world: World, item: Object) -> Object:
    """The line of an invoice item; a proration names its subscription item as well."""
    details: Object = {"invoice_item": item["id"], "proration": item["proration"]}
    details |= {"proration_details": {"credited_items": None}}
    details["subscription"] = item.get("_subscription")
    kind = "invoice_item_details"
    if item["proration"]:
        kind = "subscription_item_details"
        details["subscription_item"] = item["_subscription_item"]
    return make_line(
        world,
        amount=item["amount"],
        currency=item["currency"],
        description=item["description"],
        discountable=item["discountable"],
        metadata=copied(item["metadata"]),
        parent={"type": kind, kind: details},
        period=item["period"],
        quantity=item["quantity"],
        subscription=item.get("_subscription"),
        _price=item.get("_price"),
        _tax_rates=item.get("_tax_rates"),
    )


def compute(world: World, invoice: Object) -> None:
    """Prices the lines of a draft and writes all sums, before any customer balance."""
    lines: list[Object] = invoice["_lines"]
    default = [r["id"] for r in invoice["default_tax_rates"]]
    parts = []
    for line in lines:
        ids = line["_tax_rates"] if line["_tax_rates"] is not None else default
        rates = catalog.tax_rates(world, ids)
        line["_tax_rate_objects"] = [copied(r) for r in rates]
        price = world.table("price").get(line.get("_price") or "")
        parts.append(
            Line(
                amount=line["amount"],
                rates=rates,
                product=price["product"] if price else None,
                discountable=line["discountable"],
            )
        )
    discounts = [world.get("discount", d) for d in invoice["discounts"]]
    summed = price_lines(parts, [(d["id"], coupons.coupon_of(world, d)) for d in discounts])
    for line, part in zip(lines, parts, strict=True):
        line["discount_amounts"] = [{"discount": d, "amount": a} for d, a in part.discounts]
        line["taxes"] = part.taxes
    _write(invoice, summed, parts)


def _write(invoice: Object, summed: Sum, parts: list[Line]) -> None:
    shipping = (invoice["shipping_cost"] or {}).get("amount_total", 0)
    by_discount: dict[str, int] = {}
    for part in parts:
        for id_, amount in part.discounts:
            by_discount[id_] = by_discount.get(id_, 0) + amount
    taxes = _summed_taxes([t for part in parts for t in part.taxes])
    total = summed.total + shipping
    invoice.update(
        amount_due=max(total, 0),
        amount_remaining=max(total, 0),
        amount_shipping=shipping,
        lines=_shown(invoice),
        subtotal=summed.subtotal,
        subtotal_excluding_tax=summed.subtotal_excluding_tax,
        total=total,
        total_discount_amounts=[{"discount": d, "amount": a} for d, a in by_discount.items()],
        total_excluding_tax=summed.total_excluding_tax + shipping,
        total_pretax_credit_amounts=[],
        total_taxes=taxes,
    )


def _shown(invoice: Object) -> Object:
    """The first ten lines, as Stripe embeds them."""
    lines = invoice["_lines"]
    url = f"/v1/invoices/{invoice['id']}/lines"
    return listing([copied(line) for line in lines[:10]], url, has_more=len(lines) > 10)


def _summed_taxes(taxes: list[Object]) -> list[Object]:
    by_rate: dict[str, Object] = {}
    for tax in taxes:
        rate = tax["tax_rate_details"]["tax_rate"]
        if rate not in by_rate:
            by_rate[rate] = copied(tax)
        else:
            by_rate[rate]["amount"] += tax["amount"]
            by_rate[rate]["taxable_amount"] += tax["taxable_amount"]
    return list(by_rate.values())
