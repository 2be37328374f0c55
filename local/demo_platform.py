"""The demo's own platform at the fake Stripe, so that accounts can be connected by OAuth at home:

python -m chalicelib.entrypoints.cli --local oauth start PROGRAM_ID
"""

import json
import secrets
from typing import Any, Protocol
from urllib.request import ProxyHandler, Request, build_opener

import stripe

from chalicelib.entrypoints.wiring import House
from chalicelib.flows.receive_connect_webhook import CONNECT, DEAUTHORISED
from chalicelib.flows.stripe_platform import configured, keep_platform
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.place import Place

TIMEOUT_SECONDS = 20


class Kept(Protocol):
    """What was made so far, on disk after every step."""

    def get(self, name: str) -> Any: ...
    def keep(self, name: str, value: Any) -> None: ...


def make_platform(place: Place, house: House, seed: Kept, *, now: int) -> None:
    """There, with the addresses of this run's ports, and known to the app."""
    key, client_id = _names(seed)
    redirect = f"{place.base_url}/stripe/oauth/callback"
    told = {"key": key, "client_id": client_id, "redirect_uris": [redirect], "name": "Refledger"}
    _control(place, "platforms", told)
    client = stripe.StripeClient(
        key,
        base_addresses={"api": place.fake_stripe_url},
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )
    kept = seed.get("connect_endpoint")
    url = f"{place.base_url}/stripe/webhooks/{CONNECT}"
    if kept and _moved(client, kept["endpoint"], url):
        if "test" in configured(store=house.store):
            return
    else:
        kept = _endpoint(client, url)
    keep_platform(
        "test",
        client_id=client_id,
        secret_key=key,
        webhook_secret=kept["secret"],
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    seed.keep("connect_endpoint", kept)


def _names(seed: Kept) -> tuple[str, str]:
    kept = seed.get("platform")
    if not kept:
        name = secrets.token_hex(8)
        kept = {"key": f"sk_test_platform{name}", "client_id": f"ca_{name}"}
        seed.keep("platform", kept)
    return kept["key"], kept["client_id"]


def _endpoint(client: stripe.StripeClient, url: str) -> dict[str, str]:
    made = client.v1.webhook_endpoints.create(
        params={
            "url": url,
            "connect": True,
            "enabled_events": [*ENABLED_EVENTS, DEAUTHORISED],
            "api_version": stripe.api_version,
        },
        options={"idempotency_key": f"demo-{secrets.token_hex(8)}"},
    )
    return {"endpoint": made.id, "secret": made.secret or ""}


def _moved(client: stripe.StripeClient, endpoint: str, url: str) -> bool:
    """Whether Stripe knows the endpoint, which then has this run's port."""
    try:
        client.v1.webhook_endpoints.update(endpoint, params={"url": url})
    except stripe.InvalidRequestError:
        return False
    return True


def _control(place: Place, what: str, content: dict[str, Any]) -> None:
    """What is done in Stripe's dashboard; the fake has a door for it."""
    request = Request(
        f"{place.fake_stripe_url}/_control/{what}",
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
    )
    with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS):
        pass
