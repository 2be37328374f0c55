"""Longer stories: months of a few customers' lives, of which the parts meet."""

from chalicelib.core.program import Rule
from tests.builders.stripe_bodies import a_customer
from tests.builders.world import day, token
from tests.conformance.pieces import credited, disputed, one_off, refunded, renewal, subscription
from tests.conformance.story import (
    Story,
    Tell,
    changes,
    clicks,
    enrols,
    joins,
    pays,
    percent,
    sells,
    sets,
    signs_up,
    takes_back,
)


def a_year() -> list[Tell]:
    """Ten payments in a year: an upgrade with its part of a month, two months of pause, a refund
    in two parts, a dispute that is won and one that is lost, a credit note, a cancelled end."""
    upgraded = [
        *renewal(5, 136, total=1633),
        *(t for n in (6, 7) for t in renewal(n, 30 * n - 29, total=9900)),
    ]
    resumed = [t for n in (8, 9, 10) for t in renewal(n, 30 * n + 31, total=9900)]
    return [
        *subscription(1),
        *(t for n in range(1, 5) for t in renewal(n, 30 * n - 29)),
        *upgraded,
        *refunded(6, "re_1", 3000, 3000, 160, minor=9900),
        *refunded(6, "re_2", 6900, 9900, 170, minor=9900),
        *disputed(7, [("needs_response", 190), ("under_review", 195), ("won", 230)], minor=9900),
        *resumed,
        *disputed(9, [("needs_response", 310), ("lost", 340)], minor=9900),
        *credited(10, 4950, 335),
    ]


def of_customer(number: int, email: str) -> dict[str, str]:
    return {"customer": f"cus_{number}", "email": email}


SAM, FRIEND = of_customer(1, "sam@example.com"), of_customer(2, "friend@example.com")

