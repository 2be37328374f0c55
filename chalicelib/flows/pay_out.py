"""A payout: everything that is payable to a partner in one currency, paid together."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.core.facts import Ms
from chalicelib.core.ledger import Entry, postings
from chalicelib.core.money import Money
from chalicelib.core.refusals import Conflict, Invalid, Unavailable
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.records import Payout
from chalicelib.storage.store import Add, Put, Stale, Store, Write

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOut:
    """The payout as it stands; ``created`` is False for a repeat of its key."""

    payout: Payout
    created: bool


def pay_out(
    key: str,
    *,
    partner: str,
    currency: str,
    expected_minor: int,
    scope: Scope,
    store: Store,
    now: Ms,
    pause: Callable[[float], None] = time.sleep,
) -> PaidOut:
    """Pay what is payable, if it is what the caller expects. The key again changes nothing.

    Raises ``Conflict`` when another amount is payable, or the key was used for something else;
    ``Invalid`` when there is nothing to pay.
    """
    partner = partner.lower()
    for _ in range(TRIES):
        items = store.get([keys.payout(scope, key), keys.balance(scope, partner, currency)])
        before = items.get(keys.payout(scope, key))
        if before is not None:
            return _repeat(records.read_payout(before), partner, currency, expected_minor)
        balance = records.read_balance(items.get(keys.balance(scope, partner, currency)))
        if balance.payable != expected_minor:
            payable = Money(balance.payable, currency).minor
            raise Conflict(f"{payable} is payable by now, not {expected_minor}. Look again.")
        if balance.payable <= 0:
            raise Invalid({"expected_minor": ["There is nothing to pay out."]})
        payout = Payout(
            key=key, partner=partner, currency=currency, amount_minor=balance.payable, at=now
        )
        try:
            store.commit(payout_writes(payout, balance, scope=scope))
        except Stale:
            pause(0.02)
            continue
        return PaidOut(payout=payout, created=True)
    raise Unavailable


def _repeat(payout: Payout, partner: str, currency: str, expected_minor: int) -> PaidOut:
    same = (payout.partner, payout.currency, payout.amount_minor)
    if same != (partner, currency, expected_minor):
        raise Conflict("This key was used before for another payout.")
    return PaidOut(payout=payout, created=False)


def payout_writes(
    payout: Payout, balance: records.Balance, *, scope: Scope
) -> tuple[Write, Write, Write]:
    """The payout, its entry and the end of the period, for as long as nothing of it was paid out
    before and the balance is as it was read."""
    changes = {"payable": -payout.amount_minor, "paid": payout.amount_minor}
    entry = Entry(
        id=f"payout:{payout.key}",
        at=payout.at,
        partner=payout.partner,
        currency=payout.currency,
        kind="payout",
        because="paid out",
        postings=postings(changes),
        payout=payout.key,
    )
    return (
        Put(records.payout_item(scope, payout)),
        Put(records.entry_item(scope, entry)),
        Add(
            keys.balance(scope, payout.partner, payout.currency),
            {**changes, "period": 1},
            when={"payable": balance.payable, "period": balance.period},
        ),
    )
