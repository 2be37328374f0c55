"""Each problem of a field is told in our words, of every body that the API reads."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from chalicelib.entrypoints import api_bodies
from chalicelib.entrypoints.problems import SENTENCES, sentence
from tests.doors_kit import Doors

BODIES = [
    body
    for body in vars(api_bodies).values()
    if isinstance(body, type) and issubclass(body, BaseModel) and body is not BaseModel
]
SENT: list[Any] = [
    *(None, True, -1, 0, 1, 1.5, 10**30),
    *("", "#", "nope", "é" * 5000),
    *([], [1], ["x"] * 5000, {}, {"a": 1}),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_no_problem_is_told_in_the_library_s_words(body: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in body.model_fields.items()]
    for value in SENT:
        for asked in ({}, {"colour": value}, dict.fromkeys(names, value)):
            try:
                body.model_validate(asked)
            except ValidationError as error:
                for problem in error.errors():
                    assert problem["type"] in SENTENCES or problem["type"] == "value_error"
                    assert sentence(problem) not in ("", problem["msg"])


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, {"email": ["This is needed."]}),
        (
            {"email": "sam@example.com", "colour": "red"},
            {"colour": ["There is no such field."]},
        ),
        ({"email": "sam@example.com", "name": []}, {"name": ["Send a text."]}),
    ],
)
def test_an_answer_says_what_to_send(
    doors: Doors, sent: dict[str, Any], said: dict[str, list[str]]
) -> None:
    reply = doors.post("/v1/partners", sent)
    assert (reply.status, reply.errors) == (422, said)
