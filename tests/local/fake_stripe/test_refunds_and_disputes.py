"""Money that goes back: refunds that fail late, disputes decided by magic evidence."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe

from .conftest import KEY, Inbox, control, flushed, move, paid_intent


def test_refunds_add_up_on_the_charge(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api)
    first = api.refunds.create({"payment_intent": intent.id, "amount": 1000})
    api.refunds.create({"charge": intent.latest_charge, "metadata": {"why": "rest"}})
    assert first.id.startswith("re_") and first.status == "succeeded"
    flushed(fake)
    told = inbox.objects("charge.refunded")
    assert [c["amount_refunded"] for c in told] == [1000, 4900]
    assert [c["refunded"] for c in told] == [False, True]
    assert [r["amount"] for r in inbox.objects("refund.created")] == [1000, 3900]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.refunds.create({"payment_intent": intent.id})
    assert refused.value.code == "charge_already_refunded"
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert [r.amount for r in charge.refunds.data] == [3900, 1000]


def test_a_refund_above_the_rest_is_refused(api: Any) -> None:
    intent = paid_intent(api)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.refunds.create({"payment_intent": intent.id, "amount": 4901})
    assert refused.value.param == "amount"


def test_a_refund_that_fails_after_it_succeeded(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, method="pm_card_refundFail")
    refund = api.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    move(fake, seconds=2)
    refund = api.refunds.retrieve(refund.id)
    assert (refund.status, refund.failure_reason) == ("failed", "lost_or_stolen_card")
    charge = api.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    for type_ in ("refund.failed", "refund.updated", "charge.refund.updated"):
        assert [r["status"] for r in inbox.objects(type_)] == ["failed"]


def test_a_pending_refund_succeeds_later(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, method="pm_card_pendingRefund")
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 100})
    assert refund.status == "pending"
    move(fake, seconds=2)
    assert api.refunds.retrieve(refund.id).status == "succeeded"
    [updated] = [e for e in inbox.events if e["type"] == "refund.updated"]
    assert updated["data"]["previous_attributes"] == {"status": "pending"}


def test_a_chargeback_opens_with_the_payment(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, method="pm_card_createDispute")
    flushed(fake)
    [opened] = inbox.objects("charge.dispute.created")
    assert opened["id"].startswith("du_")
    assert (opened["status"], opened["reason"]) == ("needs_response", "fraudulent")
    assert (opened["amount"], opened["payment_intent"]) == (4900, intent.id)
    assert "charge.dispute.funds_withdrawn" in inbox.types
    assert api.charges.retrieve(intent.latest_charge).disputed is True
    with pytest.raises(stripe.InvalidRequestError, match="charged back") as refused:
        api.refunds.create({"payment_intent": intent.id})
    assert refused.value.code == "charge_disputed"


@pytest.mark.parametrize(
    ("evidence", "status", "reinstated"),
    [("winning_evidence", "won", 1), ("losing_evidence", "lost", 0)],
)
def test_evidence_decides(
    fake: FakeStripe, api: Any, inbox: Inbox, evidence: str, status: str, reinstated: int
) -> None:
    paid_intent(api, method="pm_card_createDispute")
    [dispute] = api.disputes.list().data
    shown = api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    assert shown.status == "under_review"
    move(fake, seconds=2)
    assert [d["status"] for d in inbox.objects("charge.dispute.closed")] == [status]
    assert len(inbox.objects("charge.dispute.funds_reinstated")) == reinstated
    assert len(api.disputes.retrieve(dispute.id).balance_transactions) == 1 + reinstated
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        api.disputes.close(dispute.id)


def test_evidence_that_is_only_staged_decides_nothing(fake: FakeStripe, api: Any) -> None:
    paid_intent(api, method="pm_card_createDispute")
    [dispute] = api.disputes.list().data
    given = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": False}
    assert api.disputes.update(dispute.id, given).status == "needs_response"
    move(fake, days=1)
    assert api.disputes.retrieve(dispute.id).status == "needs_response"
    assert api.disputes.close(dispute.id).status == "lost"


def test_an_inquiry_moves_no_money(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api, method="pm_card_createDisputeInquiry")
    [dispute] = api.disputes.list({"payment_intent": intent.id}).data
    assert (dispute.status, dispute.balance_transactions) == ("warning_needs_response", [])
    api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    move(fake, seconds=2)
    assert [d["status"] for d in inbox.objects("charge.dispute.closed")] == ["warning_closed"]
    assert "charge.dispute.funds_withdrawn" not in inbox.types


def test_an_escalated_inquiry_takes_the_money_and_fails_the_refund(
    fake: FakeStripe, api: Any, inbox: Inbox
) -> None:
    intent = paid_intent(api, method="pm_card_createDisputeInquiry")
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 100})
    [dispute] = api.disputes.list().data
    text = {"uncategorized_text": "escalate_inquiry_evidence"}
    api.disputes.update(dispute.id, {"evidence": text})
    move(fake, seconds=2)
    assert api.disputes.retrieve(dispute.id).status == "needs_response"
    assert "charge.dispute.funds_withdrawn" in inbox.types
    assert api.refunds.retrieve(refund.id).failure_reason == "charge_for_pending_refund_disputed"


def test_a_dispute_months_later_by_hand(fake: FakeStripe, api: Any, inbox: Inbox) -> None:
    intent = paid_intent(api)
    api.refunds.create({"payment_intent": intent.id, "amount": 4000})
    move(fake, days=60)
    made = control(fake, "/disputes", {"key": KEY, "charge": intent.latest_charge})
    assert (made["status"], made["amount"]) == ("needs_response", 900)
    flushed(fake)
    assert "charge.dispute.created" in inbox.types
