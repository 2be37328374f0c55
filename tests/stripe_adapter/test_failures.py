"""The closed table of what Stripe's errors mean."""

from typing import Any

import pytest

from chalicelib.core.refusals import (
    KeyRefused,
    PermissionMissing,
    PlatformRefused,
    Refusal,
    StripeAway,
    StripeRefused,
)
from chalicelib.stripe_adapter.failures import read_failure
from tests.stripe_adapter.asking import RESTRICTED_KEY, TAIL, error

LACKING = (
    f"The provided key 'rk_test_****{TAIL}' does not have the required permissions for this"
    " endpoint on account 'acct_1'. Having the 'rak_invoice_read' permission would allow this"
    " request to continue."
)
REVOKED = (
    f"The provided key 'sk_test_****{TAIL}' does not have access to account 'acct_2' (or that"
    " account does not exist). Application access may have been revoked."
)


@pytest.mark.parametrize(
    ("status", "body", "connected", "kind"),
    [
        (401, error("Invalid API Key provided"), False, KeyRefused),
        (401, error("Expired API Key", code="api_key_expired"), False, KeyRefused),
        (401, error("Invalid API Key provided"), True, PlatformRefused),
        (403, error(LACKING), False, PermissionMissing),
        (403, error("This key may not be used from here."), False, PermissionMissing),
        (403, error(REVOKED, code="account_invalid"), True, KeyRefused),
        (403, error(REVOKED), True, KeyRefused),
        (403, error("No access.", code="account_invalid"), False, KeyRefused),
        (400, error("No such thing", code="resource_missing"), False, StripeRefused),
        (404, error("No such thing", code="resource_missing"), False, StripeRefused),
        (402, error("Declined", code="card_declined"), False, StripeRefused),
        (400, error("Too many", code="rate_limit"), False, StripeAway),
        (408, None, False, StripeAway),
        (409, error("Key in use", code="idempotency_key_in_use"), False, StripeAway),
        (429, error("Too many", code="rate_limit"), False, StripeAway),
        (500, error("Oh", type="api_error"), False, StripeAway),
        (503, "<html>", False, StripeAway),
        (0, None, False, StripeAway),
        (302, None, False, StripeAway),
        (418, error("I"), False, StripeRefused),
        (401, None, False, StripeAway),
        (403, "<html>", True, StripeAway),
        (404, {}, False, StripeAway),
    ],
)
def test_each_row(status: int, body: Any, connected: bool, kind: type[Refusal]) -> None:
    refusal = read_failure(status, body).refusal(connected=connected)
    assert type(refusal) is kind
    assert refusal.message.endswith(".")
    assert TAIL not in refusal.message + str(refusal.errors)


def test_the_permission_that_stripe_names() -> None:
    refusal = read_failure(403, error(LACKING)).refusal(connected=False)
    assert isinstance(refusal, PermissionMissing)
    assert refusal.permission == "rak_invoice_read"
    assert "rak_invoice_read" in refusal.message


def test_and_none_where_it_names_none() -> None:
    refusal = read_failure(403, error("No.")).refusal(connected=False)
    assert isinstance(refusal, PermissionMissing)
    assert refusal.permission == ""


def test_stripes_words_go_along_where_they_are_words() -> None:
    body = error("No such", code="resource_missing", param="starting_after")
    refusal = read_failure(400, body).refusal(connected=False)
    assert isinstance(refusal, StripeRefused)
    assert (refusal.stripe_code, refusal.param) == ("resource_missing", "starting_after")
    said = read_failure(400, error("No", code=RESTRICTED_KEY, param="<b>")).refusal(connected=False)
    assert TAIL not in said.message


def test_an_idempotency_error_has_its_type_for_a_code() -> None:
    failure = read_failure(400, error("Other parameters", type="idempotency_error"))
    assert failure.code == "idempotency_error"


def test_oauths_own_form_of_an_error() -> None:
    failure = read_failure(400, {"error": "invalid_grant", "error_description": "No such code"})
    assert (failure.code, failure.said) == ("invalid_grant", "No such code")


@pytest.mark.parametrize("body", [None, [], "x", {"error": []}, {"error": {"message": 3}}, {}])
def test_bodies_that_are_no_errors(body: Any) -> None:
    failure = read_failure(500, body)
    assert (failure.code, failure.param, failure.said) == ("", "", "")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        *(("2", 2.0), (" 0.5 ", 0.5), ("", None), ("-1", None), ("nan", None), ("1e9", None)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after(told: str, seconds: float | None) -> None:
    assert read_failure(429, None, retry_after=told).retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "header", "reading", "passing"),
    [
        (500, "", True, True),
        (500, "false", True, True),  # a read asks anew
        (500, "false", False, False),  # a write would be answered from memory
        (500, "true", False, True),
        (429, "false", False, True),  # after a pause of our own
        (400, "true", True, True),
        (400, "", True, False),
        (401, "", True, False),
        (403, "", True, False),
        (404, "", True, False),
        (0, "", False, True),
    ],
)
def test_what_is_tried_again(status: int, header: str, reading: bool, passing: bool) -> None:
    failure = read_failure(status, error("No"), should_retry=header)
    assert failure.passing(reading=reading) is passing


def test_a_failure_shows_nothing_of_what_stripe_said() -> None:
    assert TAIL not in repr(read_failure(403, error(LACKING)))
