"""The token of a visit."""

import pytest

from chalicelib.core.attribution_token import parse_token

RANDOM = "A1b2C3d4E5f6G7h8I9j0K_"  # 22 of the alphabet, the separator's own sign among them


@pytest.mark.parametrize("key", ["ann", "Ann", "a", "a_b-c", "_", "k" * 64])
def test_a_token_gives_itself_and_the_partners_key_in_lower_case(key: str) -> None:
    assert parse_token(f"{RANDOM}_{key}") == (f"{RANDOM}_{key}", key.lower())


@pytest.mark.parametrize(
    "text",
    ["", "ann", f"{RANDOM}ann", f"{RANDOM}_", f"{RANDOM[:21]}-ann", f"{RANDOM}_{'k' * 65}",
     f"{RANDOM}_ann\n", f" {RANDOM}_ann", f"{RANDOM}_änn", f"{RANDOM}_an n"],
)  # fmt: skip
def test_anything_else_is_no_token(text: str) -> None:
    assert parse_token(text) is None
