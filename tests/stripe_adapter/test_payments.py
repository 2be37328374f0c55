"""Payment intents, charges, refunds and disputes into facts."""

from typing import Any

import pytest

from chalicelib.core.facts import Dispute, Refund, RefundedTotal, View, ViewKind, Way
from chalicelib.core.sale import join_all, summarise
from tests.builders.stripe_bodies import (
    BASIL,
    MAY_1,
    VERSIONS,
    a_charge,
    a_dispute,
    a_refund,
    an_intent,
    since,
)
from tests.stripe_adapter.telling import ignored, people_of, sale_of, told_of

AT = MAY_1 * 1_000
CHARGED_AT = (MAY_1 - 5) * 1_000

CHARGE_VIEW = View(
    kind=ViewKind.CHARGE,
    id="ch_1",
    paid=True,
    currency="eur",
    total=4900,
    net=4900,
    amount=4900,
    paid_at=CHARGED_AT,
    told_at=AT,
)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_payment_intent_is_paid_in_every_version(version: str) -> None:
    intent = an_intent(version=version, invoice="in_1")
    sale = sale_of(told_of("payment_intent.succeeded", intent, version=version))
    assert sale.views["pi_1"] == View(
        kind=ViewKind.PAYMENT_INTENT,
        id="pi_1",
        paid=True,
        currency="eur",
        total=4900,
        net=4900,
        amount=4900,
        paid_at=AT,
        told_at=AT,
    )
    assert sale.ids == {"pi_1", "ch_1"} | (set() if since(version, BASIL) else {"in_1"})
    embedded = {} if since(version, "2022-11-15") else {"ch_1": CHARGE_VIEW}
    assert {id: view for id, view in sale.views.items() if id != "pi_1"} == embedded
    assert sale.identities == {"stripe:cus_1"}


def test_an_expanded_charge_is_told_with_its_intent() -> None:
    sale = sale_of(told_of("payment_intent.succeeded", an_intent(latest_charge=a_charge())))
    assert sale.views["ch_1"] == CHARGE_VIEW


def test_a_charge_in_an_intent_captured_by_hand_is_dated_by_the_capture() -> None:
    intent = an_intent(version="2020-08-27", capture_method="manual")
    sale = sale_of(told_of("payment_intent.succeeded", intent))
    assert sale.views["ch_1"].paid_at == AT


def test_an_expanded_charge_that_says_too_little_is_an_id() -> None:
    sale = sale_of(told_of("payment_intent.succeeded", an_intent(latest_charge={"id": "ch_9"})))
    assert sale.ids == {"pi_1", "ch_9"}
    assert set(sale.views) == {"pi_1"}


@pytest.mark.parametrize("status", ["requires_capture", "processing", "canceled", "new_status"])
def test_an_intent_that_did_not_succeed_is_not_paid(status: str) -> None:
    sale = sale_of(told_of("payment_intent.succeeded", an_intent(status=status)))
    assert not sale.views["pi_1"].paid


@pytest.mark.parametrize(
    "payer, identities",
    [
        ({"customer": "cus_1", "receipt_email": "a@b.c"}, {"stripe:cus_1"}),
        ({"customer": None, "receipt_email": "A@B.c"}, {"email:a@b.c"}),
        ({"customer": None, "customer_account": "acct_1"}, {"stripe:acct_1"}),
        ({"customer": None}, set()),
    ],
)
def test_whose_intent_it_is(payer: dict[str, Any], identities: set[str]) -> None:
    outcome = told_of("payment_intent.succeeded", an_intent(**payer))
    assert sale_of(outcome).identities == identities
    assert outcome.people.identities() == identities


def test_metadata_of_an_intent_names_partner_customer_and_keeps_out() -> None:
    said = {"refledger_partner": "Bob", "customer_key": "42", "refledger": "no"}
    outcome = told_of("payment_intent.succeeded", an_intent(metadata=said))
    touch = sale_of(outcome).touches["metadata:pi_1"]
    assert (touch.partner, touch.way, touch.at) == ("bob", Way.METADATA, AT)
    assert sale_of(outcome).identities == {"key:42", "stripe:cus_1"}
    assert sale_of(outcome).keep_out
    assert len(people_of(outcome).edges) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_charge_is_paid_in_every_version(version: str) -> None:
    charge = a_charge(version=version, invoice="in_1")
    sale = sale_of(told_of("charge.succeeded", charge, version=version))
    assert sale.views == {"ch_1": CHARGE_VIEW}
    assert sale.ids == {"ch_1", "pi_1"} | (set() if since(version, BASIL) else {"in_1"})
    assert sale.refunded_totals == {}


