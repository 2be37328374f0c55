"""The worked examples as stories, each with what it comes to: at 20 % of net unless said."""

from typing import Any

from chalicelib.core.program import Rule
from tests.builders.stripe_bodies import (
    a_charge,
    a_customer,
    a_refund,
    a_session,
    an_intent,
    an_invoice,
    an_invoice_payment,
)
from tests.builders.world import day, token
from tests.conformance.pieces import disputed, paid_invoice, refunded, renewal, subscription
from tests.conformance.story import (
    Act,
    Story,
    Tell,
    changes,
    clicks,
    confirms,
    enrols,
    joins,
    pays,
    percent,
    sees,
    sells,
    sets,
    signs_up,
    takes_back,
)


def buys(on: float = 1, partner: str | None = "ann", number: int = 1, **about: Any) -> list[Tell]:
    """Sam buys for EUR 49.00 through a Payment Link."""
    about.setdefault("client_reference_id", partner and token(partner))
    bought = a_session(id=f"cs_test_{number}", **{"payment_intent": f"pi_{number}", **about})
    return [("checkout.session.completed", bought, on)]


def pays_invoice(number: int, on: float, minor: int = 4900, **about: Any) -> list[Tell]:
    """A paid invoice without tax, the whole told by ``invoice.paid``."""
    about = {"total": minor, "total_excluding_tax": minor, "amount_paid": minor, **about}
    return [("invoice.paid", paid_invoice(number, on, **about), on)]


def story(owed: dict[str, int], *told: Any, **settings: Any) -> Story:
    """Tells and acts in whatever order; ``owed`` is what the story comes to."""
    about = {n: settings.pop(n) for n in ("paid_out", "second") if n in settings}
    acts = [one for one in told if isinstance(one, Act)]
    tells = [tell for one in told if not isinstance(one, Act) for tell in one]
    return Story(settings, tells, acts, comes_to={f"{n}|eur": m for n, m in owed.items()}, **about)


SAM = enrols(0.5, "sam", partner="ann", stripe_customer_id="cus_1", email="sam@example.com")
VAT = {"total": 2990, "total_excluding_tax": 2513, "tax": 477, "amount_paid": 2990}
UNPAID = (
    "checkout.session.completed",
    a_session(client_reference_id=token("ann"), payment_status="unpaid"),
    1,
)

LINKS = {
    "a seen click": story(
        {"ann": 980},
        clicks(0.5, "ann"),
        buys(3),
        sees(32.9, "ann", pending=980),
        sees(33, "ann", payable=980),
    ),
    "on the last day of the window": story({"ann": 980}, clicks(0, "ann"), buys(30)),
    "a second after the window": story({}, clicks(0, "ann"), buys(30 + 2 / 86400)),
    "outside the window": story({}, clicks(0, "ann"), buys(31)),
    "a click that is seen after the sale": story({"ann": 980}, buys(0.1), clicks(0.2, "ann")),
    "a guest": story({"ann": 980}, buys(customer=None)),
    "a delayed method pays": story(
        {"ann": 980},
        [
            UNPAID,
            (
                "checkout.session.async_payment_succeeded",
                a_session(client_reference_id=token("ann")),
                4,
            ),
        ],
    ),
    "a delayed method fails": story(
        {},
        [UNPAID, ("checkout.session.async_payment_failed", UNPAID[1], 4)],
    ),
    "an unknown partner falls through to metadata": story(
        {"bob": 980}, buys(partner="nobody", metadata={"refledger_partner": "bob"})
    ),
    "a paused partner": story({}, changes(0.5, "ann", status="paused"), buys()),
    "whatever the case": story({"ann": 980}, buys(partner="Ann")),
    "self-referral by e-mail": story({}, buys(email="Ann@Example.com ")),
    "self-referral by the partner's own Stripe customer": story(
        {},
        [("customer.created", a_customer(email="ann@example.com") | {"created": day(0)}, 0)],
        buys(email="other@example.com"),
    ),
}

