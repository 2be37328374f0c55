"""A merchant's own key on this machine: which are taken, who gets to see it, and how the inbox
fills without anybody reaching us."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from chalicelib.entrypoints.wiring import House
from chalicelib.flows.show_connections import connections_of
from chalicelib.settings import read_settings
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Put
from local.demo import Demo, Seed
from local.fake_stripe import FakeStripe, running_fake_stripe
from local.feed import Feed
from local.own_stripe import STRIPE, NotToBeUsed, OwnStripe, own_stripe
from local.parts import PARTS
from local.place import Place
from local.recipes import demo_recipe, recipes
from tests.fakes.memory_store import MemoryStore
from tests.local.test_runner_demo import stripe_at
from tests.stack_kit import Stack, four_free_ports, launch, running_stack

KEY = "rk_" + "test_mine_1"


@pytest.fixture
def real() -> Iterator[FakeStripe]:
    """Plays Stripe itself: at an address of its own, on the real clock."""
    with running_fake_stripe(seed=5) as fake:
        yield fake
        assert fake.faults == []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(port=four_free_ports(), state_dir=tmp_path)


def house_at(place: Place, address: str, store: Any = None) -> House:
    environ = {
        "REFLEDGER_KEY_FILE": str(place.state_dir / "key"),
        "REFLEDGER_STRIPE_API_BASE": address,
    }
    return House(read_settings(environ), store=store or MemoryStore())


def made(place: Place, house: House, own_key: str = "") -> dict[str, Any]:
    seed = Seed(place.state_dir / "seed.json")
    Demo(place, house, seed, now=int(time.time() * 1000), own_key=own_key).make()
    told: dict[str, Any] = json.loads(place.demo_file.read_text())
    return told


def paid(real: FakeStripe, amount: int = 4900) -> str:
    client = stripe.StripeClient(KEY.replace("rk_", "sk_"), base_addresses={"api": real.url})
    customer = client.v1.customers.create({"email": "sam@example.com"})
    told = {"amount": amount, "currency": "eur", "customer": customer.id, "confirm": True}
    intent = client.v1.payment_intents.create(told | {"payment_method": "pm_card_visa"})
    return str(intent.id)


class TestKeys:
    def test_none_is_asked_for(self) -> None:
        assert own_stripe({}) is None
        assert own_stripe({"STRIPE_KEY": " "}) is None

    @pytest.mark.parametrize("key", [KEY, "sk_" + "test_mine_1"])
    def test_of_test_mode_goes_to_stripe(self, key: str) -> None:
        own = own_stripe({"STRIPE_KEY": key})
        assert own == OwnStripe(key=key, address=STRIPE)
        assert key not in repr(own)

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("rk_" + "live_mine_1", "live mode"),
            ("sk_" + "live_mine_1", "live mode"),
            ("pk_" + "test_mine_1", "no key of Stripe's test mode"),
            ("rk_" + "test_mine 1", "no key of Stripe's test mode"),
            ("whatever", "no key of Stripe's test mode"),
        ],
    )
    def test_others_are_refused_with_a_sentence(self, key: str, said: str) -> None:
        with pytest.raises(NotToBeUsed, match=said) as refused:
            own_stripe({"STRIPE_KEY": key})
        assert key not in str(refused.value)

    def test_it_is_sent_nowhere_in_clear(self) -> None:
        told = {"STRIPE_KEY": KEY, "STRIPE_API_BASE": "http://stripe.example.com"}
        with pytest.raises(NotToBeUsed):
            own_stripe(told)
        assert own_stripe(told | {"STRIPE_API_BASE": "http://127.0.0.1:9"})


class TestWhoSeesIt:
    def test_the_process_that_seals_it_and_no_other(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STRIPE_KEY", KEY)
        own = OwnStripe(key=KEY, address=STRIPE)
        for recipe in recipes(place, PARTS, own):
            assert KEY not in json.dumps(dict(recipe.environment)), recipe.name
            assert KEY not in " ".join(recipe.arguments)
            asks = recipe.environment.get("REFLEDGER_STRIPE_API_BASE")
            assert (asks == STRIPE) == (recipe.name == "app")
            assert ("--feed" in recipe.arguments) == (recipe.name == "app")
        demo = demo_recipe(place, PARTS, own)
        assert demo.environment["STRIPE_KEY"] == KEY
        assert KEY not in " ".join(demo.arguments)

    def test_without_it_nothing_is_fed(self, place: Place) -> None:
        for recipe in [*recipes(place, PARTS), demo_recipe(place, PARTS)]:
            assert "--feed" not in recipe.arguments
            asks = recipe.environment.get("REFLEDGER_STRIPE_API_BASE", place.fake_stripe_url)
            assert asks == place.fake_stripe_url


class TestDemo:
    def test_the_program_is_connected_to_it_and_not_to_the_fake(
        self, place: Place, real: FakeStripe
    ) -> None:
        with stripe_at(place):
            store = MemoryStore()
            before = made(place, house_at(place, "", store))
            house = house_at(place, real.url, store)
            demo = made(place, house, KEY)
        assert demo["program_id"] == before["program_id"]
        assert demo["stripe_api_base"] == real.url
        scope = Scope(demo["program_id"], "test")
        found = {one.id: one for one in connections_of(scope, store=house.store)}
        own = found[demo["connection_id"]]
        assert (own.state, own.endpoint) == ("open", "")
        assert own.account == real.world("mine").account_id
        assert found[before["connection_id"]].state == "closed"
        assert real.world("mine").rows("webhook_endpoint") == []
        kept = "".join(one.read_text() for one in place.state_dir.glob("*.json"))
        assert KEY not in kept + str(store.everything())
        assert house.connections.credentials(own).api_key == KEY

    def test_a_run_without_it_forgets_it_and_one_with_it_goes_on(
        self, place: Place, real: FakeStripe
    ) -> None:
        store = MemoryStore()
        with stripe_at(place):
            first = made(place, house_at(place, real.url, store), KEY)
            house = house_at(place, "", store)
            second = made(place, house)
            scope = Scope(first["program_id"], "test")
            found = {one.id: one for one in connections_of(scope, store=store)}
            assert found[first["connection_id"]].sealed_api_key == ""
            fake = found[second["connection_id"]]
            assert house.connections.get(fake.id)
            assert house.connections.webhook_secrets(fake) == (second["webhook_secret"],)
            third = made(place, house_at(place, real.url, store), KEY)
            fourth = made(place, house_at(place, "", store))
        assert third["connection_id"] == first["connection_id"]
        assert fourth["connection_id"] == second["connection_id"]
        connection = house_at(place, "", store).connections.get(second["connection_id"])
        assert connection and connection.state == "open"


class TestFeed:
    def test_what_happens_at_stripe_is_seen_a_moment_later(
        self, place: Place, real: FakeStripe
    ) -> None:
        with stripe_at(place):
            house = house_at(place, real.url)
            demo = made(place, house, KEY)
        feed = Feed(lambda: house, clock=lambda: time.time() + 2)
        assert feed.look() == 0
        intent = paid(real)
        assert feed.look() > 0
        place_of_sale = keys.sale(Scope(demo["program_id"], "test"), intent)
        assert records.read_sale(house.store.get([place_of_sale])[place_of_sale])
        assert feed.look() == 0

    def test_it_asks_nobody_for_those_that_stripe_tells_by_itself(
        self, place: Place, real: FakeStripe
    ) -> None:
        with stripe_at(place):
            house = house_at(place, real.url)
            demo = made(place, house, KEY)
        key = keys.connection(demo["connection_id"])
        item = house.store.get([key])[key]
        told = replace(records.read_connection(item), endpoint="we_1")
        house.store.commit([Put(records.connection_item(told, item.version))])
        paid(real)
        assert Feed(lambda: house, clock=lambda: time.time() + 2).look() == 0


@pytest.mark.ministack
@pytest.mark.slow
class TestWholeRun:
    def test_a_payment_at_stripe_is_listed_seconds_later(
        self, place: Place, real: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STRIPE_KEY", KEY)
        monkeypatch.setenv("STRIPE_API_BASE", real.url)
        with running_stack(place) as stack:
            paid(real)
            found = listed(stack)
        said = "\n".join(stack.output)
        assert len(found) == 1
        assert "your Stripe account's test mode" in said
        logs = "".join(one.read_text() for one in (place.state_dir / "logs").glob("*.log"))
        files = [one for one in place.state_dir.rglob("*") if one.is_file()]
        assert KEY not in said + logs
        assert not [one for one in files if KEY.encode() in one.read_bytes()]

    def test_a_live_key_does_not_even_start(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live = "rk_" + "live_mine_1"
        monkeypatch.setenv("STRIPE_KEY", live)
        process = launch(place)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "live mode" in said
        assert live not in said


def listed(stack: Stack) -> list[Any]:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        found: list[Any] = stack.api("/v1/transactions")
        if found:
            return found
        time.sleep(0.5)
    return []
