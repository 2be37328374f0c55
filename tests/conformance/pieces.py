"""What Stripe tells, piece by piece: everything that belongs to one purchase, renewal, refund…

Pieces of one ``number`` concern one payment: ``in_1``, ``pi_1``, ``ch_1``, ``cs_test_1``.
"""

from typing import Any

from tests.builders.stripe_bodies import (
    a_charge,
    a_credit_note,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import day, token
from tests.conformance.story import Tell


def paid_invoice(number: int, on: float, **about: Any) -> dict[str, Any]:
    """An invoice with ids of its number, paid on that day; ``about`` overrides any of it."""
    told = {"id": f"in_{number}", "payment_intent": f"pi_{number}", "charge": f"ch_{number}"}
    return an_invoice(**{**told, "paid_at": day(on), **about})


def charged(number: int, on: float, minor: int, currency: str, customer: Any) -> list[Tell]:
    """Charge and payment intent, as they are told of any payment by card."""
    charge, intent = f"ch_{number}", f"pi_{number}"
    about = {"customer": customer, "currency": currency, "created": day(on) - 5}
    return [
        ("charge.succeeded", a_charge(id=charge, payment_intent=intent, amount=minor, **about), on),
        (
            "payment_intent.succeeded",
            an_intent(id=intent, charge=charge, amount_received=minor, **about),
            on,
        ),
    ]


def one_off(
    number: int, on: float, partner: str | None, *, minor: int = 4900, **about: Any
) -> list[Tell]:
    """Everything that Stripe tells of a one-off purchase through a link. A ``reference`` of the
    merchant's own stands in the place of the visit's token."""
    reference = about.pop("reference", partner and token(partner, number))
    currency = about.setdefault("currency", "eur")
    about = {"payment_intent": f"pi_{number}", "created": day(on) - 300, **about}
    bought = a_session(
        id=f"cs_test_{number}", client_reference_id=reference, amount_total=minor, **about
    )
    customer = about.get("customer", "cus_1")
    return [
        *charged(number, on, minor, currency, customer),
        ("checkout.session.completed", bought, on + 0.0001),
    ]


def renewal(number: int, on: float, *, total: int = 4900, **about: Any) -> list[Tell]:
    """Everything that Stripe tells of a paid invoice."""
    about.setdefault("total_excluding_tax", total)
    currency = about.setdefault("currency", "eur")
    paid = paid_invoice(number, on, **{"total": total, "amount_paid": total, **about})
    amount = about.get("amount_paid", total)
    payment = an_invoice_payment(
        id=f"inpay_{number}",
        invoice=f"in_{number}",
        payment_intent=f"pi_{number}",
        amount_paid=amount,
        currency=currency,
    )
    return [
        ("invoice.paid", paid, on + 0.0001),
        ("invoice.payment_succeeded", paid, on + 0.0001),
        *charged(number, on, amount, currency, about.get("customer", "cus_1")),
        ("invoice_payment.paid", payment, on + 0.0002),
    ]


def refunded(
    number: int, id: str, amount: int, cumulative: int, on: float, *, minor: int = 4900
) -> list[Tell]:
    """A refund by its id, and what the charge of ``minor`` says was refunded by then."""
    charge, intent = f"ch_{number}", f"pi_{number}"
    refund = a_refund(id=id, amount=amount, charge=charge, payment_intent=intent)
    told = a_charge(
        id=charge,
        payment_intent=intent,
        amount=minor,
        amount_refunded=cumulative,
        created=day(on) - 5,
    )
    return [("refund.created", refund, on), ("charge.refunded", told, on)]


def disputed(
    number: int, statuses: list[tuple[str, float]], *, minor: int = 4900, **about: Any
) -> list[Tell]:
    about.setdefault("id", f"du_{number}")
    charge, intent = f"ch_{number}", f"pi_{number}"
    return [
        (
            "charge.dispute.created" if n == 0 else "charge.dispute.closed",
            a_dispute(status=status, charge=charge, payment_intent=intent, amount=minor, **about),
            on,
        )
        for n, (status, on) in enumerate(statuses)
    ]


def credited(number: int, amount: int, on: float, **about: Any) -> list[Tell]:
    """A credit note over a part of a paid invoice; its id is made from both."""
    note = a_credit_note(id=f"cn_{number}_{amount}", invoice=f"in_{number}", amount=amount, **about)
    return [("credit_note.voided" if note["status"] == "void" else "credit_note.created", note, on)]


def customer_made(on: float, **about: Any) -> Tell:
    """A customer of Stripe's, made a moment before."""
    made = a_customer(**about) | {"created": day(on) - 5}
    return ("customer.created", made, on)


def subscription(
    on: float, partner: str | None = "ann", number: int = 1, *, minor: int = 4900, **about: Any
) -> list[Tell]:
    """A checkout that starts a subscription, whose first invoice has that number."""
    customer, email = about.get("customer", "cus_1"), about.get("email", "sam@example.com")
    bought = a_session(
        id=f"cs_test_{number}",
        mode="subscription",
        payment_intent=None,
        invoice=f"in_{number}",
        client_reference_id=about.pop("reference", partner and token(partner, number)),
        amount_total=minor,
        **{"subscription": "sub_1", "created": day(on) - 300, **about},
    )
    return [
        customer_made(on - 0.0001, id=customer, email=email),
        ("checkout.session.completed", bought, on + 0.0001),
    ]
