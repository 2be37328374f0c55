"""Another key, another webhook secret, and the end of a connection."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chalicelib.core.refusals import (
    BadSignature,
    Conflict,
    Invalid,
    NotFound,
    StripeAway,
    TooManyEndpoints,
)
from chalicelib.flows.disconnect import DISCONNECTED, close
from chalicelib.flows.read_connection import READ_AGAIN_MS, Connections
from chalicelib.flows.show_connections import open_connections
from chalicelib.storage.connection_records import MAX_SECRETS
from chalicelib.storage.keys import Scope
from local.fake_stripe import FakeStripe
from tests.builders.world import DAY, SECRET
from tests.flows.connecting_kit import (
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
OTHER_KEY = "sk_" + "test_acme_9"
ROLLED = "whsec_" + "r" * 24


@pytest.fixture
def id(merchant: Merchant) -> str:
    return merchant.connect(KEY).connection.id


class TestKey:
    def test_a_new_key_takes_the_place_of_the_old(self, merchant: Merchant, id: str) -> None:
        (endpoint,) = merchant.endpoints("acme")
        merchant.rotate_key(id, OTHER_KEY)
        assert merchant.key(id) == OTHER_KEY
        assert merchant.endpoints("acme") == [endpoint]
        assert merchant.secrets(id) == [endpoint["_secret"]]

    def test_a_key_of_another_account_is_refused(self, merchant: Merchant, id: str) -> None:
        before = merchant.store.everything()
        with pytest.raises(Conflict, match="belongs to another Stripe account"):
            merchant.rotate_key(id, secret_key("beta"))
        assert merchant.store.everything() == before

    def test_so_is_one_of_the_other_mode(self, merchant: Merchant, id: str) -> None:
        assert (
            "live mode"
            in refused(lambda: merchant.rotate_key(id, secret_key("acme", "live"))).message
        )
        assert merchant.key(id) == KEY

    def test_one_that_may_too_little_leaves_the_old_one(self, merchant: Merchant, id: str) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, "rak_charge_read")
        assert "rak_charge_read" in refused(lambda: merchant.rotate_key(id, key)).message
        assert merchant.key(id) == KEY

    def test_what_it_may_do_is_told_anew(self, merchant: Merchant, id: str) -> None:
        key = restricted_key("acme")
        merchant.restrict(key, "rak_event_read")
        rotated = merchant.rotate_key(id, key).connection
        assert rotated.permissions["rak_event_read"] is False
        (warning,) = rotated.warnings
        assert "webhooks that did not arrive wait for the nightly comparison" in warning

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_there_is_no_gap(self, merchant: Merchant, id: str, when: str) -> None:
        """Whatever it dies of: the stored key is one of both, whole, and the endpoint known."""
        for at in range(1, 20):
            dies = DiesAt(at)
            setattr(merchant.store, when, dies)
            new = f"{OTHER_KEY}{at}"
            before = KEY if at == 1 else f"{OTHER_KEY}{at - 1}"
            with suppress(Killed):
                merchant.rotate_key(id, new)
            setattr(merchant.store, when, None)
            assert merchant.key(id) in (before, new)
            merchant.rotate_key(id, new)
            assert merchant.key(id) == new
            (endpoint,) = merchant.endpoints("acme")
            assert merchant.secrets(id) == [endpoint["_secret"]]
            if not dies.met:
                return
        raise AssertionError("it has more steps than were tried")


class TestSecret:
    def test_two_are_valid_at_once_and_the_old_one_ends(self, merchant: Merchant, id: str) -> None:
        (old,) = merchant.endpoints("acme")
        merchant.rotate_secret(id)
        (new,) = merchant.endpoints("acme")
        assert new["id"] != old["id"]
        assert merchant.stored(id).endpoint == new["id"]
        assert merchant.secrets(id) == [new["_secret"], old["_secret"]]
        for secret in (new["_secret"], old["_secret"]):
            assert merchant.deliver(id, secret).state == "ignored"
        merchant.world.now += DAY
        assert merchant.secrets(id) == [new["_secret"]]
        with pytest.raises(BadSignature):
            merchant.deliver(id, old["_secret"])
        assert merchant.deliver(id, new["_secret"]).state == "ignored"

    def test_one_that_was_rolled_in_the_dashboard(self, merchant: Merchant, id: str) -> None:
        (endpoint,) = merchant.endpoints("acme")
        merchant.take_secret(id, ROLLED)
        merchant.take_secret(id, ROLLED)  # a repeat
        assert merchant.secrets(id) == [ROLLED, endpoint["_secret"]]
        assert merchant.endpoints("acme") == [endpoint]
        merchant.world.now += DAY
        assert merchant.secrets(id) == [ROLLED]

    @pytest.mark.parametrize("secret", ["", "whsec_", "sk_" + "test_acme_1", "secret"])
    def test_what_is_none(self, merchant: Merchant, id: str, secret: str) -> None:
        with pytest.raises(Invalid):
            merchant.take_secret(id, secret)

    def test_they_do_not_pile_up(self, merchant: Merchant, id: str) -> None:
        for number in range(10):
            merchant.take_secret(id, f"{ROLLED}{number}")
        assert len(merchant.secrets(id)) == MAX_SECRETS
        assert merchant.secrets(id)[0] == f"{ROLLED}9"

    def test_without_room_for_a_second_endpoint(self, merchant: Merchant, id: str) -> None:
        fill_endpoints(merchant.fake, "acme", 15)
        before = merchant.stored(id)
        with pytest.raises(TooManyEndpoints):
            merchant.rotate_secret(id)
        assert merchant.stored(id) == before
        assert len(merchant.endpoints("acme")) == 16

    def test_of_a_connection_made_by_hand(self, merchant: Merchant) -> None:
        """An endpoint of ours takes the place of one that is not ours to remove."""
        world = merchant.world
        by_hand = world.a_connection(world.program, account="acct_1")
        with pytest.raises(Conflict, match="no API key"):
            merchant.rotate_secret(by_hand.id)
        made = merchant.connect(KEY).connection
        merchant.change_stored(replace(made, endpoint="", endpoint_events=(), secret_ends=()))
        rotated = merchant.rotate_secret(made.id)
        assert "made by hand" in rotated.warnings[0]
        assert len(merchant.secrets(made.id)) == 2

    @pytest.mark.slow
    @pytest.mark.parametrize("forgets", [False, True], ids=["", "a day later"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_at_each_step(
        self, merchant: Merchant, id: str, when: str, forgets: bool
    ) -> None:
        for at in range(1, 30):
            dies = DiesAt(at)
            setattr(merchant.store, when, dies)
            with suppress(Killed):
                merchant.rotate_secret(id)
            setattr(merchant.store, when, None)
            valid = set(merchant.secrets(id))
            stored = merchant.stored(id).endpoint
            told = [e for e in merchant.endpoints("acme") if e["id"] == stored]
            assert [e["_secret"] in valid for e in told] == [True], "one always works"
            if forgets:
                with merchant.fake.lock:
                    merchant.fake.world("acme").idempotency.clear()
            merchant.rotate_secret(id)
            (endpoint,) = merchant.endpoints("acme")
            assert merchant.secrets(id)[0] == endpoint["_secret"]
            assert merchant.stored(id).attempt == ""
            if not dies.met:
                return
        raise AssertionError("it has more steps than were tried")

    def test_one_that_does_not_open_leaves_the_other_at_work(
        self, merchant: Merchant, id: str
    ) -> None:
        merchant.rotate_secret(id)
        stored = merchant.stored(id)
        new, old = merchant.secrets(id)
        moved = (stored.sealed_webhook_secrets[0], stored.sealed_api_key)
        merchant.change_stored(replace(stored, sealed_webhook_secrets=moved))
        assert merchant.deliver(id, new).state == "ignored"
        with pytest.raises(BadSignature):
            merchant.deliver(id, old)
        merchant.change_stored(replace(stored, sealed_webhook_secrets=moved[1:], secret_ends=()))
        with pytest.raises(ValueError, match="another place"):
            merchant.deliver(id, new, Connections(merchant.store, merchant.world.sealer, lambda: 0))

    def test_two_at_once(self, merchant: Merchant, id: str) -> None:
        for _ in range(5):
            together(*[partial(merchant.rotate_secret, id)] * 2)
            (endpoint,) = merchant.endpoints("acme")
            assert merchant.stored(id).endpoint == endpoint["id"]
            assert merchant.secrets(id)[0] == endpoint["_secret"]


class TestRunningProcesses:
    """A process that keeps connections for a minute takes what was stored meanwhile."""

    def test_a_new_secret_is_taken_at_once(self, merchant: Merchant, id: str) -> None:
        (old,) = merchant.endpoints("acme")
        assert merchant.deliver(id, old["_secret"]).state == "ignored"
        merchant.take_secret(id, ROLLED)
        assert merchant.deliver(id, ROLLED).state == "ignored"

    def test_a_flood_of_bad_signatures_costs_one_read_in_five_seconds(
        self, merchant: Merchant, id: str
    ) -> None:
        (endpoint,) = merchant.endpoints("acme")
        merchant.deliver(id, endpoint["_secret"])
        before = merchant.store.calls["get"]
        for _ in range(200):
            with pytest.raises(BadSignature):
                merchant.deliver(id, "whsec_" + "x" * 24)
        assert merchant.store.calls["get"] - before == 1
        merchant.take_secret(id, ROLLED)
        with pytest.raises(BadSignature):
            merchant.deliver(id, ROLLED)  # Stripe sends it again
        merchant.world.now += READ_AGAIN_MS / 1000
        assert merchant.deliver(id, ROLLED).state == "ignored"

    def test_what_is_known_is_not_opened_again(self, merchant: Merchant, id: str) -> None:
        class Counting:
            opened = 0

            def seal(self, secret: str, *, place: str) -> str:
                raise AssertionError

            def open(self, sealed: str, *, place: str) -> str:
                Counting.opened += 1
                return merchant.world.sealer.open(sealed, place=place)

        connections = Connections(merchant.store, Counting(), lambda: merchant.world.ms)
        (endpoint,) = merchant.endpoints("acme")
        for _ in range(3):
            merchant.deliver(id, endpoint["_secret"], connections)
            with pytest.raises(BadSignature):
                merchant.deliver(id, "whsec_" + "x" * 24, connections)
            merchant.world.now += 120
        assert Counting.opened == 1


class TestDisconnecting:
    def test_secrets_go_and_the_history_stays(self, merchant: Merchant, id: str) -> None:
        done = merchant.disconnect(id)
        assert done.warnings == ()
        closed = merchant.stored(id)
        assert closed == done.connection
        assert (closed.state, closed.closed_because) == ("closed", DISCONNECTED)
        assert closed.closed_at == merchant.world.ms
        assert (closed.sealed_api_key, closed.sealed_webhook_secrets) == ("", ())
        assert (closed.account, closed.created_at > 0) == (
            merchant.fake.world("acme").account_id,
            True,
        )
        assert merchant.endpoints("acme") == []
        with pytest.raises(Conflict, match="closed: the merchant disconnected it"):
            merchant.world.connections.credentials(closed)
        assert id not in {one.id for one in open_connections(store=merchant.store)}

    def test_a_repeat_changes_nothing(self, merchant: Merchant, id: str) -> None:
        merchant.disconnect(id)
        before = merchant.store.everything()
        merchant.world.now += 60
        assert merchant.disconnect(id).connection.state == "closed"
        assert merchant.store.everything() == before

    def test_the_endpoint_stays_if_that_is_asked(self, merchant: Merchant, id: str) -> None:
        merchant.disconnect(id, remove_endpoint=False)
        (endpoint,) = merchant.endpoints("acme")
        assert merchant.stored(id).endpoint == endpoint["id"]

    def test_what_stripe_still_sends_is_not_taken(self, merchant: Merchant, id: str) -> None:
        (endpoint,) = merchant.endpoints("acme")
        merchant.disconnect(id, remove_endpoint=False)
        with pytest.raises(NotFound, match="closed"):
            merchant.deliver(id, endpoint["_secret"])

    def test_a_process_that_knows_it_open_keeps_it_out_within_a_minute(
        self, merchant: Merchant, id: str
    ) -> None:
        (endpoint,) = merchant.endpoints("acme")
        merchant.deliver(id, endpoint["_secret"])
        merchant.disconnect(id, remove_endpoint=False)
        assert merchant.deliver(id, endpoint["_secret"]).state == "ignored"  # kept for a minute
        merchant.world.now += 60
        with pytest.raises(NotFound, match="closed"):
            merchant.deliver(id, endpoint["_secret"])

    def test_stripe_away_keeps_nothing_open(self, merchant: Merchant, id: str) -> None:
        merchant.fake.illness.plan({"kind": "503", "calls": 3, "path": "/webhook_endpoints"})
        (warning,) = merchant.disconnect(id).warnings
        assert warning.startswith("Stripe's webhook endpoint could not be removed")
        assert merchant.stored(id).endpoint in warning
        assert merchant.stored(id).state == "closed"

    def test_nor_does_a_key_that_was_deleted(self, merchant: Merchant, id: str) -> None:
        merchant.control("keys", key=KEY, state="unknown")
        (warning,) = merchant.disconnect(id).warnings
        assert KEY not in warning
        assert merchant.stored(id).state == "closed"

    def test_nor_does_a_key_that_does_not_open(self, merchant: Merchant, id: str) -> None:
        stored = merchant.stored(id)
        moved = replace(stored, sealed_api_key=stored.sealed_webhook_secrets[0])
        merchant.change_stored(moved)
        with pytest.raises(Conflict, match="does not open"):
            merchant.rotate_secret(id)
        (warning,) = merchant.disconnect(id).warnings
        assert "does not open" in warning
        assert merchant.stored(id).state == "closed"

    def test_one_made_by_hand(self, merchant: Merchant) -> None:
        (warning,) = merchant.disconnect(merchant.world.connection.id).warnings
        assert "made by hand" in warning
        with pytest.raises(NotFound):
            merchant.deliver(merchant.world.connection.id, SECRET)

    def test_one_made_by_hand_whose_key_is_known(self, merchant: Merchant, id: str) -> None:
        merchant.change_stored(replace(merchant.stored(id), endpoint="", endpoint_events=()))
        (warning,) = merchant.disconnect(id).warnings
        assert "made by hand" in warning

    def test_one_that_was_being_opened(self, merchant: Merchant) -> None:
        plan = {"kind": "away_after", "calls": 3, "method": "POST", "path": "/webhook_endpoints"}
        merchant.fake.illness.plan(plan)
        with pytest.raises(StripeAway):
            merchant.connect(KEY)
        (opening,) = merchant.connections()
        assert len(merchant.endpoints("acme")) == 1
        merchant.disconnect(opening.id)
        assert merchant.endpoints("acme") == []
        assert merchant.stored(opening.id).state == "closed"

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_at_each_step(self, tmp_path: Path, fake: FakeStripe, when: str) -> None:
        for at in range(1, 20):
            name = f"acme{at}"
            merchant = Merchant(tmp_path / name, fake)
            id = merchant.connect(secret_key(name)).connection.id
            dies = DiesAt(at)
            setattr(merchant.store, when, dies)
            with suppress(Killed):
                merchant.disconnect(id)
            setattr(merchant.store, when, None)
            merchant.disconnect(id)
            assert merchant.stored(id).state == "closed"
            assert merchant.endpoints(name) == []
            if not dies.met:
                return
        raise AssertionError("it has more steps than were tried")

    def test_the_first_reason_stays(self, merchant: Merchant, id: str) -> None:
        about = {"store": merchant.store, "now": merchant.world.ms}
        close(id, "Stripe took the key away", **about)
        again = close(id, "another", **about)
        assert again is not None
        assert again.closed_because == "Stripe took the key away"
        assert close("con_nobody", "x", **about) is None


@pytest.mark.parametrize("act", ["rotate_secret", "disconnect", "rotate_key", "take_secret"])
def test_anothers_connection_is_not_there(merchant: Merchant, id: str, act: str) -> None:
    more = {"rotate_key": (KEY,), "take_secret": (ROLLED,)}.get(act, ())
    merchant.scope = Scope(merchant.world.a_program("Beta").id, "test")
    with pytest.raises(NotFound, match="There is no such connection"):
        getattr(merchant, act)(id, *more)


@pytest.mark.parametrize("act", ["rotate_secret", "rotate_key", "take_secret"])
def test_a_closed_one_is_not_rotated(merchant: Merchant, id: str, act: str) -> None:
    more = {"rotate_key": (KEY,), "take_secret": (ROLLED,)}.get(act, ())
    merchant.disconnect(id)
    with pytest.raises(Conflict, match=r"closed: the merchant disconnected it\. Connect it again"):
        getattr(merchant, act)(id, *more)


def test_the_address_is_where_the_key_was_given(merchant: Merchant, id: str) -> None:
    (endpoint,) = merchant.endpoints("acme")
    assert endpoint["url"] == f"{BASE_URL}/stripe/webhooks/{id}"
