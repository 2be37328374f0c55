"""The API's request bodies. Unknown fields are refused, so that a misspelt one is not lost."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from chalicelib.core.facts import Ms
from chalicelib.core.money import Money, from_decimal, within_digits
from chalicelib.core.program import Rule
from chalicelib.core.refusals import Invalid
from chalicelib.core.validation import (
    PAYMENT_LINK,
    SITE,
    payment_link_problem,
    site_problem,
)
from chalicelib.entrypoints.api_fields import (
    Amount,
    Currency,
    Day,
    Email,
    Key,
    LongKey,
    Minor,
    Moment,
    Name,
    SignedMinor,
    Tags,
    Text,
    without,
)
from chalicelib.entrypoints.problems import sentence
from chalicelib.stripe_adapter.credentials import KEY, NO_KEY, NO_WHSEC

MAX_FIELDS = 100  # of one body
MAX_ERRORS = 20  # that one answer tells: it must not grow with what was sent


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RewardBody(Body):
    """A reward rule. ``starts_on``: the day from which it holds; absent, from now on."""

    type: Literal["percentage", "fixed"]
    rate_basis_points: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    of: Literal["net", "gross"] = "net"
    amounts_minor: dict[Currency, Minor] | None = None
    lasts: Literal["first", "payments", "months", "forever"] = "forever"
    count: Annotated[StrictInt, Field(ge=1, le=1_200)] | None = None
    minimum_minor: dict[Currency, Minor] = Field(default_factory=dict)
    starts_on: Day | None = None
    words: Any = None  # what GET says beside a rule; nothing is read from it

    @model_validator(mode="after")
    def _whole(self) -> "RewardBody":
        if self.type == "percentage" and self.rate_basis_points is None:
            raise ValueError("A percentage needs rate_basis_points (2000 is 20 %).")
        if self.type == "fixed" and not self.amounts_minor:
            raise ValueError('A fixed reward needs amounts_minor, e.g. {"eur": 500}.')
        if (self.lasts in ("payments", "months")) != (self.count is not None):
            raise ValueError("count goes with lasts payments or months, and with them only.")
        return self

    def rule(self) -> Rule:
        return Rule(
            kind=self.type,
            rate_basis_points=self.rate_basis_points or 0,
            of=self.of,
            amounts_minor=self.amounts_minor or {},
            lasts=self.lasts,
            count=self.count or 0,
            minimum_minor=self.minimum_minor,
        )


class PartnerBody(Body):
    email: Email
    key: Key | None = None
    name: Name | None = None
    surname: Name | None = None
    tags: Tags | None = None
    status: Literal["active", "paused"] | None = None
    reward: RewardBody | None = None


class PartnerChangeBody(Body):
    email: Email | None = None
    key: Key | None = None
    name: Name | None = None
    surname: Name | None = None
    tags: Tags | None = None
    status: Literal["active", "paused"] | None = None
    status_starts_on: Day | None = None
    reward: RewardBody | None = None


class PartnerName(Body):
    """A partner by exactly one of its names."""

    key: Key | None = None
    id: Key | None = None
    email: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> "PartnerName":
        if len(self.model_fields_set) != 1 or not self.named()[1]:
            raise ValueError("Name the partner by one of key, id, email.")
        return self

    def named(self) -> tuple[str, str]:
        name = next(iter(self.model_fields_set), "key")
        return name, str(getattr(self, name) or "")


class CustomerBody(Body):
    key: Key
    email: Email | None = None
    name: Name | None = None
    tags: Tags | None = None
    partner: PartnerName | None = None
    token: Text | None = None
    stripe_customer_id: Annotated[str, Field(pattern=r"^cus_[A-Za-z0-9_]{1,64}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> "CustomerBody":
        if self.partner is not None and self.token is not None:
            raise ValueError("Give partner or token, not both.")
        return self


class CustomerName(Body):
    key: Key


class _WithAmount(Body):
    amount: Amount | None = None
    amount_minor: Minor | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> Any:
        if (self.amount is None) == (self.amount_minor is None):
            raise ValueError("Give amount (decimal) or amount_minor (whole minor units).")
        return self

    def money(self, currency: str) -> Money:
        if self.amount is not None:
            return from_decimal(self.amount, currency)
        return within_digits(self.amount_minor or 0, currency, field="amount_minor")


class TransactionBody(_WithAmount):
    key: LongKey
    customer: CustomerName
    amount_units: Currency | None = None
    currency: Currency | None = None
    action: Name = "sale"
    created_at: Moment | None = None

    @model_validator(mode="after")
    def _one_currency(self) -> "TransactionBody":
        if self.amount_units and self.currency and self.amount_units != self.currency:
            raise ValueError("amount_units and currency differ.")
        return self


class RefundBody(_WithAmount):
    key: LongKey


class PayoutBody(Body):
    key: LongKey
    partner: PartnerName
    currency: Currency
    expected_minor: SignedMinor


WHSEC = r"^(new|whsec_[!-~]{10,250})$"
NEITHER = f'{NO_WHSEC} Or "new", for one of an endpoint that is made anew.'
StripeKey = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    without(lambda text: "" if re.fullmatch(KEY, text) else NO_KEY),
    WithJsonSchema({"type": "string", "pattern": KEY}),
]
SigningSecret = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    without(lambda text: "" if re.fullmatch(WHSEC, text) else NEITHER),
    WithJsonSchema({"type": "string", "pattern": WHSEC}),
]


class ConnectionBody(Body):
    api_key: StripeKey


class RotateBody(Body):
    """One of both; nothing at all, and the webhook's secret is made anew."""

    api_key: StripeKey | None = None
    webhook_secret: SigningSecret | None = None

    @model_validator(mode="after")
    def _one(self) -> "RotateBody":
        if self.api_key is not None and self.webhook_secret is not None:
            raise ValueError("Give api_key or webhook_secret, not both.")
        return self


