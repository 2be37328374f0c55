"""The names of what a stage has, by convention: the same for the template, the deployment and the
operator's command line."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.settings import Table, tables_of

TABLE_RESOURCES: Mapping[str, Table] = {
    "ClicksTable": "clicks",
    "InboxTable": "inbox",
    "RecordsTable": "records",
    "SessionsTable": "sessions",
}
"""By their logical ids in the template."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Where a stage lives."""

    stage: str

    @property
    def stack(self) -> str:
        return f"refledger-{self.stage}"

    @property
    def key_alias(self) -> str:
        return f"alias/refledger-{self.stage}"

    @property
    def tables(self) -> Mapping[Table, str]:
        """By the house's names for them."""
        return tables_of(self.stage)
