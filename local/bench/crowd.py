"""A hundred thousand customers, made by copying one.

One customer goes the whole way through the doors: click, sign-up, payment, reward. Every other is
the same items with another number in keys, ids, tokens and e-mail, so that partitions and indexes
are as full as they would be. All belong to one partner, which is the worst case.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib.storage.store import Item, Key
from local.bench.purchases import buyer, invoice_paid
from local.bench.scene import Scene
from local.bench.units import INDEX_KEYS, Image
from local.bench.wire import Wire

FEW, MANY = 100, 100_000
BATCH = 25  # of one BatchWriteItem
FIRST = 7_000_000_000  # of ten digits, so that all numbers are as long


def one_customer(scene: Scene, number: int = FIRST) -> None:
    """A customer through the doors."""
    scene.click(number)
    scene.sign_up(number, buyer(number))
    scene.deliver(invoice_paid(number))


class Mould:
    """The items of the customer ``FIRST``, to be cast with other numbers."""

    def __init__(self, items: Sequence[Item]) -> None:
        """``items`` is all that one customer brought. What all share (balance, counters) is left
        out."""
        mark = str(FIRST)
        own = [item for item in items if mark in item.key.pk + item.key.sk]
        self._texts = [json.dumps(_plain(item)) for item in own]

    def cast(self, number: int) -> Iterator[Item]:
        """The items of one more customer, as never stored."""
        for text in self._texts:
            yield _item(json.loads(text.replace(str(FIRST), f"{number:010d}")))


def fill(wire: Wire, table: str, start: int, stop: int) -> None:
    """Customers from ``start`` up to ``stop`` in a local DynamoDB, written past the flows: what the
    customer ``FIRST`` has in the table, as it lies there, and shares a partition or an index with
    others. Its other items stand alone in partitions that nobody else's calls come to."""
    items = wire.call("Scan", {"TableName": table})["Items"]
    texts = [json.dumps({"PutRequest": {"Item": item}}) for item in items if _shares(item)]
    own = [text for text in texts if str(FIRST) in text]
    puts: list[str] = []
    for number in range(start, stop):
        puts += [text.replace(str(FIRST), f"{FIRST + number:010d}") for text in own]
        if len(puts) > BATCH or number == stop - 1:
            _put(wire, table, puts)
            puts = []


def _shares(item: Image) -> bool:
    in_index = any(partition in item for partition, _ in INDEX_KEYS.values())
    return in_index or str(FIRST) not in item["pk"]["S"]


def _put(wire: Wire, table: str, puts: Sequence[str]) -> None:
    for start in range(0, len(puts), BATCH):
        some = ",".join(puts[start : start + BATCH])
        status, _, told = wire.send(
            "BatchWriteItem", f'{{"RequestItems": {{"{table}": [{some}]}}}}'.encode()
        )
        if status != 200 or json.loads(told).get("UnprocessedItems"):
            raise RuntimeError(f"the items were not taken: {status} {told[:300]!r}")


def _plain(item: Item) -> dict[str, Any]:
    return {
        "key": [item.key.table, item.key.pk, item.key.sk],
        "body": item.body,
        "listing": item.listing,
        "due": item.due,
        "partner": item.partner,
        "blob": item.blob.hex() if item.blob is not None else None,
        "expires_at": item.expires_at,
    }


def _item(told: Mapping[str, Any]) -> Item:
    def pair(name: str) -> tuple[str, str] | None:
        return tuple(told[name]) if told[name] else None

    return Item(
        key=Key(*told["key"]),
        body=told["body"],
        listing=pair("listing"),
        due=pair("due"),
        partner=pair("partner"),
        blob=bytes.fromhex(told["blob"]) if told["blob"] is not None else None,
        expires_at=told["expires_at"],
    )
