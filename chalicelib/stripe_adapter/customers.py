"""Stripe's customers and their subscriptions: who they are, not what they paid."""

from dataclasses import replace

from chalicelib.core.facts import KeepOut, Ms, Profile
from chalicelib.core.told import Ignored, Told
from chalicelib.stripe_adapter.buyers import (
    KEEP_OUT_KEY,
    Buyer,
    buyer,
    keeps_out,
    partner_touch,
    people_of,
)
from chalicelib.stripe_adapter.envelope import Event, Unreadable
from chalicelib.stripe_adapter.fields import Body, flag, id_of, moment, part, text
from chalicelib.stripe_adapter.readers import customer_of


def told_by_customer(event: Event) -> Told | Ignored:
    """``customer.created`` and ``customer.updated``: names, and metadata that ties or keeps out."""
    customer = event.object
    if event.type == "customer.deleted" or flag(customer, "deleted"):
        return Ignored(because="nothing to take from a deleted customer")
    made = moment(customer, "created") or event.at
    at = made if event.type == "customer.created" else event.at
    who = buyer(
        metadata=[part(customer, "metadata")],
        customer=id_of(customer),
        email=text(customer, "email"),
    )
    profile = Profile(
        identity=who.stripe,
        at=at,
        created_at=made,
        verified=True,
        email=who.email.removeprefix("email:"),
        name=text(customer, "name"),
    )
    keep_outs = _keep_outs(customer, event, who, at)
    return Told(people=people_of(who, at, profiles=[profile], keep_outs=keep_outs))


def _keep_outs(customer: Body, event: Event, who: Buyer, at: Ms) -> list[KeepOut]:
    """Metadata ``refledger`` as it stands; taken away, it no longer keeps out. What was there
    before an update stands in ``previous_attributes``."""
    out = keeps_out([part(customer, "metadata")])
    if out is None and part(event.previous, "metadata").get(KEEP_OUT_KEY) is not None:
        out = False
    return [] if out is None else [KeepOut(identity=who.stripe, at=at, out=out)]


def told_by_subscription(event: Event) -> Told:
    """``customer.subscription.*``: whose it is, and the partner that its metadata names."""
    subscription = event.object
    id = id_of(subscription)
    customer = customer_of(subscription)
    if not customer:
        raise Unreadable("subscription.customer is missing")
    metadata = [part(subscription, "metadata")]
    who = buyer(metadata=metadata, customer=customer, email="")
    made = moment(subscription, "created") or event.at
    at = made if event.type == "customer.subscription.created" else event.at
    touches = [
        replace(touch, id=f"{touch.id}:{touch.partner}")  # it may name another partner later
        for touch in partner_touch(metadata, of=id, at=at, identity=who.stripe)
    ]
    return Told(people=people_of(who, event.at, touches=touches))
