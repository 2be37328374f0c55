"""Makes the demo data: two programs, two partners, a Stripe connection, things to sell.

    python -m local.demo --port 8000 --state-dir .local

Each step is kept in `$STATE_DIR/seed.json` as soon as it is done, and done again only if what it
made is gone: so this may be interrupted anywhere, repeated at every start, and run after the state
of either store was thrown away. It ends by writing `shop.json` and, last, `demo.json`.
"""

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chalicelib.core.program import DEFAULT_RULE, Partner, Program, Website
from chalicelib.core.refusals import NotFound, Refusal, Unauthorised
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.api_shapes import referral_link
from chalicelib.flows.connect_with_key import connect_with_key
from chalicelib.flows.disconnect import close
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import (
    ProgramChange,
    authenticate,
    change_program,
    create_api_key,
    create_connection,
    create_program,
    new_connection_id,
)
from chalicelib.flows.read_partner import find_partner
from chalicelib.storage import keys
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Remove
from local.clock import ShiftedClock
from local.demo_goods import DemoStripe
from local.demo_platform import make_platform
from local.own_stripe import KEY
from local.place import Place

CURRENCY = "eur"
PARTNERS = ("ann", "bob")
ACME_TERMS = {
    "reward": DEFAULT_RULE,
    "hold_days": 30,
    "window_days": 30,
    "attribution": "last_click",
}


