"""What the inbox holds and what is owed, whole: for a person in front of a local run.

It scans, which no deployed code does; a local run's tables are small.
"""

from typing import Any

import boto3

from chalicelib.entrypoints.wiring import House
from chalicelib.storage import keys
from chalicelib.storage.dynamo_wire import item_of

MOST_ROWS = 10_000


class OperatorRows:
    """``inbox`` and ``work`` of a house, as lists of plain rows."""

    def __init__(self, house: House) -> None:
        self.inbox = InboxRows(house)
        self.work = WorkRows(house)


def operator_rows(stores: Any) -> Any:
    """The rows of a real house; whatever brings its own listings is taken as it is."""
    return OperatorRows(stores) if isinstance(stores, House) else stores


class InboxRows:
    """Every event that was received, oldest first."""

    def __init__(self, house: House) -> None:
        self._table = house.settings.tables["inbox"]

    def list_all_for_operator(self) -> list[dict[str, Any]]:
        pages = boto3.client("dynamodb").get_paginator("scan")
        heads = []
        for page in pages.paginate(
            TableName=self._table,
            FilterExpression="sk = :head",
            ExpressionAttributeValues={":head": {"S": "head"}},
            PaginationConfig={"MaxItems": MOST_ROWS},
        ):
            heads += [item_of("inbox", item).body for item in page["Items"]]
        heads.sort(key=lambda head: (head["received_at"], head["id"]))
        return [
            {
                "id": head["id"],
                "type": head["type"],
                "state": head["state"],
                "reason": head.get("because", ""),
                "connection": head["connection"],
                "received_at": head["received_at"] // 1000,
            }
            for head in heads
        ]


class WorkRows:
    """Work items, and events that wait to be handled."""

    def __init__(self, house: House) -> None:
        self._house = house

    def list_all_for_operator(self) -> list[dict[str, Any]]:
        store = self._house.store
        rows = []
        for kind, table, due in (
            ("settle", "records", keys.DUE_WORK),
            ("event", "inbox", keys.DUE_INBOX),
        ):
            page = store.find(table, "due", due, limit=1_000)
            for item in page.items:
                at, _, what = (item.due or ("", "0#"))[1].partition("#")
                rows.append({"kind": kind, "what": what, "due_at": int(at) // 1000})
        return rows
