"""`/v1/connections`: what is answered, to whom, and that no answer and no log line has a secret."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.stripe_adapter.permissions import PERMISSIONS
from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.doors_kit import BASE_URL, Doors
from tests.flows.connecting_kit import fill_endpoints

KEY = "sk_" + "test_acme_1"
LIVE_KEY = "sk_" + "live_acme_1"
RESTRICTED = "rk_" + "test_acme_2"
ROLLED = "whsec_" + "r" * 24


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_fake_stripe() as running:
        yield running
        assert running.faults == []


@pytest.fixture
def stripe(doors: Doors, fake: FakeStripe) -> Doors:
    return doors.with_stripe(fake.url)


def restrict(fake: FakeStripe, *lacking: str) -> None:
    with fake.lock:
        fake.restricted[RESTRICTED] = [p.name for p in PERMISSIONS if p.name not in lacking]


def endpoints(fake: FakeStripe, name: str = "acme") -> list[dict[str, Any]]:
    with fake.lock:
        return list(fake.world(name).rows("webhook_endpoint"))


def connected(doors: Doors, key: str = KEY, **about: Any) -> Any:
    reply = doors.post("/v1/connections", {"api_key": key}, **about)
    assert reply.status == 201, reply.body
    return reply.data


class TestConnecting:
    def test_it_is_answered_in_full(self, stripe: Doors, fake: FakeStripe) -> None:
        restrict(fake, "rak_coupon_write")
        made = connected(stripe, RESTRICTED)
        (endpoint,) = endpoints(fake)
        assert made["id"].startswith("con_")
        assert made["account"] == fake.world("acme").account_id
        assert (made["account_name"], made["currency"]) == ("acme", "eur")
        assert (made["livemode"], made["how"], made["state"]) == (False, "key", "open")
        assert len(made["permissions"]) == len(PERMISSIONS)
        assert made["permissions"][0] == {
            "name": "rak_customer_read",
            "for": "who pays, and which partner brought them",
            "granted": True,
        }
        assert [p["name"] for p in made["permissions"] if not p["granted"]] == ["rak_coupon_write"]
        assert len(made["warnings"]) == 1
        assert made["webhook_url"] == endpoint["url"]
        assert endpoint["url"] == f"{BASE_URL}/stripe/webhooks/{made['id']}"
        assert made["endpoint"]["id"] == endpoint["id"]
        assert made["endpoint"]["events"] == sorted(endpoint["enabled_events"])
        assert (made["closed_at"], made["closed_because"]) == (None, None)
        assert stripe.get(f"/v1/connections/{made['id']}").data == made
        assert made in stripe.get("/v1/connections").data

    def test_a_repeat_is_200_and_the_same(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        again = stripe.post("/v1/connections", {"api_key": f" {KEY}\n"})
        assert (again.status, again.data) == (200, made)
        assert len(endpoints(fake)) == 1

    def test_what_stripe_signs_then_is_taken(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        (endpoint,) = endpoints(fake)
        event = stripe.event("balance.available", {"object": "balance"})
        connection = stripe.house.connections.get(made["id"])
        states = [
            stripe.deliver(event, connection=connection, secret=endpoint["_secret"]).data["state"]
            for _ in range(2)
        ]
        assert states == ["ignored", "duplicate"]

    def test_no_secret_in_an_answer_or_a_log_line(
        self, stripe: Doors, fake: FakeStripe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = connected(stripe)
        replies = [
            stripe.post("/v1/connections", {"api_key": KEY}),
            stripe.post("/v1/connections", {"api_key": KEY + "!"}),
            stripe.post("/v1/connections", {"api_keys": KEY}),
            stripe.get("/v1/connections"),
            stripe.post(f"/v1/connections/{made['id']}/rotate", {"webhook_secret": ROLLED}),
            stripe.post(f"/v1/connections/{made['id']}/rotate", {"webhook_secret": ROLLED + "\n€"}),
            stripe.delete(f"/v1/connections/{made['id']}"),
        ]
        (endpoint,) = endpoints(fake) or [{"_secret": "whsec_gone"}]
        out = capsys.readouterr()
        for secret in (KEY, ROLLED, endpoint["_secret"]):
            assert secret not in out.out + out.err
            assert not [reply for reply in replies if secret in reply.body.decode()]

    def test_a_key_lacking_invoice_read(self, stripe: Doors, fake: FakeStripe) -> None:
        restrict(fake, "rak_invoice_read")
        reply = stripe.post("/v1/connections", {"api_key": RESTRICTED})
        assert (reply.status, reply.json["code"]) == (422, "invalid")
        assert "rak_invoice_read" in reply.json["message"]
        assert "rak_invoice_read (Invoices) is missing" in reply.errors["api_key"][0]
        assert "https://dashboard.stripe.com/test/apikeys/create?" in reply.errors["api_key"][1]
        assert endpoints(fake) == []

    def test_sixteen_endpoints(self, stripe: Doors, fake: FakeStripe) -> None:
        fill_endpoints(fake, "acme")
        before = stripe.get("/v1/connections").data
        reply = stripe.post("/v1/connections", {"api_key": KEY})
        assert (reply.status, reply.json["code"]) == (409, "too_many_endpoints")
        assert "16 webhook endpoints" in reply.json["message"]
        assert stripe.get("/v1/connections").data == before

    @pytest.mark.parametrize(
        "body",
        [{}, {"api_key": ""}, {"api_key": "pk_test_acme_1"}, {"api_key": 1}, {"api_key": None}, []],
        ids=str,
    )
    def test_what_is_no_key(self, doors: Doors, body: Any) -> None:
        assert doors.post("/v1/connections", body).status == 422

    def test_what_is_no_key_is_told_what_one_looks_like(self, doors: Doors) -> None:
        said = str(doors.post("/v1/connections", {"api_key": "pk_" + "test_acme_1"}).errors)
        assert "rk_live_" in said and "Developers" in said and "pattern" not in said
        id = doors.connection.id
        reply = doors.post(f"/v1/connections/{id}/rotate", {"webhook_secret": "sesame"})
        assert "whsec_" in str(reply.errors) and "pattern" not in str(reply.errors)

    def test_an_unknown_key(self, stripe: Doors, fake: FakeStripe) -> None:
        with fake.lock:
            fake.ended_keys[KEY] = "unknown"
        reply = stripe.post("/v1/connections", {"api_key": KEY})
        assert (reply.status, reply.json["code"]) == (422, "key_refused")

    def test_stripe_away(self, doors: Doors) -> None:
        reply = doors.post("/v1/connections", {"api_key": KEY})
        assert (reply.status, reply.json["code"]) == (503, "stripe_away")


class TestModes:
    def test_a_test_key_with_a_live_key_of_ours(self, stripe: Doors) -> None:
        reply = stripe.post("/v1/connections", {"api_key": KEY}, stripe.live_key)
        assert reply.status == 422
        assert "a key of Stripe's test mode, and live is wanted" in reply.json["message"]
        assert "rfl_test_" in reply.json["message"]

    def test_each_key_sees_its_own_side(self, stripe: Doors) -> None:
        test = connected(stripe)
        reply = stripe.post("/v1/connections", {"api_key": LIVE_KEY}, stripe.live_key)
        live = reply.data
        assert (reply.status, live["livemode"], test["livemode"]) == (201, True, False)
        ids = {row["id"] for row in stripe.get("/v1/connections").data}
        assert test["id"] in ids
        assert live["id"] not in ids
        assert [r["id"] for r in stripe.get("/v1/connections", stripe.live_key).data] == [
            live["id"]
        ]
        assert stripe.get(f"/v1/connections/{test['id']}", stripe.live_key).status == 404
        assert stripe.delete(f"/v1/connections/{test['id']}", stripe.live_key).status == 404

    def test_another_program_sees_nothing(self, stripe: Doors) -> None:
        made = connected(stripe)
        for call in (
            stripe.get(f"/v1/connections/{made['id']}", stripe.other_key),
            stripe.delete(f"/v1/connections/{made['id']}", stripe.other_key),
            stripe.post(f"/v1/connections/{made['id']}/rotate", {}, stripe.other_key),
        ):
            assert (call.status, call.json["message"]) == (404, "There is no such connection.")
        assert stripe.get("/v1/connections", stripe.other_key).data == []

    def test_two_programs_on_one_account(self, stripe: Doors, fake: FakeStripe) -> None:
        first = connected(stripe)
        second = stripe.post("/v1/connections", {"api_key": KEY}, stripe.other_key).data
        assert first["account"] == second["account"]
        assert {e["url"] for e in endpoints(fake)} == {first["webhook_url"], second["webhook_url"]}


class TestRotating:
    def test_a_key(self, stripe: Doors) -> None:
        made = connected(stripe)
        reply = stripe.post(f"/v1/connections/{made['id']}/rotate", {"api_key": KEY + "7"})
        assert (reply.status, reply.data) == (200, made)

    def test_a_key_of_another_account(self, stripe: Doors) -> None:
        made = connected(stripe)
        other = {"api_key": "sk_" + "test_beta_1"}
        reply = stripe.post(f"/v1/connections/{made['id']}/rotate", other)
        assert (reply.status, reply.json["code"]) == (409, "conflict")

    @pytest.mark.parametrize("body", [{}, {"webhook_secret": "new"}], ids=str)
    def test_the_webhooks_secret(self, stripe: Doors, fake: FakeStripe, body: Any) -> None:
        made = connected(stripe)
        reply = stripe.post(f"/v1/connections/{made['id']}/rotate", body)
        assert reply.status == 200
        (endpoint,) = endpoints(fake)
        assert reply.data["endpoint"]["id"] == endpoint["id"] != made["endpoint"]["id"]

    def test_one_that_was_rolled(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        body = {"webhook_secret": ROLLED}
        reply = stripe.post(f"/v1/connections/{made['id']}/rotate", body)
        assert (reply.status, reply.data) == (200, made)
        connection = stripe.house.connections.get(made["id"])
        event = stripe.event("balance.available", {"object": "balance"})
        assert stripe.deliver(event, connection=connection, secret=ROLLED).status == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"api_key": KEY, "webhook_secret": "new"},
            {"webhook_secret": "old"},
            {"webhook_secret": "whsec_"},
            {"webhook_secrets": "new"},
            {"api_key": ""},
        ],
        ids=str,
    )
    def test_what_is_neither(self, stripe: Doors, body: Any) -> None:
        made = connected(stripe)
        assert stripe.post(f"/v1/connections/{made['id']}/rotate", body).status == 422


class TestDisconnecting:
    def test_it_is_closed_and_stays_to_be_seen(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        reply = stripe.delete(f"/v1/connections/{made['id']}")
        assert reply.status == 200
        assert (reply.data["state"], reply.data["endpoint"]) == ("closed", None)
        assert reply.data["closed_because"] == "the merchant disconnected it"
        assert reply.data["closed_at"] == "2026-05-01T00:00:00Z"
        assert endpoints(fake) == []
        assert stripe.delete(f"/v1/connections/{made['id']}").data == reply.data
        assert stripe.get(f"/v1/connections/{made['id']}").data == reply.data
        rotate = stripe.post(f"/v1/connections/{made['id']}/rotate", {})
        assert rotate.status == 409
        assert connected(stripe)["id"] == made["id"]

    def test_the_endpoint_may_stay(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        reply = stripe.delete(f"/v1/connections/{made['id']}?remove_endpoint=0")
        assert reply.data["endpoint"]["id"] == endpoints(fake)[0]["id"]
        event = stripe.event("balance.available", {"object": "balance"})
        connection = stripe.house.connections.get(made["id"])
        secret = endpoints(fake)[0]["_secret"]
        assert stripe.deliver(event, connection=connection, secret=secret).status == 404

    def test_wrong_words(self, stripe: Doors, fake: FakeStripe) -> None:
        made = connected(stripe)
        assert stripe.delete(f"/v1/connections/{made['id']}?remove_endpoint=no").status == 422
        assert len(endpoints(fake)) == 1

    @pytest.mark.parametrize("id", ["con_nobody", "x" * 300, "%2e%2e", "oauth"])
    def test_none_of_that_id(self, doors: Doors, id: str) -> None:
        assert doors.delete(f"/v1/connections/{id}").status in (403, 404, 405)


class TestListing:
    def test_it_pages_newest_first(self, stripe: Doors) -> None:
        made = []
        for number in range(3):
            stripe.clock.now += 1
            made.append(connected(stripe, f"sk_test_shop{number}_1")["id"])
        page = stripe.get("/v1/connections?limit=2").json
        assert [row["id"] for row in page["data"]] == made[:0:-1]
        assert page["meta"]["has_more"]
        rest = stripe.get(f"/v1/connections?limit=2&starting_after={page['meta']['next']}").json
        assert [row["id"] for row in rest["data"]] == [made[0], stripe.connection.id]
        assert not rest["meta"]["has_more"]
        second = stripe.get("/v1/connections?limit=2&page=2").json
        assert second["data"] == rest["data"]

    def test_a_cursor_that_is_none(self, doors: Doors) -> None:
        assert doors.get("/v1/connections?starting_after=con_nobody").status == 422

    def test_one_made_by_hand(self, doors: Doors) -> None:
        (row,) = doors.get("/v1/connections").data
        assert row["id"] == doors.connection.id
        assert (row["state"], row["endpoint"], row["permissions"]) == ("open", None, [])
