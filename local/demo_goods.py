"""What the demo has at Stripe, made through the official SDK as a merchant would make it."""

import json
import secrets
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import stripe

from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.place import Place

TIMEOUT_SECONDS = 20


class DemoStripe:
    """The account that `api_key` opens at the fake Stripe."""

    def __init__(self, place: Place, *, api_key: str) -> None:
        self._place = place
        self._api_key = api_key
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": place.fake_stripe_url},
            max_network_retries=2,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        )

    def account_id(self) -> str:
        return self._client.v1.accounts.retrieve_current().id

    def has_link(self, link_id: str) -> bool:
        try:
            return bool(self._client.v1.payment_links.retrieve(link_id).active)
        except stripe.InvalidRequestError:
            return False

    def make_goods(self) -> dict[str, Any]:
        """A course for EUR 49.00 and a club for EUR 29.90 a month, for sale in every way."""
        course = self._price("The coffee course", 4900)
        club = self._price("The coffee club", 2990, recurring={"interval": "month"})
        course_link, club_link = self._link(course), self._link(club)
        button = self._embed("buy_buttons", {"payment_link": course_link.id})
        table = self._embed("pricing_tables", {"prices": [course, club]})
        for link_id in table["payment_links"]:
            self._client.v1.payment_links.update(
                link_id, params={"after_completion": self._to_thanks()}
            )
        return {
            "link_id": course_link.id,
            "payment_links": {"course": course_link.url, "club": club_link.url},
            "prices": {"course": course, "club": club},
            "buy_button": {"id": button["id"]},
            "pricing_table": {"id": table["id"]},
            "publishable_key": button["publishable_key"],
        }

    def make_endpoint(self, connection_id: str) -> dict[str, str]:
        """A webhook endpoint for a connection, with its secret, which is told only now.

        Endpoints of earlier connections are deleted: their secrets are lost.
        """
        for lost in self._client.v1.webhook_endpoints.list(params={"limit": 100}).data:
            if "refledger_connection" in (lost.metadata or {}):
                self._client.v1.webhook_endpoints.delete(lost.id)
        made = self._client.v1.webhook_endpoints.create(
            params={
                "url": self._webhook_url(connection_id),
                "enabled_events": list(ENABLED_EVENTS),
                "api_version": stripe.api_version,
                "metadata": {"refledger_connection": connection_id},
            },
            options={"idempotency_key": f"demo-{secrets.token_hex(8)}"},
        )
        return {"id": connection_id, "endpoint": made.id, "secret": made.secret or ""}

    def move_endpoint(self, endpoint_id: str, connection_id: str) -> bool:
        """Point a known endpoint at this run's port; False if Stripe does not know it."""
        try:
            self._client.v1.webhook_endpoints.update(
                endpoint_id, params={"url": self._webhook_url(connection_id)}
            )
        except stripe.InvalidRequestError:
            return False
        return True

    def _webhook_url(self, connection_id: str) -> str:
        return f"{self._place.base_url}/stripe/webhooks/{connection_id}"

    def _price(self, name: str, amount_minor: int, **more: Any) -> str:
        product = self._client.v1.products.create(params={"name": name})
        price = self._client.v1.prices.create(
            params={"product": product.id, "currency": "eur", "unit_amount": amount_minor, **more}
        )
        return price.id

    def _link(self, price: str) -> stripe.PaymentLink:
        return self._client.v1.payment_links.create(
            params={
                "line_items": [{"price": price, "quantity": 1}],
                "after_completion": self._to_thanks(),
            }
        )

    def _to_thanks(self) -> Any:
        url = self._place.shop_url + "/thanks?session_id={CHECKOUT_SESSION_ID}"
        return {"type": "redirect", "redirect": {"url": url}}

    def _embed(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Buttons and tables are made in Stripe's dashboard; the fake has a door for it."""
        request = Request(
            f"{self._place.fake_stripe_url}/_control/{kind}",
            data=json.dumps({"key": self._api_key, **content}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
            made: dict[str, Any] = json.load(answer)
        return made
