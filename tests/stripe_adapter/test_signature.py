"""Stripe's signature, checked by the standard library as Stripe's SDK checks it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.core.refusals import BadSignature
from chalicelib.stripe_adapter.signature import verify
from tests.builders.stripe_bodies import signed

BODY = '{"name": "Sam Ä. 🙂"}'.encode()
SECRET, OTHER = "whsec_one", "whsec_two"
AT = 1_777_636_800
NOW = datetime.fromtimestamp(AT, UTC)


def refused(header: str, secrets: Sequence[str] = (SECRET,), body: bytes = BODY) -> str:
    with pytest.raises(BadSignature) as refusal:
        verify(body, header, secrets, now=NOW)
    assert refusal.value.status == 400
    assert SECRET not in refusal.value.message
    return refusal.value.message


def test_a_signed_body_with_characters_outside_ascii_is_let_in() -> None:
    verify(BODY, signed(BODY, SECRET, AT), [SECRET], now=NOW)


def test_either_secret_of_a_rotation_is_enough() -> None:
    verify(BODY, signed(BODY, OTHER, AT), [SECRET, OTHER], now=NOW)


def test_either_of_several_v1_is_enough() -> None:
    good = signed(BODY, SECRET, AT).split(",")[1]
    verify(BODY, f"t={AT},v1=00ff,{good},v0=11", [SECRET], now=NOW)


def test_a_header_with_other_schemes_only_is_refused() -> None:
    assert "no v1" in refused(f"t={AT},v0=00ff")


@pytest.mark.parametrize("body", [BODY + b" ", b"", BODY.replace(b"Sam", b"Ann")])
def test_a_changed_body_is_refused(body: bytes) -> None:
    assert "No v1 signature matches" in refused(signed(BODY, SECRET, AT), body=body)


def test_another_secret_is_refused() -> None:
    assert "No v1 signature matches" in refused(signed(BODY, OTHER, AT))


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_secret_never_matches(blank: str) -> None:
    assert "no webhook secret" in refused(signed(BODY, blank, AT), [blank])
    assert "No v1 signature matches" in refused(signed(BODY, blank, AT), [blank, SECRET])


def test_no_secret_at_all_is_refused() -> None:
    assert "no webhook secret" in refused(signed(BODY, SECRET, AT), [])


@pytest.mark.parametrize(
    "header",
    ["t", "v1=00ff", "t=,v1=00ff", "t=soon,v1=00ff", "garbage", ",,,", "t=1e9,v1=00", "é=1"],
)
def test_a_header_that_cannot_be_read_is_refused(header: str) -> None:
    assert "Stripe-Signature" in refused(header)


def test_a_missing_header_is_refused() -> None:
    assert "There is no Stripe-Signature header" in refused("")


def test_a_signature_that_is_no_ascii_is_refused() -> None:
    assert "No v1 signature matches" in refused(f"t={AT},v1=ü\ud800")


@pytest.mark.parametrize("age, let_in", [(300, True), (301, False), (-3_600, True)])
def test_only_an_old_time_is_refused(age: int, let_in: bool) -> None:
    header = signed(BODY, SECRET, AT - age)
    if let_in:
        verify(BODY, header, [SECRET], now=NOW)
    else:
        assert "older than 300 seconds" in refused(header)


def test_the_tolerance_is_counted_from_the_clock_given() -> None:
    later = NOW + timedelta(seconds=100)
    with pytest.raises(BadSignature):
        verify(BODY, signed(BODY, SECRET, AT), [SECRET], now=later, tolerance_s=60)


pieces = st.sampled_from(
    ["t=NOW", "t=OLD", "t=", "t", "v1", "v1=GOOD", "v1=BAD", "v1=", " v1=GOOD", "v0=GOOD", "x=y=z",
     "v1=GOOD=more", "t= NOW ", "", "t=NOW=1"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    body=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    secret=st.sampled_from([SECRET, OTHER, "", " ", "whsec_ü"]),
    items=st.lists(pieces, max_size=5),
)
@example(body="ü", secret=SECRET, items=["t=NOW", "v1=GOOD"])
def test_it_agrees_with_stripes_sdk(body: str, secret: str, items: list[str]) -> None:
    now = int(time.time())  # the SDK reads the clock itself
    good = signed(body.encode(), SECRET, now).split("v1=")[1]
    header = ",".join(items).replace("NOW", str(now)).replace("OLD", str(now - 3_600))
    header = header.replace("GOOD", good)
    try:
        verify(body.encode(), header, [secret], now=datetime.fromtimestamp(now, UTC))
        ours = True
    except BadSignature:
        ours = False
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300)
        theirs = True
    except stripe.SignatureVerificationError:
        theirs = False
    assert ours == theirs
