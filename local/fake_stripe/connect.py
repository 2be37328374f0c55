"""Connect OAuth: platforms, authorisation codes, and which account is connected to which platform.

A code is spent by its first exchange; a second one takes back what the first had given, and the
connection with it. Codes live five minutes. A platform that registered in live mode reaches both
sides of an account, one in test mode the test side alone.
Source: docs.stripe.com/connect/oauth-reference; the refusals' words are as recorded in the tests of
Stripe's own SDKs and in public projects.
"""

from typing import TYPE_CHECKING, Any

from .blanks import blank
from .errors import OAuthRefusal
from .keys import LIVE, account_name_of_key, base_name, publishable_key
from .world import Object, World, account_id

if TYPE_CHECKING:
    from .fake import FakeStripe

CODE_SECONDS = 300
SCOPES = ("read_write", "read_only")


class Connect:
    """The state is `state`, plain JSON. Every method is called with the fake's lock held."""

    def __init__(self, fake: "FakeStripe") -> None:
        self._fake = fake
        # client id -> platform; code -> what it is for; refresh and access token -> the same.
        self.state: dict[str, dict[str, Object]] = {
            "platforms": {}, "codes": {}, "refresh": {}, "access": {},
        }  # fmt: skip
        # [client id, account name], in the order of connecting
        self.links: list[list[str]] = []

    def register(self, key: str, client_id: str, redirect_uris: list[str], name: str) -> Object:
        """A platform; the mode of its key is the mode of its client id."""
        world = self._fake.world(account_name_of_key(key))
        self.state["platforms"][client_id] = {
            "client_id": client_id,
            "name": name or base_name(world.name),
            "redirect_uris": list(redirect_uris),
            "world": world.name,
        }
        return self.state["platforms"][client_id]

    def platform(self, client_id: str) -> Object | None:
        return self.state["platforms"].get(client_id)

    # -- the browser's half ------------------------------------------------------------------

    def approve(self, client_id: str, account: str, *, scope: str, redirect_uri: str = "") -> str:
        """A person with the account's name says yes: a fresh code."""
        if not account.isalnum() or not account.isascii():
            raise ValueError("an account's name is letters and digits")
        platform = self.state["platforms"][client_id]
        side = LIVE if platform["world"].endswith(LIVE) else ""
        self._fake.world(account + side)
        code = "ac_" + self._fake.random_text(32)
        self.state["codes"][code] = {
            "account": account,
            "client_id": client_id,
            "made_at": self._fake.now(),
            "redirect_uri": redirect_uri,
            "scope": scope,
            "spent": False,
        }
        return code

    # -- the server's half -------------------------------------------------------------------

    def exchange(self, world: World, code: str) -> Object:
        """The tokens of a code, for the platform that asks. Raises `OAuthRefusal`."""
        found = self.state["codes"].get(code)
        if found is None:
            raise OAuthRefusal("invalid_grant", f"Authorization code does not exist: {code}")
        platform = self.state["platforms"][found["client_id"]]
        if base_name(platform["world"]) != base_name(world.name):
            raise OAuthRefusal("invalid_grant", "Authorization code does not belong to you.")
        if platform["world"] != world.name:
            raise OAuthRefusal(
                "invalid_grant", "The mode of the API key does not match the mode of the code."
            )
        if found["spent"]:
            self.cut(found["client_id"], found["account"])
            raise OAuthRefusal(
                "invalid_grant",
                "This authorization code has already been used. All tokens issued with this code "
                "have been revoked.",
            )
        if found["made_at"] + CODE_SECONDS < self._fake.now():
            raise OAuthRefusal("invalid_grant", f"Authorization code expired: {code}")
        found["spent"] = True
        link = [found["client_id"], found["account"]]
        if link not in self.links:
            self.links.append(link)
        return self._tokens(found, world)

    def refresh(self, world: World, token: str) -> Object:
        found = self.state["refresh"].get(token)
        if found is None or [found["client_id"], found["account"]] not in self.links:
            raise OAuthRefusal("invalid_grant", f"Refresh token does not exist: {token}")
        return self._tokens(found, world)

    def _tokens(self, found: Object, world: World) -> Object:
        mode = "live" if world.livemode else "test"
        account = found["account"]
        refresh = "rt_" + self._fake.random_text(32)
        kept = {k: found[k] for k in ("account", "client_id", "scope")}
        access = f"sk_{mode}_{account}_{self._fake.random_text(24)}"
        self.state["refresh"][refresh] = self.state["access"][access] = kept
        return {
            "access_token": access,
            "livemode": world.livemode,
            "refresh_token": refresh,
            "scope": found["scope"],
            "stripe_publishable_key": publishable_key(account + (LIVE if world.livemode else "")),
            "stripe_user_id": account_id(account),
            "token_type": "bearer",
        }

    def deauthorize(self, world: World, client_id: str, account: str) -> None:
        """Asked by the platform, with the account's id. Raises `OAuthRefusal`."""
        platform = self.state["platforms"].get(client_id)
        if platform is None or base_name(platform["world"]) != base_name(world.name):
            raise OAuthRefusal("invalid_client", f"No such application: '{client_id}'", 401)
        for linked_client, name in self.links:
            if linked_client == client_id and account_id(name) == account:
                self.cut(client_id, name)
                return
        raise OAuthRefusal(
            "invalid_client",
            f"This application is not connected to stripe account {account}, or that account does "
            "not exist.",
            401,
        )

    def cut(self, client_id: str, account: str) -> bool:
        """Ends a connection, whoever wants it, and tells the platform. False: there was none."""
        from .events import emit_for

        if [client_id, account] not in self.links:
            return False
        platform = self.state["platforms"][client_id]
        side = LIVE if platform["world"].endswith(LIVE) else ""
        world = self._fake.world(account + side)
        gone = blank("application", id=client_id, name=platform["name"])
        hearing = [e for e in self.hearing(world) if e[0] == platform["world"]]
        self.links.remove([client_id, account])
        for token, given in self.state["access"].items():
            if (given["client_id"], given["account"]) == (client_id, account):
                self._fake.ended_keys[token] = "expired"
        emit_for(world, "account.application.deauthorized", gone, hearing)
        return True

    # -- who may, who hears ------------------------------------------------------------------

    def reaches(self, platform_world: World, account: str) -> World | None:
        """The connected account's side that a platform's key reaches, or None."""
        side = LIVE if platform_world.livemode else ""
        for client_id, name in self.links:
            platform = self.state["platforms"][client_id]["world"]
            same = base_name(platform) == base_name(platform_world.name)
            if same and account_id(name) == account and (platform.endswith(LIVE) or not side):
                return self._fake.world(name + side)
        return None

    def hearing(self, world: World) -> list[tuple[str, Object]]:
        """The Connect endpoints that hear an account's side, each with its platform's world. A
        live Connect endpoint hears test events too."""
        found: dict[str, tuple[str, Object]] = {}
        for client_id, name in self.links:
            platform = self.state["platforms"][client_id]["world"]
            if name != base_name(world.name) or (world.livemode and not platform.endswith(LIVE)):
                continue
            for endpoint in self._fake.world(platform).rows("webhook_endpoint"):
                if endpoint.get("_connect"):
                    found[endpoint["id"]] = (platform, endpoint)
        return list(found.values())

    def client_of(self, world: World) -> str | None:
        """The client id of a platform's side, for its Connect endpoints."""
        for client_id, platform in self.state["platforms"].items():
            if platform["world"] == world.name:
                return client_id
        return None

    def dump(self) -> Any:
        return {"state": self.state, "links": self.links}

    def load(self, dumped: Any) -> None:
        self.state, self.links = dumped["state"], dumped["links"]
