"""Works out what lines cost: discounts first, then taxes inside or on top. Plain functions.

Source: docs.stripe.com/billing/taxes/tax-rates (inclusive and exclusive) and
docs.stripe.com/api/coupons (`amount_off` is spread over the lines).
"""

from dataclasses import dataclass, field
from typing import Any

from .money import percent_of, shares, tax_within

Object = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Line:
    """What goes in: an amount and what applies to it. What comes out is written beside it."""

    amount: int
    rates: list[Object] = field(default_factory=list)
    product: str | None = None
    discountable: bool = True
    discounts: list[tuple[str, int]] = field(default_factory=list)
    taxes: list[Object] = field(default_factory=list)

    @property
    def discount(self) -> int:
        return sum(amount for _, amount in self.discounts)

    @property
    def added_tax(self) -> int:
        return sum(t["amount"] for t in self.taxes if t["tax_behavior"] == "exclusive")

    @property
    def all_tax(self) -> int:
        return sum(t["amount"] for t in self.taxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    subtotal: int
    subtotal_excluding_tax: int
    discount: int
    added_tax: int
    all_tax: int
    total: int
    total_excluding_tax: int


def price_lines(lines: list[Line], discounts: list[tuple[str, Object]]) -> Sum:
    """Fills in each line's discounts and taxes. `discounts` are (id, coupon), in their order."""
    for id_, coupon in discounts:
        _discount(lines, id_, coupon)
    for line in lines:
        line.taxes = [_tax(line.amount - line.discount, rate) for rate in line.rates]
    subtotal = sum(line.amount for line in lines)
    discount = sum(line.discount for line in lines)
    added = sum(line.added_tax for line in lines)
    all_tax = sum(line.all_tax for line in lines)
    total = subtotal - discount + added
    return Sum(
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal - sum(_inside(line) for line in lines),
        discount=discount,
        added_tax=added,
        all_tax=all_tax,
        total=total,
        total_excluding_tax=total - all_tax,
    )


def _discount(lines: list[Line], id_: str, coupon: Object) -> None:
    products = coupon.get("_products")
    wanted = [
        line
        for line in lines
        if line.discountable
        and line.amount > line.discount
        and (not products or line.product in products)
    ]
    left = [line.amount - line.discount for line in wanted]
    if coupon["percent_off"] is not None:
        parts = [percent_of(amount, coupon["percent_off"]) for amount in left]
    else:
        parts = shares(min(coupon["amount_off"], sum(left)), left)
    for line, part in zip(wanted, parts, strict=True):
        line.discounts.append((id_, part))


def _tax(base: int, rate: Object) -> Object:
    inclusive = rate["inclusive"]
    percent = rate["percentage"]
    amount = tax_within(base, percent) if inclusive else percent_of(base, percent)
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": "not_available",
        "taxable_amount": base - amount if inclusive else base,
        "type": "tax_rate_details",
    }


def _inside(line: Line) -> int:
    return sum(tax_within(line.amount, r["percentage"]) for r in line.rates if r["inclusive"])
