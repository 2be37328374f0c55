"""Connect OAuth: the page, the codes, the connection and what it lets a platform see."""

import concurrent.futures
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import stripe

from local.fake_stripe import FakeStripe
from local.fake_stripe.world import account_id

from .conftest import Inbox, browse, client_of, control, flushed, move

PLATFORM = "sk_" + "test_plat_1"
LIVE_PLATFORM = "sk_" + "live_plat_1"
CLIENT = "ca_platform"
BACK = "https://refledger.example/stripe/oauth/callback"


@pytest.fixture
def platform(fake: FakeStripe) -> stripe.StripeClient:
    given = {"key": PLATFORM, "client_id": CLIENT, "redirect_uris": [BACK], "name": "Refledger"}
    control(fake, "/platforms", given)
    return _client(fake, PLATFORM)


def _client(fake: FakeStripe, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": fake.url, "connect": fake.url})


def _authorize(fake: FakeStripe, **changed: str) -> tuple[int, str, dict[str, list[str]]]:
    asked = {"response_type": "code", "client_id": CLIENT, "scope": "read_write", "state": "s1"}
    asked |= {"redirect_uri": BACK} | changed
    status, body, target = browse(f"{fake.url}/oauth/authorize?{urlencode(asked)}")
    return status, body, parse_qs(urlsplit(target).query)


def _decide(fake: FakeStripe, page: str, decision: str, account: str = "acme") -> str:
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    form = hidden | {"account": account, "decision": decision}
    status, _, target = browse(f"{fake.url}/oauth/authorize", form)
    assert status == 303 and target.startswith(BACK)
    return target


def _approved(fake: FakeStripe, account: str = "acme", client_id: str = CLIENT) -> str:
    return control(fake, "/oauth/approve", {"client_id": client_id, "account": account})["code"]


def _exchange(client: stripe.StripeClient, code: str) -> Any:
    return client.oauth.token({"grant_type": "authorization_code", "code": code})


def test_the_owner_approves_on_the_page(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    status, page, _ = _authorize(fake)
    assert status == 200 and "Refledger" in page
    back = parse_qs(urlsplit(_decide(fake, page, "approve")).query)
    assert back["state"] == ["s1"] and back["scope"] == ["read_write"]
    token = _exchange(platform, back["code"][0])
    assert token.stripe_user_id == account_id("acme")
    assert (token.livemode, token.scope, token.token_type) == (False, "read_write", "bearer")
    own = client_of(fake, token.access_token).v1.accounts.retrieve_current()
    assert own.id == account_id("acme")


def test_the_owner_denies(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    back = parse_qs(urlsplit(_decide(fake, _authorize(fake)[1], "deny")).query)
    assert back == {
        "error": ["access_denied"],
        "error_description": ["The user denied your request"],
        "state": ["s1"],
    }


def test_what_the_page_refuses_without_a_way_back(
    fake: FakeStripe, platform: stripe.StripeClient
) -> None:
    status, body, target = _authorize(fake, client_id="ca_other")
    assert (status, target) == (400, {}) and "invalid_client" in body
    status, body, target = _authorize(fake, redirect_uri=BACK + "/")
    assert (status, target) == (400, {}) and "Invalid redirect URI" in body


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "read_only"}, "invalid_scope"),
    ],
)
def test_what_the_page_refuses_by_redirect(
    fake: FakeStripe, platform: stripe.StripeClient, changed: dict[str, str], error: str
) -> None:
    status, _, back = _authorize(fake, **changed)
    assert (status, back["error"], back["state"]) == (303, [error], ["s1"])


def test_a_code_used_twice_takes_the_connection_back(
    fake: FakeStripe, platform: stripe.StripeClient
) -> None:
    code = _approved(fake)
    token = _exchange(platform, code)
    options = {"stripe_account": account_id("acme")}
    assert platform.v1.customers.list(options=options).data == []
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="already been used"):
        _exchange(platform, code)
    with pytest.raises(stripe.PermissionError):
        platform.v1.customers.list(options=options)
    with pytest.raises(stripe.AuthenticationError, match="Expired"):
        client_of(fake, token.access_token).v1.customers.list()
    assert client_of(fake).v1.customers.list().data == []


def test_two_exchanges_at_the_same_instant(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    code = _approved(fake)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(_exchange, platform, code) for _ in range(2)]
    assert sorted(e.exception() is None for e in ends) == [False, True]
    assert control(fake, "/oauth/connections")["connections"] == []


@pytest.mark.parametrize("kind", ["500", "away", "500_after", "away_after", "cut", "broken"])
def test_an_exchange_that_fails_on_the_way(
    fake: FakeStripe, platform: stripe.StripeClient, kind: str
) -> None:
    control(fake, "/faults", {"faults": [{"kind": kind, "path": "/oauth/token"}]})
    code = _approved(fake)
    platform.v1.customers.list()
    with pytest.raises(stripe.StripeError):
        _exchange(platform, code)
    links = control(fake, "/oauth/connections")["connections"]
    assert len(links) == (0 if kind in ("500", "away") else 1)


def test_a_code_lives_five_minutes(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    young, old = _approved(fake), _approved(fake, "beta")
    move(fake, seconds=300)
    _exchange(platform, young)
    move(fake, seconds=1)
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="expired"):
        _exchange(platform, old)


