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


def tables_of(stage: str) -> Mapping[Table, str]:
    """The names that the tables of a stage have by default."""
    return {name: f"refledger-{stage}-{name}" for name in TABLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``tables`` by the house's name for them. ``key_file`` (local) or ``kms_key`` (deployed)
    seals secrets. ``base_url`` is where Stripe and people are sent to; other answers derive the
    address from their request. ``warm`` names the doors (website, webhook, api) that this process
    serves alone: what they need is made while it starts."""

    stage: str
    tables: Mapping[Table, str]
    base_url: str = ""
    key_file: str = ""
    kms_key: str = ""
    stripe_api_base: str = ""
    warm: str = ""


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process."""
    stage = environ.get("REFLEDGER_STAGE", "dev")
    defaults = tables_of(stage)
    tables: dict[Table, str] = {
        name: environ.get(variable, defaults[name]) for name, variable in TABLES.items()
    }
    return Settings(
        stage=stage,
        tables=tables,
        base_url=environ.get("REFLEDGER_BASE_URL", ""),
        key_file=environ.get("REFLEDGER_KEY_FILE", ""),
        kms_key=environ.get("REFLEDGER_KMS_KEY", ""),
        stripe_api_base=environ.get("REFLEDGER_STRIPE_API_BASE", ""),
        warm=environ.get("REFLEDGER_WARM", ""),
    )


def aws_credentials_stand_in(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment alone says who calls AWS, and where: that of a Lambda function does,
    a developer's mostly names a profile."""
    key = environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY")
    return bool(key and (environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")))
