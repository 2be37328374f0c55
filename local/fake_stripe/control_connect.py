"""The control surface's part for Connect and webhook secrets: see `control` for the list."""

from typing import TYPE_CHECKING, Any

from .world import account_id

if TYPE_CHECKING:
    from .fake import FakeStripe

Object = dict[str, Any]


def platforms(fake: "FakeStripe", given: Object) -> Object:
    """Registers a platform; returns its public half."""
    with fake.lock:
        made = fake.connect.register(
            given["key"], given["client_id"], given["redirect_uris"], given.get("name", "")
        )
        fake.touched()
        return {k: made[k] for k in ("client_id", "name", "redirect_uris")}


def approve(fake: "FakeStripe", given: Object) -> Object:
    """What the page does when the owner of `account` (a name) says yes."""
    with fake.lock:
        if fake.connect.platform(given["client_id"]) is None:
            raise ValueError("no such platform")
        scope = given.get("scope", "read_write")
        code = fake.connect.approve(given["client_id"], given["account"], scope=scope)
        fake.touched()
        return {"code": code, "account": account_id(given["account"])}


def deauthorize(fake: "FakeStripe", given: Object) -> Object:
    """The account's owner (a name) ends the connection in the Dashboard."""
    with fake.lock:
        ended = fake.connect.cut(given["client_id"], given["account"])
        fake.touched()
        return {"ended": ended}


def roll_secret(fake: "FakeStripe", given: Object) -> Object:
    """A new secret for an endpoint, as the Dashboard's button makes it; the old one signs as well
    for `hours` (24)."""
    with fake.lock:
        worlds = fake.worlds.values()
        world = next(w for w in worlds if given["endpoint"] in w.table("webhook_endpoint"))
        endpoint = world.get("webhook_endpoint", given["endpoint"])
        until = fake.now() + int(given.get("hours", 24)) * 3_600
        kept = {"secret": endpoint["_secret"], "until": until}
        endpoint["_old_secrets"] = [kept, *endpoint.get("_old_secrets", [])]
        endpoint["_secret"] = "whsec_" + fake.random_text(32)
        fake.touched()
        return {"secret": endpoint["_secret"]}


def connections(fake: "FakeStripe", given: Object) -> Object:
    with fake.lock:
        links = fake.connect.links
        return {"connections": [{"client_id": c, "account": account_id(n)} for c, n in links]}
