"""Checkout Sessions: Payment Links, pricing tables, buy buttons and the merchant's own.

The session is the only object that holds ``client_reference_id``, so it ties customer, intent and
invoice to the referral. In subscription mode the money is told by the invoices, in setup mode there
is none (https://docs.stripe.com/api/checkout/sessions/object).
"""

from fractions import Fraction

from chalicelib.core.attribution_token import parse_token
from chalicelib.core.facts import Conversion, Profile, Touch, View, ViewKind, Way
from chalicelib.core.money import round_half_away
from chalicelib.core.sale import Sale
from chalicelib.core.told import Ignored, Reference, Told
from chalicelib.stripe_adapter.buyers import (
    MAX_KEY,
    Buyer,
    buyer,
    keeps_out,
    partner_touch,
    people_of,
)
from chalicelib.stripe_adapter.envelope import Event
from chalicelib.stripe_adapter.fields import (
    Body,
    amount,
    currency,
    id_of,
    part,
    reference,
    text,
    whole,
)
from chalicelib.stripe_adapter.readers import customer_of, shipping_untaxed


def told_by_session(event: Event) -> Told | Ignored:
    """Sale, people, and a reference that may be the merchant's own key."""
    session = event.object
    id = id_of(session)
    mode = _mode(session)
    who = _buyer(session)
    setup = mode == "setup"
    touches = _touches(session, event, identity=who.best if setup else "")
    people = people_of(
        who,
        event.at,
        touches=touches if setup else (),
        conversions=_conversions(who, event),
        profiles=_profiles(session, who, event),
    )
    references = _references(session, who, event)
    if setup:
        if not who.best:
            return Ignored(because="a checkout in setup mode that names nobody")
        return Told(people=people, references=references)
    payments = {reference(session, "payment_intent"), reference(session, "invoice")}
    sale = Sale(
        ids=frozenset({id, *payments} - {""}),
        views={id: _view(session, event)} if mode == "payment" else {},
        touches={touch.id: touch for touch in touches},
        identities=who.identities,
        keep_out=bool(keeps_out([part(session, "metadata")])),
    )
    return Told(sale=sale, people=people, references=references)


def _mode(session: Body) -> str:
    """``payment``, ``subscription`` or ``setup``; read off the rest where it is not said (2019)."""
    said = text(session, "mode")
    if said:
        return said
    if reference(session, "subscription"):
        return "subscription"
    return "setup" if reference(session, "setup_intent") else "payment"


def _buyer(session: Body) -> Buyer:
    details = part(session, "customer_details")
    return buyer(
        metadata=[part(session, "metadata")],
        customer=customer_of(session),
        email=text(details, "email") or text(session, "customer_email"),
    )


def _touches(session: Body, event: Event, *, identity: str) -> list[Touch]:
    id = id_of(session)
    touches = partner_touch([part(session, "metadata")], of=id, at=event.at, identity=identity)
    token = parse_token(text(session, "client_reference_id"))
    if token:
        touches.append(
            Touch(
                id=f"reference:{id}",
                way=Way.REFERENCE,
                at=event.at,
                partner=token[1],
                token=token[0],
                identity=identity,
            )
        )
    return touches


def _references(session: Body, who: Buyer, event: Event) -> tuple[Reference, ...]:
    """A reference that is no token could be the merchant's own key of a customer. Where Stripe
    names nobody there is nobody to tie to it."""
    told = text(session, "client_reference_id")
    identity = who.stripe or who.email
    if not identity or not 0 < len(told) <= MAX_KEY or parse_token(told):
        return ()
    return (Reference(identity=identity, key=told, at=event.at),)


def _conversions(who: Buyer, event: Event) -> list[Conversion]:
    """A checkout that was completed; how its payment went later makes no second conversion."""
    if event.type != "checkout.session.completed":
        return []
    return [Conversion(id=f"checkout:{id_of(event.object)}", identity=who.best, at=event.at)]


def _profiles(session: Body, who: Buyer, event: Event) -> list[Profile]:
    identity = who.stripe or who.email
    if not identity:
        return []
    return [
        Profile(
            identity=identity,
            at=event.at,
            created_at=event.at,
            verified=True,
            email=who.email.removeprefix("email:"),
            name=text(part(session, "customer_details"), "name"),
        )
    ]


def _view(session: Body, event: Event) -> View:
    """The session's account of a payment: after discounts, with tax and shipping in the total."""
    code, total, net = _money(session)
    status = text(session, "payment_status")
    paid = status in ("", "paid", "no_payment_required")  # before mid-2020 it was not said
    return View(
        kind=ViewKind.SESSION,
        id=id_of(session),
        paid=paid,
        currency=code,
        total=total,
        net=net,
        amount=total if paid and status != "no_payment_required" else 0,
        paid_at=event.at,
        told_at=event.at,
    )


def _money(session: Body) -> tuple[str, int, int]:
    """Currency, total and net as the merchant has them.

    Until 2025-03-31 Adaptive Pricing put the shopper's money on the session and the merchant's into
    ``currency_conversion``, of which only the total is given: the net is its share. Since then the
    session holds the merchant's, and ``presentment_details`` the shopper's
    (https://docs.stripe.com/changelog/basil/2025-03-31/add_presentment_details).
    """
    total = amount(session, "amount_total")
    tax = whole(part(session, "total_details"), "amount_tax") or 0
    net = min(max(total - tax - shipping_untaxed(session), 0), total)
    conversion = part(session, "currency_conversion")
    if not conversion:
        return currency(session), total, net
    merchants = amount(conversion, "amount_total")
    share = Fraction(net, total) if total else Fraction(0)
    return currency(conversion, "source_currency"), merchants, round_half_away(merchants * share)
