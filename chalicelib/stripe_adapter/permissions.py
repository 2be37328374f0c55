"""What a restricted key must be allowed, what for, and whether a given key is.

The names are Stripe's, as its 403 tells them (for invoices it has told a wrong one: the table
stands, and what Stripe names is added). Whether a key may read is seen from a list with
``limit=1``. Whether it may write is seen from a change to a thing that cannot exist: Stripe looks
at the key before it looks at anything else, so that 403 says no and 404 says yes, and nothing is
changed either way. (Not documented; a public analyser of found keys goes by the same answers:
trufflesecurity/trufflehog, pkg/analyzer/analyzers/stripe/restricted.yaml.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from chalicelib.core.refusals import StripeAway
from chalicelib.stripe_adapter.client import WAITED_FOR, Line
from chalicelib.stripe_adapter.credentials import Credentials
from chalicelib.stripe_adapter.failures import Failure
from chalicelib.stripe_adapter.pace import Pacer

Feature = Literal["payments", "webhook", "catch_up", "products", "coupons", "account_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """``shown`` is what Stripe's page for keys calls it. ``vital``: without it a connection by key
    is refused; that of ``feature`` "webhook" only where the endpoint is to be made by us. Write
    implies read."""

    name: str
    shown: str
    needed_for: str
    feature: Feature
    vital: bool = False
    write: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """``because`` says how it is known, or what is off without it."""

    permission: Permission
    granted: bool
    because: str = ""


def _payment(name: str, shown: str, needed_for: str) -> Permission:
    return Permission(name=name, shown=shown, needed_for=needed_for, feature="payments", vital=True)


PERMISSIONS: tuple[Permission, ...] = (
    _payment("rak_customer_read", "Customers", "who pays, and which partner brought them"),
    _payment("rak_payment_intent_read", "Payment Intents", "single payments"),
    _payment("rak_charge_read", "Charges and Refunds", "charges, and what was refunded of them"),
    _payment("rak_invoice_read", "Invoices", "subscription payments"),
    _payment("rak_subscription_read", "Subscriptions", "whose subscription an invoice belongs to"),
    _payment("rak_checkout_session_read", "Checkout Sessions", "the partner's link of a checkout"),
    _payment("rak_credit_note_read", "Credit notes", "rewards taken back for credit notes"),
    _payment("rak_dispute_read", "Disputes", "rewards held while a payment is disputed"),
    Permission(
        name="rak_webhook_write",
        shown="Webhook Endpoints",
        needed_for="setting up the webhook by which Stripe tells of payments",
        feature="webhook",
        vital=True,
        write=True,
    ),
    Permission(
        name="rak_event_read",
        shown="Events",
        needed_for="catching up on webhooks that did not arrive, within minutes",
        feature="catch_up",
    ),
    Permission(
        name="rak_product_read",
        shown="Products",
        needed_for="the names of products, for rules by product",
        feature="products",
    ),
    Permission(
        name="rak_plan_read",
        shown="Prices",
        needed_for="which price belongs to which product",
        feature="products",
    ),
    Permission(
        name="rak_coupon_write",
        shown="Coupons",
        needed_for="coupons for partners and friends",
        feature="coupons",
        write=True,
    ),
    Permission(
        name="rak_promotion_code_write",
        shown="Promotion Codes",
        needed_for="each partner's own promotion code",
        feature="coupons",
        write=True,
    ),
    Permission(
        name="rak_accounts_kyc_basic_read",
        shown="Accounts (KYC basic)",
        needed_for="showing the account's name and currency",
        feature="account_name",
    ),
)

OFF: Mapping[Feature, str] = {
    "payments": "payments cannot be read",
    "webhook": "the webhook cannot be set up",
    "catch_up": "webhooks that did not arrive wait for the nightly comparison",
    "products": "products cannot be named",
    "coupons": "coupons and promotion codes cannot be made",
    "account_name": "the account is shown by its id alone",
}

BUDGET_S = 15
_NOWHERE = "refledger_probe_of_nothing"
_PROBES: Mapping[str, str] = {
    "rak_customer_read": "/v1/customers",
    "rak_payment_intent_read": "/v1/payment_intents",
    "rak_charge_read": "/v1/charges",
    "rak_invoice_read": "/v1/invoices",
    "rak_subscription_read": "/v1/subscriptions",
    "rak_checkout_session_read": "/v1/checkout/sessions",
    "rak_credit_note_read": "/v1/credit_notes",
    "rak_dispute_read": "/v1/disputes",
    "rak_webhook_write": f"/v1/webhook_endpoints/{_NOWHERE}",
    "rak_event_read": "/v1/events",
    "rak_product_read": "/v1/products",
    "rak_plan_read": "/v1/prices",
    "rak_coupon_write": f"/v1/coupons/{_NOWHERE}",
    "rak_promotion_code_write": f"/v1/promotion_codes/{_NOWHERE}",
    "rak_accounts_kyc_basic_read": "/v1/account",
}
_SINGLE = {"rak_accounts_kyc_basic_read"}  # not a list


def probe(
    credentials: Credentials, *, api_base: str = "", pacer: Pacer | None = None
) -> tuple[Granted, ...]:
    """Every permission of the table, in its order: one paced request each, about 15 in all. A
    secret key may do everything and is not asked.

    Raises ``KeyRefused`` where Stripe does not take the key, ``StripeAway`` where it cannot tell,
    or would take longer than 15 s for all: a door waits for this.
    """
    if not credentials.restricted:
        because = "a secret key may do everything"
        return tuple(
            Granted(permission=each, granted=True, because=because) for each in PERMISSIONS
        )
    pacer = pacer or Pacer()
    line = Line(credentials, api_base=api_base, pacer=pacer, patience=WAITED_FOR)
    end = pacer.now() + BUDGET_S
    found = []
    for each in PERMISSIONS:
        if pacer.now() > end:
            raise StripeAway("Stripe answers too slowly to ask it what this key may do. Try again.")
        found.append(_probed(each, line))
    return tuple(found)


def _probed(permission: Permission, line: Line) -> Granted:
    path = _PROBES[permission.name]
    if permission.write:
        answer = line.ask("post", path, {"metadata": {"refledger": "probe"}})
    else:
        answer = line.ask("get", path, {} if permission.name in _SINGLE else {"limit": 1})
    if not isinstance(answer, Failure):
        return Granted(permission=permission, granted=True)
    if answer.status == 403 and not answer.nobody_there:
        because = OFF[permission.feature]
        if answer.permission not in ("", permission.name):
            because += f"; Stripe asks for {answer.permission}"
        return Granted(permission=permission, granted=False, because=because)
    if answer.status == 401 or answer.status == 403 or answer.passing(reading=True):
        raise line.refusal(answer)
    if permission.write and 400 <= answer.status < 500:
        return Granted(permission=permission, granted=True)
    raise StripeAway("Stripe could not say what this key may do. Try again in a minute.")


def creation_link(*, livemode: bool, name: str) -> str:
    """Stripe's page for a new restricted key, with ``name`` and exactly these permissions filled
    in. Stripe does not document the page's parameters: show the table as well."""
    asked = "".join(f"&permissions%5B%5D={each.name}" for each in PERMISSIONS)
    mode = "" if livemode else "test/"
    return f"https://dashboard.stripe.com/{mode}apikeys/create?name={quote(name, safe='')}{asked}"


def permission_table() -> str:
    """The table in markdown, as the README shows it."""
    lines = ["| in Stripe | right | for | without it |", "|---|---|---|---|"]
    for each in PERMISSIONS:
        right = f"{'write' if each.write else 'read'}, `{each.name}`"
        without = f"{'refused: ' if each.vital else ''}{OFF[each.feature]}"
        lines.append(f"| {each.shown} | {right} | {each.needed_for} | {without} |")
    return "\n".join(lines) + "\n"
