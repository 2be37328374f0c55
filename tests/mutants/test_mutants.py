"""Every mutant still applies: a text that the code has no more would break nothing."""

from pathlib import Path

import pytest

from tests.mutants.breaks import MUTANTS, Mutant, broken

TREE = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_applies_exactly_once_and_is_python(mutant: Mutant) -> None:
    assert mutant.edits
    for edit in mutant.edits:
        text = broken((TREE / edit[0]).read_text(), edit)
        compile(text, edit[0], "exec")


def test_a_text_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 times"):
        broken("some code", ("file.py", "other code", ""))


def test_there_are_ten_and_more_of_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10
