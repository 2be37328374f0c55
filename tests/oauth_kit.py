"""A deployment whose platform is registered with the fake Stripe, and people with browsers.

def test_it(oauth): page = oauth.person().open(oauth.link())
"""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlencode, urlsplit

from chalicelib.core.program import Mode, Program
from chalicelib.flows.start_oauth import make_start_code, start_link
from chalicelib.flows.stripe_platform import keep_platform
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Put
from local.fake_stripe import FakeStripe, running_fake_stripe
from local.fake_stripe.world import account_id
from tests.builders.stripe_bodies import as_body, signed
from tests.doors_kit import BASE_URL, Doors, Reply

CALLBACK = f"{BASE_URL}/stripe/oauth/callback"
SECRETS: dict[Mode, str] = {"test": "whsec_" + "t" * 24, "live": "whsec_" + "l" * 24}
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def platform_key(mode: Mode) -> str:
    return "sk_" + f"{mode}_platform_" + "p" * 24


def client_id(mode: Mode) -> str:
    return f"ca_{mode}platform1"


@contextmanager
def oauth_house(doors: Doors) -> Iterator["OAuthHouse"]:
    """Those doors with a fake Stripe behind them, where the platform is registered, and set."""
    with running_fake_stripe(clock=lambda: doors.clock.now) as fake:
        doors.with_stripe(fake.url)
        house = OAuthHouse(doors, fake)
        for mode in ("live", "test"):
            house.register(mode)
            house.set_platform(mode)
        yield house


@dataclass
class OAuthHouse:
    doors: Doors
    fake: FakeStripe

    def register(self, mode: Mode) -> None:
        with self.fake.lock:
            self.fake.connect.register(
                platform_key(mode), client_id(mode), [CALLBACK], "Refledger of Acme"
            )

    def set_platform(self, mode: Mode, *, webhook_secret: str = "") -> None:
        keep_platform(
            mode,
            client_id=client_id(mode),
            secret_key=platform_key(mode),
            webhook_secret=webhook_secret or SECRETS[mode],
            store=self.doors.store,
            sealer=self.doors.house.sealer,
            now=self.doors.clock.ms,
        )

    def link(self, mode: Mode = "test", *, program: Program | None = None) -> str:
        program = program or self.doors.program
        doors = self.doors
        code = make_start_code(program.id, mode=mode, store=doors.store, now=doors.clock.ms)
        return start_link(BASE_URL, program.id, code)

    def person(self) -> "Person":
        return Person(self)

    def connect(
        self, account: str = "acme", mode: Mode = "test", *, program: Program | None = None
    ) -> Connection:
        """The whole way, without a hitch: the connection."""
        reply = self.person().go(self.link(mode, program=program), account)
        assert reply.status == 200, reply.body.decode()
        found = re.search(r"con_[0-9a-f]{16}", reply.body.decode())
        assert found
        return self.connection(found[0])

    def connection(self, id: str) -> Connection:
        key = keys.connection(id)
        return records.read_connection(self.doors.store.get([key])[key])

    def connections(self) -> list[Connection]:
        """All of OAuth's."""
        items = self.doors.store.everything().items()
        read = [records.read_connection(i) for k, i in items if k.sk == "connection"]
        return [one for one in read if one.how == "oauth"]

    def change(self, connection: Connection, **about: object) -> None:
        key = keys.connection(connection.id)
        item = self.doors.store.get([key])[key]
        changed = replace(records.read_connection(item), **about)
        self.doors.store.commit([Put(records.connection_item(changed, item.version))])

    def links(self) -> set[tuple[str, str]]:
        """Client id and account of each connection that Stripe knows."""
        with self.fake.lock:
            return {(client, account_id(name)) for client, name in self.fake.connect.links}

    def spent(self) -> int:
        """Codes that Stripe has exchanged."""
        with self.fake.lock:
            return sum(code["spent"] for code in self.fake.connect.state["codes"].values())

    def deliver(self, event: dict[str, object], *, mode: Mode = "test", secret: str = "") -> Reply:
        """An event of the Connect webhook, signed by the endpoint of that mode."""
        body = as_body(event)
        signature = signed(body, secret or SECRETS[mode], int(self.doors.clock.now))
        headers = [("Stripe-Signature", signature)]
        return self.doors.ask("POST", "/stripe/webhooks/connect", body, headers)


@dataclass
class Person:
    """Somebody with a browser of their own, which keeps its cookies."""

    house: OAuthHouse
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, url: str) -> Reply:
        return self._ask("GET", url.removeprefix(BASE_URL))

    def press(self, page: Reply) -> Reply:
        """The button of the start page."""
        return self._ask("POST", "/stripe/oauth/start", urlencode(self.fields(page)).encode(), FORM)

    def fields(self, page: Reply) -> dict[str, str]:
        found = re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.body.decode()
        )
        return {name: html.unescape(value) for name, value in found}

    def agree(self, at_stripe: str, account: str) -> str:
        """Says yes at Stripe; the address at which the browser comes back."""
        asked = self.asked(at_stripe)
        with self.house.fake.lock:
            code = self.house.fake.connect.approve(
                asked["client_id"], account, scope=asked["scope"], redirect_uri=CALLBACK
            )
        return self.back(asked["state"], code=code)

    def asked(self, at_stripe: str) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(at_stripe).query).items()}

    def back(self, state: str, **told: str) -> str:
        return f"/stripe/oauth/callback?{urlencode({'state': state, **told})}"

    def to_stripe(self, link: str) -> str:
        """Through the page and its button: Stripe's address."""
        reply = self.press(self.open(link))
        assert reply.status == 303, reply.body.decode()
        return reply.headers["location"]

    def go(self, link: str, account: str = "acme") -> Reply:
        """The whole way."""
        return self.open(self.agree(self.to_stripe(link), account))

    def _ask(self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]) -> Reply:
        sent = list(headers)
        if self.cookies:
            sent.append(("Cookie", "; ".join(f"{n}={v}" for n, v in self.cookies.items())))
        reply = self.house.doors.ask(method, target, body, sent)
        if "set-cookie" in reply.headers:
            name, _, value = reply.headers["set-cookie"].split(";")[0].partition("=")
            self.cookies[name] = value
        return reply