INVOICES = {
    "inclusive VAT": story({"ann": 503}, SAM, pays_invoice(1, 1, **VAT)),
    "a part refunded": story(
        {"ann": 250},
        SAM,
        pays_invoice(1, 1, **VAT),
        [("invoice_payment.paid", an_invoice_payment(), 1)],
        [("refund.created", a_refund(amount=1500), 2)],
    ),
    "partly covered by credit": story(
        {"ann": 200},
        SAM,
        pays_invoice(1, 1, total=2000, total_excluding_tax=2000, amount_paid=1000),
    ),
    "renewals of a link": story(
        {"ann": 3 * 980},
        subscription(1),
        *(pays_invoice(n, 30 * n - 29) for n in range(1, 4)),
    ),
    "told five ways": story(
        {"ann": 980},
        SAM,
        renewal(1, 1),
        [("invoice.paid", an_invoice(version="2020-08-27", paid_at=day(1)), 1)],
    ),
    "an intent alone waits for its claim": story(
        {"ann": 980},
        SAM,
        [("payment_intent.succeeded", an_intent(), 1)],
        sees(3.9, "ann", pending=980),
        sees(4, "ann", payable=980),
        hold_days=1,
    ),
    "an uncaptured charge": story(
        {}, SAM, [("charge.succeeded", a_charge(captured=False, amount_captured=0), 1)]
    ),
    "a cent rounds half away from zero": story(
        {"ann": 150}, SAM, pays_invoice(1, 1, 13_000), reward=percent(115)
    ),
}

MONEY_BACK = {
    "a refund before the payment": story(
        {}, [("refund.created", a_refund(amount=4900), 0.9)], buys()
    ),
    "refunded after the payout, absorbed by the next": story(
        {"ann": 1960},
        buys(),
        pays(32),
        [("refund.created", a_refund(amount=4900), 33)],
        buys(34, number=2, customer="cus_2", email="friend@example.com", amount_total=9800),
        pays(65),
        paid_out=True,
    ),
    "a refund after the rate was raised": story(
        {"ann": 490},
        buys(20),
        sets(31, starts=31, reward=percent(4000)),
        [("refund.created", a_refund(amount=2450), 65)],
    ),
    "a dispute that is won": story(
        {"ann": 980}, buys(), disputed(1, [("needs_response", 2), ("won", 41)])
    ),
    "a dispute that is lost": story({}, buys(), disputed(1, [("needs_response", 2), ("lost", 10)])),
    "a dispute beside a full refund": story(
        {}, buys(), refunded(1, "re_1", 4900, 4900, 2), disputed(1, [("lost", 10)])
    ),
    "an open dispute is not payable": story(
        {"ann": 980},
        buys(),
        disputed(1, [("needs_response", 2)]),
        sees(40, "ann", pending=980),
    ),
    "a dispute takes back what was payable": story(
        {"ann": 980},
        buys(),
        sees(32, "ann", payable=980),
        disputed(1, [("needs_response", 33)]),
        sees(34, "ann", pending=980),
    ),
    "an inquiry holds nothing": story(
        {"ann": 980}, buys(), disputed(1, [("warning_needs_response", 2)])
    ),
    "a dispute after the payout": story(
        {}, buys(), pays(32), disputed(1, [("needs_response", 33), ("lost", 40)]), paid_out=True
    ),
    "refunds told by the charge alone": story(
        {"ann": 780},
        buys(),
        [("charge.refunded", a_charge(amount_refunded=500), 2)],
        [("charge.refunded", a_charge(amount_refunded=1000), 3)],
    ),
}

STANDING = {
    "the three earliest of five": story(
        {"ann": 200 + 400 + 600},
        SAM,
        *(pays_invoice(n, n, 1000 * n) for n in range(1, 6)),
        reward=percent(2000, lasts="payments", count=3),
    ),
    "the first sale only": story(
        {"ann": 200},
        SAM,
        *(pays_invoice(n, n, 1000 * n) for n in range(1, 4)),
        reward=percent(2000, lasts="first"),
    ),
    "a zero sale does not count, a refunded one does": story(
        {"ann": 2 * 980},
        SAM,
        pays_invoice(1, 1, 0),
        *(pays_invoice(n, n) for n in (2, 3, 4, 5)),
        [("invoice_payment.paid", an_invoice_payment(invoice="in_2", payment_intent="pi_2"), 2)],
        refunded(2, "re_1", 4900, 4900, 2.5),
        reward=percent(2000, lasts="payments", count=3),
    ),
    "months count from the first payment": story(
        {"ann": 2 * 980},
        SAM,
        pays_invoice(1, 1),
        pays_invoice(2, 365.9),
        pays_invoice(3, 366),
        reward=percent(2000, lasts="months", count=12),
    ),
}

