"""Stripe's magic test values and what they do.

Source: docs.stripe.com/testing (cards, declines, disputes, refunds, async) and the testing sections
of docs.stripe.com/payments/sepa-debit and /ach-direct-debit. A card is named `pm_card_<name>`,
`tok_<name>` or by its number; a bank account by `pm_...` or its number or IBAN.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A test payment method. `does` is what happens when it is charged:

    ok | decline | decline_later (attaches, then declines) | dispute | inquiry |
    refund_pending | refund_fail | delayed_ok | delayed_fail | delayed_dispute
    """

    type: str = "card"
    brand: str = "visa"
    last4: str = "4242"
    country: str = "US"
    does: str = "ok"
    code: str = ""  # of the error for a decline, the reason for a dispute
    decline_code: str = ""
    slow: bool = False  # three minutes instead of moments


CARDS: dict[str, Method] = {
    "visa": Method(),
    "visa_debit": Method(last4="5556"),
    "mastercard": Method(brand="mastercard", last4="4444"),
    "amex": Method(brand="amex", last4="8431"),
    "discover": Method(brand="discover", last4="1117"),
    "us": Method(),
    "de": Method(last4="0016", country="DE"),
    "gb": Method(last4="0000", country="GB"),
    "bypassPending": Method(last4="0077"),
    "chargeCustomerFail": Method(
        last4="0341", does="decline_later", code="card_declined", decline_code="generic_decline"
    ),
    "createDispute": Method(last4="0259", does="dispute", code="fraudulent"),
    "createDisputeProductNotReceived": Method(
        last4="2685", does="dispute", code="product_not_received"
    ),
    "createDisputeInquiry": Method(last4="1976", does="inquiry", code="fraudulent"),
    "pendingRefund": Method(last4="7726", does="refund_pending"),
    "refundFail": Method(last4="5126", does="refund_fail"),
}
_DECLINES = {
    "chargeDeclined": ("0002", "card_declined", "generic_decline"),
    "chargeDeclinedInsufficientFunds": ("9995", "card_declined", "insufficient_funds"),
    "chargeDeclinedLostCard": ("9987", "card_declined", "lost_card"),
    "chargeDeclinedStolenCard": ("9979", "card_declined", "stolen_card"),
    "chargeDeclinedExpiredCard": ("0069", "expired_card", "expired_card"),
    "chargeDeclinedIncorrectCvc": ("0127", "incorrect_cvc", "incorrect_cvc"),
    "chargeDeclinedProcessingError": ("0119", "processing_error", "processing_error"),
}
for _name, (_last4, _code, _decline) in _DECLINES.items():
    _method = Method(last4=_last4, does="decline", code=_code, decline_code=_decline)
    CARDS[_name] = _method
    CARDS[f"visa_{_name}"] = _method

NUMBERS: dict[str, str] = {
    "4242424242424242": "visa",
    "5555555555554444": "mastercard",
    "378282246310005": "amex",
    "4000000000000002": "chargeDeclined",
    "4000000000009995": "chargeDeclinedInsufficientFunds",
    "4000000000000341": "chargeCustomerFail",
    "4000000000000259": "createDispute",
    "4000000000002685": "createDisputeProductNotReceived",
    "4000000000001976": "createDisputeInquiry",
    "4000000000007726": "pendingRefund",
    "4000000000005126": "refundFail",
    "4000000000000069": "chargeDeclinedExpiredCard",
    "4000000000000127": "chargeDeclinedIncorrectCvc",
    "4000000000000119": "chargeDeclinedProcessingError",
}

_SEPA = {"type": "sepa_debit", "country": "AT", "code": "debit_not_authorized"}
IBANS: dict[str, Method] = {
    "AT611904300234573201": Method(**_SEPA, last4="3201", does="delayed_ok"),
    "AT321904300235473204": Method(**_SEPA, last4="3204", does="delayed_ok", slow=True),
    "AT861904300235473202": Method(**_SEPA, last4="3202", does="delayed_fail"),
    "AT051904300235473205": Method(**_SEPA, last4="3205", does="delayed_fail", slow=True),
    "AT591904300235473203": Method(**_SEPA, last4="3203", does="delayed_dispute"),
}
_ACH = {"type": "us_bank_account"}
BANK_NUMBERS: dict[str, Method] = {
    "000123456789": Method(**_ACH, last4="6789", does="delayed_ok"),
    "000111111113": Method(**_ACH, last4="1113", does="delayed_fail", code="account_closed"),
    "000222222227": Method(**_ACH, last4="2227", does="delayed_fail", code="insufficient_funds"),
    "000000000009": Method(**_ACH, last4="0009", does="delayed_ok", slow=True),
}
BANKS: dict[str, Method] = {
    "pm_success_at": IBANS["AT611904300234573201"],
    "pm_successDelayed_at": IBANS["AT321904300235473204"],
    "pm_failed_at": IBANS["AT861904300235473202"],
    "pm_failedDelayed_at": IBANS["AT051904300235473205"],
    "pm_disputed_at": IBANS["AT591904300235473203"],
    "pm_usBankAccount_success": BANK_NUMBERS["000123456789"],
    "pm_usBankAccount_accountClosed": BANK_NUMBERS["000111111113"],
    "pm_usBankAccount_insufficientFunds": BANK_NUMBERS["000222222227"],
    "pm_usBankAccount_processing": BANK_NUMBERS["000000000009"],
}


def named(name: str) -> Method | None:
    """The method of a `pm_card_...`, `tok_...` or bank name; None if Stripe has no such name."""
    if name in BANKS:
        return BANKS[name]
    for prefix in ("pm_card_", "tok_"):
        if name.startswith(prefix):
            return CARDS.get(name.removeprefix(prefix))
    return None


def numbered(number: str) -> Method | None:
    name = NUMBERS.get(number.replace(" ", ""))
    return CARDS[name] if name else None
