"""Credit notes: before payment they lower what is due (to nothing: the invoice is paid), after it
they give money back.

Source: docs.stripe.com/invoicing/integration/programmatic-credit-notes. Lines are copied from the
request's amounts; the tax inside them is not split off.
"""

from ..blanks import listing
from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving
from ..errors import invalid
from ..events import emit
from ..world import Object, World, copied
from . import customers, invoicing, refunds


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    invoice = world.get("invoice", params["invoice"], "invoice")
    if invoice["status"] not in ("open", "paid"):
        raise invalid("You can only credit open or paid invoices.", "invoice")
    lines = _lines(world, invoice, params)
    amount = params.get("amount", sum(line["amount"] for line in lines))
    paid = invoice["status"] == "paid"
    room = invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
    if amount < 1 or amount > (room if paid else invoice["amount_remaining"]):
        raise invalid("The amount is above what can be credited on this invoice.", "amount")
    if not lines:
        lines = [_line(world, amount, "Credit")]
    given_back = _give_back(world, invoice, params) if paid else []
    _check_split(params, amount, paid)
    made = _stored(world, invoice, amount, lines, params)
    made["refunds"] = given_back
    key = "post_payment" if paid else "pre_payment"
    invoice[f"{key}_credit_notes_amount"] += amount
    if not paid:
        invoicing.lower_due(world, invoice, amount)
    if params.get("credit_amount"):
        customer = world.get("customer", invoice["customer"])
        entry = customers.change_balance(
            world, customer, -params["credit_amount"], invoice["currency"], "credit_note",
            credit_note=made["id"],
        )  # fmt: skip
        made["customer_balance_transaction"] = entry["id"]
    emit(world, "credit_note.created", made)
    if not paid and invoice["amount_remaining"] == 0:
        invoicing.pay_by_credit(world, invoice)
    return made


def _stored(
    world: World, invoice: Object, amount: int, lines: list[Object], params: Object
) -> Object:
    id_ = world.new_id("credit_note")
    paid = invoice["status"] == "paid"
    number = world.count(f"credit_note:{invoice['id']}")
    made = world.new(
        "credit_note",
        id=id_,
        amount=amount,
        amount_shipping=0,
        currency=invoice["currency"],
        customer=invoice["customer"],
        discount_amount=0,
        discount_amounts=[],
        effective_at=world.now,
        invoice=invoice["id"],
        lines=listing(lines, f"/v1/credit_notes/{id_}/lines"),
        memo=params.get("memo"),
        metadata={},
        number=f"{invoice['number']}-CN-{number:02d}",
        out_of_band_amount=params.get("out_of_band_amount"),
        pdf=f"{world.fake.url}/credit_notes/{id_}/pdf",
        post_payment_amount=amount if paid else 0,
        pre_payment_amount=0 if paid else amount,
        pretax_credit_amounts=[],
        reason=params.get("reason"),
        refunds=[],
        status="issued",
        subtotal=amount,
        subtotal_excluding_tax=amount,
        total=amount,
        total_excluding_tax=amount,
        total_taxes=[],
        type="post_payment" if paid else "pre_payment",
    )
    merge_metadata(made, params.get("metadata"))
    return made


def _check_split(params: Object, amount: int, paid: bool) -> None:
    """After payment the whole amount must be refunded, credited or given outside Stripe."""
    given = sum(params.get(k, 0) for k in ("refund_amount", "credit_amount", "out_of_band_amount"))
    given += sum(r.get("amount_refunded", 0) for r in params.get("refunds", []))
    if paid and given != amount:
        raise invalid(
            "The sum of credit amount, refund amount and out of band amount must equal the credit "
            "note amount.",
            "amount",
        )


def _give_back(world: World, invoice: Object, params: Object) -> list[Object]:
    """`refund_amount` makes a refund; `refunds[]` names ones that are there."""
    given = []
    for named in params.get("refunds", []):
        refund = world.get("refund", named.get("refund", ""), "refunds")
        given.append((named.get("amount_refunded", refund["amount"]), refund))
    if params.get("refund_amount"):
        charge = world.get("charge", invoice.get("_charge") or "", "refund_amount")
        refund = refunds.refund_charge(world, charge, params["refund_amount"])
        given.append((refund["amount"], refund))
    return [
        {
            "amount_refunded": amount,
            "payment_record_refund": None,
            "refund": refund["id"],
            "type": "refund",
        }
        for amount, refund in given
    ]


def _lines(world: World, invoice: Object, params: Object) -> list[Object]:
    made = []
    for wanted in params.get("lines", []):
        if wanted["type"] == "invoice_line_item":
            source = next(
                line for line in invoice["_lines"] if line["id"] == wanted["invoice_line_item"]
            )
            amount = wanted.get("amount", source["amount"])
            made.append(_line(world, amount, source["description"], source["id"]))
        else:
            amount = wanted.get("unit_amount", 0) * wanted.get("quantity", 1)
            made.append(_line(world, amount, wanted.get("description")))
    return made


def _line(world: World, amount: int, text: str | None, source: str | None = None) -> Object:
    return world.new(
        "credit_note_line_item",
        amount=amount,
        description=text,
        discount_amount=0,
        discount_amounts=[],
        invoice_line_item=source,
        pretax_credit_amounts=[],
        quantity=1,
        tax_rates=[],
        taxes=[],
        type="invoice_line_item" if source else "custom_line_item",
    )


def _update(call: Call) -> Object:
    note = call.world.get("credit_note", call.id)
    before = copied(note)
    lay_over(note, call.params, "memo")
    merge_metadata(note, call.params.get("metadata"))
    emit(call.world, "credit_note.updated", note, before=before)
    return note


def _void(call: Call) -> Object:
    world, note = call.world, call.world.get("credit_note", call.id)
    if note["status"] == "void" or note["refunds"]:
        raise invalid("You cannot void this credit note.")
    invoice = world.get("invoice", note["invoice"])
    note.update(status="void", voided_at=world.now)
    key = "post_payment" if note["post_payment_amount"] else "pre_payment"
    invoice[f"{key}_credit_notes_amount"] -= note["amount"]
    if key == "pre_payment" and invoice["status"] == "open":
        invoicing.lower_due(world, invoice, -note["amount"])
    if note["customer_balance_transaction"]:
        entry = world.get("customer_balance_transaction", note["customer_balance_transaction"])
        customer = world.get("customer", invoice["customer"])
        customers.change_balance(
            world, customer, -entry["amount"], invoice["currency"], "credit_note",
            credit_note=note["id"],
        )  # fmt: skip
    emit(world, "credit_note.voided", note)
    return note


def _note_lines(call: Call) -> Rows:
    note = call.world.get("credit_note", call.id)
    return Rows(note["lines"]["data"], f"/v1/credit_notes/{note['id']}/lines")


_list = listing_of("credit_note", "/v1/credit_notes", "customer", "invoice")
ROUTES = [
    Route("POST", "/v1/credit_notes", _create, "CreditNoteCreateParams"),
    Route("GET", "/v1/credit_notes", _list, "CreditNoteListParams"),
    Route("GET", "/v1/credit_notes/{}", retrieving("credit_note")),
    Route("POST", "/v1/credit_notes/{}", _update, "CreditNoteUpdateParams"),
    Route("POST", "/v1/credit_notes/{}/void", _void, "CreditNoteVoidCreditNoteParams"),
    Route("GET", "/v1/credit_notes/{}/lines", _note_lines, "CreditNoteLineItemListParams"),
]
