"""Objects as the events that would have told of them."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import stripe

from chalicelib.core.facts import ViewKind
from chalicelib.core.told import Ignored, Told
from chalicelib.stripe_adapter.asked import ASKED, claims_asked, refunds_asked
from chalicelib.stripe_adapter.calls import Kind
from chalicelib.stripe_adapter.envelope import Unreadable, read_envelope
from chalicelib.stripe_adapter.objects import (
    API_VERSION,
    EXPAND,
    LISTED,
    event_of,
    money_of,
    untold,
    with_object,
)
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS, translate
from tests.builders.stripe_bodies import (
    MAY_1,
    a_charge,
    a_credit_note,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_intent,
    an_invoice,
    an_invoice_payment,
    build_event,
)

PAID_AT, CHARGED_AT = MAY_1 - 2, MAY_1 - 5
HELD = {"card": {"capture_before": MAY_1 + 9}, "type": "card"}


def told_as(kind: Any, object: Mapping[str, Any]) -> tuple[str, int]:
    """Type and time of the event."""
    body = event_of(kind, object, livemode=False, account="")
    assert body is not None
    envelope = read_envelope(body)
    assert envelope.api_version == API_VERSION
    return envelope.type, envelope.created // 1000


def read(kind: Any, object: Mapping[str, Any]) -> Told:
    body = event_of(kind, object, livemode=False, account="")
    assert body is not None
    told = translate(body)
    assert isinstance(told, Told)
    return told


def session(**about: Any) -> dict[str, Any]:
    return a_session(created=MAY_1 - 300, **about)


CHARGED = an_intent(latest_charge=a_charge())
REFUNDED = {"data": [a_refund(created=MAY_1 + 40), a_refund(created=MAY_1 + 7)]}

TIMES: list[tuple[str, Any, str, int]] = [
    ("customer", a_customer(), "customer.created", MAY_1 - 86_400),
    ("subscription", a_subscription(), "customer.subscription.created", MAY_1 - 3_600),
    ("checkout.session", session(), "checkout.session.completed", MAY_1 - 300),
    ("checkout.session", session(payment_intent=CHARGED), "checkout.session.completed", CHARGED_AT),
    (
        "checkout.session",
        session(payment_intent=CHARGED, invoice=an_invoice()),
        "checkout.session.completed",
        PAID_AT,
    ),
    (
        "checkout.session",
        session(mode="subscription", subscription=a_subscription(created=MAY_1 - 20)),
        "checkout.session.completed",
        MAY_1 - 20,
    ),
    ("invoice", an_invoice(), "invoice.paid", PAID_AT),
    ("invoice", an_invoice(paid_at=None), "invoice.paid", MAY_1 - 60),
    (
        "invoice",
        an_invoice(status="void", status_transitions={"voided_at": MAY_1 + 1}),
        "invoice.voided",
        MAY_1 + 1,
    ),
    ("invoice_payment", an_invoice_payment(), "invoice_payment.paid", PAID_AT),
    ("payment_intent", CHARGED, "payment_intent.succeeded", CHARGED_AT),
    ("payment_intent", an_intent(), "payment_intent.succeeded", MAY_1 - 10),
    ("charge", a_charge(), "charge.succeeded", CHARGED_AT),
    ("charge", a_charge(payment_method_details=HELD), "charge.captured", CHARGED_AT),
    ("charge", a_charge(amount_refunded=9, refunds=REFUNDED), "charge.refunded", CHARGED_AT),
    (
        "charge",
        a_charge(amount_refunded=9) | {"refunds": REFUNDED},
        "charge.refunded",
        MAY_1 + 40,
    ),
    ("refund", a_refund(), "refund.updated", MAY_1),
    ("dispute", a_dispute(), "charge.dispute.created", MAY_1),
    ("dispute", a_dispute(status="won"), "charge.dispute.closed", MAY_1),
    ("dispute", a_dispute(status="warning_closed"), "charge.dispute.closed", MAY_1),
    ("credit_note", a_credit_note(), "credit_note.created", MAY_1),
    (
        "credit_note",
        a_credit_note(status="void", voided_at=MAY_1 + 3),
        "credit_note.voided",
        MAY_1 + 3,
    ),
]


@pytest.mark.parametrize(("kind", "object", "type", "at"), TIMES)
def test_an_object_is_the_event_that_told_of_it(kind: str, object: Any, type: str, at: int) -> None:
    assert told_as(kind, object) == (type, at)
    assert type in ENABLED_EVENTS
    assert untold(kind, object) == ""


UNTOLD: list[tuple[Any, Any, str]] = [
    ("customer", {"id": "cus_1", "object": "customer", "deleted": True}, "a deleted customer"),
    (
        "checkout.session",
        session(status="expired"),
        "session with status expired: not paid",
    ),
    ("invoice", an_invoice(status="open"), "invoice with status open: not paid"),
    (
        "payment_intent",
        an_intent(status="requires_capture"),
        "payment intent with status requires_capture: not paid",
    ),
    ("charge", a_charge(captured=False), "a charge that is not captured is no payment"),
    ("charge", a_charge(status="failed"), "charge with status failed: not paid"),
    ("invoice_payment", an_invoice_payment(status="open"), "invoice payment with status open"),
]


@pytest.mark.parametrize(("kind", "object", "because"), UNTOLD)
def test_what_is_not_paid_tells_nothing(kind: Any, object: Any, because: str) -> None:
    assert event_of(kind, object, livemode=False, account="") is None
    assert untold(kind, object).startswith(because)


class TestContent:
    def test_a_charge_in_its_intent_is_told_too(self) -> None:
        told = read("payment_intent", CHARGED).sale
        assert told is not None
        assert {view.kind for view in told.views.values()} == {
            ViewKind.PAYMENT_INTENT,
            ViewKind.CHARGE,
        }

    def test_an_invoice_is_tied_to_what_paid_it(self) -> None:
        told = read("invoice", an_invoice() | {"payments": {"data": [an_invoice_payment()]}}).sale
        assert told is not None and told.ids == {"in_1", "pi_1"}

    def test_what_a_session_refers_to_is_an_id_again(self) -> None:
        body = event_of(
            "checkout.session",
            session(payment_intent=CHARGED, invoice=an_invoice()),
            livemode=False,
            account="",
        )
        assert body is not None
        object = json.loads(body)["data"]["object"]
        assert (object["payment_intent"], object["invoice"]) == ("pi_1", "in_1")

    def test_an_unpaid_session_stays_unpaid(self) -> None:
        told = read("checkout.session", session(payment_status="unpaid")).sale
        assert told is not None
        assert [view.paid for view in told.views.values()] == [False]

    def test_links_and_client_secrets_are_left_out(self) -> None:
        intent = an_intent(client_secret="x", next_action={"redirect_to_url": {"url": "y"}})
        charge = a_charge(receipt_url="https://pay.example.com/1")
        body = event_of("payment_intent", intent | {"latest_charge": charge}, **ABOUT)
        assert body is not None
        for left_out in (b"client_secret", b"receipt_url", b"redirect"):
            assert left_out not in body

    def test_the_same_object_is_the_same_event(self) -> None:
        one = event_of("charge", a_charge(receipt_url="https://1.example.com"), **ABOUT)
        assert one == event_of("charge", a_charge(receipt_url="https://2.example.com"), **ABOUT)
        other = event_of("charge", a_charge(amount_refunded=1), **ABOUT)
        assert one is not None and other is not None
        assert read_envelope(one).id.startswith("read_ch_1_")
        assert read_envelope(one).id != read_envelope(other).id

    def test_of_whom_it_is(self) -> None:
        body = event_of("charge", a_charge(), livemode=True, account="acct_1")
        assert body is not None
        envelope = read_envelope(body)
        assert (envelope.livemode, envelope.account) == (True, "acct_1")
        by_key = event_of("refund", a_refund(), **ABOUT)
        assert by_key is not None and b"account" not in by_key


ABOUT: dict[str, Any] = {"livemode": False, "account": ""}


class TestWithObject:
    """An event of Stripe's list, with its object fetched again."""

    def test_it_keeps_who_and_when(self) -> None:
        event = build_event("invoice.paid", an_invoice(), id="evt_7", created=MAY_1 + 1)
        fetched = an_invoice() | {"payments": {"data": [an_invoice_payment()]}}
        body = with_object(event, fetched)
        envelope = read_envelope(body)
        assert (envelope.id, envelope.type) == ("evt_7", "invoice.paid")
        assert envelope.created == (MAY_1 + 1) * 1000
        told = translate(body)
        assert isinstance(told, Told) and told.sale is not None
        assert told.sale.ids == {"in_1", "pi_1"}

    def test_what_changed_since_stands_as_it_was(self) -> None:
        was, now = a_refund(status="pending"), a_refund(status="failed")
        told = translate(with_object(build_event("refund.created", was), now))
        assert isinstance(told, Told) and told.sale is not None
        assert [refund.status for refund in told.sale.refunds.values()] == ["pending"]
        customer = a_customer(metadata={"refledger": "false"}, email="new@example.com")
        told = translate(with_object(build_event("customer.created", a_customer()), customer))
        assert isinstance(told, Told)
        assert not told.people.keep_outs
        assert "email:sam@example.com" in told.people.identities()

    def test_an_old_shape_and_todays_are_read_together(self) -> None:
        old = a_charge(version="2022-11-15", invoice="in_1", amount_refunded=500)
        event = build_event("charge.refunded", old, version="2022-11-15")
        told = translate(with_object(event, a_charge(amount_refunded=4900)))
        assert isinstance(told, Told) and told.sale is not None
        assert "in_1" in told.sale.ids
        assert [total.amount for total in told.sale.refunded_totals.values()] == [500]

    def test_what_was_paid_outside_was_not_counted_by_an_old_event(self) -> None:
        """Until basil ``amount_paid`` left it out; now it is in it, and said apart."""
        old = an_invoice(amount_paid=0, amount_due=4900, paid_out_of_band=True)
        now = an_invoice(amount_paid=4900, amount_paid_off_stripe=4900)
        told = translate(with_object(build_event("invoice.paid", old), now))
        assert isinstance(told, Told) and told.sale is not None
        [view] = told.sale.views.values()
        assert (view.amount, view.outside) == (4900, 4900)

    def test_a_deleted_object_is_left_as_the_event_had_it(self) -> None:
        event = build_event("customer.created", a_customer())
        gone = {"id": "cus_1", "object": "customer", "deleted": True}
        assert translate(with_object(event, gone)) == translate(json.dumps(event).encode())

    def test_previous_attributes_stay(self) -> None:
        previous = {"metadata": {"refledger": "false"}}
        event = build_event("customer.updated", a_customer(), previous=previous)
        told = translate(with_object(event, a_customer()))
        assert isinstance(told, Told)
        assert [keep.out for keep in told.people.keep_outs.values()] == [False]


