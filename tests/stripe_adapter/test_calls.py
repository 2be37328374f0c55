"""One account's reads, at the fake Stripe, well and ill."""

import json
from typing import Any, get_args

import pytest
import stripe

from chalicelib.core.refusals import (
    KeyRefused,
    PermissionMissing,
    StripeAway,
    StripeRefused,
)
from chalicelib.stripe_adapter.calls import PATHS, Kind, StripeCalls
from local.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import a_customer, client_of, control, paid_intent
from tests.stripe_adapter.asking import (
    RESTRICTED_KEY,
    SECRET_KEY,
    Says,
    Scripted,
    Waiting,
    credentials,
    mute,
)


@pytest.fixture
def api(fake: FakeStripe) -> Any:
    return client_of(fake, SECRET_KEY).v1


@pytest.fixture
def calls(fake: FakeStripe, waiting: Waiting) -> StripeCalls:
    return StripeCalls(credentials(), api_base=fake.url, pacer=waiting.pacer())


def restricted(fake: FakeStripe, waiting: Waiting, *permissions: str) -> StripeCalls:
    control(fake, "/keys", {"key": RESTRICTED_KEY, "permissions": list(permissions)})
    return StripeCalls(credentials(RESTRICTED_KEY), api_base=fake.url, pacer=waiting.pacer())


def ail(fake: FakeStripe, kind: str, **more: Any) -> None:
    control(fake, "/faults", {"faults": [{"kind": kind, **more}]})


class TestRetrieve:
    def test_gives_a_plain_dict(self, api: Any, calls: StripeCalls) -> None:
        intent = paid_intent(api)
        found = calls.retrieve("payment_intent", intent.id, expand=["latest_charge"])
        assert found is not None
        assert type(found) is dict
        assert type(found["latest_charge"]) is dict
        assert found["latest_charge"]["payment_intent"] == intent.id
        assert type(found["amount"]) is int
        assert json.loads(json.dumps(found)) == found

    def test_of_nothing_is_none(self, calls: StripeCalls) -> None:
        assert calls.retrieve("invoice", "in_nothing") is None
        assert calls.made == 1

    @pytest.mark.parametrize("id", ["", "in_1/../../account", "in 1", "in_1?a=b", "x" * 256, "ä"])
    def test_of_what_is_no_id_is_not_asked(self, calls: StripeCalls, id: str) -> None:
        assert calls.retrieve("invoice", id) is None
        assert calls.made == 0

    def test_of_a_deleted_customer_says_so(self, api: Any, calls: StripeCalls) -> None:
        customer = a_customer(api)
        api.customers.delete(customer)
        found = calls.retrieve("customer", customer)
        assert found is not None
        assert found["deleted"] is True

    @pytest.mark.parametrize("kind", get_args(Kind))
    def test_and_page_know_the_path_of_each_kind(
        self, fake: FakeStripe, calls: StripeCalls, kind: Kind
    ) -> None:
        if kind == "invoice_payment":
            assert calls.page(kind, params={"invoice": "in_1"}).rows == ()
        else:
            assert calls.page(kind).rows == ()
        assert calls.retrieve(kind, "x_nothing") is None

    def test_nothing_else_is_a_kind(self) -> None:
        assert set(PATHS) == set(get_args(Kind))

    def test_comes_in_the_sdks_version(self, answering: Scripted, waiting: Waiting) -> None:
        calls = StripeCalls(credentials(), api_base=answering.base, pacer=waiting.pacer())
        calls.retrieve("invoice", "in_1")
        assert answering.asked[0].headers["stripe-version"] == stripe.api_version


class TestPage:
    def test_after_page_gives_each_once_newest_first(self, api: Any, calls: StripeCalls) -> None:
        made = [api.customers.create({"name": str(number)}).id for number in range(7)]
        seen, after, more = [], "", True
        while more:
            page = calls.page("customer", after=after, limit=3)
            seen += [row["id"] for row in page.rows]
            after, more = page.rows[-1]["id"], page.more
        assert sorted(seen) == sorted(made)
        assert len(seen) == 7
        assert calls.made == 3

    def test_takes_stripes_filters_nested(self, fake: FakeStripe, api: Any) -> None:
        paid_intent(api)
        calls = StripeCalls(credentials(), api_base=fake.url)
        later = {"created": {"gte": fake.now() + 60}}
        assert calls.page("payment_intent", params=later).rows == ()
        sooner = {"created": {"gte": 1, "lt": fake.now() + 60}, "expand": ["data.latest_charge"]}
        (row,) = calls.page("payment_intent", params=sooner).rows
        assert row["latest_charge"]["paid"] is True

    def test_takes_events_that_were_not_delivered(self, api: Any, calls: StripeCalls) -> None:
        api.customers.create({})
        assert calls.page("event", params={"delivery_success": False}).rows == ()
        types = {"types": ["customer.created", "invoice.paid"]}
        assert [row["type"] for row in calls.page("event", params=types).rows] == [
            "customer.created"
        ]

    def test_behind_what_is_gone_is_refused_with_stripes_word(self, calls: StripeCalls) -> None:
        with pytest.raises(StripeRefused) as refused:
            calls.page("invoice", after="in_gone")
        assert refused.value.stripe_code == "resource_missing"
        assert refused.value.param == "starting_after"

    @pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [1]}, {"data": {}}])
    def test_that_is_no_list(self, answering: Scripted, waiting: Waiting, body: Any) -> None:
        answering.says(Says(body=body))
        calls = StripeCalls(credentials(), api_base=answering.base, pacer=waiting.pacer())
        with pytest.raises(StripeAway):
            calls.page("invoice")


