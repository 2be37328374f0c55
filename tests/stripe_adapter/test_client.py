"""Requests to Stripe, and whose key it is: asked of a server that answers by a script, and of the
fake Stripe."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from chalicelib.core.refusals import (
    Invalid,
    KeyRefused,
    PlatformRefused,
    Refusal,
    StripeAway,
    StripeRefused,
    Unavailable,
)
from chalicelib.stripe_adapter.client import (
    IN_A_JOB,
    ONCE,
    WAITED_FOR,
    Account,
    Line,
    Patience,
    account_of,
)
from chalicelib.stripe_adapter.credentials import credentials_of
from chalicelib.stripe_adapter.failures import Failure
from local.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import control
from tests.stripe_adapter.asking import (
    RESTRICTED_KEY,
    SECRET_KEY,
    TAIL,
    Says,
    Scripted,
    Waiting,
    credentials,
    error,
    mute,
)

QUOTING = f"Invalid API Key provided: sk_test_****{TAIL}"


def a_line(answering: Scripted, waiting: Waiting, **more: Any) -> Line:
    asking = more.pop("credentials", credentials())
    return Line(asking, api_base=answering.base, pacer=waiting.pacer(), **more)


class TestARequest:
    def test_goes_out_in_the_sdks_version_with_the_key(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        answering.says(Says(body={"id": "in_1", "total": 4900}))
        line = a_line(answering, waiting)
        assert line.get("/v1/invoices/in_1", {"expand": ["customer"]}) == {
            "id": "in_1",
            "total": 4900,
        }
        (asked,) = answering.asked
        assert (asked.method, asked.path) == ("GET", "/v1/invoices/in_1")
        assert asked.params == {"expand[0]": "customer"}
        assert asked.headers["stripe-version"] == stripe.api_version
        assert asked.headers["authorization"] == f"Bearer {SECRET_KEY}"
        assert "stripe-account" not in asked.headers
        assert "idempotency-key" not in asked.headers
        assert line.made == 1

    def test_on_a_connected_account_names_it(self, answering: Scripted, waiting: Waiting) -> None:
        line = a_line(answering, waiting, credentials=credentials(account="acct_9"))
        line.get("/v1/charges")
        assert answering.asked[0].headers["stripe-account"] == "acct_9"

    def test_tells_stripe_nothing_of_this_machine(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        line = a_line(answering, waiting)
        line.get("/v1/charges")
        line.get("/v1/charges")
        agent = answering.asked[1].headers["x-stripe-client-user-agent"]
        assert "telemetry" not in agent
        assert "platform" not in agent
        assert "x-stripe-client-telemetry" not in answering.asked[1].headers

    def test_that_changes_something_has_a_key_of_its_own(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        line = a_line(answering, waiting)
        line.post("/v1/coupons", {"metadata": {"a": "b"}}, idempotency_key="given")
        line.post("/v1/coupons")
        line.post("/v1/coupons")
        keys = [asked.headers["idempotency-key"] for asked in answering.asked]
        assert keys[0] == "given"
        assert len(set(keys)) == 3
        assert answering.asked[0].params == {"metadata[a]": "b"}

    def test_tried_again_keeps_its_key(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(500), Says(silent=True), Says(body={"id": "x"}))
        assert a_line(answering, waiting).post("/v1/coupons") == {"id": "x"}
        assert len({asked.headers["idempotency-key"] for asked in answering.asked}) == 1
        assert len(answering.asked) == 3

    def test_for_what_is_not_there(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(404, error("No such invoice", code="resource_missing")))
        line = a_line(answering, waiting)
        assert line.find("/v1/invoices/in_1") is None
        with pytest.raises(StripeRefused) as refused:
            line.get("/v1/invoices/in_1")
        assert refused.value.stripe_code == "resource_missing"
        assert waiting.waits == [pytest.approx(1 / 18)]  # paced, not tried again


class TestTryingAgain:
    @pytest.mark.parametrize(
        "ill",
        [
            Says(429, error("Too many", code="rate_limit")),
            Says(429, error("Too many"), {"Stripe-Should-Retry": "false"}),
            Says(500, error("Oh", type="api_error")),
            Says(503, b"<html>busy</html>"),
            Says(409, error("In use", code="idempotency_key_in_use")),
            Says(200, {"id": "in_1", "total": 4900}, cut=True),
            Says(200, b"<html>not Stripe</html>"),
            Says(200, b"[" * 100_000),
            Says(200, b"[]"),
            Says(200, b"\xff\xfe"),
            Says(silent=True),
            Says(500, {"error": []}),
            Says(502, {"error": "unheard_of"}),
        ],
        ids=lambda says: f"{says.status} {str(says.body)[:20]}",
    )
    def test_helps_against_what_passes(
        self, answering: Scripted, waiting: Waiting, ill: Says
    ) -> None:
        answering.says(ill, ill, Says(body={"id": "in_1"}))
        assert a_line(answering, waiting).get("/v1/invoices/in_1") == {"id": "in_1"}
        assert waiting.waits == [0.5, 1.0]

    def test_ends_after_five_times_in_a_job(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(503, error(QUOTING)))
        line = a_line(answering, waiting)
        with pytest.raises(StripeAway) as away:
            line.get("/v1/invoices")
        assert line.made == len(answering.asked) == 5
        assert waiting.waits == [0.5, 1, 2, 4]  # and none after the last
        assert "503" in away.value.message
        mute(away.value)

    def test_waits_as_long_as_stripe_tells(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(429, error("Slow"), {"Retry-After": "7"}), Says(body={"id": "a"}))
        a_line(answering, waiting).get("/v1/invoices")
        assert waiting.waits == [7]

    def test_is_given_up_where_stripe_tells_of_more_than_half_a_minute(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        answering.says(Says(429, error("Slow"), {"Retry-After": "40"}))
        with pytest.raises(StripeAway):
            a_line(answering, waiting).get("/v1/invoices")
        assert len(answering.asked) == 1
        assert waiting.waits == []

    def test_never_begins_behind_the_budget(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(429, error("Slow"), {"Retry-After": "6"}))
        with pytest.raises(StripeAway):
            a_line(answering, waiting, patience=Patience(tries=9, timeout_s=5, budget_s=10)).get(
                "/v1/invoices"
            )
        assert waiting.waits == [6]
        assert len(answering.asked) == 2

    def test_of_a_late_answer(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(late_s=1), Says(body={"id": "in_1"}))
        patience = Patience(tries=2, timeout_s=0.1, budget_s=9)
        assert a_line(answering, waiting, patience=patience).get("/v1/invoices") == {"id": "in_1"}

    def test_is_left_alone_by_the_sdk(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(503, headers={"Stripe-Should-Retry": "true"}))
        assert isinstance(a_line(answering, waiting, patience=ONCE).ask("get", "/v1/a"), Failure)
        assert len(answering.asked) == 1

    def test_of_a_write_that_stripe_remembers_as_failed_is_of_no_use(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        answering.says(Says(500, error("Oh"), {"Stripe-Should-Retry": "false"}))
        with pytest.raises(StripeAway):
            a_line(answering, waiting).post("/v1/coupons")
        assert len(answering.asked) == 1

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
    def test_does_not_help_against_a_refusal(
        self, answering: Scripted, waiting: Waiting, status: int
    ) -> None:
        answering.says(Says(status, error(QUOTING)))
        with pytest.raises(Refusal) as refused:
            a_line(answering, waiting).get("/v1/invoices")
        assert len(answering.asked) == 1
        mute(refused.value)

    def test_nobody_there_at_all(self, waiting: Waiting) -> None:
        line = Line(credentials(), api_base="http://127.0.0.1:9", pacer=waiting.pacer())
        with pytest.raises(StripeAway) as away:
            line.get("/v1/invoices")
        assert line.made == 5
        mute(away.value)

    def test_ends_while_somebody_still_waits_and_within_a_functions_life(self) -> None:
        """A door answers within 29 s, a job's function lives 300 s."""
        assert WAITED_FOR.budget_s + WAITED_FOR.timeout_s <= 15
        assert IN_A_JOB.budget_s + IN_A_JOB.timeout_s <= 100


