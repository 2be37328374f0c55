"""A merchant connects a Stripe account with an API key; everything else is set up, just once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import ANY

import pytest
import stripe

from chalicelib.core.refusals import (
    Conflict,
    Invalid,
    KeyRefused,
    NotFound,
    StripeAway,
    TooManyEndpoints,
    Unavailable,
)
from chalicelib.flows.connect_with_key import NO_ENDPOINT
from chalicelib.flows.disconnect import close
from chalicelib.flows.keep_endpoint import keep_events
from chalicelib.flows.show_connections import find_connection, open_connections
from chalicelib.storage import keys
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Remove
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.fake_stripe import FakeStripe
from tests.builders.world import World
from tests.flows.connecting_kit import (
    ALL,
    BASE_URL,
    DiesAt,
    Merchant,
    fill_endpoints,
    refused,
    restricted_key,
    secret_key,
)
from tests.mishap_kit import Killed, together

KEY = secret_key("acme")


def settled(merchant: Merchant, name: str = "acme") -> str:
    """One endpoint, one connection, a known secret: the connection's id."""
    (connection,) = merchant.connections()
    (endpoint,) = merchant.endpoints(name)
    assert connection.state == "open"
    assert connection.attempt == ""
    assert connection.endpoint == endpoint["id"]
    assert endpoint["url"] == f"{BASE_URL}/stripe/webhooks/{connection.id}"
    assert endpoint["status"] == "enabled"
    assert merchant.secrets(connection.id)[0] == endpoint["_secret"]
    return connection.id


