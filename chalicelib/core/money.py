"""Money: an integer of minor units with a currency, rounded in one place.

Currency exponents are Stripe's, not ISO's (https://docs.stripe.com/currencies): MGA has none, ISK
and UGX are sent as two-decimal amounts that end in 00.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from chalicelib.core.refusals import Invalid

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
TWO_DECIMAL = frozenset(
    """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad
    cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl
    hrk htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop
    mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd
    scr sek sgd shp sle sll sos srd std stn svc szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs
    wst xcd xcg yer zar zmw
    """.split()
)
CURRENCIES = ZERO_DECIMAL | TWO_DECIMAL | THREE_DECIMAL

MAX_DIGITS = 12  # of an amount in minor units; what Stripe itself takes for an amount is shorter


def exponent(currency: str) -> int:
    """Decimal places of a currency (lower case) as Stripe counts them: 0, 2 or 3."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount: ``minor`` units (an int, never a bool) of a lower-case ``currency``."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are an int, not {type(self.minor).__name__}")
        if self.currency not in CURRENCIES:
            raise ValueError(f"unknown currency {self.currency!r}")

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add")
        return Money(self.minor + other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def decimal(self) -> str:
        """The amount in major units as text, e.g. ``29.90``, ``5000``, ``10.000``."""
        return format(Decimal(self.minor).scaleb(-exponent(self.currency)), "f")


def round_half_away(exact: Fraction) -> int:
    """The one rounding of the house: to the nearest integer, a half away from zero."""
    whole = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return whole if exact >= 0 else -whole


def currency_code(text: object, *, field: str = "currency") -> str:
    """A known currency in lower case, from any case; raises ``Invalid`` for anything else."""
    if not isinstance(text, str) or text.strip().lower() not in CURRENCIES:
        raise Invalid({field: ["This is not a currency that Stripe settles."]})
    return text.strip().lower()


_DECIMAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?")


def from_decimal(text: str, currency: str, *, field: str = "amount") -> Money:
    """Money from an amount in major units: digits with an optional fraction, none too many.

    Raises ``Invalid`` for a sign, an exponent, NaN, more decimals than the currency has, or more
    than 12 digits of minor units.
    """
    if not _DECIMAL.fullmatch(text):
        raise Invalid({field: ["An amount is digits, with a point before the decimals."]})
    minor = Decimal(text).scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        places = exponent(currency)
        raise Invalid({field: [f"{currency.upper()} has {places or 'no'} decimals."]})
    return within_digits(int(minor), currency, field=field)


def within_digits(minor: int, currency: str, *, field: str) -> Money:
    """Money of a non-negative number of minor units with at most 12 digits, else ``Invalid``."""
    if minor < 0:
        raise Invalid({field: ["An amount is not negative."]})
    if len(str(minor)) > MAX_DIGITS:
        raise Invalid({field: [f"An amount has at most {MAX_DIGITS} digits."]})
    return Money(minor, currency)
