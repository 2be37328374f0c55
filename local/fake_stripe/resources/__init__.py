"""The resources of the API, one module each: its routes, its making, its events."""

from ..calls import Route
from . import (
    account,
    catalog,
    charges,
    checkout,
    coupons,
    credit_notes,
    customers,
    disputes,
    event_log,
    invoice_items,
    invoices,
    payment_intents,
    payment_links,
    payment_methods,
    refunds,
    subscriptions,
    test_clocks,
    webhook_endpoints,
)

ROUTES: list[Route] = [
    *account.ROUTES,
    *catalog.ROUTES,
    *charges.ROUTES,
    *checkout.ROUTES,
    *coupons.ROUTES,
    *credit_notes.ROUTES,
    *customers.ROUTES,
    *disputes.ROUTES,
    *event_log.ROUTES,
    *invoice_items.ROUTES,
    *invoices.ROUTES,
    *payment_intents.ROUTES,
    *payment_links.ROUTES,
    *payment_methods.ROUTES,
    *refunds.ROUTES,
    *subscriptions.ROUTES,
    *test_clocks.ROUTES,
    *webhook_endpoints.ROUTES,
]
