"""The invoice of a one-off Checkout payment (`invoice_creation`), and a session's discounts."""

from ..world import Object, World, copied
from . import coupons, invoicing
from .invoice_lines import make_line
from .invoice_making import make_invoice


def invoice_for(world: World, session: Object, intent: Object) -> None:
    """`invoice_creation`: a paid invoice after the payment, naming the intent that paid."""
    customer = world.get("customer", session["customer"])
    discounts = discounts_of(world, session, checkout_session=session["id"])
    lines = [
        make_line(
            world,
            amount=item["amount_subtotal"],
            currency=item["currency"],
            description=item["description"],
            period={"start": world.now, "end": world.now},
            quantity=item["quantity"],
            _price=item["price"]["id"],
            _tax_rates=own["tax_rates"] or None,
        )
        for item, own in zip(session["_line_items"], session["_items"], strict=True)
    ]
    invoice = make_invoice(
        world,
        customer,
        session["currency"],
        auto_advance=False,
        discounts=discounts,
        metadata=dict(session["invoice_creation"]["invoice_data"]["metadata"] or {}),
        shipping_cost=copied(session["shipping_cost"]) if session["shipping_cost"] else None,
        _lines=lines,
    )
    intent["_invoice"] = invoice["id"]
    charge = world.get("charge", intent["latest_charge"])
    charge["_invoice"] = invoice["id"]
    session["invoice"] = invoice["id"]
    invoicing.finalize(world, invoice, intent=intent)


def discounts_of(world: World, session: Object, **owner: str) -> list[str]:
    wanted = [
        {"promotion_code": d["promotion_code"]} if d["promotion_code"] else {"coupon": d["coupon"]}
        for d in session["discounts"]
    ]
    return [d["id"] for d in coupons.discounts_from(world, wanted, **owner)]