class TestAsked:
    def test_nobody_claims_a_payment(self) -> None:
        told = translate(claims_asked("pi_1", **ABOUT))
        assert isinstance(told, Told) and told.sale is not None
        assert (told.sale.ids, told.sale.settled_by_stripe) == ({"pi_1"}, True)
        assert ASKED not in ENABLED_EVENTS

    def test_what_a_charge_says_now_outranks_what_it_said(self) -> None:
        said = a_charge(amount_refunded=1000, amount=4900, amount_captured=4900)
        body = refunds_asked("ch_1", said, stood_at=0, asked_at=MAY_1 + 9, **ABOUT)
        told = translate(body)
        assert isinstance(told, Told) and told.sale is not None
        [total] = told.sale.refunded_totals.values()
        assert (total.amount, total.told_at, total.asked) == (1000, (MAY_1 + 9) * 1000, True)
        assert told.sale.ids == {"ch_1", "pi_1"}

    def test_what_was_never_taken_was_not_refunded(self) -> None:
        said = a_charge(amount=4900, amount_captured=4000, amount_refunded=1000)
        told = translate(refunds_asked("ch_1", said, stood_at=0, asked_at=MAY_1, **ABOUT))
        assert isinstance(told, Told) and told.sale is not None
        assert [total.amount for total in told.sale.refunded_totals.values()] == [100]

    def test_a_charge_that_is_not_known_stands_at_what_it_said(self) -> None:
        told = translate(refunds_asked("ch_1", None, stood_at=700, asked_at=MAY_1, **ABOUT))
        assert isinstance(told, Told) and told.sale is not None
        [total] = told.sale.refunded_totals.values()
        assert (total.amount, total.asked) == (700, True)

    def test_another_answer_is_not_read(self) -> None:
        event = build_event(ASKED, {"id": "pi_1", "object": "refledger_answer"})
        with pytest.raises(Unreadable, match="about"):
            translate(json.dumps(event).encode())


