"""Amounts in minor units: one rounding, half away from zero, and shares that sum exactly."""

from fractions import Fraction


def rounded(exact: Fraction) -> int:
    """The nearest integer; a half goes away from zero."""
    whole = int(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


def percent_of(amount: int, percent: float) -> int:
    return rounded(Fraction(amount) * _exact(percent) / 100)


def tax_within(amount: int, percent: float) -> int:
    """The tax inside an amount that includes it."""
    rate = _exact(percent)
    return rounded(Fraction(amount) * rate / (100 + rate))


def shares(total: int, weights: list[int]) -> list[int]:
    """Splits `total` by weight; the shares sum to `total` (rounding falls on the later ones)."""
    whole = sum(weights)
    parts, given, seen = [], 0, 0
    for weight in weights:
        seen += weight
        upto = rounded(Fraction(total * seen, whole)) if whole else 0
        parts.append(upto - given)
        given = upto
    return parts


def fee_of(amount: int) -> int:
    """Stripe's fee as a stand-in: 2.9 % and 30."""
    return percent_of(amount, 2.9) + 30


def _exact(percent: float) -> Fraction:
    return Fraction(str(percent))
