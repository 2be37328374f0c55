"""Entries of the account's balance: only as far as other objects name them."""

from ..world import Object, World


def balance_entry(
    world: World, type_: str, amount: int, currency: str, source: str, fee: int = 0
) -> Object:
    return world.new(
        "balance_transaction",
        amount=amount,
        available_on=world.now + 2 * 86_400,
        balance_type="payments",
        currency=currency,
        fee=fee,
        fee_details=[],
        net=amount - fee,
        reporting_category=type_,
        source=source,
        status="pending",
        type=type_,
    )