def test_a_platforms_key_that_stripe_does_not_take_closes_no_account(
    answering: Scripted, waiting: Waiting
) -> None:
    answering.says(Says(401, error(QUOTING)))
    line = a_line(answering, waiting, credentials=credentials(account="acct_9"))
    with pytest.raises(PlatformRefused):
        line.get("/v1/invoices")
    assert issubclass(PlatformRefused, StripeAway)
    assert not issubclass(PlatformRefused, KeyRefused)


def test_nothing_is_logged_even_if_the_environment_asks_for_it(answering: Scripted) -> None:
    answering.says(Says(body={"id": "we_1", "secret": f"whsec_{TAIL}"}))
    script = (
        "import logging, sys\n"
        "logging.basicConfig(level=0)\n"
        "from chalicelib.stripe_adapter.client import Line\n"
        "from chalicelib.stripe_adapter.credentials import credentials_of\n"
        "line = Line(credentials_of(sys.argv[1]), api_base=sys.argv[2])\n"
        f"assert line.post('/v1/webhook_endpoints', {{'code': 'ac_{TAIL}'}})['id'] == 'we_1'\n"
        "print('asked')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, SECRET_KEY, answering.base],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "STRIPE_LOG": "debug", "HOME": "/nonexistent"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == b"asked\n"
    assert TAIL.encode() not in ran.stderr
    assert b"api_version" not in ran.stderr  # nothing of the SDK's


class TestCredentials:
    @pytest.mark.parametrize(
        ("kind", "mode"), [("sk", "live"), ("sk", "test"), ("rk", "live"), ("rk", "test")]
    )
    def test_of_a_key_have_its_mode(self, kind: str, mode: str) -> None:
        known = credentials_of(f"{kind}_{mode}_{TAIL}")
        assert (known.livemode, known.restricted, known.account) == (
            mode == "live",
            kind == "rk",
            "",
        )
        assert TAIL not in repr(known)

    @pytest.mark.parametrize(
        "key",
        [
            *("", "pk_test_public", "whsec_one", "rk_test_", "rk_test_a b", "rk_test_abcd\n"),
            *("sk_prod_abcd", " sk_test_abcd", "sk_test_" + "a" * 300),
        ],
    )
    def test_of_what_is_no_key(self, key: str) -> None:
        with pytest.raises(Invalid, match="not a Stripe secret or restricted key") as refused:
            credentials_of(key)
        assert "api_key" in refused.value.errors


class TestAnAccount:
    def test_is_named_with_its_mode_and_currency(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        display = {"dashboard": {"display_name": "Acme"}}
        answering.says(Says(body={"id": "acct_1", "default_currency": "EUR", "settings": display}))
        found = account_of(SECRET_KEY, api_base=answering.base, pacer=waiting.pacer())
        assert found == Account(id="acct_1", livemode=False, name="Acme", currency="eur")
        assert [asked.path for asked in answering.asked] == ["/v1/account"]

    def test_may_say_little(self, answering: Scripted) -> None:
        answering.says(Says(body={"id": "acct_1"}))
        live = account_of("sk_" + f"live_{TAIL}", api_base=answering.base)
        assert live == Account(id="acct_1", livemode=True, name="", currency="")

    @pytest.mark.parametrize("body", [{}, {"id": None}, {"id": "cus_1"}, {"id": "acct_1#live"}])
    def test_that_is_none_is_a_broken_answer(self, answering: Scripted, body: object) -> None:
        answering.says(Says(body=body))
        with pytest.raises(StripeAway, match="is none"):
            account_of(SECRET_KEY, api_base=answering.base)

    @pytest.mark.parametrize("odd", [7, "x", [1], {"dashboard": 7}, {"dashboard": {}}, None])
    def test_whose_parts_are_odd_has_no_name(self, answering: Scripted, odd: object) -> None:
        told = {"id": "acct_1", "settings": odd, "business_profile": odd, "default_currency": 7}
        answering.says(Says(body=told))
        found = account_of(SECRET_KEY, api_base=answering.base)
        assert (found.name, found.currency) == ("", "")

    def test_of_a_restricted_key_is_known_from_its_refusal(self, answering: Scripted) -> None:
        answering.says(
            Says(
                403,
                error(
                    f"The provided key '{RESTRICTED_KEY}' does not have the required permissions"
                    " for this endpoint on account 'acct_1'."
                ),
            )
        )
        found = account_of(RESTRICTED_KEY, api_base=answering.base)
        assert found == Account(id="acct_1", livemode=False, name="", currency="")

    @pytest.mark.parametrize(
        ("status", "kind", "sentence"),
        [
            (400, KeyRefused, "did not take this key"),
            (401, KeyRefused, "does not know this key"),
            (403, Invalid, "may not read the account"),
            (404, Unavailable, "could not be asked"),
        ],
    )
    def test_that_stripe_refuses_is_a_sentence_without_the_key(
        self, answering: Scripted, status: int, kind: type[Refusal], sentence: str
    ) -> None:
        answering.says(Says(status, error(QUOTING)))
        with pytest.raises(kind) as refused:
            account_of(SECRET_KEY, api_base=answering.base)
        assert sentence in refused.value.message
        mute(refused.value)

    def test_is_asked_for_three_times(self, answering: Scripted, waiting: Waiting) -> None:
        answering.says(Says(503, error(QUOTING)))
        with pytest.raises(Unavailable):
            account_of(SECRET_KEY, api_base=answering.base, pacer=waiting.pacer())
        assert len(answering.asked) == 3

    def test_of_what_is_no_secret_key_is_never_asked_for(self, answering: Scripted) -> None:
        with pytest.raises(Invalid):
            account_of("pk_test_public", api_base=answering.base)
        assert answering.asked == []

    def test_at_the_fake(self, fake: FakeStripe) -> None:
        found = account_of(SECRET_KEY, api_base=fake.url)
        assert found.id == fake.world("acme").account_id
        assert (found.livemode, found.name, found.currency) == (False, "acme", "eur")

    def test_of_a_key_that_may_nothing(self, fake: FakeStripe) -> None:
        control(fake, "/keys", {"key": RESTRICTED_KEY, "permissions": []})
        found = account_of(RESTRICTED_KEY, api_base=fake.url)
        assert (found.id, found.name) == (fake.world("acme").account_id, "")

    @pytest.mark.parametrize("state", ["expired", "unknown"])
    def test_of_a_key_that_is_no_more(self, fake: FakeStripe, state: str) -> None:
        control(fake, "/keys", {"key": SECRET_KEY, "state": state})
        with pytest.raises(KeyRefused) as refused:
            account_of(SECRET_KEY, api_base=fake.url)
        mute(refused.value)

    def test_connected_is_never_the_one_that_a_refusal_names(self, answering: Scripted) -> None:
        answering.says(Says(403, error("No permission on account 'acct_platform'.")))
        asking = credentials(RESTRICTED_KEY, "acct_9")
        assert account_of(asking, api_base=answering.base).id == "acct_9"

    def test_connected_is_the_connected_one(self, fake: FakeStripe) -> None:
        platform = "sk_" + f"test_platform_{TAIL}"
        registered = {"key": platform, "client_id": "ca_1", "redirect_uris": []}
        control(fake, "/platforms", registered)
        connected = fake.world("acme").account_id
        with pytest.raises(KeyRefused, match="no longer connected") as refused:
            account_of(credentials(platform, connected), api_base=fake.url)
        mute(refused.value)
        code = control(fake, "/oauth/approve", {"client_id": "ca_1", "account": "acme"})["code"]
        stripe.StripeClient(
            platform, base_addresses={"connect": fake.url, "api": fake.url}
        ).oauth.token({"grant_type": "authorization_code", "code": code})
        found = account_of(credentials(platform, connected), api_base=fake.url)
        assert (found.id, found.name) == (connected, "acme")
