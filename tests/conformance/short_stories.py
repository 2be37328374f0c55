"""The stories by name: each is a few events that have gone wrong somewhere, somehow."""

from tests.builders.stripe_bodies import (
    a_charge,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import day, token
from tests.conformance.pieces import (
    credited,
    disputed,
    one_off,
    refunded,
    renewal,
    subscription,
)
from tests.conformance.story import (
    Story,
    clicks,
    confirms,
    enrols,
    pays,
    percent,
    sells,
    sets,
    signs_up,
)

SHORT: dict[str, Story] = {
    "a link, refunded in two parts": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *refunded(1, "re_1", 1000, 1000, 2),
            *refunded(1, "re_2", 3900, 4900, 3),
        ],
        [clicks(0.5, "ann")],
        comes_to={},
    ),
    "a refund that fails": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *refunded(1, "re_1", 4900, 4900, 2),
            ("refund.failed", a_refund(amount=4900, status="failed"), 4),
        ],
        [],
        comes_to={"ann|eur": 980},
    ),
    "disputes lost and won": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            *disputed(1, [("needs_response", 2), ("lost", 9)]),
            *one_off(2, 3, "ann"),
            *disputed(2, [("needs_response", 4), ("won", 9)]),
        ],
        [],
        comes_to={"ann|eur": 980},
    ),
    "a year of a subscription, three payments rewarded": Story(
        {"reward": percent(2000, lasts="payments", count=3)},
        [
            *subscription(1),
            *(e for n in range(1, 6) for e in renewal(n, 30 * n - 29)),
            *refunded(2, "re_1", 4900, 4900, 40),
        ],
        [],
        comes_to={"ann|eur": 2 * 980},
    ),
    "two partners' links, first click": Story(
        {"attribution": "first_click"},
        [*one_off(1, 1, "ann"), *one_off(2, 2, "bob"), *one_off(3, 3, None)],
        [],
    ),
    "two partners' links, each sale by itself": Story(
        {"crediting": "transaction"},
        [*one_off(1, 1, "ann"), *one_off(2, 2, "bob"), *one_off(3, 3, None)],
        [],
        comes_to={"ann|eur": 980, "bob|eur": 2 * 980},
    ),
    "a sign-up, then a subscription": Story(
        {},
        [*subscription(2, partner=None), *(e for n in (1, 2) for e in renewal(n, 30 * n - 28))],
        [
            clicks(0.5, "ann"),
            signs_up(1, "sam", "ann", email="sam@example.com"),
        ],
        comes_to={"ann|eur": 2 * 980},
    ),
    "the merchant's call outranks a stranger's sign-up": Story(
        {},
        [*subscription(3, partner=None), *renewal(1, 3)],
        [
            clicks(0.5, "bob"),
            signs_up(1, "x", "bob", email="sam@example.com"),
            enrols(2, "sam", email="sam@example.com", partner="ann"),
        ],
        comes_to={"ann|eur": 980},
    ),
    "the rate is raised, then half refunded": Story(
        {},
        [*one_off(1, 20, "ann"), *refunded(1, "re_1", 2450, 2450, 65)],
        [sets(31, starts=31, reward=percent(4000))],
        comes_to={"ann|eur": 490},
    ),
    "an existing customer": Story(
        {}, [*renewal(1, 1), *one_off(2, 10, "ann"), *renewal(3, 31)], []
    ),
    "a trial, then a payment": Story(
        {},
        [
            (
                "checkout.session.completed",
                a_session(
                    mode="subscription",
                    payment_status="no_payment_required",
                    amount_total=0,
                    payment_intent=None,
                    invoice="in_9",
                    subscription="sub_1",
                    client_reference_id=token("ann"),
                ),
                1,
            ),
            (
                "invoice.paid",
                an_invoice(
                    id="in_9",
                    total=0,
                    total_excluding_tax=0,
                    amount_paid=0,
                    payment_intent=None,
                    charge=None,
                    paid_at=day(1),
                ),
                1,
            ),
            *renewal(1, 15, total=2000),
        ],
        [],
    ),
    "the merchant's key in the reference, made later": Story(
        {},
        [
            *one_off(1, 1, None)[:2],
            (
                "checkout.session.completed",
                a_session(payment_intent="pi_1", client_reference_id="user_7"),
                1,
            ),
        ],
        [enrols(1.5, "user_7", partner="ann")],
        comes_to={"ann|eur": 980},
    ),
    "guests with one e-mail and a customer": Story(
        {},
        [
            *one_off(1, 1, "ann", customer=None),
            *one_off(2, 2, None, customer="cus_2"),
            *one_off(3, 3, "bob", customer=None),
        ],
        [],
    ),
    "self-referral, then another": Story(
        {},
        [
            *one_off(1, 1, "ann", email="ann@example.com"),
            *one_off(2, 2, "ann", customer="cus_2", email="friend@example.com"),
        ],
        [],
    ),
    "two partners in one household, paid out on the way": Story(
        {"hold_days": 2, "attribution": "first_click"},
        [
            *one_off(1, 1, "ann"),
            *one_off(2, 2, "bob"),
            *renewal(3, 20),
            *refunded(1, "re_1", 2000, 2000, 22),
            *renewal(4, 30),
        ],
        [pays(10), pays(24)],
        paid_out=True,
    ),
    "the merchant's own sales among Stripe's": Story(
        {"reward": percent(2000, lasts="payments", count=3)},
        [*renewal(1, 3), *renewal(2, 5), *one_off(3, 6, "bob")],
        [
            enrols(1, "sam", partner="ann", stripe_customer_id="cus_1"),
            sells(2, "order-1", "sam", 4900),
            sells(3.01, "order-2", "sam", 4900),
            sells(5.5, "pi_2", "sam", 4900),
            confirms(7, "order-2"),
        ],
    ),
    "credit notes, one void, one refunded": Story(
        {},
        [
            *one_off(9, 0.5, "ann"),
            *renewal(1, 3),
            *credited(1, 1000, 4),
            *credited(1, 500, 5),
            *credited(1, 500, 6, status="void"),
            *credited(1, 700, 7, refunded=700),
            *refunded(1, "re_1", 700, 700, 7),
        ],
        [],
    ),
    "metadata names the partner of each sale": Story(
        {"crediting": "transaction"},
        [
            *renewal(1, 1, subscription_metadata={"refledger_partner": "ann"}),
            *renewal(2, 5, metadata={"partner_key": "bob"}),
            *renewal(3, 9),
            *one_off(4, 12, "ann"),
        ],
        [],
    ),
    "metadata names the customer's partner": Story(
        {},
        [
            *renewal(1, 1, subscription_metadata={"refledger_partner": "ann"}),
            *renewal(2, 5, metadata={"partner_key": "bob"}),
            *renewal(3, 9),
            (
                "customer.subscription.created",
                a_subscription(metadata={"refledger_partner": "bob"}) | {"created": day(0.9)},
                0.9,
            ),
            (
                "customer.subscription.updated",
                a_subscription(metadata={"refledger_partner": "ann"}),
                2,
            ),
        ],
        [],
    ),
    "a customer kept out for a while, and a sale for good": Story(
        {"reward": percent(2000, lasts="payments", count=2)},
        [
            *one_off(9, 0.5, "ann"),
            *renewal(1, 1),
            *renewal(2, 5),
            *renewal(3, 9),
            *renewal(4, 12, metadata={"refledger": "false"}),
            ("customer.updated", a_customer(metadata={"refledger": "false"}), 4),
            ("customer.updated", a_customer(metadata={"refledger": "true"}), 8),
        ],
        [],
    ),
    "an e-mail changes and another customer takes the old one": Story(
        {},
        [
            *one_off(1, 1, "ann"),
            ("customer.updated", a_customer(email="new@example.com"), 3),
            *one_off(2, 4, None, customer=None, email="new@example.com"),
            *one_off(3, 5, "bob", customer="cus_2", email="sam@example.com"),
            *one_off(4, 6, "bob", customer=None, email="new@example.com"),
        ],
        [],
    ),
    "two of the merchant's customers share an e-mail": Story(
        {},
        [
            *one_off(1, 2, None, customer=None),
            *one_off(2, 3, None, customer="cus_2"),
            *one_off(3, 4, "bob", customer=None),
            *one_off(4, 5, None, customer="cus_4", email="friend@example.com"),
            (
                "customer.updated",
                a_customer(id="cus_4", metadata={"refledger_customer": "friend"}),
                6,
            ),
        ],
        [
            enrols(0.5, "sam", email="sam@example.com", partner="ann"),
            enrols(3.5, "friend", email="sam@example.com", partner="bob"),
            enrols(7, "friend", email="friend@example.com", stripe_customer_id="cus_2"),
        ],
    ),
    "one purchase, three e-mails, guests who used them before": Story(
        {},
        [
            (
                "payment_intent.succeeded",
                an_intent(customer=None, receipt_email="receipt@example.com"),
                1,
            ),
            ("charge.succeeded", a_charge(customer=None, email="billing@example.com"), 1),
            (
                "checkout.session.completed",
                a_session(
                    customer=None, email="session@example.com", client_reference_id=token("ann")
                ),
                1.001,
            ),
            *one_off(2, 2, "bob", customer=None, email="receipt@example.com"),
            *one_off(3, 3, None, customer="cus_3", email="billing@example.com"),
        ],
        [
            enrols(1.5, "sam", email="receipt@example.com"),
            enrols(2.5, "friend", email="billing@example.com", partner="bob"),
        ],
    ),
    "an invoice in two payments, refunded and disputed": Story(
        {},
        [
            *one_off(9, 0.5, "ann"),
            (
                "invoice.paid",
                an_invoice(total=9800, total_excluding_tax=9800, amount_paid=9800, paid_at=day(3)),
                3.001,
            ),
            ("payment_intent.succeeded", an_intent(id="pi_1", charge="ch_1"), 3),
            ("payment_intent.succeeded", an_intent(id="pi_2", charge="ch_2"), 2.9),
            ("invoice_payment.paid", an_invoice_payment(id="ip_1", payment_intent="pi_1"), 3.001),
            ("invoice_payment.paid", an_invoice_payment(id="ip_2", payment_intent="pi_2"), 3.001),
            *refunded(1, "re_1", 1000, 1000, 4),
            ("charge.refunded", a_charge(id="ch_2", payment_intent="pi_2", amount_refunded=500), 5),
            ("charge.refunded", a_charge(id="ch_2", payment_intent="pi_2", amount_refunded=900), 6),
            ("charge.dispute.created", a_dispute(amount=2000), 7),
            ("charge.dispute.closed", a_dispute(amount=2000, status="lost"), 9),
        ],
        [],
    ),
    "a click that comes after its sign-up, and a stranger's": Story(
        {},
        [*subscription(3, partner=None), *renewal(1, 3), *one_off(2, 4, "bob")],
        [
            signs_up(1, "sam", "ann", email="sam@example.com"),
            clicks(1.001, "ann"),
            signs_up(5, "stranger", "bob", 7, email="sam@example.com"),
        ],
    ),
    "a key in the reference, each sale by itself": Story(
        {"crediting": "transaction", "existing_customers": "accept"},
        [
            *one_off(1, 1, None)[:2],
            (
                "checkout.session.completed",
                a_session(payment_intent="pi_1", client_reference_id="user_7"),
                1,
            ),
            *one_off(2, 3, "bob"),
            *one_off(3, 40, None),
            *renewal(4, 45, metadata={"refledger_partner": "ann"}),
        ],
        [enrols(1.5, "user_7", partner="ann")],
    ),
}
