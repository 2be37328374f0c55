"""`connection create|list|rotate|close`: JSON for programs, tables for people, no secrets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.program import Mode
from chalicelib.storage import keys, records
from chalicelib.storage.store import Put
from chalicelib.stripe_adapter.permissions import PERMISSIONS
from local.fake_stripe import FakeStripe, running_fake_stripe
from tests.doors_kit import WEBHOOK_SECRET, Doors, Run

STRIPE_KEY = "sk_" + "test_acme_1"
RESTRICTED = "rk_" + "test_acme_2"
BASE = ("--base-url", "https://refer.example.com")


@pytest.fixture
def fake(doors: Doors) -> Iterator[FakeStripe]:
    with running_fake_stripe() as running:
        doors.with_stripe(running.url)
        yield running


def endpoints(fake: FakeStripe) -> list[dict[str, Any]]:
    with fake.lock:
        return list(fake.world("acme").rows("webhook_endpoint"))


@pytest.fixture
def made(doors: Doors, run: Run, fake: FakeStripe) -> Any:
    code, out, err = run("connection", "create", doors.program.id, *BASE, secrets=STRIPE_KEY)
    assert code == 0, err
    return json.loads(out)


class TestByKey:
    def test_the_key_is_all_that_is_asked_for(
        self, doors: Doors, run: Run, fake: FakeStripe
    ) -> None:
        with fake.lock:
            names = [p.name for p in PERMISSIONS if p.name != "rak_coupon_write"]
            fake.restricted[RESTRICTED] = names
        code, out, err = run("connection", "create", doors.program.id, *BASE, secrets=RESTRICTED)
        assert code == 0, err
        told = json.loads(out)
        (endpoint,) = endpoints(fake)
        assert told["state"] == "open"
        assert told["endpoint"] == endpoint["id"]
        assert endpoint["url"].endswith(f"/stripe/webhooks/{told['connection_id']}")
        assert told["permissions"]["rak_coupon_write"] is False
        assert "https://dashboard.stripe.com/test/apikeys/create?name=Refledger%20Acme" in err
        assert "rak_invoice_read             granted  subscription payments" in err
        assert "rak_coupon_write             MISSING  coupons for partners and friends" in err
        assert "! The key lacks rak_coupon_write: coupons and promotion codes cannot" in err
        for secret in (RESTRICTED, endpoint["_secret"]):
            assert secret not in out + err

    def test_a_wrong_key_is_asked_for_again(self, doors: Doors, run: Run, fake: FakeStripe) -> None:
        typed = f"nonsense\nsk_live_acme_1\n{STRIPE_KEY}\n"
        code, _, err = run("connection", "create", doors.program.id, *BASE, secrets=typed)
        assert (code, err.count("Once more:")) == (0, 2)

    def test_a_refusal_is_said_once(self, doors: Doors, run: Run, fake: FakeStripe) -> None:
        code, _, err = run("connection", "create", doors.program.id, *BASE, secrets="")
        assert (code, err.count("A Stripe key begins with")) == (1, 1)

    def test_one_that_lacks_what_is_vital(self, doors: Doors, run: Run, fake: FakeStripe) -> None:
        with fake.lock:
            fake.restricted[RESTRICTED] = ["rak_customer_read"]
        before = doors.writes()
        code, out, err = run("connection", "create", doors.program.id, *BASE, secrets=RESTRICTED)
        assert (code, out, doors.writes()) == (1, "", before)
        assert "rak_invoice_read (Invoices) is missing" in err

    def test_without_an_address(self, doors: Doors, run: Run, fake: FakeStripe) -> None:
        code, _, err = run("connection", "create", doors.program.id, secrets=STRIPE_KEY)
        assert (code, "say --base-url" in err) == (1, True)


def test_they_are_listed(doors: Doors, run: Run, made: Any) -> None:
    code, out, err = run("connection", "list", doors.program.id)
    ids = [one["connection_id"] for one in json.loads(out)["connections"]]
    assert (code, set(ids)) == (0, {made["connection_id"], doors.connection.id})
    heads, *rows = [line.split() for line in err.splitlines() if line and line[0] != "!"]
    assert heads == ["CONNECTION", "ACCOUNT", "NAME", "MODE", "BY", "STATE"]
    assert [made["connection_id"], made["account"], "acme", "test", "key", "open"] in rows
    (warning,) = [line for line in err.splitlines() if line.startswith("!")]
    assert warning.startswith(f"! {made['connection_id']}: This is a secret key")
    code, out, _ = run("connection", "list", doors.program.id, "--mode", "live")
    assert (code, json.loads(out)) == (0, {"connections": []})


def test_an_account_s_name_does_nothing_to_the_terminal(doors: Doors, run: Run) -> None:
    stored = doors.store.get([keys.connection(doors.connection.id)])
    (item,) = stored.values()
    named = replace(doors.connection, account_name="Ac\x1b[2Jme\r\n")
    doors.store.commit([Put(records.connection_item(named, item.version))])
    _, out, err = run("connection", "list", doors.program.id)
    assert "Ac[2Jme" in err and "\x1b" not in out + err


def test_a_key_is_rotated(run: Run, made: Any) -> None:
    words = ("connection", "rotate", made["connection_id"], *BASE)
    code, out, err = run(*words, secrets=STRIPE_KEY + "7")
    assert (code, json.loads(out)) == (0, made), err
    code, out, err = run(*words, secrets="sk_" + "test_beta_1")
    assert (code, out) == (1, "")
    assert "belongs to another Stripe account" in err


def test_a_secret_is_rotated(doors: Doors, run: Run, fake: FakeStripe, made: Any) -> None:
    id = made["connection_id"]
    code, out, err = run("connection", "rotate", id, "--webhook-secret", *BASE)
    (endpoint,) = endpoints(fake)
    assert (code, json.loads(out)["endpoint"]) == (0, endpoint["id"]), err
    assert endpoint["id"] != made["endpoint"]
    code, out, err = run("connection", "rotate", id, "--rolled", secrets=WEBHOOK_SECRET)
    assert code == 0, err
    event = doors.event("balance.available", {"object": "balance"})
    connection = doors.house.connections.get(id)
    assert doors.deliver(event, connection=connection).status == 200
    assert WEBHOOK_SECRET not in out + err


def test_one_is_closed(run: Run, fake: FakeStripe, made: Any) -> None:
    code, out, err = run("connection", "close", made["connection_id"])
    assert (code, json.loads(out)["state"]) == (0, "closed"), err
    assert endpoints(fake) == []
    code, out, err = run("connection", "rotate", made["connection_id"], *BASE, secrets=STRIPE_KEY)
    assert (code, out) == (1, "")
    assert "This connection is closed: the merchant disconnected it" in err


def test_and_its_endpoint_kept(run: Run, fake: FakeStripe, made: Any) -> None:
    code, out, _ = run("connection", "close", made["connection_id"], "--keep-endpoint")
    assert (code, json.loads(out)["state"], len(endpoints(fake))) == (0, "closed", 1)


@pytest.mark.parametrize("verb", ["rotate", "close"])
@pytest.mark.parametrize("id", ["con_nobody", "../x"])
def test_none_of_that_id(run: Run, verb: str, id: str) -> None:
    code, out, err = run("connection", verb, id, secrets=STRIPE_KEY)
    assert (code, out, "There is no such connection." in err) == (1, "", True)


class TestByHand:
    """A key that may not set up webhooks: the merchant makes the endpoint."""

    @pytest.fixture
    def connected(self, doors: Doors, run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
        with running_fake_stripe() as fake:
            doors.with_stripe(fake.url)
            yield run(
                "connection",
                "create",
                doors.program.id,
                "--by-hand",
                "--base-url",
                "https://refer.example.com",
                secrets=f"{STRIPE_KEY}\n{WEBHOOK_SECRET}\n",
            )

    def test_it_asks_stripe_whose_key_it_is(self, doors: Doors, connected: Any) -> None:
        code, out, err = connected
        assert code == 0, err
        made = json.loads(out)
        assert made["account"].startswith("acct_")
        assert made["livemode"] is False
        assert f"https://refer.example.com/stripe/webhooks/{made['connection_id']}" in err
        assert "invoice.paid" in err
        item = next(
            item
            for key, item in doors.store.everything().items()
            if key.pk == f"connection#{made['connection_id']}"
        )
        connection = records.read_connection(item)
        event = doors.event("balance.available", {"object": "balance"})
        assert doors.deliver(event, connection=connection).status == 200

    def test_no_secret_is_printed_or_stored_in_the_open(self, doors: Doors, connected: Any) -> None:
        _, out, err = connected
        for secret in (STRIPE_KEY, WEBHOOK_SECRET):
            assert secret not in out + err
            assert secret not in str(doors.store.everything())

    def test_it_says_what_both_secrets_are(self, connected: Any) -> None:
        _, _, err = connected
        assert "in its test mode" in err
        assert "Create restricted key" in err
        assert "Customers, read" in err
        assert "A signing secret, from Developers > Webhooks" in err

    @pytest.mark.parametrize(
        ("wrong", "because"),
        [
            (("nonsense",), "not a Stripe secret or restricted key"),
            (("sk_" + "live_acme_1",), "a key of Stripe's live mode, and test is wanted"),
            (("rk_" + "live_acme_1", WEBHOOK_SECRET), "not a Stripe secret or restricted key"),
            (("rk_" + "test___unknown",), "Stripe does not know this key"),
        ],
        ids=["no key", "other mode", "two wrong ones", "unknown"],
    )
    def test_a_wrong_key_is_asked_for_again(
        self, doors: Doors, run: Run, wrong: tuple[str, ...], because: str
    ) -> None:
        """Of the same connection: its address is in Stripe already."""
        typed = "\n".join((*wrong, STRIPE_KEY, "whsec_", WEBHOOK_SECRET))
        with running_fake_stripe() as fake:
            doors.with_stripe(fake.url)
            code, out, err = run(
                "connection", "create", doors.program.id, "--by-hand", secrets=typed
            )
        assert code == 0, err
        assert f"/stripe/webhooks/{json.loads(out)['connection_id']}\n" in err
        assert err.count("/stripe/webhooks/") == 1
        assert because in err
        assert err.count("Once more:") == len(wrong) + 1
        for secret in wrong:
            assert secret not in err

    def test_three_wrong_ones_are_enough(self, doors: Doors, run: Run) -> None:
        before = doors.writes()
        typed = "a\nb\nc\n" + STRIPE_KEY
        code, out, err = run("connection", "create", doors.program.id, "--by-hand", secrets=typed)
        assert (code, out, doors.writes()) == (1, "", before)
        assert err.count("Once more:") == 2

    @pytest.mark.parametrize(
        ("program", "asked", "key", "said"),
        [
            ("test", (), "sk_" + "live_acme_1", "Take a key of test mode, or say --mode live"),
            ("live", (), STRIPE_KEY, "Take a key of live mode, or say --mode test"),
            ("live", ("--mode", "live"), STRIPE_KEY, "a key of Stripe's test mode"),
            ("test", ("--mode", "live"), STRIPE_KEY, "a key of Stripe's test mode"),
            ("live", ("--mode", "test"), STRIPE_KEY, ""),
        ],
        ids=str,
    )
    def test_the_keys_mode_is_the_programs_unless_another_is_said(
        self, doors: Doors, run: Run, program: Mode, asked: tuple[str, ...], key: str, said: str
    ) -> None:
        made, _ = doors.a_program("Gamma", program)
        with running_fake_stripe() as fake:
            doors.with_stripe(fake.url)
            typed = f"{key}\n{WEBHOOK_SECRET if not said else ''}\n"
            code, out, err = run(
                "connection", "create", made.id, "--by-hand", *asked, secrets=typed
            )
        assert (code, bool(out)) == ((1, False) if said else (0, True)), err
        assert said in err

    @pytest.mark.parametrize("secret", ["", " ", "whsec_", "sk_" + "test_acme_1", "secret"])
    def test_what_is_no_webhook_secret_is_refused(
        self, doors: Doors, run: Run, secret: str
    ) -> None:
        with running_fake_stripe() as fake:
            doors.with_stripe(fake.url)
            before = doors.writes()
            code, out, err = run(
                "connection",
                "create",
                doors.program.id,
                "--by-hand",
                secrets=f"{STRIPE_KEY}\n{secret}\n",
            )
        assert (code, out) == (1, "")
        assert "whsec_" in err
        assert doors.writes() == before

    def test_stripe_away_is_a_sentence(self, doors: Doors, run: Run) -> None:
        code, _, err = run(
            "connection", "create", doors.program.id, "--by-hand", secrets=f"{STRIPE_KEY}\n"
        )
        assert (code, STRIPE_KEY in err) == (1, False)
        assert "Stripe" in err
