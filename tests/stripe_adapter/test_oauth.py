"""Connecting an account by OAuth, at the fake Stripe, well and ill."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib.core.refusals import OAuthRefused, StripeAway
from chalicelib.stripe_adapter.oauth import (
    Authorised,
    OAuthProvider,
    Platform,
    StripeConnect,
    in_plain_words,
)
from local.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import control
from tests.stripe_adapter.asking import TAIL, Says, Scripted, mute

KEY = "sk_" + f"test_platform_{TAIL}"
COMES_BACK = "https://api.example.com/stripe/oauth/callback"
CODE = f"ac_code{TAIL}"


def platform(**more: Any) -> Platform:
    known = {"client_id": "ca_1", "secret_key": KEY, "livemode": False} | more
    return Platform(**known)


@pytest.fixture
def connect(fake: FakeStripe) -> StripeConnect:
    registered = {"key": KEY, "client_id": "ca_1", "redirect_uris": [COMES_BACK]}
    control(fake, "/platforms", registered)
    return StripeConnect(platform(), api_base=fake.url)


def agreed(fake: FakeStripe, account: str = "acme") -> str:
    return str(control(fake, "/oauth/approve", {"client_id": "ca_1", "account": account})["code"])


def connected(fake: FakeStripe) -> list[str]:
    return [link["account"] for link in control(fake, "/oauth/connections")["connections"]]


class TestAuthorizeUrl:
    def test_is_stripes(self) -> None:
        provider: OAuthProvider = StripeConnect(platform())
        url = urlsplit(provider.authorize_url(state="s t&", redirect_uri=COMES_BACK))
        assert (url.scheme, url.netloc, url.path) == (
            "https",
            "connect.stripe.com",
            "/oauth/authorize",
        )
        assert dict(parse_qsl(url.query)) == {
            "response_type": "code",
            "client_id": "ca_1",
            "scope": "read_write",
            "state": "s t&",
            "redirect_uri": COMES_BACK,
        }

    def test_is_the_fakes_where_browsers_find_it(self) -> None:
        for bases in (
            {"connect_base": "http://localhost:1"},
            {"api_base": "http://localhost:1"},
            {"api_base": "http://127.0.0.1:2", "connect_base": "http://localhost:1"},
        ):
            url = StripeConnect(platform(), **bases).authorize_url(state="s", redirect_uri="r")
            assert url.startswith("http://localhost:1/oauth/authorize?")


class TestExchange:
    def test_gives_the_account_and_no_token(self, fake: FakeStripe, connect: StripeConnect) -> None:
        account = fake.world("acme").account_id
        assert connect.exchange(agreed(fake)) == Authorised(
            account=account, livemode=False, scope="read_write"
        )
        assert connected(fake) == [account]

    def test_of_a_code_that_was_used(self, fake: FakeStripe, connect: StripeConnect) -> None:
        code = agreed(fake)
        connect.exchange(code)
        with pytest.raises(OAuthRefused, match="was used already") as refused:
            connect.exchange(code)
        assert refused.value.error == "invalid_grant"
        mute(refused.value, code)

    @pytest.mark.parametrize("code", [CODE, "", "a b", "x" * 600, "../x"])
    def test_of_what_is_no_code(self, connect: StripeConnect, code: str) -> None:
        with pytest.raises(OAuthRefused) as refused:
            connect.exchange(code)
        assert refused.value.error == "invalid_grant"
        mute(refused.value)

    def test_of_a_code_that_is_too_old(self, fake: FakeStripe, connect: StripeConnect) -> None:
        code = agreed(fake)
        fake.move_clock(600)
        with pytest.raises(OAuthRefused) as refused:
            connect.exchange(code)
        assert refused.value.error == "invalid_grant"
        assert connected(fake) == []

    def test_by_another_platform(self, fake: FakeStripe, connect: StripeConnect) -> None:
        other = StripeConnect(platform(secret_key="sk_" + "test_other_1"), api_base=fake.url)
        with pytest.raises(OAuthRefused) as refused:
            other.exchange(agreed(fake))
        assert refused.value.error == "invalid_grant"
        assert connected(fake) == []

    def test_with_a_platforms_key_that_is_no_more(
        self, fake: FakeStripe, connect: StripeConnect
    ) -> None:
        control(fake, "/keys", {"key": KEY, "state": "expired"})
        with pytest.raises(OAuthRefused, match="does not know this platform") as refused:
            connect.exchange(agreed(fake))
        assert refused.value.error == "invalid_client"
        mute(refused.value)

    @pytest.mark.parametrize(
        "ill",
        [
            Says(500, {"error": "server_error"}),
            Says(429, {"error": {"message": "Slow", "code": "rate_limit"}}),
            Says(200, {"stripe_user_id": "acct_1", "livemode": False}, cut=True),
            Says(200, b"<html>"),
            Says(200, {"error": "odd"}),
            Says(silent=True),
        ],
        ids=lambda says: f"{says.status} {str(says.body)[:12]} {says.silent}",
    )
    def test_that_fails_in_passing_is_never_tried_again(
        self, answering: Scripted, ill: Says
    ) -> None:
        """A code that Stripe sees twice undoes the connection."""
        answering.says(ill)
        with pytest.raises(StripeAway, match="Start again") as away:
            StripeConnect(platform(), api_base=answering.base).exchange(CODE)
        assert len(answering.asked) == 1
        mute(away.value)

    def test_tells_the_mode_as_stripe_does(self, answering: Scripted) -> None:
        answering.says(Says(body={"stripe_user_id": "acct_1", "livemode": True, "scope": "x"}))
        told = StripeConnect(platform(), api_base=answering.base).exchange(CODE)
        assert told == Authorised(account="acct_1", livemode=True, scope="x")

    @pytest.mark.parametrize(
        "body",
        [
            {"livemode": False},
            {"stripe_user_id": "acct_1"},
            {"stripe_user_id": "acct_1", "livemode": "false"},
            {"stripe_user_id": "acct_/..", "livemode": False},
            {"stripe_user_id": 1, "livemode": False},
        ],
    )
    def test_that_does_not_say_whose_it_is(self, answering: Scripted, body: Any) -> None:
        answering.says(Says(body=body))
        with pytest.raises(StripeAway, match="Start again"):
            StripeConnect(platform(), api_base=answering.base).exchange(CODE)

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (400, "invalid_grant"),
            (401, "invalid_client"),
            (400, "invalid_request"),
            (400, "invalid_scope"),
            (400, "unsupported_grant_type"),
            (400, "never_heard_of"),
        ],
    )
    def test_that_stripe_refuses_has_stripes_word(
        self, answering: Scripted, status: int, word: str
    ) -> None:
        answering.says(Says(status, {"error": word, "error_description": f"No: {KEY} {CODE}"}))
        with pytest.raises(OAuthRefused) as refused:
            StripeConnect(platform(), api_base=answering.base).exchange(CODE)
        assert refused.value.error == word
        assert refused.value.message == in_plain_words(word)
        mute(refused.value)

    def test_asks_with_the_platforms_key(self, answering: Scripted) -> None:
        answering.says(Says(body={"stripe_user_id": "acct_1", "livemode": False}))
        StripeConnect(platform(), api_base=answering.base).exchange(CODE)
        (asked,) = answering.asked
        assert (asked.method, asked.path) == ("POST", "/oauth/token")
        assert asked.params == {"grant_type": "authorization_code", "code": CODE}
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert "stripe-account" not in asked.headers


class TestDeauthorise:
    def test_ends_it_and_once_more_is_fine(self, fake: FakeStripe, connect: StripeConnect) -> None:
        account = connect.exchange(agreed(fake)).account
        connect.deauthorise(account)
        assert connected(fake) == []
        connect.deauthorise(account)
        connect.deauthorise("acct_unheard")

    def test_of_a_platform_that_stripe_does_not_know(
        self, fake: FakeStripe, connect: StripeConnect
    ) -> None:
        account = connect.exchange(agreed(fake)).account
        other = StripeConnect(platform(client_id="ca_other"), api_base=fake.url)
        with pytest.raises(OAuthRefused) as refused:
            other.deauthorise(account)
        assert refused.value.error == "invalid_client"
        assert connected(fake) == [account]

    def test_with_a_platforms_key_that_is_no_more(
        self, fake: FakeStripe, connect: StripeConnect
    ) -> None:
        account = connect.exchange(agreed(fake)).account
        control(fake, "/keys", {"key": KEY, "state": "unknown"})
        with pytest.raises(OAuthRefused) as refused:
            connect.deauthorise(account)
        assert refused.value.error == "invalid_client"
        mute(refused.value)


class TestPlainWords:
    def test_say_what_to_do(self) -> None:
        assert "did not agree" in in_plain_words("access_denied")
        assert "not registered" in in_plain_words("invalid_redirect_uri")
        assert in_plain_words("<script>") == in_plain_words("")

    def test_of_a_platform_show_no_secret(self) -> None:
        shown = repr(platform())
        assert TAIL not in shown
        assert "ca_1" in shown