@pytest.mark.parametrize(
    "charge, paid, amount",
    [
        ({"captured": False}, False, 0),
        ({"status": "pending"}, False, 4900),
        ({"status": "failed"}, False, 4900),
        ({"amount_captured": 4000}, True, 4000),
        ({"amount_captured": 4900}, True, 4900),
    ],
)
def test_what_a_charge_says_was_paid(charge: dict[str, Any], paid: bool, amount: int) -> None:
    view = sale_of(told_of("charge.succeeded", a_charge(**charge))).views["ch_1"]
    assert (view.paid, view.amount, view.net) == (paid, amount, amount)


def test_a_charge_before_captures_were_counted_says_its_amount() -> None:
    charge = a_charge() | {"amount_captured": None}
    assert sale_of(told_of("charge.succeeded", charge)).views["ch_1"].amount == 4900


BY_HAND = {"payment_method_details": {"card": {"capture_before": MAY_1 + 9}, "type": "card"}}


def test_a_charge_captured_later_is_paid_when_captured() -> None:
    sale = sale_of(told_of("charge.captured", a_charge(**BY_HAND)))
    assert sale.views["ch_1"].paid_at == AT


def test_a_refund_of_a_charge_captured_later_does_not_date_it() -> None:
    captured = sale_of(told_of("charge.captured", a_charge(**BY_HAND)))
    refunded = a_charge(amount_refunded=1000, **BY_HAND)
    later = sale_of(told_of("charge.refunded", refunded, created=MAY_1 + 900))
    assert later.join(captured).views["ch_1"].paid_at == AT
    assert later.refunded_totals["ch_1"].amount == 1000


@pytest.mark.parametrize(
    "payer, identities",
    [
        ({"customer": "cus_1", "email": "a@b.c"}, {"stripe:cus_1"}),
        ({"customer": None, "email": "A@b.c", "receipt_email": "r@b.c"}, {"email:a@b.c"}),
        ({"customer": None, "receipt_email": "r@b.c"}, {"email:r@b.c"}),
        ({"customer": None, "billing_details": None}, set()),
    ],
)
def test_whose_charge_it_is(payer: dict[str, Any], identities: set[str]) -> None:
    assert sale_of(told_of("charge.succeeded", a_charge(**payer))).identities == identities


@pytest.mark.parametrize("type", ["charge.succeeded", "charge.refunded"])
def test_metadata_of_a_charge_counts_as_of_its_payment_unless_its_intent_tells(type: str) -> None:
    said = {"refledger_partner": "Bob"}
    alone = sale_of(told_of(type, a_charge(payment_intent=None, metadata=said)))
    (touch,) = alone.touches.values()
    assert (touch.id, touch.partner, touch.at) == ("metadata:ch_1", "bob", CHARGED_AT)
    assert sale_of(told_of(type, a_charge(metadata=said))).touches == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refunded_charge_says_how_much_so_far(version: str) -> None:
    listed = [a_refund(id="re_1"), a_refund(id="re_2", amount=500, status="pending")]
    charge = a_charge(version=version, amount_refunded=1500, refunds=listed)
    sale = sale_of(told_of("charge.refunded", charge, version=version))
    assert sale.refunded_totals == {
        "ch_1": RefundedTotal(charge="ch_1", amount=1500, told_at=AT, intent="pi_1")
    }
    told_by_id = {
        "re_1": Refund(
            id="re_1", amount=1000, status="succeeded", told_at=AT, charge="ch_1", intent="pi_1"
        ),
        "re_2": Refund(
            id="re_2", amount=500, status="pending", told_at=AT, charge="ch_1", intent="pi_1"
        ),
    }
    assert sale.refunds == ({} if since(version, "2022-11-15") else told_by_id)
    assert summarise(sale).refunded == 1500


def test_an_embedded_refund_needs_not_name_its_charge() -> None:
    bare = {"id": "re_1", "object": "refund", "amount": 1000}
    charge = a_charge(version="2020-08-27", amount_refunded=1000, refunds=[bare])
    (refund,) = sale_of(told_of("charge.refunded", charge)).refunds.values()
    assert (refund.charge, refund.intent, refund.status) == ("ch_1", "pi_1", "pending")


