"""The endpoint that Stripe tells us by, made and found again at the fake Stripe."""

from typing import Any

import pytest
import stripe

from chalicelib.core.refusals import (
    Conflict,
    Invalid,
    KeyRefused,
    PermissionMissing,
    StripeAway,
    StripeRefused,
    TooManyEndpoints,
)
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from chalicelib.stripe_adapter.webhook_endpoints import (
    EVENTS,
    Endpoint,
    change,
    find_ours,
    make,
    remove,
)
from local.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import client_of, control
from tests.stripe_adapter.asking import (
    RESTRICTED_KEY,
    SECRET_KEY,
    Says,
    Scripted,
    Waiting,
    credentials,
    error,
    mute,
)

URL = "https://api.example.com/stripe/webhooks/con_1"


def made(fake: FakeStripe, connection: str = "con_1", attempt: str = "1", **more: Any) -> Endpoint:
    return make(
        more.pop("credentials", credentials()),
        url=more.pop("url", URL),
        events=more.pop("events", EVENTS),
        connection=connection,
        attempt=attempt,
        api_base=fake.url,
        pacer=Waiting().pacer(),
        **more,
    )


class TestMake:
    def test_gives_a_pinned_endpoint_with_its_secret(self, fake: FakeStripe) -> None:
        endpoint = made(fake)
        assert (endpoint.url, endpoint.enabled) == (URL, True)
        assert endpoint.api_version == stripe.api_version
        assert endpoint.events == set(ENABLED_EVENTS)
        assert endpoint.secret.startswith("whsec_")
        assert endpoint.secret not in repr(endpoint)
        stored = client_of(fake, SECRET_KEY).v1.webhook_endpoints.retrieve(endpoint.id)
        assert stored.metadata.to_dict() == {"refledger_connection": "con_1"}

    def test_one_attempt_twice_is_one_endpoint_and_one_secret(self, fake: FakeStripe) -> None:
        assert made(fake).secret == made(fake).secret
        assert len(find_ours(credentials(), connection="con_1", api_base=fake.url)) == 1

    @pytest.mark.parametrize("kind", ["cut", "broken", "away_after", "500_after"])
    def test_whose_answer_is_lost_is_one_endpoint_and_one_secret(
        self, fake: FakeStripe, kind: str
    ) -> None:
        control(fake, "/faults", {"faults": [{"kind": kind, "method": "POST"}]})
        endpoint = made(fake)
        found = find_ours(credentials(), connection="con_1", api_base=fake.url)
        assert [each.id for each in found] == [endpoint.id]
        assert endpoint.secret == made(fake).secret

    def test_other_words_are_another_request(
        self, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stripe refuses a name that it knows, where another address or version comes with it."""
        first = made(fake)
        assert made(fake, url="https://other.example.com/").id != first.id
        monkeypatch.setattr(stripe, "api_version", "2026-03-25.dahlia")
        assert made(fake).id != first.id

    def test_as_the_seventeenth_says_what_to_do(self, fake: FakeStripe) -> None:
        for number in range(16):
            made(fake, connection=f"con_{number}", attempt=str(number))
        with pytest.raises(TooManyEndpoints, match="Remove one") as refused:
            made(fake, connection="con_new")
        assert "16 webhook endpoints" in refused.value.message
        assert isinstance(refused.value, Conflict)
        assert not find_ours(credentials(), connection="con_new", api_base=fake.url)
        mute(refused.value)

    @pytest.mark.parametrize(
        ("said", "number"),
        [
            ("You have reached the maximum of 16 live webhook endpoints.", "16"),
            ("You have reached the maximum of 100 webhook endpoints.", "100"),
            ("You have reached the maximum number of webhook endpoints.", "16"),
        ],
    )
    def test_knows_the_limit_by_its_sentence(
        self, answering: Scripted, said: str, number: str
    ) -> None:
        answering.says(Says(400, error(said)))
        with pytest.raises(TooManyEndpoints, match=f"has {number} webhook endpoints"):
            make(
                credentials(),
                url=URL,
                events=EVENTS,
                connection="con_1",
                attempt="1",
                api_base=answering.base,
            )

    def test_at_an_address_that_stripe_does_not_take(self, fake: FakeStripe) -> None:
        with pytest.raises(Invalid, match="does not take this address") as refused:
            made(fake, url="localhost/webhooks")
        assert "url" in refused.value.errors

    def test_without_the_permission(self, fake: FakeStripe) -> None:
        control(fake, "/keys", {"key": RESTRICTED_KEY, "permissions": ["rak_webhook_read"]})
        with pytest.raises(PermissionMissing) as missing:
            made(fake, credentials=credentials(RESTRICTED_KEY))
        assert missing.value.permission == "rak_webhook_write"
        mute(missing.value)

    def test_asks_for_exactly_what_is_read(self) -> None:
        assert set(ENABLED_EVENTS) == EVENTS
        assert not {"*", "invoice.created"} & EVENTS


class TestFindOurs:
    def test_finds_by_metadata_and_shows_no_secret(self, fake: FakeStripe) -> None:
        ours = made(fake)
        made(fake, connection="con_2", attempt="2")
        client_of(fake, SECRET_KEY).v1.webhook_endpoints.create(
            {"url": URL, "enabled_events": ["invoice.paid"]}
        )
        (found,) = find_ours(credentials(), connection="con_1", api_base=fake.url)
        assert (found.id, found.url, found.events) == (ours.id, ours.url, ours.events)
        assert found.secret == ""

    def test_looks_at_every_page(self, answering: Scripted, waiting: Waiting) -> None:
        row = {"url": URL, "enabled_events": [], "status": "enabled"}
        other = row | {"id": "we_1", "metadata": {}}
        ours = row | {"id": "we_2", "metadata": {"refledger_connection": "con_1"}}
        answering.says(
            Says(body={"data": [other], "has_more": True}),
            Says(body={"data": [ours], "has_more": False}),
        )
        (found,) = find_ours(
            credentials(), connection="con_1", api_base=answering.base, pacer=waiting.pacer()
        )
        assert found.id == "we_2"
        assert answering.asked[1].params["starting_after"] == "we_1"

    def test_finds_none(self, fake: FakeStripe) -> None:
        assert find_ours(credentials(), connection="con_1", api_base=fake.url) == ()

    def test_never_takes_what_is_no_list_for_none(self, answering: Scripted) -> None:
        """It would make a second endpoint."""
        for body in ({}, {"data": None}, {"data": [3]}):
            answering.says(Says(body=body))
            with pytest.raises(StripeAway):
                find_ours(credentials(), connection="con_1", api_base=answering.base)


class TestChange:
    def test_sets_what_is_given_and_keeps_the_rest(self, fake: FakeStripe) -> None:
        ours = made(fake)
        more = EVENTS | {"coupon.created"}
        assert change(credentials(), ours.id, events=more, api_base=fake.url).events == more
        stopped = change(credentials(), ours.id, enabled=False, api_base=fake.url)
        assert (stopped.enabled, stopped.events) == (False, more)
        moved = change(
            credentials(), ours.id, url="https://b.example.com/x", enabled=True, api_base=fake.url
        )
        assert (moved.url, moved.enabled) == ("https://b.example.com/x", True)
        assert moved.api_version == stripe.api_version
        (found,) = find_ours(credentials(), connection="con_1", api_base=fake.url)
        assert found.id == ours.id

    def test_of_one_that_is_gone(self, fake: FakeStripe) -> None:
        with pytest.raises(StripeRefused) as refused:
            change(credentials(), "we_gone", enabled=False, api_base=fake.url)
        assert refused.value.stripe_code == "resource_missing"


class TestRemove:
    def test_removes_and_once_more_is_fine(self, fake: FakeStripe) -> None:
        ours = made(fake)
        remove(credentials(), ours.id, api_base=fake.url)
        remove(credentials(), ours.id, api_base=fake.url)
        assert find_ours(credentials(), connection="con_1", api_base=fake.url) == ()

    def test_with_a_key_that_is_no_more(self, fake: FakeStripe) -> None:
        ours = made(fake)
        control(fake, "/keys", {"key": SECRET_KEY, "state": "unknown"})
        with pytest.raises(KeyRefused) as refused:
            remove(credentials(), ours.id, api_base=fake.url)
        mute(refused.value)

    @pytest.mark.parametrize("id", ["", "we_1/../x", "acct_1", "we_1?a"])
    def test_never_goes_elsewhere(self, answering: Scripted, id: str) -> None:
        with pytest.raises(AssertionError):
            remove(credentials(), id, api_base=answering.base)
        assert answering.asked == []