def test_a_code_is_for_its_platform_and_mode(
    fake: FakeStripe, platform: stripe.StripeClient
) -> None:
    code = _approved(fake)
    for key in ("sk_" + "test_other_1", LIVE_PLATFORM):
        with pytest.raises(stripe.oauth_error.InvalidGrantError):
            _exchange(_client(fake, key), code)
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="does not exist"):
        _exchange(platform, "ac_unknown")
    with pytest.raises(stripe.AuthenticationError):
        _exchange(_client(fake, "nonsense"), code)
    with pytest.raises(stripe.oauth_error.InvalidRequestError):
        platform.oauth.token({"grant_type": "authorization_code"})
    with pytest.raises(stripe.oauth_error.UnsupportedGrantTypeError):
        platform.oauth.token({"grant_type": "password"})
    assert _exchange(platform, code).stripe_user_id == account_id("acme")


def test_a_refresh_token_gives_another_key(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    first = _exchange(platform, _approved(fake))
    asked: Any = {"grant_type": "refresh_token", "refresh_token": first.refresh_token}
    assert platform.oauth.token(asked).access_token != first.access_token


def _by_platform(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    platform.oauth.deauthorize({"client_id": CLIENT, "stripe_user_id": account_id("acme")})


def _by_owner(fake: FakeStripe, platform: stripe.StripeClient) -> None:
    given = {"client_id": CLIENT, "account": "acme"}
    assert control(fake, "/oauth/deauthorize", given) == {"ended": True}


@pytest.mark.parametrize("ended", [_by_platform, _by_owner])
def test_an_account_is_reached_while_it_is_connected(
    fake: FakeStripe,
    platform: stripe.StripeClient,
    ended: Callable[[FakeStripe, stripe.StripeClient], None],
) -> None:
    options: Any = {"stripe_account": account_id("acme")}
    with pytest.raises(stripe.PermissionError) as refused:
        platform.v1.customers.list(options=options)
    _exchange(platform, _approved(fake))
    made = platform.v1.customers.create({"name": "Sam"}, options=options)
    assert client_of(fake).v1.customers.retrieve(made.id).name == "Sam"
    [event] = platform.v1.events.list(options=options).data
    assert event.account == account_id("acme")
    assert "account" not in client_of(fake).v1.events.list().data[0].to_dict()
    with pytest.raises(stripe.PermissionError):  # linked in test mode: not the live side
        _client(fake, LIVE_PLATFORM).v1.customers.list(options=options)
    ended(fake, platform)
    with pytest.raises(stripe.PermissionError) as refused:
        platform.v1.customers.list(options=options)
    assert refused.value.error is not None
    assert (refused.value.http_status, refused.value.error.code) == (403, "account_invalid")
    assert "may have been revoked" in str(refused.value)
    with pytest.raises(stripe.oauth_error.InvalidClientError, match="not connected"):
        _by_platform(fake, platform)


def test_a_connect_endpoint_hears_the_connected_accounts(
    fake: FakeStripe, platform: stripe.StripeClient
) -> None:
    heard, own = Inbox(), Inbox()
    url = fake.receive_with("connect", heard)
    given: Any = {"url": url, "enabled_events": ["*"], "connect": True}
    endpoint = platform.v1.webhook_endpoints.create(given)
    assert endpoint.application == CLIENT
    url = fake.receive_with("own", own)
    platform.v1.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    for name in ("acme", "beta"):
        _exchange(platform, _approved(fake, name))
        client_of(fake, "sk_" + f"test_{name}_1").v1.customers.create({"name": name})
    client_of(fake, "sk_" + "test_gamma_1").v1.customers.create({})
    platform.v1.customers.create({"name": "of the platform"})
    flushed(fake)
    assert [e["account"] for e in heard.events] == [account_id("acme"), account_id("beta")]
    assert [e["data"]["object"]["name"] for e in own.events] == ["of the platform"]
    assert "account" not in own.events[0]
    body, headers = heard.got[0]
    stripe.WebhookSignature.verify_header(
        body.decode(), headers["Stripe-Signature"], endpoint.secret or ""
    )
    _by_owner(fake, platform)
    client_of(fake).v1.customers.create({})
    flushed(fake)
    [said] = heard.events[2:]
    assert (said["type"], said["account"]) == (
        "account.application.deauthorized", account_id("acme"),
    )  # fmt: skip
    assert said["data"]["object"]["id"] == CLIENT


def test_a_live_connect_endpoint_hears_test_events_too(fake: FakeStripe) -> None:
    given = {"key": LIVE_PLATFORM, "client_id": "ca_live", "redirect_uris": [BACK]}
    control(fake, "/platforms", given)
    platform, heard = _client(fake, LIVE_PLATFORM), Inbox()
    url = fake.receive_with("connect", heard)
    asked: Any = {"url": url, "enabled_events": ["*"], "connect": True}
    platform.v1.webhook_endpoints.create(asked)
    assert _exchange(platform, _approved(fake, "acme", "ca_live")).livemode is True
    for mode in ("test", "live"):
        client_of(fake, "sk_" + f"{mode}_acme_1").v1.customers.create({})
    flushed(fake)
    assert [e["livemode"] for e in heard.events] == [False, True]
    options: Any = {"stripe_account": account_id("acme")}
    [seen] = platform.v1.customers.list(options=options).data
    assert seen.livemode is True


def test_approving_for_nobody_is_refused(fake: FakeStripe) -> None:
    with pytest.raises(Exception, match="400"):
        control(fake, "/oauth/approve", {"client_id": "ca_none", "account": "acme"})