LONG: dict[str, Story] = {
    "a year of a subscription: upgrade, pause, refund, disputes, credit note": Story(
        {},
        a_year(),
        [clicks(0.5, "ann")],
        comes_to={"ann|eur": 4 * 980 + 327 + 0 + 1980 + 1980 + 0 + 990},
    ),
    "that year, for six payments, and bob comes late": Story(
        {"reward": percent(2000, lasts="payments", count=6)},
        [*a_year(), *one_off(20, 100, "bob", **SAM)],
        [clicks(99, "bob", 20)],
    ),
    "that year, paid out each quarter": Story(
        {"hold_days": 14}, a_year(), [pays(on) for on in (90, 180, 270, 350)], paid_out=True
    ),
    "two partners, one household, five ways to buy": Story(
        {"crediting": "transaction", "window_days": 60},
        [
            *one_off(1, 1, "ann", **SAM),
            *one_off(2, 8, "bob", customer=None, email="sam@example.com"),
            *subscription(10, "ann", 3, **SAM),
            *renewal(3, 10),
            *renewal(4, 40),
            *one_off(5, 41, "bob", **FRIEND),
            (
                "customer.updated",
                a_customer(id="cus_2", email="sam@example.com", created=day(41)),
                45,
            ),
            *renewal(6, 50, customer="cus_2", customer_email="sam@example.com"),
            *refunded(2, "re_2", 1000, 1000, 44),
        ],
        [
            clicks(0.5, "ann"),
            clicks(7, "bob", 2),
            signs_up(9, "sam", "ann", 3, email="sam@example.com"),
            enrols(42, "friend", email="friend@example.com", stripe_customer_id="cus_2"),
        ],
    ),
    "two programs on one account": Story(
        {"reward": percent(2000, lasts="payments", count=2)},
        [
            *one_off(1, 1, "ann", **SAM),
            *one_off(2, 3, "bob", **FRIEND),
            *(t for n in (3, 4, 5) for t in renewal(n, 30 * n - 80)),
            *refunded(1, "re_1", 2450, 2450, 20),
        ],
        [clicks(0.5, "ann"), sets(15, starts=2, hold_days=3)],
        second={"attribution": "first_click", "reward": percent(1000, of="gross")},
    ),
    "payouts in the middle, a refund and a dispute after them": Story(
        {"hold_days": 7},
        [
            *one_off(1, 1, "ann", **SAM),
            *one_off(2, 2, "bob", **FRIEND),
            *one_off(3, 12, "ann", minor=9900, **SAM),
            *refunded(1, "re_1", 4900, 4900, 15),
            *disputed(2, [("needs_response", 16), ("lost", 25)]),
            *one_off(4, 26, "bob", minor=1234, **FRIEND),
        ],
        [pays(10), pays(21), pays(40)],
        paid_out=True,
        comes_to={"ann|eur": 1980, "bob|eur": 247},
    ),
    "euros, dollars and yen": Story(
        {"reward": Rule(kind="fixed", amounts_minor={"eur": 500, "usd": 600})},
        [
            *one_off(1, 1, "ann", **SAM),
            *one_off(2, 2, "ann", currency="usd", minor=5200, **SAM),
            *one_off(3, 3, "ann", currency="jpy", minor=7000, **SAM),
            *refunded(2, "re_1", 2600, 2600, 5, minor=5200),
        ],
        [changes(4, "ann", reward=percent(1000), reward_starts=2.5)],
        comes_to={"ann|eur": 500, "ann|usd": 300, "ann|jpy": 700},
    ),
    "settings and partners dated in the past": Story(
        {},
        [*one_off(1, 5, "ann"), *renewal(2, 15), *renewal(3, 25), *renewal(4, 55)],
        [
            sets(20, starts=10, reward=percent(3000)),
            changes(30, "ann", reward=percent(5000), reward_starts=24),
            changes(40, "ann", status="paused", status_starts=50),
            sets(60, starts=1, hold_days=45, window_days=7),
        ],
        comes_to={"ann|eur": 980 + 1470 + 2450},
    ),
    "a late partner, a late click, a late invoice": Story(
        {},
        [
            *one_off(1, 1, "late", **SAM),
            *one_off(2, 2, "ann", **FRIEND),
            *(t for t in renewal(3, 1.5)),
            *one_off(4, 6, "late", **FRIEND),
        ],
        [clicks(2.5, "ann", 2), joins(8, "Late"), changes(9, "late", reward=percent(100))],
    ),
    "the merchant's sales among Stripe's, refunds on both sides": Story(
        {"reward": percent(2000, lasts="months", count=2)},
        [
            *renewal(1, 3),
            *renewal(2, 33),
            *renewal(3, 63),
            *refunded(2, "re_1", 490, 490, 34),
        ],
        [
            enrols(1, "sam", partner="ann", stripe_customer_id="cus_1", email="sam@example.com"),
            sells(2, "order-1", "sam", 1000),
            sells(3.02, "order-2", "sam", 4900),
            takes_back(10, "order-1", "r-1", 250),
            sells(61, "order-3", "sam", 700, "usd"),
            takes_back(62, "order-1", "r-2", 750),
        ],
    ),
    "strangers and a friend at one e-mail": Story(
        {},
        [
            *one_off(1, 4, None, customer=None, email="sam@example.com"),
            *subscription(5, None, 2, **SAM),
            *renewal(2, 5),
            *one_off(3, 9, "bob", **FRIEND),
        ],
        [
            clicks(0.5, "bob"),
            signs_up(1, "stranger", "bob", email="sam@example.com"),
            clicks(2, "ann", 2),
            signs_up(3, "sam", "ann", 2, email="sam@example.com"),
            signs_up(3.5, "sam", "bob", email="sam@example.com"),
            enrols(6, "friend", email="friend@example.com", token=token("ann", 5)),
            signs_up(7, "late", "ann", 2, email="friend@example.com", signed=True),
        ],
    ),
}
