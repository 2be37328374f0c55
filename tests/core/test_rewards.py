"""The reward of a sale: exact, rounded once, never more than what is left."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.attribution import Credit
from chalicelib.core.facts import Refund, View, ViewKind
from chalicelib.core.ledger import Position, difference, postings
from chalicelib.core.program import Dated, Partner, Program, Rule, Website
from chalicelib.core.rewards import Standing, Target, add_months, reward_target
from chalicelib.core.sale import Sale, summarise

AT = 1_777_593_600_000


def a_sale(*, amount: int = 4900, net: int | None = None, refunds: list[int] | None = None) -> Sale:
    view = View(
        kind=ViewKind.INVOICE,
        id="in_1",
        paid=True,
        currency="eur",
        total=amount,
        net=amount if net is None else net,
        amount=amount,
        paid_at=AT,
        exact=True,
    )
    taken = {
        f"re_{n}": Refund(id=f"re_{n}", amount=r, status="succeeded", charge="ch_1")
        for n, r in enumerate(refunds or [])
    }
    return Sale(ids=frozenset({"in_1"}), views={"in_1": view}, refunds=taken)


def the_target(sale: Sale, rule: Rule, **about: Any) -> Target:
    program = Program(
        id="p",
        name="Acme",
        currency="eur",
        mode="test",
        created_at=0,
        website=Website(url="https://acme.example"),
        settings={"reward": (Dated(starts=0, value=rule),)},
    )
    return reward_target(
        sale,
        summarise(sale),
        referral=Credit(partner="ann", because="told", since=AT),
        standing=about.get("standing", Standing(number=1, first_paid_at=AT)),
        program=program,
        partner=Partner(
            id="1", key="ann", emails=(Dated(starts=0, value="ann@example.com"),), created_at=0
        ),
        kept_out=False,
    )


rates = st.integers(0, 10_000)
amounts = st.integers(1, 10**10)


@given(amounts, rates, st.data())
def test_within_half_a_minor_unit_of_the_exact_reward(amount: int, rate: int, data: Any) -> None:
    net = data.draw(st.integers(0, amount))
    refund = data.draw(st.integers(0, amount))
    rule = Rule(kind="percentage", rate_basis_points=rate)
    target = the_target(a_sale(amount=amount, net=net, refunds=[refund]), rule).amount_minor
    exact = Fraction(net * rate * (amount - refund), 10_000 * amount)
    assert abs(target - exact) <= Fraction(1, 2)


@given(amounts, rates, st.lists(st.integers(0, 10**10), max_size=5))
def test_refunds_take_back_never_more_and_a_full_one_all(
    amount: int, rate: int, refunds: list[int]
) -> None:
    rule = Rule(kind="percentage", rate_basis_points=rate)
    whole = the_target(a_sale(amount=amount), rule).amount_minor
    left = the_target(a_sale(amount=amount, refunds=refunds), rule).amount_minor
    assert 0 <= left <= whole
    if sum(refunds) >= amount:
        assert left == 0


def test_percentages_do_not_go_through_floats() -> None:
    rule = Rule(kind="percentage", rate_basis_points=115)
    assert the_target(a_sale(amount=13_000), rule).amount_minor == 150  # 149.5, a half away


minors = st.integers(-(10**9), 10**9)
positions = st.builds(
    Position, pending=minors, payable=minors, paid=minors, period=st.integers(0, 3)
)


@given(positions, st.integers(0, 10**9), st.booleans())
def test_settling_comes_to_the_target_and_sums_to_zero(
    before: Position, target: int, released: bool
) -> None:
    after = before.settled(target, released=released)
    assert after.total == target
    assert after.paid == before.paid
    assert sum(p.minor for p in postings(difference(before, after))) == 0
    assert after.settled(target, released=released) == after
    if not released:
        assert after.payable <= 0 <= after.pending


@given(positions)
def test_a_payout_moves_what_is_payable_to_paid(before: Position) -> None:
    after = before.in_period(before.period + 1)
    assert (after.payable, after.paid) == (0, before.paid + before.payable)
    assert after.total == before.total


@pytest.mark.parametrize(
    ("day", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2026-11-15", 12, "2027-11-15"),
        ("2026-12-31", 2, "2027-02-28"),
    ],
)
def test_months(day: str, months: int, end: str) -> None:
    def ms(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000

    assert add_months(ms(day), months) == ms(end)