def test_money_of_each_kind() -> None:
    assert money_of("invoice", an_invoice(amount_paid=7)) == ("eur", 7)
    assert money_of("payment_intent", an_intent(amount_received=7)) == ("eur", 7)
    assert money_of("charge", a_charge(amount=9, amount_captured=7)) == ("eur", 7)
    assert money_of("refund", a_refund(amount=7)) == ("eur", 7)
    assert money_of("dispute", a_dispute(amount=7)) == ("eur", 7)
    assert money_of("credit_note", a_credit_note(amount=7)) == ("eur", 7)
    assert money_of("checkout.session", session(amount_total=7, currency="USD")) == ("usd", 7)
    assert money_of("customer", a_customer()) == ("", 0)


def test_the_version_is_the_sdks() -> None:
    assert stripe.api_version == API_VERSION


def test_lists_are_read_in_an_order_in_which_a_payment_finds_its_claims() -> None:
    kinds = [listed.kind for listed in LISTED]
    assert kinds.index("checkout.session") < kinds.index("invoice") < kinds.index("payment_intent")
    assert kinds.index("charge") < kinds.index("refund")
    assert {listed.kind for listed in LISTED if not listed.window} == {"customer", "subscription"}
    assert set(kinds) | {"invoice_payment", "event"} == set(get_args(Kind))
    statuses = {each.kind: each.params["status"] for each in LISTED if "status" in each.params}
    assert statuses == {"subscription": "all", "checkout.session": "complete", "invoice": "paid"}
    for listed in LISTED:
        asked = listed.params.get("expand", [])
        assert asked == [f"data.{path}" for path in EXPAND.get(listed.kind, ())]


def test_a_read_is_never_ignored_where_it_is_money() -> None:
    for kind, object, *_ in TIMES:
        told = translate(event_of(kind, object, **ABOUT) or b"")
        assert not isinstance(told, Ignored), kind
