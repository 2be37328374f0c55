"""How many request units DynamoDB bills: its rules as pure functions over items on the wire.

The rules (DynamoDB developer guide, "Read and write operations", "Item sizes and formats", "Global
secondary indexes: write throughput", "Transactions: capacity management"):
- a write is one unit per started KB of the larger of the item before and after it;
- in a transaction twice that, a condition check of an item too; indexes follow later, at once that;
- an index costs one unit per started KB of its entry (here keys alone) where one is made or
  removed, both where its key changes, none where it stays the same;
- a consistent read is one unit per started 4 KB, half of it where it is eventually consistent: per
  item in a batch, of the sum in a query. A missing item is read, or written, for the least unit.

A write that is refused by its condition is billed as well.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Image = Mapping[str, Mapping[str, Any]]
"""An item as it is sent: `{"pk": {"S": "…"}, "v": {"N": "3"}}`."""

INDEX_KEYS = {"listing": ("lpk", "lsk"), "due": ("dpk", "dsk"), "partner": ("ppk", "psk")}
WRITE_BYTES = 1024
READ_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One item of a write: what it cost the table, and what each index."""

    table: str
    key: str
    bytes: int
    units: int
    indexes: Mapping[str, int]

    @property
    def total(self) -> int:
        return self.units + sum(self.indexes.values())


def item_bytes(item: Image) -> int:
    """The size of an item: names and values in UTF-8, a number about a byte per two digits."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            digits = len(content.lstrip("-").replace(".", "").strip("0") or "0")
            return (digits + 1) // 2 + 1 + content.startswith("-")
        case "B":
            return len(content if isinstance(content, bytes) else base64.b64decode(content))
        case "BOOL" | "NULL":
            return 1
    raise ValueError(f"no item of the house has a value of type {kind}")


def write_of(
    table: str, key: Image, before: Image | None, after: Image | None, *, transaction: bool
) -> Write:
    """What a write cost that found `before` and left `after` (None: no such item)."""
    size = max(item_bytes(item) for item in (before or key, after or key))
    return Write(
        table=table,
        key=f"{key['pk']['S']} {key['sk']['S']}",
        bytes=size,
        units=_started(size, WRITE_BYTES) * (2 if transaction else 1),
        indexes={
            index: units
            for index, names in INDEX_KEYS.items()
            if (units := _index_units(_entry(before, names), _entry(after, names)))
        },
    )


def read_units(sizes: Iterable[int], *, consistent: bool, together: bool = False) -> float:
    """What reading items of these sizes cost: each by itself, or `together` as a query does."""
    sizes = list(sizes)
    counted = [sum(sizes)] if together else sizes
    units = sum(_started(size, READ_BYTES) for size in counted)
    return units if consistent else units / 2


def _started(size: int, step: int) -> int:
    return max(1, -(-size // step))


def _entry(item: Image | None, names: tuple[str, str]) -> Image | None:
    """The item's entry in an index of keys, or None where it has none."""
    if item is None or not all(name in item for name in names):
        return None
    return {name: item[name] for name in ("pk", "sk", *names)}


def _index_units(before: Image | None, after: Image | None) -> int:
    if before == after:
        return 0
    return sum(_started(item_bytes(entry), WRITE_BYTES) for entry in (before, after) if entry)