@pytest.mark.parametrize("version", ["2020-08-27", VERSIONS[-1]])
@pytest.mark.parametrize("refunded, counted", [(375, 0), (1375, 1000)])
def test_what_was_never_captured_is_no_refund(version: str, refunded: int, counted: int) -> None:
    charge = a_charge(
        version=version,
        amount=20_675,
        amount_captured=20_300,
        amount_refunded=refunded,
        refunds=[a_refund(amount=375)],
    )
    sale = sale_of(told_of("charge.refunded", charge))
    assert summarise(sale).refunded == counted
    assert summarise(sale).amount == 20_300


@pytest.mark.parametrize("released", [[], ["re_0"]], ids=["not listed", "listed"])
def test_a_refund_as_large_as_what_was_never_captured_counts(released: list[str]) -> None:
    refunds = [a_refund(id=id, amount=2400) for id in ("re_1", *released)]  # the newest first
    charge = a_charge(
        amount=4900,
        amount_captured=2500,
        amount_refunded=4800,
        refunds=refunds,
        version=VERSIONS[0],
    )
    sale = sale_of(told_of("charge.refunded", charge, version=VERSIONS[0]))
    told = [told_of("refund.created", row) for row in refunds]
    sale = join_all([sale, *(sale_of(one) for one in told)])
    assert summarise(sale).refunded == 2400
    assert [id for id, one in sale.refunds.items() if not one.counts] == released


@pytest.mark.parametrize(
    "type", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]
)
def test_a_refund_waits_under_the_ids_of_its_payment(type: str) -> None:
    status = "failed" if type == "refund.failed" else "succeeded"
    sale = sale_of(told_of(type, a_refund(status=status)))
    assert sale.ids == {"ch_1", "pi_1"}
    assert sale.refunds == {
        "re_1": Refund(
            id="re_1", amount=1000, status=status, told_at=AT, charge="ch_1", intent="pi_1"
        )
    }
    assert sale.views == {}


@pytest.mark.parametrize(
    "type, said, status",
    [
        ("charge.refund.updated", "failed", "failed"),
        ("refund.failed", None, "failed"),
        ("refund.updated", "canceled", "canceled"),
        ("refund.updated", "requires_action", "requires_action"),
        ("refund.created", None, "pending"),
        ("refund.updated", "some_new_status", "some_new_status"),
    ],
)
def test_a_refunds_status(type: str, said: str | None, status: str) -> None:
    assert sale_of(told_of(type, a_refund(status=said))).refunds["re_1"].status == status


@pytest.mark.parametrize(
    "refund, ids",
    [
        ({"payment_intent": None}, {"ch_1"}),
        ({"charge": None}, {"pi_1"}),
        ({"charge": {"id": "py_1"}}, {"py_1", "pi_1"}),
    ],
)
def test_a_refund_of_a_charge_or_of_an_intent(refund: dict[str, Any], ids: set[str]) -> None:
    assert sale_of(told_of("refund.created", a_refund(**refund))).ids == ids


def test_a_refund_of_nothing_is_ignored() -> None:
    refund = a_refund(charge=None, payment_intent=None)
    assert "neither a charge nor" in ignored("refund.created", refund)


@pytest.mark.parametrize(
    "type",
    [
        "charge.dispute.created",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    ],
)
@pytest.mark.parametrize(
    "status", ["needs_response", "won", "lost", "warning_closed", "appeal_won"]
)
@pytest.mark.parametrize("id", ["du_1", "dp_1"])
def test_a_dispute_with_whatever_status(type: str, status: str, id: str) -> None:
    sale = sale_of(told_of(type, a_dispute(id=id, status=status)))
    assert sale.ids == {"ch_1", "pi_1"}
    assert sale.disputes == {id: Dispute(id=id, amount=4900, status=status)}


def test_an_old_dispute_names_its_charge_only() -> None:
    dispute = a_dispute()
    del dispute["payment_intent"]
    assert sale_of(told_of("charge.dispute.created", dispute)).ids == {"ch_1"}


def test_a_dispute_of_nothing_is_ignored() -> None:
    dispute = a_dispute(charge=None, payment_intent=None)
    assert "neither a charge nor" in ignored("charge.dispute.created", dispute)
