"""The demo data: complete, the same at every start, and finished after a crash at any step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from chalicelib.core.refusals import NotFound
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.manage_programs import authenticate, read_program
from chalicelib.flows.read_partner import find_partner
from chalicelib.settings import read_settings
from local.demo import Demo, Seed
from local.fake_stripe.fake import FakeStripe
from local.fake_stripe.server import serve
from local.place import Place
from tests.fakes.memory_store import MemoryStore
from tests.stack_kit import four_free_ports

NOW = 1_777_593_600_000
DEMO_KEYS = {
    "base_url": str,
    "shop_url": str,
    "fake_stripe_url": str,
    "stripe_api_base": str,
    "stripe_api_key": str,
    "program_id": str,
    "api_key": str,
    "partners": dict,
    "connection_id": str,
    "webhook_secret": str,
    "other": dict,
}


class Power:
    """Fails after so many steps were kept."""

    def __init__(self, steps: int) -> None:
        self.steps = steps


class Cut(Exception):
    pass


class FragileSeed(Seed):
    def __init__(self, file: Path, power: Power) -> None:
        super().__init__(file)
        self._power = power

    def keep(self, name: str, value: Any) -> None:
        if self._power.steps == 0:
            raise Cut
        self._power.steps -= 1
        super().keep(name, value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(port=four_free_ports(), state_dir=tmp_path)


@pytest.fixture
def house(place: Place) -> House:
    settings = read_settings({"REFLEDGER_KEY_FILE": str(place.state_dir / "key")})
    return House(settings, store=MemoryStore())


@contextmanager
def stripe_at(place: Place) -> Iterator[FakeStripe]:
    fake = FakeStripe(state_file=place.state_dir / "fake_stripe.json")
    with serve(fake, host="localhost", port=place.ports["fake Stripe"]):
        yield fake


def made(place: Place, house: House) -> dict[str, Any]:
    Demo(place, house, Seed(place.state_dir / "seed.json"), now=NOW).make()
    found: dict[str, Any] = json.loads(place.demo_file.read_text())
    return found


def stripe_client(demo: dict[str, Any]) -> stripe.StripeClient:
    addresses = {"api": demo["fake_stripe_url"]}
    return stripe.StripeClient(demo["stripe_api_key"], base_addresses=addresses)


def test_it_is_what_the_issue_says(place: Place, house: House) -> None:
    with stripe_at(place):
        demo = made(place, house)
        endpoints = stripe_client(demo).v1.webhook_endpoints.list().data
    assert {name: type(value) for name, value in demo.items()} == DEMO_KEYS
    assert demo["partners"]["ann"]["link"] == f"{place.shop_url}/?via=ann"
    assert set(demo["partners"]["bob"]) == {"id", "link"}
    assert set(demo["other"]) == {"program_id", "api_key"}
    acme = read_program(demo["program_id"], store=house.store)
    terms = acme.terms(NOW)
    assert (acme.name, acme.currency, acme.website.cookie_days) == ("Acme", "eur", 30)
    assert terms.reward.words() == "20 % of net, for 12 months"
    assert (terms.hold_days, terms.window_days, terms.attribution) == (30, 30, "last_click")
    assert (acme.website.capture_forms, acme.website.cross_domains) == (False, ())
    beta = read_program(demo["other"]["program_id"], store=house.store)
    assert beta.website.capture_forms and beta.website.cross_domains
    assert authenticate(demo["other"]["api_key"], store=house.store).program == beta.id
    [endpoint] = endpoints
    assert endpoint.url == f"{place.base_url}/stripe/webhooks/{demo['connection_id']}"
    assert endpoint.api_version == stripe.api_version


def test_secrets_are_for_their_owner_only(place: Place, house: House) -> None:
    with stripe_at(place):
        made(place, house)
    for name in ("demo.json", "shop.json", "seed.json", "key"):
        assert (place.state_dir / name).stat().st_mode & 0o077 == 0, name


def test_a_second_start_changes_nothing(place: Place, house: House) -> None:
    with stripe_at(place):
        first = made(place, house)
        goods = place.shop_file.read_text()
        assert made(place, house) == first
        assert place.shop_file.read_text() == goods


def test_other_ports_keep_what_was_made(place: Place, house: House) -> None:
    with stripe_at(place):
        first = made(place, house)
    moved = replace(place, port=four_free_ports())
    with stripe_at(moved):
        second = made(moved, house)
        [endpoint] = stripe_client(second).v1.webhook_endpoints.list().data
    kept = ("program_id", "api_key", "connection_id", "webhook_secret", "stripe_api_key", "other")
    assert {name: first[name] for name in kept} == {name: second[name] for name in kept}
    assert endpoint.url == f"{moved.base_url}/stripe/webhooks/{second['connection_id']}"
    goods = json.loads(moved.shop_file.read_text())
    assert goods["payment_links"]["course"].startswith(moved.fake_stripe_url)
    website = read_program(second["program_id"], store=house.store).website
    assert (website.url, website.payment_link_hosts) == (moved.shop_url, (moved.fake_stripe_url,))


@pytest.mark.parametrize("steps", range(7))
def test_a_crash_at_any_step_is_made_good(place: Place, house: House, steps: int) -> None:
    with stripe_at(place):
        fragile = FragileSeed(place.state_dir / "seed.json", Power(steps))
        with pytest.raises(Cut):
            Demo(place, house, fragile, now=NOW).make()
        assert not place.demo_file.exists()
        demo = made(place, house)
        endpoints = stripe_client(demo).v1.webhook_endpoints.list().data
    assert [one.url.rsplit("/", 1)[-1] for one in endpoints] == [demo["connection_id"]]
    store = house.store
    for key in ("ann", "bob"):
        partner = find_partner(demo["program_id"], {"key": key}, store=store)
        assert partner and partner.id == demo["partners"][key]["id"]
    connection = house.connections.get(demo["connection_id"])
    assert connection and connection.program == demo["program_id"]
    assert house.connections.webhook_secrets(connection) == (demo["webhook_secret"],)
    assert authenticate(demo["api_key"], store=store).program == demo["program_id"]


def test_state_that_was_thrown_away_is_made_anew(place: Place, house: House) -> None:
    with stripe_at(place):
        first = made(place, house)
        empty = House(house.settings, store=MemoryStore())
        second = made(place, empty)
        with pytest.raises(NotFound):
            read_program(first["program_id"], store=empty.store)
        connection = empty.connections.get(second["connection_id"])
        assert connection and connection.program == second["program_id"]
    (place.state_dir / "fake_stripe.json").unlink()
    with stripe_at(place):
        third = made(place, empty)
        endpoints = stripe_client(third).v1.webhook_endpoints.list().data
    assert third["connection_id"] != second["connection_id"]
    assert [one.url.rsplit("/", 1)[-1] for one in endpoints] == [third["connection_id"]]
