"""`POST /stripe/webhooks/connect`: one address for every account that was connected by OAuth."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core.program import Mode
from chalicelib.core.refusals import Unavailable
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.rebuild import rebuild
from chalicelib.flows.reseal import resealed
from chalicelib.storage import records
from chalicelib.storage.records import Connection
from chalicelib.storage.sealing import FileSealer
from local.fake_stripe.world import account_id
from tests.builders.stripe_bodies import a_session, as_body, signed
from tests.doors_kit import Doors, Reply, token
from tests.fakes.memory_store import MemoryStore
from tests.oauth_kit import SECRETS, OAuthHouse, client_id, oauth_house

DEAUTHORISED = "account.application.deauthorized"
ACME = account_id("acme")
PATH = "/stripe/webhooks/connect"


@pytest.fixture
def oauth(doors: Doors) -> Iterator[OAuthHouse]:
    with oauth_house(doors) as house:
        create_partner(
            PartnerChange(key="ann", email="ann@example.com"),
            program_id=doors.other.id,
            store=doors.store,
            now=doors.clock.ms,
        )
        yield house


def paid(oauth: OAuthHouse, **about: Any) -> dict[str, Any]:
    """A paid session of an account that credits ann with 980."""
    session = a_session(client_reference_id=token("ann"))
    about.setdefault("account", ACME)
    return oauth.doors.event("checkout.session.completed", session, **about)


def deauthorised(oauth: OAuthHouse, mode: Mode = "test", **about: Any) -> dict[str, Any]:
    gone = {"id": client_id(mode), "object": "application", "name": "Refledger of Acme"}
    about.setdefault("account", ACME)
    return oauth.doors.event(DEAUTHORISED, gone, livemode=mode == "live", **about)


def heads(oauth: OAuthHouse) -> dict[tuple[str, str], str]:
    """State by connection and event."""
    items = oauth.doors.store.everything().items()
    read = [records.read_inbox(i) for k, i in items if k.table == "inbox" and k.sk == "head"]
    return {(head.connection, head.id): head.state for head in read}


def owed(oauth: OAuthHouse, key: str) -> int:
    held = oauth.doors.get("/v1/partners/ann", key).data["balances"].get("eur", {})
    return int(held.get("pending_minor", 0))


def test_an_event_is_its_accounts_connections(oauth: OAuthHouse) -> None:
    connection = oauth.connect("acme")
    other = oauth.connect("bakery", program=oauth.doors.other)
    event = paid(oauth, id="evt_1")
    reply = oauth.deliver(event)
    assert (reply.status, reply.data["state"]) == (200, "handled")
    assert (owed(oauth, oauth.doors.key), owed(oauth, oauth.doors.other_key)) == (980, 0)
    assert heads(oauth) == {(connection.id, "evt_1"): "handled"}
    assert oauth.deliver(event).data["state"] == "duplicate"
    assert other.account == account_id("bakery")


def test_two_programs_on_one_account_each_have_their_own(oauth: OAuthHouse) -> None:
    connections = [oauth.connect("acme"), oauth.connect("acme", program=oauth.doors.other)]
    reply = oauth.deliver(paid(oauth, id="evt_1"))
    assert (reply.status, reply.data["state"]) == (200, "handled")
    assert (owed(oauth, oauth.doors.key), owed(oauth, oauth.doors.other_key)) == (980, 980)
    assert heads(oauth) == {(c.id, "evt_1"): "handled" for c in connections}


@pytest.mark.parametrize("which", [0, 1])
def test_where_one_cannot_be_served_the_other_is(oauth: OAuthHouse, which: int) -> None:
    """Stripe sends it again, and then the other knows it."""
    connections = [oauth.connect("acme"), oauth.connect("acme", program=oauth.doors.other)]
    broken = sorted(connections, key=lambda c: c.id)[which]
    oauth.doors.store.before = away_for(broken)
    event = paid(oauth, id="evt_1")
    assert oauth.deliver(event).status == 503
    states = {connection: state for (connection, _), state in heads(oauth).items()}
    assert states.get(broken.id) in (None, "received")
    assert [states.get(c.id) for c in connections if c.id != broken.id] == ["handled"]
    oauth.doors.store.before = None
    assert oauth.deliver(event).status == 200
    assert (owed(oauth, oauth.doors.key), owed(oauth, oauth.doors.other_key)) == (980, 980)


def test_what_is_new_to_one_of_several_is_answered_as_handled(oauth: OAuthHouse) -> None:
    oauth.connect("acme")
    event = paid(oauth)
    oauth.deliver(event)
    oauth.connect("acme", program=oauth.doors.other)
    assert oauth.deliver(event).data["state"] == "handled"
    assert oauth.deliver(event).data["state"] == "duplicate"


def test_live_and_test_events_go_apart(oauth: OAuthHouse) -> None:
    live, test = oauth.connect("acme", "live"), oauth.connect("acme", "test")
    assert oauth.deliver(paid(oauth, id="evt_t"), mode="test").data["state"] == "handled"
    assert owed(oauth, oauth.doors.live_key) == 0
    event = paid(oauth, id="evt_l", livemode=True)
    assert oauth.deliver(event, mode="live").data["state"] == "handled"
    assert heads(oauth) == {(test.id, "evt_t"): "handled", (live.id, "evt_l"): "handled"}
    assert owed(oauth, oauth.doors.live_key) == 980


def test_a_live_endpoint_brings_test_events_too(oauth: OAuthHouse) -> None:
    test = oauth.connect("acme", "test")
    oauth.connect("acme", "live")
    assert oauth.deliver(paid(oauth, id="evt_t"), mode="live").data["state"] == "handled"
    assert heads(oauth) == {(test.id, "evt_t"): "handled"}


def test_a_test_endpoints_secret_vouches_for_no_live_event(oauth: OAuthHouse) -> None:
    oauth.connect("acme", "live")
    reply = oauth.deliver(paid(oauth, livemode=True), mode="test")
    assert reply.status == 400
    assert heads(oauth) == {}


@pytest.mark.parametrize("secret", ["whsec_" + "z" * 24, " "])
def test_what_nobody_signed_is_400(oauth: OAuthHouse, secret: str) -> None:
    oauth.connect("acme")
    assert oauth.deliver(paid(oauth), secret=secret).status == 400
    assert heads(oauth) == {}


def test_one_connections_secret_is_not_the_platforms(oauth: OAuthHouse) -> None:
    """Whoever knows the secret of a merchant's own endpoint cannot speak for connected accounts;
    and at a connection made by OAuth nothing is taken but by this address."""
    connection = oauth.connect("acme")
    from tests.doors_kit import WEBHOOK_SECRET

    assert oauth.deliver(paid(oauth), secret=WEBHOOK_SECRET).status == 400
    reply = oauth.doors.deliver(paid(oauth), connection=connection, secret=SECRETS["test"])
    assert reply.status == 400
    assert heads(oauth) == {}


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"account": account_id("nobody")}, "no open connection"),
        ({"account": None}, "the platform's own account"),
    ],
)
def test_what_is_nobodys_is_let_pass(oauth: OAuthHouse, about: dict[str, Any], reason: str) -> None:
    oauth.connect("acme")
    reply = oauth.deliver(paid(oauth, **about))
    assert (reply.status, reply.data["state"]) == (200, "ignored")
    assert reason in reply.data["reason"]
    assert heads(oauth) == {}


def test_what_cannot_be_read_is_told(oauth: OAuthHouse, capsys: Any) -> None:
    body = b"[]"
    now = int(oauth.doors.clock.now)
    headers = [("Stripe-Signature", signed(body, SECRETS["test"], now))]
    reply = oauth.doors.ask("POST", PATH, body, headers)
    assert (reply.status, reply.data["state"]) == (200, "failed")
    assert '"outcome": "failed"' in capsys.readouterr().out


def test_a_rolled_secret_holds_for_a_day_beside_the_new_one(oauth: OAuthHouse) -> None:
    oauth.connect("acme")
    assert oauth.deliver(paid(oauth)).status == 200
    new = "whsec_" + "n" * 24
    oauth.doors.clock.now += 6
    oauth.set_platform("test", webhook_secret=new)
    assert oauth.deliver(paid(oauth), secret=new).status == 200, "at once, in a warm process too"
    assert oauth.deliver(paid(oauth)).status == 200
    oauth.doors.days(1)
    assert oauth.deliver(paid(oauth)).status == 400
    assert oauth.deliver(paid(oauth), secret=new).status == 200


def test_a_flood_of_bad_signatures_costs_few_reads(oauth: OAuthHouse) -> None:
    oauth.connect("acme")
    assert oauth.deliver(paid(oauth)).status == 200
    before = oauth.doors.store.calls["get"]
    for _ in range(20):
        assert oauth.deliver(paid(oauth), secret="whsec_" + "z" * 24).status == 400
    assert oauth.doors.store.calls["get"] - before <= 1


class TestDeauthorisedAtStripe:
    def test_closes_the_connection_and_says_why(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        oauth.deliver(paid(oauth))
        reply = oauth.deliver(deauthorised(oauth, id="evt_d"))
        assert (reply.status, reply.data["state"]) == (200, "handled")
        closed = oauth.connection(connection.id)
        assert closed.state == "closed"
        assert closed.closed_because == "the account took its authorisation back at Stripe"
        assert owed(oauth, oauth.doors.key) == 980, "what was earned stays"
        assert heads(oauth)[(connection.id, "evt_d")] == "handled"
        assert oauth.deliver(paid(oauth)).data["state"] == "ignored"
        assert owed(oauth, oauth.doors.key) == 980

    def test_closes_all_programs_of_the_account_and_no_other(self, oauth: OAuthHouse) -> None:
        gone = [oauth.connect("acme"), oauth.connect("acme", program=oauth.doors.other)]
        stay = [oauth.connect("bakery"), oauth.connect("acme", "live")]
        oauth.deliver(deauthorised(oauth))
        assert [oauth.connection(c.id).state for c in gone] == ["closed"] * 2
        assert [oauth.connection(c.id).state for c in stay] == ["open"] * 2

    def test_told_late_does_not_close_what_was_authorised_since(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        oauth.doors.clock.now += 100
        late = deauthorised(oauth)
        oauth.doors.clock.now += 100
        oauth.connect("acme")
        reply = oauth.deliver(late)
        assert (reply.data["state"], reply.data["reason"]) == (
            "ignored",
            "the account was authorised again since",
        )
        assert oauth.connection(connection.id).state == "open"

    def test_nor_what_is_authorised_again_at_that_very_moment(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        oauth.doors.clock.now += 100
        late = deauthorised(oauth)

        def again(call: str, writes: Any) -> None:
            if call == "commit":  # what closes it
                oauth.doors.store.before = None
                oauth.doors.clock.now += 100
                oauth.connect("acme")

        oauth.doors.store.before = again
        assert oauth.deliver(late).status == 503
        assert oauth.connection(connection.id).state == "open"
        assert oauth.deliver(late).data["state"] == "ignored"
        assert oauth.connection(connection.id).state == "open"

    def test_told_of_the_very_second_of_authorising_it_closes(self, oauth: OAuthHouse) -> None:
        """Stripe tells times in whole seconds, and ours go on."""
        oauth.doors.clock.now += 0.5
        connection = oauth.connect("acme")
        oauth.deliver(deauthorised(oauth))
        assert oauth.connection(connection.id).state == "closed"

    def test_is_tried_again_where_the_store_was_away(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        event = deauthorised(oauth)
        oauth.doors.store.before = away_for(connection)
        assert oauth.deliver(event).status == 503
        oauth.doors.store.before = None
        assert oauth.deliver(event).status == 200
        assert oauth.connection(connection.id).state == "closed"

    def test_nothing_is_called_by_it_any_more(self, oauth: OAuthHouse) -> None:
        from chalicelib.core.refusals import Conflict

        connection = oauth.connect("acme")
        oauth.deliver(deauthorised(oauth))
        with pytest.raises(Conflict, match="closed"):
            oauth.doors.house.connections.credentials(oauth.connection(connection.id))


class TestDisconnecting:
    def delete(self, oauth: OAuthHouse, connection: Connection, key: str | None = None) -> Reply:
        return oauth.doors.call("DELETE", f"/v1/connections/{connection.id}", key=key)

    def test_deauthorises_at_stripe(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        assert self.delete(oauth, connection).status == 200
        assert oauth.connection(connection.id).state == "closed"
        assert oauth.links() == set()
        assert self.delete(oauth, connection).status == 200, "a repeat is fine"

    def test_but_not_while_another_program_uses_the_account(self, oauth: OAuthHouse) -> None:
        first = oauth.connect("acme")
        second = oauth.connect("acme", program=oauth.doors.other)
        self.delete(oauth, first)
        assert oauth.links() == {(client_id("test"), ACME)}
        assert oauth.deliver(paid(oauth)).data["state"] == "handled"
        assert (owed(oauth, oauth.doors.key), owed(oauth, oauth.doors.other_key)) == (0, 980)
        self.delete(oauth, second, oauth.doors.other_key)
        assert oauth.links() == set()

    def test_leaves_the_other_mode_alone(self, oauth: OAuthHouse) -> None:
        test = oauth.connect("acme", "test")
        oauth.connect("acme", "live")
        self.delete(oauth, test)
        assert oauth.links() == {(client_id("live"), ACME)}


def test_a_rebuild_takes_platform_and_accounts_along(oauth: OAuthHouse, tmp_path: Path) -> None:
    """Into a stage with a key of its own: what is sent there afterwards is taken in."""
    oauth.connect("acme")
    oauth.deliver(paid(oauth, id="evt_1"))
    old, new = oauth.doors.house, FileSealer(str(tmp_path / "new"))
    target = MemoryStore()
    done = rebuild(
        oauth.doors.store,
        target,
        named={"records": "old"},
        now=oauth.doors.clock.ms,
        pause=lambda seconds: None,
        seal_anew=partial(resealed, old=old.sealer, new=new),
    )
    assert done.compared.equal
    Path(tmp_path / "key").write_bytes((tmp_path / "new").read_bytes())
    oauth.doors.store = target
    oauth.doors.cold()
    assert oauth.deliver(paid(oauth, id="evt_1")).data["state"] == "duplicate"
    assert oauth.deliver(deauthorised(oauth)).data["state"] == "handled"


def test_without_a_platform_it_is_404(doors: Doors) -> None:
    event = doors.event("invoice.paid", {"id": "in_1"}, account=ACME)
    body = as_body(event)
    signature = signed(body, SECRETS["test"], int(doors.clock.now))
    assert doors.ask("POST", PATH, body, [("Stripe-Signature", signature)]).status == 404


def away_for(connection: Connection) -> Any:
    """A hook: writes that concern this connection do not go through."""
    scope = str(connection.scope)

    def hook(name: str, writes: Any) -> None:
        for write in writes:
            key = write.item.key if hasattr(write, "item") else write.key
            if connection.id in key.pk or key.pk.startswith(f"{scope}#"):
                raise Unavailable

    return hook
