"""What pydantic finds wrong with a field, in sentences that say what to send instead."""

from typing import Any

SENTENCES = {
    "missing": "This is needed.",
    "extra_forbidden": "There is no such field.",
    "bool_type": "Send true or false.",
    "int_type": "Send a whole number.",
    "string_type": "Send a text.",
    "list_type": "Send a list.",
    "dict_type": "Send a JSON object.",
    "model_type": "Send a JSON object.",
    "literal_error": "Send one of these: {expected}.",
    "greater_than_equal": "Send at least {ge}.",
    "less_than": "Send less than {lt}.",
    "less_than_equal": "Send at most {le}.",
    "string_too_long": "This is too long: the most is {max_length}.",
    "too_long": "This is too long: the most is {max_length}.",
    "too_short": "This is too short: the least is {min_length}.",
    "string_pattern_mismatch": "This is not of the form {pattern}.",
}
"""By the type of pydantic's error, filled from its context."""


def sentence(problem: Any) -> str:
    """One of a ``ValidationError``'s errors in our words; a validator of our own has its own."""
    known = SENTENCES.get(problem["type"])
    if known is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    return known.format_map(problem.get("ctx", {}))
