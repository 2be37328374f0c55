"""A stateful subset of Stripe's test mode, for this machine.

Start it with `python -m local.fake_stripe --port 8001 --state FILE`, or in a test:

    with running_fake_stripe() as fake:
        client = stripe.StripeClient(key, base_addresses={"api": fake.url})

The same script runs against Stripe's real test mode: the magic values are Stripe's own. Which key
opens which account: `keys`. Connect OAuth: `connect`. What no Stripe has: `control` (clock,
deliveries, buttons), `faults` (a Stripe that is ill), `past` and `stories` (years of payments that
take no room). What keeps it honest: `checks` holds requests and answers against the SDK's types.
"""

from .fake import FakeStripe, RenderedEvent
from .server import running_fake_stripe, serve
from .versions import NEWEST, SUPPORTED

__all__ = ["NEWEST", "SUPPORTED", "FakeStripe", "RenderedEvent", "running_fake_stripe", "serve"]
