"""Which events are known, what cannot be read, and that nothing else is ever raised."""

import copy
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.people import People
from chalicelib.core.sale import Sale, join_all, summarise
from chalicelib.stripe_adapter.translate import (
    ENABLED_EVENTS,
    KNOWN_TYPES,
    Ignored,
    Told,
    Unreadable,
    translate,
)
from tests.builders.stripe_bodies import (
    VERSIONS,
    a_charge,
    a_credit_note,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
    as_body,
    build_event,
)
from tests.stripe_adapter.telling import ignored, sale_of, told_of


def example_of(type: str, version: str) -> dict[str, Any]:
    """A valid object for every known type."""
    families = [
        ("checkout.", a_session(version=version)),
        ("invoice_payment.", an_invoice_payment()),
        ("invoice.", an_invoice(version=version)),
        ("payment_intent.", an_intent(version=version)),
        ("charge.refund.", a_refund()),
        ("refund.", a_refund()),
        ("charge.dispute.", a_dispute()),
        ("charge.", a_charge(version=version)),
        ("credit_note.", a_credit_note(version=version)),
        ("customer.subscription.", a_subscription(version=version)),
        ("customer.", a_customer()),
    ]
    return next(object for prefix, object in families if type.startswith(prefix))


def test_an_endpoint_asks_for_what_the_facts_list_and_never_for_all() -> None:
    assert set(ENABLED_EVENTS) == set(
        """
        checkout.session.completed checkout.session.async_payment_succeeded
        checkout.session.async_payment_failed invoice.paid invoice.voided invoice_payment.paid
        payment_intent.succeeded charge.refunded refund.created refund.updated refund.failed
        charge.dispute.created charge.dispute.closed charge.dispute.funds_withdrawn
        charge.dispute.funds_reinstated credit_note.created credit_note.voided customer.created
        customer.updated customer.deleted customer.subscription.created
        customer.subscription.updated customer.subscription.deleted charge.succeeded
        charge.captured charge.refund.updated
        """.split()
    )
    assert KNOWN_TYPES - set(ENABLED_EVENTS) == {"invoice.payment_succeeded"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("type", sorted(KNOWN_TYPES))
def test_every_known_type_is_read_in_every_version(type: str, version: str) -> None:
    outcome = translate(an_event(type, example_of(type, version), version=version))
    if type == "customer.deleted":
        assert isinstance(outcome, Ignored)
    else:
        assert isinstance(outcome, Told)
        assert outcome.sale or outcome.people != People()


@pytest.mark.parametrize(
    "type",
    ["invoice.created", "coupon.created", "product.updated", "charge.pending", "account.updated",
     "payment_intent.created", "some.thing.new", "Invoice.paid"],
)  # fmt: skip
def test_any_other_type_is_ignored_with_its_name(type: str) -> None:
    assert ignored(type, {"anything": []}) == f"event type {type} is not used"


@pytest.mark.parametrize(
    "type, object, named",
    [
        ("invoice.paid", an_invoice(amount_paid=None), "invoice.amount_paid is missing"),
        ("invoice.paid", an_invoice(amount_paid=-1), "invoice.amount_paid is negative"),
        ("invoice.paid", an_invoice(amount_paid=29.9), "invoice.amount_paid is not a whole"),
        ("invoice.paid", an_invoice(amount_paid="2990"), "invoice.amount_paid is not a whole"),
        ("invoice.paid", an_invoice(amount_paid=True), "invoice.amount_paid is not a whole"),
        ("invoice.paid", an_invoice(amount_paid=10**12), "invoice.amount_paid has more than 12"),
        ("invoice.paid", an_invoice(total=None), "invoice.total is missing"),
        ("invoice.paid", an_invoice(currency=None), "invoice.currency is missing"),
        ("invoice.paid", an_invoice(currency="xyz"), "invoice.currency is not a currency"),
        ("invoice.paid", an_invoice(currency=978), "invoice.currency is not a currency"),
        ("invoice.paid", an_invoice(id=None), "invoice.id is missing"),
        ("invoice.paid", an_invoice(id=7), "invoice.id is missing"),
        ("invoice.paid", an_invoice(lines={"data": ["il_1"]}), "invoice.lines is not a list"),
        ("invoice.paid", an_invoice(parent="sub_1"), "invoice.parent is not an object"),
        ("invoice.paid", an_invoice(customer=7), "invoice.customer is not a reference"),
        ("invoice.paid", an_invoice(customer_email=["a"]), "invoice.customer_email is not a text"),
        ("invoice.paid", an_invoice(metadata="no"), "invoice.metadata is not an object"),
        ("invoice.paid", an_invoice(metadata={"partner_key": []}), "metadata.partner_key is not"),
        (
            "invoice.paid",
            an_invoice(status_transitions={"paid_at": "soon"}),
            "paid_at is not a time",
        ),
        (
            "checkout.session.completed",
            a_session(amount_total=None),
            "checkout.session.amount_total is missing",
        ),
        ("checkout.session.completed", a_session(currency=None), "currency is missing"),
        (
            "checkout.session.completed",
            a_session(client_reference_id=7),
            "client_reference_id is not a text",
        ),
        (
            "payment_intent.succeeded",
            an_intent(amount_received=None),
            "payment_intent.amount_received is missing",
        ),
        ("charge.succeeded", a_charge(amount_captured=-5), "charge.amount_captured is negative"),
        ("charge.succeeded", a_charge(captured="yes"), "charge.captured is neither"),
        (
            "charge.refunded",
            a_charge() | {"amount_refunded": None},
            "charge.amount_refunded is missing",
        ),
        ("refund.created", a_refund(id=None), "refund.id is missing"),
        ("refund.created", a_refund(amount=None), "refund.amount is missing"),
        ("charge.dispute.created", a_dispute(amount=-1), "dispute.amount is negative"),
        ("charge.dispute.created", a_dispute(status=None), "dispute.status is missing"),
        ("credit_note.created", a_credit_note(invoice=None), "credit_note.invoice is missing"),
        ("invoice_payment.paid", an_invoice_payment(invoice=None), "invoice_payment.invoice is"),
        ("customer.created", a_customer(id=None), "customer.id is missing"),
        (
            "customer.subscription.created",
            a_subscription(customer=None),
            "subscription.customer is missing",
        ),
    ],
)
def test_what_cannot_be_read_is_named(type: str, object: dict[str, Any], named: str) -> None:
    with pytest.raises(Unreadable) as unreadable:
        translate(an_event(type, object))
    assert named in unreadable.value.because
    assert "sam@example.com" not in unreadable.value.because


def test_a_body_over_400_kb_is_read() -> None:
    lines = [{"id": f"il_{n}", "description": "ü" * 100} for n in range(3_000)]
    body = an_event("invoice.paid", an_invoice(lines={"object": "list", "data": lines}))
    assert len(body) > 400_000
    assert isinstance(translate(body), Told)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_is_told_of_one_invoice_is_one_sale_in_any_order(version: str) -> None:
    money = {"amount_paid": 2990, "total": 2990, "total_excluding_tax": 2513, "tax": 477}
    invoice = an_invoice(version=version, **money)
    events = [
        ("invoice.paid", invoice),
        ("invoice.payment_succeeded", invoice),
        ("payment_intent.succeeded", an_intent(version=version, amount_received=2990)),
        ("charge.succeeded", a_charge(version=version, amount=2990)),
        ("invoice_payment.paid", an_invoice_payment(amount_paid=2990)),
    ]
    told = [sale_of(told_of(type, object, version=version)) for type, object in events]
    results = {_shown(join_all(list(order))) for order in permutations(told)}
    assert results == {("in_1", 2990, 2513)}


def _shown(sale: Sale) -> tuple[str, int, int]:
    summary = summarise(sale)
    assert sale.is_claimed and summary.paid
    return (sale.canonical, summary.amount, int(summary.net))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=12),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=4), st.none() | st.integers(), max_size=3),
    st.builds(lambda: {"id": 7}),
    st.builds(lambda: {"data": {}}),
    st.builds(lambda: [{}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for name, part in inside:
        found.append((*path, name))
        if isinstance(part, dict | list):
            found += places(part, (*path, name))
    return found


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_body_changed_anywhere_is_told_ignored_or_unreadable(data: st.DataObject) -> None:
    type = data.draw(st.sampled_from(sorted(KNOWN_TYPES)))
    version = data.draw(st.sampled_from(VERSIONS))
    event = copy.deepcopy(build_event(type, example_of(type, version), version=version))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(event)))
        within: Any = event
        for name in path[:-1]:
            within = within[name]
        if data.draw(st.booleans()) and isinstance(within, dict):
            del within[path[-1]]
        else:
            within[path[-1]] = data.draw(JUNK)
        if not isinstance(event.get("data"), dict):
            break
    body = as_body(event)
    cut = data.draw(st.integers(0, len(body)) | st.just(len(body)))
    for sent in (body, body[:cut]):
        try:
            assert isinstance(translate(sent), Told | Ignored)
        except Unreadable as unreadable:
            assert unreadable.because
