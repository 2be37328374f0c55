"""Every setting that the environment gives, with its default. Read when first needed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Table = Literal["clicks", "inbox", "records", "sessions"]
TABLES: Mapping[Table, str] = {
    "clicks": "REFLEDGER_CLICKS_TABLE",
    "inbox": "REFLEDGER_INBOX_TABLE",
    "records": "REFLEDGER_RECORDS_TABLE",
    "sessions": "REFLEDGER_SESSIONS_TABLE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``tables`` by the house's name for them. ``key_file`` (local) or ``kms_key`` (deployed)
    seals secrets. ``base_url`` is for schedules and mails alone: requests derive their own."""

    stage: str
    tables: Mapping[Table, str]
    base_url: str = ""
    key_file: str = ""
    kms_key: str = ""
    stripe_api_base: str = ""


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process."""
    stage = environ.get("REFLEDGER_STAGE", "dev")
    tables: dict[Table, str] = {
        name: environ.get(variable, f"refledger-{stage}-{name}")
        for name, variable in TABLES.items()
    }
    return Settings(
        stage=stage,
        tables=tables,
        base_url=environ.get("REFLEDGER_BASE_URL", ""),
        key_file=environ.get("REFLEDGER_KEY_FILE", ""),
        kms_key=environ.get("REFLEDGER_KMS_KEY", ""),
        stripe_api_base=environ.get("REFLEDGER_STRIPE_API_BASE", ""),
    )