class Demo:
    """`house` has the stores of the app; `now` is in milliseconds, on the shifted clock."""

    def __init__(
        self,
        place: Place,
        house: wiring.House,
        seed: "Seed",
        *,
        now: int,
        own_key: str = "",
    ) -> None:
        self._place = place
        self._own_key = own_key
        self._house = house
        self._now = now
        self._seed = seed
        key = self._seed.once("stripe_api_key", lambda: f"sk_test_{secrets.token_hex(16)}")
        self._stripe = DemoStripe(place, api_key=key)

    def make(self) -> None:
        goods = self._goods()
        acme = self._program("Acme", "acme", self._website(goods))
        both_domains = ("127.0.0.1", "localhost")
        beta_site = self._website(goods) | {"capture_forms": True, "cross_domains": both_domains}
        beta = self._program("Beta", "beta", beta_site)
        partners = {key: self._partner(acme, key) for key in PARTNERS}
        for key in PARTNERS:
            self._partner(beta, key)
        connection = self._own_connection(acme) if self._own_key else self._connection(acme)
        if not self._own_key:
            make_platform(self._place, self._house, self._seed, now=self._now)
        write_private(self._place.shop_file, goods)
        demo = {
            "base_url": self._place.base_url,
            "shop_url": self._place.shop_url,
            "fake_stripe_url": self._place.fake_stripe_url,
            "stripe_api_base": self._house.settings.stripe_api_base or self._place.fake_stripe_url,
            "stripe_api_key": self._seed["stripe_api_key"],
            "program_id": acme.id,
            "api_key": self._api_key(acme, "acme_api_key"),
            "partners": {
                key: {"id": partner.id, "link": referral_link(partner, acme)}
                for key, partner in partners.items()
            },
            "connection_id": connection["id"],
            "webhook_secret": connection["secret"],
            "other": {"program_id": beta.id, "api_key": self._api_key(beta, "beta_api_key")},
        }
        write_private(self._place.demo_file, demo)

    def _goods(self) -> dict[str, Any]:
        """Made anew for other ports: the addresses stand in what is for sale."""
        made_for = [self._place.shop_url, self._place.fake_stripe_url]
        kept = self._seed.get("goods")
        if kept and kept["made_for"] == made_for and self._stripe.has_link(kept["link_id"]):
            goods: dict[str, Any] = kept
        else:
            goods = self._stripe.make_goods() | {"made_for": made_for}
            self._seed.keep("goods", goods)
        return goods

    def _website(self, goods: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": self._place.shop_url,
            "payment_links": tuple(goods["payment_links"].values()),
            "payment_link_hosts": (self._place.fake_stripe_url,),
        }

    def _program(self, name: str, seed: str, website: dict[str, Any]) -> Program:
        """There, with the website of this run's ports."""
        store = self._house.store
        kept = self._seed.get(seed)
        if kept:
            change = ProgramChange(website=website)
            try:
                return change_program(kept["id"], change, store=store, now=self._now)
            except NotFound:
                pass
        program, signing_key = create_program(
            name,
            currency=CURRENCY,
            mode="test",
            website=Website(**website),
            settings=ACME_TERMS,
            store=store,
            sealer=self._house.sealer,
            now=self._now,
        )
        self._seed.keep(seed, {"id": program.id, "signing_key": signing_key})
        return program

    def _partner(self, program: Program, key: str) -> Partner:
        store = self._house.store
        found = find_partner(program.id, {"key": key}, store=store)
        if found:
            return found
        told = PartnerChange(key=key, email=f"{key}@example.com", name=key.title())
        return create_partner(told, program_id=program.id, store=store, now=self._now)

    def _api_key(self, program: Program, seed: str) -> str:
        store = self._house.store
        kept: str | None = self._seed.get(seed)
        try:
            if kept and authenticate(kept, store=store).program == program.id:
                return kept
        except Unauthorised:
            pass
        key = create_api_key(program, mode="test", name="demo", store=store, now=self._now)
        self._seed.keep(seed, key)
        return key

    def _connection(self, program: Program) -> dict[str, str]:
        """The webhook endpoint at Stripe first, since only it tells the secret; then ours."""
        self._close(self._seed.get("own_connection"), "this run has no STRIPE_KEY")
        kept = self._seed.get("connection") or {}
        known = kept and self._house.connections.get(kept["id"])
        stale = known and known.program != program.id
        if known and known.state == "closed":
            self._remove(known)
            known = None
        if not kept or stale or not self._stripe.move_endpoint(kept["endpoint"], kept["id"]):
            self._close(kept.get("id"), "the fake Stripe knows it no more")
            kept = self._stripe.make_endpoint(new_connection_id())
            known = None
            self._seed.keep("connection", kept)
        if not known:
            create_connection(
                program,
                api_key=self._seed["stripe_api_key"],
                webhook_secret=kept["secret"],
                livemode=False,
                account=self._stripe.account_id(),
                id=kept["id"],
                store=self._house.store,
                sealer=self._house.sealer,
                now=self._now,
            )
        return kept

    def _own_connection(self, program: Program) -> dict[str, str]:
        """The account of the reader's own key, from now on (by Stripe's clock), in place of that
        at the fake. It has no endpoint, since Stripe cannot reach this machine."""
        connected = connect_with_key(
            Scope(program.id, "test"),
            self._own_key,
            base_url="",
            store=self._house.store,
            sealer=self._house.sealer,
            now=int(time.time() * 1000),
            api_base=self._house.settings.stripe_api_base,
        )
        before = self._seed.get("own_connection")
        self._seed.keep("own_connection", connected.connection.id)
        if before != connected.connection.id:
            self._close(before, "this run has another STRIPE_KEY")
        kept = self._seed.get("connection") or {}
        self._close(kept.get("id"), "this run asks the reader's own Stripe")
        return {"id": connected.connection.id, "secret": ""}

    def _close(self, connection_id: str | None, because: str) -> None:
        if connection_id:
            close(connection_id, because, store=self._house.store, now=self._now)

    def _remove(self, connection: Connection) -> None:
        """It is made anew with the secrets that its closing forgot."""
        key = keys.connection(connection.id)
        item = self._house.store.get([key])[key]
        self._house.store.commit([Remove(key, item.version)])


class Seed:
    """What was made so far, on disk after every step."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, name: str) -> Any:
        return self._kept[name]

    def get(self, name: str) -> Any:
        return self._kept.get(name)

    def keep(self, name: str, value: Any) -> None:
        self._kept[name] = value
        write_private(self._file, self._kept)

    def once(self, name: str, make: Callable[[], str]) -> str:
        if name not in self._kept:
            self.keep(name, make())
        return str(self._kept[name])


def write_private(file: Path, content: Any) -> None:
    """JSON that only its owner reads, all or nothing."""
    fresh = file.with_name(file.name + ".tmp")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump(content, opened, indent=2)
        opened.write("\n")
    fresh.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes what is missing of the demo data.")
    parser.add_argument("--port", type=int, required=True, help="the app's port")
    parser.add_argument("--state-dir", type=Path, required=True)
    asked = parser.parse_args()
    place = Place(port=asked.port, state_dir=asked.state_dir.resolve())
    wiring.set_clock(ShiftedClock(place.clock_file))
    seed = Seed(place.state_dir / "seed.json")
    own_key = os.environ.get(KEY, "")
    try:
        Demo(place, wiring.stores(), seed, now=wiring.now_ms(), own_key=own_key).make()
    except Refusal as refusal:
        raise SystemExit(refusal.message) from None


if __name__ == "__main__":
    main()
