"""Any event's envelope, and bodies that are none."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.stripe_adapter.envelope import Envelope, Unreadable, read_envelope
from tests.builders.stripe_bodies import MAY_1, a_session, as_body, build_event


def test_an_envelope_says_who_what_and_when() -> None:
    body = as_body(build_event("checkout.session.completed", a_session(), version="2020-08-27"))
    assert read_envelope(body) == Envelope(
        id="evt_1",
        type="checkout.session.completed",
        created=MAY_1 * 1_000,
        livemode=False,
        account="",
        api_version="2020-08-27",
    )


def test_an_event_of_a_connected_account_names_it() -> None:
    body = as_body(build_event("any.type", {"id": "x"}, account="acct_1", livemode=True))
    envelope = read_envelope(body)
    assert (envelope.account, envelope.livemode) == ("acct_1", True)


def test_an_event_without_an_api_version_is_read() -> None:
    event = build_event("any.type", {})
    assert read_envelope(as_body(event | {"api_version": None})).api_version == ""


GOOD = build_event("any.type", {"id": "x"})


@pytest.mark.parametrize(
    "change, named",
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "e" * 256}, "id"),
        ({"type": None}, "type"),
        ({"type": ["invoice.paid"]}, "type"),
        ({"data": None}, "data.object"),
        ({"data": []}, "data.object"),
        ({"data": {}}, "data.object"),
        ({"data": {"object": "in_1"}}, "data.object"),
        ({"created": None}, "created"),
        ({"created": "2026-05-01T12:00:00Z"}, "created"),
        ({"created": 1.5}, "created"),
        ({"created": True}, "created"),
        ({"created": -1}, "created"),
        ({"created": 10**30}, "created"),
        ({"livemode": None}, "livemode"),
        ({"livemode": "false"}, "livemode"),
        ({"account": 7}, "account"),
    ],
)
def test_what_is_wrong_with_an_envelope_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(Unreadable, match=rf"^{named} is") as unreadable:
        read_envelope(json.dumps(GOOD | change).encode())
    assert unreadable.value.because == str(unreadable.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"evt_1"',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        as_body(GOOD).replace(b'"x"', b"NaN"),
        as_body(GOOD).replace(b'"x"', b"-Infinity"),
        b'{"id": ' + b"9" * 5_000 + b"}",
        b'{"id": 1e99999999999999999999999}',
        as_body(GOOD).replace(b'"evt_1"', b'"\\ud83d"'),
        as_body(GOOD).replace(b'"x"', b'"\\uD83D and more"'),
        as_body(GOOD).replace(b'"x"', b'{"\\udc00": 1}'),
    ],
)
def test_a_body_that_is_no_event_is_unreadable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(body)


def test_a_whole_character_written_as_two_halves_is_read() -> None:
    assert read_envelope(as_body(GOOD).replace(b'"x"', b'"\\ud83d\\ude42"')).id == "evt_1"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_unreadable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(body)


def test_what_does_not_say_that_it_is_live_is_not() -> None:
    event = build_event("any.type", {"id": "x"}, livemode=True)
    del event["livemode"]
    assert read_envelope(as_body(event)).livemode is False
