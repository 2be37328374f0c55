"""A program's settings and its partners: each value with the day from which it holds.

What a reward depends on is read as of the time of payment, so a change today leaves yesterday's
sales alone. The first value of a setting holds from ever.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chalicelib.core.money import Money
from chalicelib.core.names import Ms
from chalicelib.core.refusals import Invalid

Mode = Literal["live", "test"]
PARTNER_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a sale earns its partner.

    ``percentage``: ``rate_basis_points`` of the ``of`` (net or gross) amount. ``fixed``: an amount
    per currency in ``amounts_minor``. ``lasts``: the ``first`` sale, ``payments`` (``count`` of
    them), ``months`` (``count`` from the first payment) or ``forever``. ``minimum_minor``: per
    currency, the smallest sale (gross, before refunds) that earns anything.
    """

    kind: Literal["percentage", "fixed"]
    rate_basis_points: int = 0
    of: Literal["net", "gross"] = "net"
    amounts_minor: Mapping[str, int] = field(default_factory=dict)
    lasts: Literal["first", "payments", "months", "forever"] = "forever"
    count: int = 0
    minimum_minor: Mapping[str, int] = field(default_factory=dict)

    def words(self) -> str:
        """The rule as a partner would say it: ``20 % of net, for 12 months``."""
        if self.kind == "percentage":
            what = f"{self.rate_basis_points / 100:g} % of {self.of}"
        else:
            fixed = (f"{Money(m, c).decimal()} {c}" for c, m in sorted(self.amounts_minor.items()))
            what = " or ".join(fixed) + " a sale"
        lasts = {
            "first": "for the first sale",
            "payments": f"for the first {self.count} payments",
            "months": f"for {self.count} months",
            "forever": "for ever",
        }
        return f"{what}, {lasts[self.lasts]}"


DEFAULT_RULE = Rule(kind="percentage", rate_basis_points=2000, lasts="months", count=12)

DEFAULTS: Mapping[str, Any] = {
    "attribution": "last_click",
    "crediting": "customer",
    "window_days": 30,
    "hold_days": 30,
    "existing_customers": "refuse",
    "late_evidence_hours": 72,
    "paid_outside_stripe": "count",
    "reward": DEFAULT_RULE,
}
"""Every dated setting with the value it has unless the merchant says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A value and the moment from which it holds (0: from ever)."""

    starts: Ms
    value: Any


def as_of(history: tuple[Dated, ...], at: Ms, default: Any = None) -> Any:
    """The value that held at a moment: the last to have started; of one start the last told."""
    holding = [dated for dated in history if dated.starts <= at]
    return max(holding, key=lambda dated: dated.starts).value if holding else default


def with_value(history: tuple[Dated, ...], value: Any, starts: Ms) -> tuple[Dated, ...]:
    """The history with one more value; it replaces one that starts at the same moment."""
    kept = [dated for dated in history if dated.starts != starts]
    return tuple(sorted([*kept, Dated(starts=starts, value=value)], key=lambda d: d.starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings as they stood at one moment."""

    attribution: Literal["last_click", "first_click"]
    crediting: Literal["customer", "transaction"]
    window_days: int
    hold_days: int
    existing_customers: Literal["refuse", "accept"]
    late_evidence_hours: int
    paid_outside_stripe: Literal["count", "ignore"]
    reward: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Website:
    """What the tracker and the short links need to know. Not dated: it decides no reward."""

    url: str
    cookie_days: int = 30
    parameters: tuple[str, ...] = ("via",)
    path_prefix: str = "/aff/"
    payment_links: tuple[str, ...] = ()
    payment_link_hosts: tuple[str, ...] = ()
    capture_forms: bool = False
    cross_domains: tuple[str, ...] = ()
    require_consent: bool = False
    global_name: str = "refledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One set of rules. ``mode`` is where what carries no mode of its own (sign-ups from the
    website) is booked: ``live``, or ``test`` while trying it out."""

    id: str
    name: str
    currency: str
    mode: Mode
    created_at: Ms
    website: Website
    kind: Literal["affiliate", "refer_a_friend"] = "affiliate"
    sealed_signing_key: str = ""
    settings: Mapping[str, tuple[Dated, ...]] = field(default_factory=dict)

    def terms(self, at: Ms) -> Terms:
        return Terms(
            **{name: as_of(self.settings.get(name, ()), at, d) for name, d in DEFAULTS.items()}
        )

    def ever(self, name: str) -> list[Any]:
        """Every value that a setting has or had."""
        return [
            d.value for d in self.settings.get(name) or (Dated(starts=0, value=DEFAULTS[name]),)
        ]

    def change(self, values: Mapping[str, tuple[Any, Ms]]) -> "Program":
        """The program with settings changed: name to (value, start)."""
        settings = dict(self.settings)
        for name, (value, starts) in values.items():
            history = settings.get(name) or (Dated(starts=0, value=DEFAULTS[name]),)
            settings[name] = with_value(history, value, starts)
        return replace(self, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Whoever may refer. ``key`` stands in links and never changes; it is found whatever its
    case. ``emails`` are all it ever had, each with the moment from which it was told."""

    id: str
    key: str
    emails: tuple[Dated, ...]
    created_at: Ms
    name: str = ""
    surname: str = ""
    tags: tuple[str, ...] = ()
    statuses: tuple[Dated, ...] = ()
    rewards: tuple[Dated, ...] = ()

    @property
    def email(self) -> str:
        return str(max(self.emails, key=lambda dated: dated.starts).value) if self.emails else ""

    def emails_by(self, at: Ms) -> frozenset[str]:
        """The e-mails it had told by then."""
        return frozenset(str(dated.value) for dated in self.emails if dated.starts <= at)

    def status(self, at: Ms) -> str:
        return str(as_of(self.statuses, at, "active"))

    def rule(self, at: Ms, of_program: Rule) -> tuple[Rule, str]:
        """The rule that holds for this partner, and where it comes from."""
        own = as_of(self.rewards, at)
        return (own, "the partner's own rule") if own else (of_program, "the program's rule")


def partner_key(text: str, *, field: str = "key") -> str:
    """A partner key as written, else ``Invalid``."""
    if not PARTNER_KEY.fullmatch(text):
        raise Invalid({field: ["A key is 1 to 64 of A-Z a-z 0-9 - _."]})
    return text