class TestAnIllStripe:
    @pytest.mark.parametrize("kind", ["429", "500", "503", "away", "cut", "broken"])
    def test_is_asked_again(
        self, fake: FakeStripe, calls: StripeCalls, waiting: Waiting, kind: str
    ) -> None:
        ail(fake, kind, calls=3)
        assert calls.page("invoice").rows == ()
        assert calls.made == 4
        assert waiting.waits == [0.5, 1, 2]

    @pytest.mark.parametrize("kind", ["429", "500", "503", "away", "cut", "broken"])
    def test_is_given_up(self, fake: FakeStripe, calls: StripeCalls, kind: str) -> None:
        ail(fake, kind, calls=99)
        with pytest.raises(StripeAway) as away:
            calls.retrieve("invoice", "in_1")
        assert calls.made == 5
        mute(away.value)

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_is_not_what_a_proxy_says(
        self, answering: Scripted, waiting: Waiting, status: int
    ) -> None:
        """It would close the connection, or settle that there is no such thing."""
        answering.says(Says(status, b"<html>no</html>"))
        calls = StripeCalls(credentials(), api_base=answering.base, pacer=waiting.pacer())
        with pytest.raises(StripeAway):
            calls.retrieve("invoice", "in_1")

    def test_tells_how_long_to_wait(
        self, fake: FakeStripe, calls: StripeCalls, waiting: Waiting
    ) -> None:
        ail(fake, "429", retry_after=3)
        calls.page("invoice")
        assert waiting.waits == [3]

    def test_is_never_asked_twenty_times_in_a_second(
        self, fake: FakeStripe, calls: StripeCalls, waiting: Waiting
    ) -> None:
        for _ in range(36):
            calls.page("invoice")
        assert waiting.time - 1_000 == pytest.approx(35 / 18)


class TestAKey:
    def test_that_lacks_a_permission_hears_its_name(
        self, fake: FakeStripe, waiting: Waiting
    ) -> None:
        calls = restricted(fake, waiting, "rak_customer_read")
        assert calls.page("customer").rows == ()
        with pytest.raises(PermissionMissing) as missing:
            calls.page("invoice")
        assert missing.value.permission == "rak_invoice_read"
        mute(missing.value)

    @pytest.mark.parametrize("state", ["expired", "unknown"])
    def test_that_is_no_more(self, fake: FakeStripe, calls: StripeCalls, state: str) -> None:
        control(fake, "/keys", {"key": SECRET_KEY, "state": state})
        with pytest.raises(KeyRefused) as refused:
            calls.page("invoice")
        mute(refused.value)

    def test_of_another_account_sees_nothing_of_this(self, fake: FakeStripe, api: Any) -> None:
        intent = paid_intent(api)
        other = StripeCalls(credentials("sk_" + "test_other_1"), api_base=fake.url)
        assert other.retrieve("payment_intent", intent.id) is None


class TestAConnectedAccount:
    def test_is_read_with_the_platforms_key_until_it_is_not(self, fake: FakeStripe) -> None:
        platform = "sk_" + "test_platform_1"
        control(fake, "/platforms", {"key": platform, "client_id": "ca_1", "redirect_uris": []})
        approved = control(fake, "/oauth/approve", {"client_id": "ca_1", "account": "acme"})
        client_of(fake, platform)
        connect = stripe.StripeClient(platform, base_addresses={"connect": fake.url})
        connect.oauth.token({"grant_type": "authorization_code", "code": approved["code"]})
        intent = paid_intent(client_of(fake, SECRET_KEY).v1)
        calls = StripeCalls(credentials(platform, approved["account"]), api_base=fake.url)
        found = calls.retrieve("payment_intent", intent.id)
        assert found is not None
        assert found["id"] == intent.id
        control(fake, "/oauth/deauthorize", {"client_id": "ca_1", "account": "acme"})
        with pytest.raises(KeyRefused, match="no longer connected") as refused:
            calls.retrieve("payment_intent", intent.id)
        mute(refused.value)
