"""What the tests of this room share: an event translated, and the parts they look at."""

from typing import Any

from chalicelib.core.people import People
from chalicelib.core.sale import Sale
from chalicelib.stripe_adapter.translate import Ignored, Told, translate
from tests.builders.stripe_bodies import an_event, as_body


def told(event: dict[str, Any]) -> Told:
    outcome = translate(as_body(event))
    assert isinstance(outcome, Told), outcome
    return outcome


def told_of(type: str, object: dict[str, Any], **about: Any) -> Told:
    outcome = translate(an_event(type, object, **about))
    assert isinstance(outcome, Told), outcome
    return outcome


def sale_of(outcome: Told) -> Sale:
    assert outcome.sale is not None
    return outcome.sale


def people_of(outcome: Told) -> People:
    assert outcome.people != People()
    return outcome.people


def ignored(type: str, object: dict[str, Any], **about: Any) -> str:
    outcome = translate(an_event(type, object, **about))
    assert isinstance(outcome, Ignored), outcome
    return outcome.because