class ReconciliationBody(Body):
    """The time looked at: the last three days where nothing is said."""

    connection: Key
    since: Day | None = Field(default=None, alias="from")
    until: Day | None = Field(default=None, alias="to")


class BackfillBody(Body):
    connection: Key
    since: Day = Field(alias="from")
    preview: StrictBool = False


class Setting(Body):
    """A value with the day from which it holds."""

    value: Any
    starts_on: Day | None = None


class WebsiteBody(Body):
    url: (
        Annotated[
            str,
            without(site_problem),
            WithJsonSchema({"type": "string", "maxLength": 255, "pattern": f"^{SITE.pattern}$"}),
        ]
        | None
    ) = None
    cookie_days: Annotated[StrictInt, Field(ge=1, le=400)] | None = None
    parameters: (
        Annotated[
            list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]],
            Field(min_length=1, max_length=8),
        ]
        | None
    ) = None
    path_prefix: (
        Annotated[str, Field(pattern=r"^(/([A-Za-z0-9._~-]+/)+)?$", max_length=64)] | None
    ) = None
    payment_links: (
        Annotated[
            list[
                Annotated[
                    str,
                    without(payment_link_problem),
                    WithJsonSchema({"type": "string", "pattern": f"^{PAYMENT_LINK.pattern}$"}),
                ]
            ],
            Field(max_length=50),
        ]
        | None
    ) = None
    payment_link_hosts: (
        Annotated[
            list[
                Annotated[
                    str,
                    Field(
                        pattern=r"^(https?://)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$",
                        max_length=255,
                    ),
                ]
            ],
            Field(max_length=10),
        ]
        | None
    ) = None
    capture_forms: StrictBool | None = None
    cross_domains: (
        Annotated[
            list[
                Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=255)]
            ],
            Field(max_length=10),
        ]
        | None
    ) = None
    require_consent: StrictBool | None = None
    global_name: Annotated[str, Field(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]{0,63}$")] | None = None


class SettingsValues(Body):
    """What each dated setting may be."""

    attribution: Literal["last_click", "first_click"] | None = None
    crediting: Literal["customer", "transaction"] | None = None
    window_days: Annotated[StrictInt, Field(ge=1, le=730)] | None = None
    hold_days: Annotated[StrictInt, Field(ge=0, le=365)] | None = None
    existing_customers: Literal["refuse", "accept"] | None = None
    late_evidence_hours: Annotated[StrictInt, Field(ge=0, le=2_160)] | None = None
    paid_outside_stripe: Literal["count", "ignore"] | None = None
    reward: RewardBody | None = None


SETTINGS = tuple(SettingsValues.model_fields)


class ProgramBody(Body):
    """``settings`` by name: the value, or ``{"value": …, "starts_on": "2026-06-01"}``. Top-level
    settings are the same thing in Partnero's flat shape; ``starts_on`` is then for all of them."""

    name: Annotated[Name, Field(min_length=1)] | None = None
    website: WebsiteBody | None = None
    starts_on: Day | None = None
    attribution: Any = None
    crediting: Any = None
    window_days: Any = None
    hold_days: Any = None
    existing_customers: Any = None
    late_evidence_hours: Any = None
    paid_outside_stripe: Any = None
    reward: Any = None

    def dated(self) -> dict[str, tuple[Any, Ms | None]]:
        """The settings given: name to (value, start)."""
        values: dict[str, Any] = {}
        starts: dict[str, Ms | None] = {}
        for name in SETTINGS:
            if name not in self.model_fields_set:
                continue
            given = getattr(self, name)
            if isinstance(given, dict) and "value" in given:
                setting = parsed(Setting, given, at=name)
                values[name], starts[name] = setting.value, setting.starts_on
            else:
                values[name], starts[name] = given, None
            if values[name] is None:
                raise Invalid({name: ["Give a value, or leave the field out to keep what stands."]})
        checked = parsed(SettingsValues, values)
        dated: dict[str, tuple[Any, Ms | None]] = {}
        for name in values:
            value = getattr(checked, name)
            start = starts[name] if starts[name] is not None else self.starts_on
            if isinstance(value, RewardBody):
                start = value.starts_on if value.starts_on is not None else start
                value = value.rule()
            dated[name] = (value, start)
        return dated


def parsed(shape: type[Any], data: Any, *, at: str = "") -> Any:
    """``data`` as ``shape``; raises ``Invalid`` with a sentence per field that is wrong."""
    if not isinstance(data, dict):
        raise Invalid({at or "body": ["Send a JSON object."]})
    if len(data) > MAX_FIELDS:
        raise Invalid({at or "body": ["This has more fields than there are."]})
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        errors: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False, include_input=False):
            steps = [str(step) for step in problem["loc"] if step != "[key]"]
            where = ".".join([at, *steps] if at else steps)
            if len(errors) < MAX_ERRORS:
                errors.setdefault(where[:200] or "body", []).append(sentence(problem))
        raise Invalid(errors) from error
    except RecursionError as error:
        raise Invalid({at or "body": ["This is nested too deeply."]}) from error
