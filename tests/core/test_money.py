"""Money: exact, of one currency, rounded in one place."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.money import CURRENCIES, Money, exponent, from_decimal, round_half_away
from chalicelib.core.refusals import Invalid

minors = st.integers(-(10**12), 10**12)


@pytest.mark.parametrize("minor", [True, 1.0, "1", Decimal(1), None])
def test_refuses_all_but_ints(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "eur")


@pytest.mark.parametrize("currency", ["EUR", "xxx", "", "bitcoin"])
def test_refuses_unknown_currencies(currency: str) -> None:
    with pytest.raises(ValueError):
        Money(1, currency)


def test_two_currencies_do_not_add() -> None:
    with pytest.raises(ValueError):
        Money(1, "eur") + Money(1, "usd")


@given(minors, minors)
def test_adds_and_takes_back(a: int, b: int) -> None:
    assert Money(a, "eur") + Money(b, "eur") - Money(b, "eur") == Money(a, "eur")


@given(st.fractions())
def test_rounding_is_within_half_and_symmetric(exact: Fraction) -> None:
    rounded = round_half_away(exact)
    assert abs(rounded - exact) <= Fraction(1, 2)
    assert round_half_away(-exact) == -rounded


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("1/2", 1), ("-1/2", -1), ("3/2", 2), ("5/2", 3), ("-5/2", -3), ("149/100", 1), ("0", 0)],
)
def test_a_half_goes_away_from_zero(exact: str, rounded: int) -> None:
    assert round_half_away(Fraction(exact)) == rounded


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(0, 10**12 - 1))
def test_decimal_text_and_back(currency: str, minor: int) -> None:
    money = Money(minor, currency)
    assert from_decimal(money.decimal(), currency) == money


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("10.5", "jpy"),
        ("10.555", "eur"),
        ("-1", "eur"),
        ("NaN", "eur"),
        ("1e3", "eur"),
        ("", "eur"),
        ("1,50", "eur"),
        ("99999999999.00", "eur"),
        ("٣", "eur"),
        (" 1", "eur"),
    ],
)
def test_refuses_amounts(text: str, currency: str) -> None:
    with pytest.raises(Invalid):
        from_decimal(text, currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("29.90", "eur", 2990),
        ("5000", "jpy", 5000),
        ("10.000", "kwd", 10_000),
        ("10", "kwd", 10_000),
    ],
)
def test_reads_amounts(text: str, currency: str, minor: int) -> None:
    assert from_decimal(text, currency).minor == minor


def test_stripes_exponents_and_not_isos() -> None:
    assert [exponent(c) for c in ("mga", "isk", "ugx", "huf", "bhd")] == [0, 2, 2, 2, 3]
