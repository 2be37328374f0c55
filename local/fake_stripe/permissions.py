"""What a restricted key may do: all, until `/_control/keys` says less. Every route has a name here.

Stripe names the missing permission in the 403; that sentence, and `rak_accounts_kyc_basic_read` for
the account, are as recorded by several public projects. Write implies read.
"""

from .errors import StripeRefusal
from .keys import masked
from .world import World

# The first part of a path below /v1, and the name in `rak_<name>_read` and `rak_<name>_write`.
_NAMES = {
    "account": "accounts_kyc_basic",
    "accounts": "accounts_kyc_basic",
    "charges": "charge",
    "checkout": "checkout_session",
    "coupons": "coupon",
    "credit_notes": "credit_note",
    "customers": "customer",
    "disputes": "dispute",
    "events": "event",
    "invoice_payments": "invoice",
    "invoiceitems": "invoice",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "payment_links": "payment_links",
    "payment_methods": "payment_method",
    "prices": "plan",
    "products": "product",
    "promotion_codes": "promotion_code",
    "refunds": "charge",
    "setup_intents": "setup_intent",
    "subscription_items": "subscription",
    "subscriptions": "subscription",
    "tax_rates": "tax_rate",
    "test_helpers": "billing_clock",
    "webhook_endpoints": "webhook",
}


def check(world: World, key: str, method: str, path: str) -> None:
    """Raises Stripe's 403 if the key was restricted and lacks the path's permission."""
    allowed = world.fake.restricted.get(key)
    parts = path.strip("/").split("/")
    name = _NAMES.get(parts[1] if len(parts) > 1 else "")
    if allowed is None or name is None:
        return
    write = f"rak_{name}_write"
    needed = f"rak_{name}_read" if method == "GET" else write
    if needed in allowed or write in allowed:
        return
    raise StripeRefusal(
        f"The provided key '{masked(key)}' does not have the required permissions for "
        f"this endpoint on account '{world.account_id}'. Having the '{needed}' permission would "
        "allow this request to continue.",
        status=403,
    )
