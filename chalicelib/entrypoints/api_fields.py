"""The kinds of field that the API's request bodies have: texts, amounts, days, moments."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)

from chalicelib.core.facts import Ms
from chalicelib.core.money import CURRENCIES, MAX_DIGITS
from chalicelib.core.validation import (
    MAX_EMAIL,
    email_problem,
    is_text,
    key_problem,
)

YEAR_3000_S = 32_503_680_000


def _printable(text: str) -> str:
    if not is_text(text):
        raise ValueError("This has characters that cannot be stored.")
    return text


def without(problem_of: Callable[[str], str]) -> AfterValidator:
    """Refuses a text for which ``problem_of`` has a sentence."""

    def checked(text: str) -> str:
        if problem := problem_of(text):
            raise ValueError(problem)
        return text

    return AfterValidator(checked)


def _number_as_text(value: Any) -> Any:
    """A whole number as text, and a text trimmed: pydantic's own trimming comes after its check
    of the length when something stands before it."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value.strip().lower() not in CURRENCIES:
        raise ValueError("This is not a currency that Stripe settles.")
    return value.strip().lower()


def _decimal_text(value: Any) -> Any:
    """A JSON number digit by digit as it was sent; one with an exponent written out, unless it is
    beyond any amount (writing out ``1e999999999`` would fill the memory)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("An amount is a number, or digits in a text.")
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= 20:
        return format(value, "f")
    text = str(value)
    if len(text) > 40:
        raise ValueError(f"An amount has at most {MAX_DIGITS} digits.")
    return text.strip()


def _day_ms(value: Any) -> Ms:
    """A day (``2026-06-01``: from its UTC midnight) or a moment, as unix milliseconds."""
    if isinstance(value, str) and len(value) == 10:
        try:
            day = date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("A day is written 2026-06-01.") from error
        if not 1970 <= day.year < 3000:
            raise ValueError("A day lies between 1970-01-01 and 2999-12-31.")
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    return _moment_ms(value)


def _moment_ms(value: Any) -> Ms:
    """ISO 8601 text (UTC where no zone is given) or unix seconds, as unix milliseconds."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < YEAR_3000_S:
        return value * 1000
    if isinstance(value, str) and len(value) <= 40:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("A time is written 2026-06-01T12:00:00Z.") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
        if 0 <= seconds < YEAR_3000_S:
            return int(seconds) * 1000
    raise ValueError("A time is written 2026-06-01T12:00:00Z, or given in unix seconds.")


def _described(*kinds: str, **more: Any) -> WithJsonSchema:
    """What the API's description says of a field whose validators it cannot look into."""
    return WithJsonSchema({"type": kinds[0] if len(kinds) == 1 else list(kinds), **more})


PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
A_DAY = "A day (2026-06-01: from its UTC midnight), a moment in ISO 8601, or unix seconds."
AN_AMOUNT = "Major units: a number, or digits in a text, e.g. 29.90."

_NumberOrText = BeforeValidator(_number_as_text)
_Printable = AfterValidator(_printable)
Key = Annotated[
    str,
    _NumberOrText,
    StringConstraints(min_length=1, max_length=64),
    _Printable,
    _described("string", "integer", minLength=1, maxLength=64, pattern=PRINTABLE),
]
LongKey = Annotated[
    str,
    _NumberOrText,
    StringConstraints(min_length=1, max_length=255),
    without(key_problem),
    _described("string", "integer", minLength=1, maxLength=255, pattern=PRINTABLE),
]
Name = Annotated[
    str,
    _NumberOrText,
    StringConstraints(max_length=100),
    _Printable,
    _described("string", "integer", maxLength=100, pattern=PRINTABLE),
]
Text = Annotated[
    str,
    _NumberOrText,
    StringConstraints(max_length=255),
    _Printable,
    _described("string", "integer", maxLength=255, pattern=PRINTABLE),
]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    without(email_problem),
    _described("string", format="email", maxLength=MAX_EMAIL),
]
Tags = Annotated[list[Name], Field(max_length=20)]
Currency = Annotated[
    str,
    BeforeValidator(_currency),
    _described("string", format="currency"),
]
Amount = Annotated[
    str,
    BeforeValidator(_decimal_text),
    _described(
        "string",
        "number",
        minimum=0,
        pattern=r"^[0-9]{1,15}([.][0-9]{1,6})?$",
        description=AN_AMOUNT,
    ),
]
Minor = Annotated[StrictInt, Field(ge=0, lt=10**MAX_DIGITS)]
SignedMinor = Annotated[StrictInt, Field(gt=-(10**MAX_DIGITS), lt=10**MAX_DIGITS)]
Day = Annotated[
    int,
    BeforeValidator(_day_ms),
    _described(
        "string", "integer", minimum=0, maximum=YEAR_3000_S - 1, maxLength=40, description=A_DAY
    ),
]
Moment = Annotated[
    int,
    BeforeValidator(_moment_ms),
    _described(
        "string",
        "integer",
        minimum=0,
        maximum=YEAR_3000_S - 1,
        maxLength=40,
        description="A moment in ISO 8601, UTC where no zone is given, or unix seconds.",
    ),
]