class TestConnecting:
    def test_the_account_is_known_and_the_endpoint_made(self, merchant: Merchant) -> None:
        key = restricted_key("acme")
        merchant.restrict(key)
        connected = merchant.connect(key)
        made = connected.connection
        assert connected.created
        assert (made.livemode, made.how, made.state) == (False, "key", "open")
        assert made.account.startswith("acct_")
        assert made.account_name == "acme"
        assert made.currency == "eur"
        assert made.warnings == ()
        assert made.permissions == dict.fromkeys(ALL, True)
        assert settled(merchant) == made.id
        assert merchant.key(made.id) == key
        assert merchant.stored(made.id) == made

    def test_the_endpoint_has_our_version_and_just_our_events(self, merchant: Merchant) -> None:
        merchant.connect(KEY)
        (endpoint,) = merchant.endpoints("acme")
        assert endpoint["api_version"] == stripe.api_version
        assert sorted(endpoint["enabled_events"]) == sorted(ENABLED_EVENTS)
        assert "*" not in endpoint["enabled_events"]
        assert "invoice.created" not in endpoint["enabled_events"]

    def test_what_stripe_signs_is_taken(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        (endpoint,) = merchant.endpoints("acme")
        assert merchant.deliver(made.id, endpoint["_secret"]).state == "ignored"

    def test_a_secret_key_is_taken_with_a_warning(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        (warning,) = made.warnings
        assert "restricted key suffices" in warning
        assert "https://dashboard.stripe.com/test/apikeys/create?name=Refledger%20Acme" in warning

    def test_its_jobs_are_planned(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        jobs = [k for k in merchant.store.everything() if "#job" in k.pk]
        assert len(jobs) == 3
        assert made.id in {
            item.body.get("connection") for item in merchant.store.get(jobs).values()
        }

    def test_no_secret_stands_anywhere_in_the_open(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        everything = str(merchant.store.everything())
        (endpoint,) = merchant.endpoints("acme")
        for secret in (KEY, endpoint["_secret"]):
            assert secret not in everything
            assert secret not in repr(made)

    def test_credentials_are_the_key(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        credentials = merchant.world.connections.credentials(made)
        assert (credentials.api_key, credentials.livemode, credentials.account) == (KEY, False, "")
        assert KEY not in repr(credentials)

    def test_without_an_address_there_is_no_endpoint(self, merchant: Merchant) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, "rak_webhook_write")
        made = merchant.connect(key, base_url="").connection
        assert made.state == "open"
        assert NO_ENDPOINT in made.warnings
        assert merchant.endpoints("acme") == []
        assert settled_later(merchant) == made.id


def settled_later(merchant: Merchant) -> str:
    merchant.connect(KEY)
    return settled(merchant)


class TestPermissions:
    def test_a_key_without_invoice_read_is_refused_by_name(self, merchant: Merchant) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, "rak_invoice_read", "rak_coupon_write")
        before = merchant.store.everything()
        refusal = refused(lambda: merchant.connect(key))
        assert refusal.status == 422
        assert refusal.message == "This key lacks rak_invoice_read. Nothing was connected."
        named, link = refusal.errors["api_key"]
        assert named.startswith("rak_invoice_read (Invoices) is missing: subscription payments")
        assert "https://dashboard.stripe.com/test/apikeys/create?name=Refledger%20Acme" in link
        assert all(f"={name}" in link for name in ALL)
        assert merchant.store.everything() == before
        assert merchant.endpoints("acme") == []

    @pytest.mark.parametrize("name", [n for n in ALL if n in ("rak_webhook_write",)])
    def test_and_one_that_may_not_make_the_endpoint(self, merchant: Merchant, name: str) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, name)
        assert name in refused(lambda: merchant.connect(key)).message

    def test_others_switch_a_feature_off(self, merchant: Merchant) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, "rak_coupon_write", "rak_accounts_kyc_basic_read")
        made = merchant.connect(key).connection
        assert settled(merchant) == made.id
        assert made.warnings == (
            "The key lacks rak_coupon_write: coupons and promotion codes cannot be made.",
            "The key lacks rak_accounts_kyc_basic_read: the account is shown by its id alone.",
        )
        assert {name for name, granted in made.permissions.items() if not granted} == {
            "rak_coupon_write",
            "rak_accounts_kyc_basic_read",
        }
        assert made.account == merchant.fake.world("acme").account_id

    def test_a_key_that_stripe_does_not_know(self, merchant: Merchant) -> None:
        merchant.control("keys", key=KEY, state="unknown")
        with pytest.raises(KeyRefused) as refusal:
            merchant.connect(KEY)
        assert KEY not in str(refusal.value)
        assert merchant.connections() == []

    @pytest.mark.parametrize("key", ["", "rk_test_", "pk_test_acme_1", "whsec_1234567890", "a b"])
    def test_what_is_no_key(self, merchant: Merchant, key: str) -> None:
        assert "api_key" in refused(lambda: merchant.connect(key)).errors

    def test_no_such_program(self, merchant: Merchant) -> None:
        with pytest.raises(NotFound):
            merchant.connect(KEY, scope=Scope("prg_nobody", "test"))


class TestModes:
    """Test money never reaches live balances."""

    def test_a_live_key_of_ours_takes_no_test_key(self, merchant: Merchant) -> None:
        live = Scope(merchant.world.program.id, "live")
        refusal = refused(lambda: merchant.connect(KEY, scope=live))
        assert "a key of Stripe's test mode, and live is wanted" in refusal.message
        assert "rk_live_" in refusal.message
        assert merchant.connections(live) == []

    def test_nor_a_test_key_of_ours_a_live_one(self, merchant: Merchant) -> None:
        refusal = refused(lambda: merchant.connect(secret_key("acme", "live")))
        assert "a key of Stripe's live mode, and test is wanted" in refusal.message

    def test_one_program_may_have_both(self, merchant: Merchant) -> None:
        live = Scope(merchant.world.program.id, "live")
        test = merchant.connect(KEY).connection
        real = merchant.connect(secret_key("acme", "live"), scope=live).connection
        assert test.account == real.account
        assert (test.livemode, real.livemode) == (False, True)
        assert [one.id for one in merchant.connections()] == [test.id]
        assert [one.id for one in merchant.connections(live)] == [real.id]
        assert len(merchant.endpoints("acme")) == len(merchant.endpoints("acme:live")) == 1


class TestAgain:
    """The same call again."""

    def test_it_is_the_same_connection(self, merchant: Merchant) -> None:
        first = merchant.connect(KEY)
        (endpoint,) = merchant.endpoints("acme")
        again = merchant.connect(KEY)
        assert (first.created, again.created) == (True, False)
        assert settled(merchant) == first.connection.id == again.connection.id
        assert merchant.endpoints("acme") == [endpoint]
        assert merchant.secrets(first.connection.id) == [endpoint["_secret"]]

    def test_another_key_of_the_account_takes_the_place_of_the_first(
        self, merchant: Merchant
    ) -> None:
        first = merchant.connect(KEY).connection
        other = secret_key("acme")[:-1] + "7"
        assert merchant.connect(other).connection.id == first.id
        assert merchant.key(first.id) == other

    def test_an_endpoint_that_somebody_removed_is_made_again(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        old = merchant.secrets(made.id)
        with merchant.fake.lock:
            merchant.fake.world("acme").table("webhook_endpoint").clear()
        merchant.connect(KEY)
        assert settled(merchant) == made.id
        assert merchant.secrets(made.id)[1:] == old

    def test_one_whose_secret_is_lost_is_replaced(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        (old,) = merchant.endpoints("acme")
        merchant.change_stored(replace(made, sealed_webhook_secrets=()))
        merchant.connect(KEY)
        assert settled(merchant) == made.id
        (new,) = merchant.endpoints("acme")
        assert new["id"] != old["id"]

    @pytest.mark.parametrize(
        "changed",
        [{"status": "disabled"}, {"enabled_events": ["*"]}, {"url": "https://old.example.com"}],
        ids=str,
    )
    def test_one_that_was_changed_is_put_right(
        self, merchant: Merchant, changed: dict[str, Any]
    ) -> None:
        made = merchant.connect(KEY).connection
        (endpoint,) = merchant.endpoints("acme")
        with merchant.fake.lock:
            endpoint.update(changed)
        merchant.connect(KEY)
        assert settled(merchant) == made.id
        (right,) = merchant.endpoints("acme")
        assert right["id"] == made.endpoint
        assert sorted(right["enabled_events"]) == sorted(ENABLED_EVENTS)

    def test_closed_it_is_opened_again_and_its_endpoint_found(self, merchant: Merchant) -> None:
        """By its metadata: the secret is forgotten, so another takes its place."""
        made = merchant.connect(KEY).connection
        close(made.id, "a test", store=merchant.store, now=merchant.world.ms)
        assert len(merchant.endpoints("acme")) == 1
        again = merchant.connect(KEY)
        assert again.created
        assert settled(merchant) == made.id
        assert again.connection.closed_because == ""

    def test_an_endpoint_that_is_not_ours_is_left_alone(self, merchant: Merchant) -> None:
        fill_endpoints(merchant.fake, "acme", 3)
        merchant.connect(KEY)
        merchant.connect(KEY)
        assert len(merchant.endpoints("acme")) == 4

    def test_one_made_by_hand_is_taken_over(self, merchant: Merchant) -> None:
        """Its secret stays valid: the endpoint made by hand still tells."""
        made = merchant.connect(KEY).connection
        by_hand = "whsec_" + "h" * 24
        merchant.take_secret(made.id, by_hand)
        merchant.change_stored(
            replace(merchant.stored(made.id), endpoint="", endpoint_events=(), secret_ends=())
        )
        merchant.connect(KEY)
        (endpoint,) = merchant.endpoints("acme")
        assert merchant.secrets(made.id)[:2] == [endpoint["_secret"], by_hand]
        merchant.world.now += 2 * 86_400
        assert by_hand in merchant.secrets(made.id)

    def test_one_made_by_hand_is_the_accounts_own(self, merchant: Merchant) -> None:
        """An account has one connection in a program, whichever way it was made."""
        world = merchant.world
        account = merchant.fake.world("acme").account_id
        by_hand = world.a_connection(world.program, account=account)
        with pytest.raises(Conflict, match=by_hand.id):
            world.a_connection(world.program, account=account)
        connected = merchant.connect(KEY)
        assert (connected.connection.id, connected.created) == (by_hand.id, False)
        assert settled(merchant) == by_hand.id
        merchant.disconnect(by_hand.id)
        again = world.a_connection(world.program, account=account)
        assert merchant.connect(KEY).connection.id == again.id
        assert merchant.stored(by_hand.id).state == "closed"

    def test_more_events_when_a_feature_needs_more(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        few = tuple(sorted(ENABLED_EVENTS)[:5])
        (endpoint,) = merchant.endpoints("acme")
        with merchant.fake.lock:
            endpoint["enabled_events"] = list(few)
        older = replace(made, endpoint_events=few)
        merchant.change_stored(older)
        about: Any = {
            "store": merchant.store,
            "sealer": merchant.world.sealer,
            "api_base": merchant.fake.url,
        }
        assert keep_events(older, **about)
        (endpoint,) = merchant.endpoints("acme")
        assert sorted(endpoint["enabled_events"]) == sorted(ENABLED_EVENTS)
        assert endpoint["url"] == f"{BASE_URL}/stripe/webhooks/{made.id}"
        assert settled(merchant) == made.id
        about["api_base"] = "http://127.0.0.1:9"  # asks nobody where nothing is to be changed
        assert not keep_events(merchant.stored(made.id), **about)


class TestSixteen:
    def test_a_clear_message_and_nothing_half_made(self, merchant: Merchant) -> None:
        fill_endpoints(merchant.fake, "acme", 16)
        before = merchant.store.everything()
        with pytest.raises(TooManyEndpoints, match="16 webhook endpoints, as many as Stripe"):
            merchant.connect(KEY)
        assert merchant.store.everything() == before
        assert len(merchant.endpoints("acme")) == 16

    def test_with_room_it_goes_on(self, merchant: Merchant) -> None:
        fill_endpoints(merchant.fake, "acme", 16)
        with suppress(TooManyEndpoints):
            merchant.connect(KEY)
        with merchant.fake.lock:
            merchant.fake.world("acme").table("webhook_endpoint").clear()
        merchant.connect(KEY)
        settled(merchant)

    def test_one_of_ours_that_is_lost_makes_room(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        fill_endpoints(merchant.fake, "acme", 15)
        merchant.change_stored(replace(made, endpoint="", sealed_webhook_secrets=()))
        merchant.connect(KEY)
        assert len(merchant.endpoints("acme")) == 16
        assert merchant.stored(made.id).endpoint in {e["id"] for e in merchant.endpoints("acme")}

    def test_one_that_was_closed_stays_closed(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        merchant.disconnect(made.id)
        closed = merchant.stored(made.id)
        fill_endpoints(merchant.fake, "acme", 16)
        with pytest.raises(TooManyEndpoints):
            merchant.connect(KEY)
        assert merchant.stored(made.id) == closed

    @pytest.mark.parametrize("state", ["closed", "opening"])
    def test_what_has_a_history_is_never_removed(self, merchant: Merchant, state: str) -> None:
        """Also where opening it again broke off before Stripe refused: its events lead to it."""
        made = merchant.connect(KEY).connection
        merchant.disconnect(made.id)
        closed = merchant.stored(made.id)
        if state == "opening":
            lost = {"kind": "away", "calls": 3, "method": "POST", "path": "/webhook_endpoints"}
            merchant.control("faults", faults=[lost])
            with pytest.raises(StripeAway):
                merchant.connect(KEY)
            assert merchant.stored(made.id).state == "opening"
        fill_endpoints(merchant.fake, "acme", 16)
        with pytest.raises(TooManyEndpoints):
            merchant.connect(KEY)
        stored = merchant.stored(made.id)
        assert (stored.state, stored.attempt, stored.sealed_api_key) == ("closed", "", "")
        assert stored.closed_at == closed.closed_at
        assert stored.closed_because == closed.closed_because
        with merchant.fake.lock:
            merchant.fake.world("acme").table("webhook_endpoint").clear()
        assert merchant.connect(KEY).created
        assert settled(merchant) == made.id
        assert merchant.stored(made.id).closed_at == 0

    def test_one_that_is_open_stays_open(self, merchant: Merchant) -> None:
        made = merchant.connect(KEY).connection
        with merchant.fake.lock:
            merchant.fake.world("acme").table("webhook_endpoint").clear()
        fill_endpoints(merchant.fake, "acme", 16)
        with pytest.raises(TooManyEndpoints):
            merchant.connect(KEY)
        stored = merchant.stored(made.id)
        assert (stored.state, stored.attempt) == ("open", "")


@pytest.mark.slow
class TestKilled:
    """The process ends between two steps; the merchant makes the same call again."""

    MOST = 40

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("start", ["new", "closed", "lost"])
    def test_at_each_step(self, tmp_path: Path, fake: FakeStripe, when: str, start: str) -> None:
        for at in range(1, self.MOST):
            name = f"acme{at}"
            merchant = self.prepared(tmp_path / str(at), fake, name, start)
            dies = DiesAt(at)
            setattr(merchant.store, when, dies)
            with suppress(Killed):
                merchant.connect(secret_key(name))
            setattr(merchant.store, when, None)
            merchant.connect(secret_key(name))
            settled(merchant, name)
            if not dies.met:
                assert at > 6
                return
        raise AssertionError("connecting has more steps than were tried")

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_and_when_stripe_remembers_nothing_any_more(
        self, tmp_path: Path, fake: FakeStripe, when: str
    ) -> None:
        """A day later the answer with the secret is gone: the endpoint is found, and replaced."""
        for at in range(1, self.MOST):
            name = f"late{at}"
            merchant = self.prepared(tmp_path / str(at), fake, name, "new")
            dies = DiesAt(at)
            setattr(merchant.store, when, dies)
            with suppress(Killed):
                merchant.connect(secret_key(name))
            setattr(merchant.store, when, None)
            with fake.lock:
                fake.world(name).idempotency.clear()
            merchant.connect(secret_key(name))
            settled(merchant, name)
            if not dies.met:
                return
        raise AssertionError("connecting has more steps than were tried")

    def prepared(self, place: Path, fake: FakeStripe, name: str, start: str) -> Merchant:
        merchant = Merchant(place, fake)
        if start == "new":
            return merchant
        made = merchant.connect(secret_key(name)).connection
        if start == "closed":
            close(made.id, "a test", store=merchant.store, now=merchant.world.ms)
        else:
            merchant.change_stored(replace(made, sealed_webhook_secrets=()))
        return merchant

    @pytest.mark.parametrize("kind", ["away", "away_after", "cut", "broken", "500_after", "503"])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_stripes_answers_are_lost(self, merchant: Merchant, kind: str, method: str) -> None:
        """As often as it is tried; then Stripe is well again."""
        made = merchant.connect(KEY).connection
        merchant.change_stored(replace(made, sealed_webhook_secrets=()))
        merchant.control(
            "faults",
            faults=[{"kind": kind, "calls": 3, "method": method, "path": "/webhook_endpoints"}],
        )
        with suppress(StripeAway) if method == "DELETE" else pytest.raises(StripeAway):
            merchant.connect(KEY)  # what is gone already is fine
        merchant.control("faults", clear=True)
        merchant.connect(KEY)
        settled(merchant)

    @pytest.mark.parametrize("kind", ["away_after", "cut", "500_after"])
    def test_a_lost_answer_is_asked_for_again_at_once(self, merchant: Merchant, kind: str) -> None:
        merchant.control(
            "faults", faults=[{"kind": kind, "method": "POST", "path": "/webhook_endpoints"}]
        )
        merchant.connect(KEY)
        settled(merchant)

    def test_a_fault_that_stripe_repeats_is_not_asked_for_again(self, merchant: Merchant) -> None:
        """Stripe answers a name that it answered with a 500 the same for a day."""

        class Ill(dict[str, Any]):
            names: ClassVar[set[str]] = set()
            now = True

            def get(self, name: str, default: Any = None) -> Any:
                if self.now:
                    self.names.add(name)
                fault = {"at": merchant.fake.now(), "print": ANY, "status": 500, "body": "{}"}
                return fault if name in self.names else super().get(name, default)

        with merchant.fake.lock:
            ill = merchant.fake.world("acme").idempotency = Ill()
        with pytest.raises(StripeAway):
            merchant.connect(KEY)
        ill.now = False
        merchant.connect(KEY)
        settled(merchant)

    def test_a_first_attempt_that_broke_off_is_seen_as_opening(self, merchant: Merchant) -> None:
        merchant.control(
            "faults",
            faults=[{"kind": "away", "calls": 3, "method": "POST", "path": "/webhook_endpoints"}],
        )
        with pytest.raises(Unavailable):
            merchant.connect(KEY)
        (connection,) = merchant.connections()
        assert connection.state == "opening"
        assert connection.id not in {one.id for one in open_connections(store=merchant.store)}
        assert merchant.connect(KEY).created
        assert settled(merchant) == connection.id


class TestAtOnce:
    def test_two_at_the_same_instant(self, tmp_path: Path, fake: FakeStripe) -> None:
        for attempt in range(8):
            name = f"acme{attempt}"
            merchant = Merchant(tmp_path / str(attempt), fake)
            calls: list[Callable[[], Any]] = [partial(merchant.connect, secret_key(name))] * 3
            answers = together(*calls)
            assert settled(merchant, name) == answers[0].connection.id
            assert len({answer.connection.id for answer in answers}) == 1

    def test_one_that_disconnects_meanwhile(self, tmp_path: Path, fake: FakeStripe) -> None:
        """Either it is open with its endpoint, or closed."""
        for attempt in range(8):
            name = f"acme{attempt}"
            merchant = Merchant(tmp_path / str(attempt), fake)
            id = merchant.connect(secret_key(name)).connection.id

            def connect(merchant: Merchant = merchant, name: str = name) -> None:
                with suppress(Conflict, Invalid):
                    merchant.connect(secret_key(name))

            together(connect, partial(merchant.disconnect, id))
            if merchant.stored(id).state == "open":
                assert settled(merchant, name) == id
            else:
                assert (merchant.stored(id).state, merchant.secrets(id)) == ("closed", [])

    @pytest.mark.parametrize("act", ["connect", "rotate_secret"])
    def test_while_it_is_disconnected_leaves_no_endpoint_behind(
        self, merchant: Merchant, act: str
    ) -> None:
        """Made after the endpoint before it was removed, and before the connection was closed."""
        id = merchant.connect(KEY).connection.id

        def meanwhile(call: str, writes: Any) -> None:
            if call == "commit":
                merchant.store.before = None
                merchant.connect(KEY) if act == "connect" else merchant.rotate_secret(id)

        merchant.store.before = meanwhile
        assert merchant.disconnect(id).connection.state == "closed"
        assert merchant.endpoints("acme") == []
        assert merchant.stored(id).state == "closed"

    @pytest.mark.parametrize("end", ["closed", "oauth", "gone"])
    def test_what_was_made_for_one_that_ended_meanwhile_is_taken_back(
        self, merchant: Merchant, end: str
    ) -> None:
        """Made after whoever ended it had looked: the key that could remove it is forgotten."""

        def meanwhile(call: str, writes: Any) -> None:
            if call != "commit" or not merchant.endpoints("acme"):
                return
            merchant.store.before = None
            (opening,) = merchant.connections()
            key = keys.connection(opening.id)
            match end:
                case "closed":
                    close(opening.id, "a test", store=merchant.store, now=merchant.world.ms)
                case "oauth":
                    taken = replace(opening.opened(), how="oauth", sealed_api_key="")
                    merchant.change_stored(taken)
                case _:
                    version = merchant.store.get([key])[key].version
                    merchant.store.commit([Remove(key, version)])

        merchant.store.before = meanwhile
        with pytest.raises((Conflict, NotFound)):
            merchant.connect(KEY)
        assert merchant.store.before is None
        assert merchant.endpoints("acme") == []


class TestTwoPrograms:
    def test_on_one_account_each_has_its_own(self, merchant: Merchant) -> None:
        other = merchant.world.a_program("Beta")
        beta = Scope(other.id, "test")
        first = merchant.connect(KEY).connection
        second = merchant.connect(KEY, scope=beta).connection
        assert first.account == second.account
        assert first.id != second.id
        ends = {e["url"].rpartition("/")[2]: e for e in merchant.endpoints("acme")}
        assert set(ends) == {first.id, second.id}
        assert merchant.secrets(first.id) == [ends[first.id]["_secret"]]
        assert merchant.secrets(second.id) == [ends[second.id]["_secret"]]
        assert [one.id for one in merchant.connections(beta)] == [second.id]
        with pytest.raises(NotFound):
            find_connection(second.id, scope=merchant.scope, store=merchant.store)

    def test_connecting_or_closing_one_leaves_the_other(self, merchant: Merchant) -> None:
        beta = Scope(merchant.world.a_program("Beta").id, "test")
        first = merchant.connect(KEY).connection
        second = merchant.connect(KEY, scope=beta).connection
        merchant.connect(KEY)
        merchant.disconnect(first.id)
        (left,) = merchant.endpoints("acme")
        assert left["id"] == second.endpoint
        assert merchant.stored(second.id) == second
        assert [one.id for one in open_connections(store=merchant.store) if one.account] == [
            second.id
        ]


def test_an_account_that_is_open_by_oauth_takes_no_key(merchant: Merchant) -> None:
    made = merchant.connect(KEY).connection
    merchant.change_stored(replace(made, how="oauth", sealed_api_key=""))
    with pytest.raises(Conflict, match="by OAuth"):
        merchant.connect(KEY)
    assert merchant.stored(made.id).how == "oauth"


def test_an_account_that_oauth_took_meanwhile_gets_no_endpoint(merchant: Merchant) -> None:
    """Its platform's webhook tells of it; the key is forgotten."""

    def oauth(call: str, writes: Any) -> None:
        merchant.store.before = None
        if opening := [one for one in merchant.connections() if one.state == "opening"]:
            taken = replace(opening[0].opened(), how="oauth", sealed_api_key="")
            merchant.change_stored(taken)
        else:
            merchant.store.before = oauth

    merchant.store.before = oauth
    with pytest.raises(Conflict, match="by OAuth"):
        merchant.connect(KEY)
    (connection,) = merchant.connections()
    assert (connection.how, connection.state, connection.endpoint) == ("oauth", "open", "")
    assert merchant.endpoints("acme") == []


def test_secrets_are_bound_to_their_record_and_program(merchant: Merchant) -> None:
    """A ciphertext moved to another record, field or program does not open."""
    first = merchant.connect(KEY).connection
    second = merchant.connect(secret_key("beta")).connection
    merchant.change_stored(replace(second, sealed_api_key=first.sealed_api_key))
    with pytest.raises(ValueError, match="another place"):
        merchant.key(second.id)
    merchant.change_stored(replace(first, sealed_api_key=first.sealed_webhook_secrets[0]))
    with pytest.raises(ValueError, match="another place"):
        merchant.key(first.id)
    other = World.a_program(merchant.world, "Beta")
    merchant.change_stored(replace(first, program=other.id))
    with pytest.raises(ValueError, match="another place"):
        merchant.key(first.id)
