"""What the shop's server does: sign people up, open Stripe's Checkout, refund, and look.

This is a merchant's server in small. It holds both keys; it talks to Stripe through the official
SDK and to Refledger through its API.
"""

import json
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from local.place import Place

if TYPE_CHECKING:
    import stripe

TIMEOUT_SECONDS = 20


class Refused(Exception):
    """A sentence for the page."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Till:
    """`demo` and `goods` are what demo.json and shop.json hold."""

    def __init__(self, place: Place, demo: Mapping[str, Any], goods: Mapping[str, Any]) -> None:
        self._place = place
        self._demo = demo
        self._goods = goods

    def sign_up_and_subscribe(self, form: Mapping[str, str]) -> str:
        """The merchant's server tells Refledger who signed up, then opens Checkout."""
        email = _email_in(form)
        user = f"user-{secrets.token_hex(4)}"
        person = {"key": user, "email": email, "name": form.get("name") or None}
        if form.get("token"):
            person["token"] = form["token"]
        status, answer = self._refledger("POST", "/v1/customers", person, key=self._demo["api_key"])
        if status >= 400:
            raise Refused(status, answer.get("message", "Refledger refused the sign-up."))
        return self._open_checkout(user, email, form.get("name") or "")

    def subscribe(self, form: Mapping[str, str]) -> str:
        """For a person whom the page has signed up by itself under `key`."""
        return self._open_checkout(form.get("key", ""), _email_in(form), form.get("name") or "")

    def joined(self, form: Mapping[str, str]) -> str:
        """A form that Refledger's script caught: the shop itself does nothing with it here."""
        return "/thanks?" + urlencode({"program": "beta", "customer": _email_in(form)})

    def refund(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Give back all of a session's payment, or half of it."""
        intent = self._intent_of(str(asked.get("session_id", "")))
        params: dict[str, Any] = {"payment_intent": intent["id"]}
        if asked.get("part") == "half":
            params["amount"] = intent["amount_received"] // 2
        refund = self._stripe.v1.refunds.create(params=params)
        return {"refunded_minor": refund.amount, "currency": refund.currency}

    def let_a_month_pass(self) -> dict[str, Any]:
        """Move the local clocks by 30 days and run the job that matures rewards."""
        _, moved = self._call("POST", "/_local/clock", {"advance_days": 30})
        self._call("POST", "/_local/run/mature_rewards", {})
        return {"now": moved["now"]}

    def what_happened(self, query: Mapping[str, str]) -> dict[str, Any]:
        """All that Refledger knows of one purchase or sign-up; None for what is not there yet."""
        key = self._demo["api_key"]
        if query.get("program") == "beta":
            key = self._demo["other"]["api_key"]

        def found(path: str) -> Any:
            status, answer = self._refledger("GET", path, key=key)
            return answer.get("data") if status == 200 else None

        sale = customer = partner = None
        entries: Any = []
        if query.get("session_id"):
            sale = found(f"/v1/transactions/{_segment(query['session_id'])}")
        customer_key = query.get("customer") or _key_of(sale, "customer")
        if customer_key:
            customer = found(f"/v1/customers/{_segment(customer_key)}")
        partner_key = _key_of(customer, "partner") or _key_of(sale, "partner")
        if partner_key:
            partner = found(f"/v1/partners/{_segment(partner_key)}")
            ledger = found(f"/v1/partners/{_segment(partner_key)}/ledger?limit=250") or []
            ids = sale["ids"] if sale else []
            entries = [entry for entry in ledger if entry["transaction"] in ids]
        return {"sale": sale, "customer": customer, "partner": partner, "entries": entries}

    def _refledger(self, method: str, path: str, body: Any = None, *, key: str) -> tuple[int, Any]:
        return self._call(method, path, body, headers={"Authorization": f"Bearer {key}"})

    def _call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] = {}
    ) -> tuple[int, Any]:
        request = Request(self._place.base_url + path, method=method, headers=dict(headers))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as response:
                return response.status, json.load(response)
        except HTTPError as refusal:
            return refusal.code, json.loads(refusal.read() or b"{}")
        except OSError:
            raise Refused(502, "Refledger does not answer just now.") from None

    @cached_property
    def _stripe(self) -> "stripe.StripeClient":
        import stripe

        return stripe.StripeClient(
            self._demo["stripe_api_key"],
            base_addresses={"api": self._place.fake_stripe_url},
            max_network_retries=2,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        )

    def _open_checkout(self, user: str, email: str, name: str) -> str:
        customer = self._stripe.v1.customers.create(
            params={"email": email, "name": name, "metadata": {"refledger_customer": user}}
        )
        session = self._stripe.v1.checkout.sessions.create(
            params={
                "mode": "subscription",
                "customer": customer.id,
                "line_items": [{"price": self._goods["prices"]["club"], "quantity": 1}],
                "success_url": self._place.shop_url
                + "/thanks?session_id={CHECKOUT_SESSION_ID}&"
                + urlencode({"customer": user}),
                "cancel_url": self._place.shop_url + "/signup",
            }
        )
        return session.url or self._place.shop_url

    def _intent_of(self, session_id: str) -> dict[str, Any]:
        """The payment intent of a session: its own, or that of its invoice."""
        import stripe

        try:
            session = self._stripe.v1.checkout.sessions.retrieve(session_id or "none").to_dict()
            intent_id = session.get("payment_intent")
            if not intent_id and session.get("invoice"):
                paid = self._stripe.v1.invoice_payments.list(
                    params={"invoice": session["invoice"], "limit": 1}
                )
                intent_id = paid.data[0].to_dict()["payment"]["payment_intent"]
            found: dict[str, Any] = self._stripe.v1.payment_intents.retrieve(intent_id).to_dict()
        except (stripe.StripeError, IndexError, KeyError, TypeError):
            raise Refused(422, "There is no payment to refund.") from None
        return found


def _email_in(form: Mapping[str, str]) -> str:
    email = form.get("email", "")
    if "@" not in email:
        raise Refused(422, "An e-mail address, please.")
    return email


def _key_of(found: Any, name: str) -> str | None:
    """The key of what an answer refers to, be it an object or the key itself."""
    inner = found.get(name) if isinstance(found, dict) else None
    return inner.get("key") if isinstance(inner, dict) else inner


def _segment(text: str) -> str:
    return quote(text, safe="")