WHO = {
    "two clicks, the last": story(
        {"bob": 980},
        clicks(0, "ann"),
        clicks(1, "bob"),
        buys(2),
        enrols(2, "sam", token=token("bob"), stripe_customer_id="cus_1"),
    ),
    "two clicks, the first": story(
        {"ann": 980},
        clicks(0, "ann"),
        clicks(1, "bob"),
        buys(2),
        enrols(2, "sam", token=token("bob"), stripe_customer_id="cus_1"),
        attribution="first_click",
    ),
    "existing customers are accepted": story(
        {"ann": 980}, pays_invoice(1, 1), buys(10, number=9), existing_customers="accept"
    ),
    "a stranger takes nobody over": story(
        {"ann": 980},
        enrols(0, "sam", email="sam@example.com", partner="ann"),
        clicks(1, "bob"),
        signs_up(1, "sam", "bob", email="sam@example.com"),
        signs_up(1, "other", "bob", email="sam@example.com"),
        pays_invoice(1, 2),
    ),
    "a known customer stays without a partner": story(
        {},
        enrols(0, "sam", email="sam@example.com"),
        clicks(1, "bob"),
        signs_up(1, "sam", "bob", email="sam@example.com"),
        pays_invoice(1, 2),
    ),
    "an honest sign-up": story(
        {"ann": 980},
        clicks(0, "ann"),
        signs_up(1, "sam", "ann", email="Sam@Example.com"),
        pays_invoice(1, 2),
    ),
    "a sign-up whose click was blocked": story(
        {"ann": 980}, signs_up(0, "sam", "ann", email="sam@example.com"), pays_invoice(1, 2)
    ),
    "a signed sign-up": story(
        {"ann": 980},
        enrols(0, "sam", email="sam@example.com"),
        signs_up(1, "sam", "ann", email="sam@example.com", signed=True),
        pays_invoice(1, 2),
    ),
    "one who has paid is not claimed later": story(
        {},
        pays_invoice(1, 1),
        clicks(1.001, "bob"),
        signs_up(1.001, "stranger", "bob", email="sam@example.com"),
        pays_invoice(2, 20),
    ),
    "a partner's second account": story(
        {},
        enrols(0, "own", email="ann@example.com"),
        enrols(0, "second", partner="ann", stripe_customer_id="cus_1"),
        buys(1, partner=None, email="ann@example.com"),
    ),
    "a key that was used before its partner was made": story(
        {"late": 980}, buys(partner="late"), joins(2, "late")
    ),
    "the reference is the merchant's own key": story(
        {"ann": 980},
        enrols(0, "user_7", partner="ann"),
        buys(client_reference_id="user_7", email="friend@example.com"),
    ),
    "a key that a visitor signed up under, in the reference": story(
        {},
        signs_up(0.5, "sam", "ann"),
        buys(1, client_reference_id="sam", email="friend@example.com"),
    ),
    "a reference that is nobody's": story(
        {"ann": 2 * 980},
        enrols(0, "sam", email="sam@example.com", partner="ann"),
        *(buys(n, number=n, client_reference_id="pricing-page") for n in (1, 2)),
        buys(
            3,
            number=3,
            client_reference_id="pricing-page",
            customer="cus_3",
            email="friend@example.com",
        ),
    ),
    "metadata names the customer": story(
        {"ann": 980},
        enrols(0, "user_7", partner="ann"),
        pays_invoice(
            1, 1, customer="cus_9", customer_email=None, metadata={"customer_key": "user_7"}
        ),
    ),
}

RULES = {
    "a fixed reward": story(
        {"ann": 500}, buys(), reward=Rule(kind="fixed", amounts_minor={"eur": 500})
    ),
    "of the gross": story({"ann": 980}, buys(amount_tax=782), reward=percent(2000, of="gross")),
    "of the net": story({"ann": 824}, buys(amount_tax=782)),
    "below the minimum": story({}, buys(), reward=percent(2000, minimum_minor={"eur": 5000})),
    "just the minimum": story(
        {"ann": 980}, buys(), reward=percent(2000, minimum_minor={"eur": 4900})
    ),
    "a partner's own rule from a day": story(
        {"ann": 980 + 1470},
        changes(0.5, "ann", reward=percent(3000), reward_starts=5),
        buys(4),
        buys(5, number=2),
    ),
    "kept out by metadata": story({}, buys(metadata={"refledger": "false"})),
}

OWN_SALES = {
    "the merchant's own sale, refunded": story(
        {"ann": 780},
        enrols(0, "sam", partner="ann"),
        sells(1, "order-1", "sam"),
        sells(1, "order-1", "sam"),
        takes_back(2, "order-1", "r-1", 1000),
        takes_back(2, "order-1", "r-1", 1000),
    ),
    "an alias of Stripe's sale": story(
        {"ann": 980}, SAM, sells(1, "in_1", "sam", 9900), pays_invoice(1, 1)
    ),
    "a possible duplicate, confirmed": story(
        {"ann": 1960},
        SAM,
        pays_invoice(1, 1),
        sells(1.01, "order-1", "sam"),
        confirms(41, "order-1"),
    ),
}

WORKED: dict[str, Story] = {
    **LINKS,
    **INVOICES,
    **MONEY_BACK,
    **STANDING,
    **WHO,
    **RULES,
    **OWN_SALES,
}
