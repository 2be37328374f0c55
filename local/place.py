"""Where one local run lives: its ports, its folder, and what its processes are told by environment.

`PORT` is the app; the fake Stripe, the shop and MiniStack take the next three ports. Everything
that a run keeps, secrets included, stands below `STATE_DIR`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from local.own_stripe import NOBODYS

REPOSITORY = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"

TABLE_VARIABLES = {
    "ClicksTable": "REFLEDGER_CLICKS_TABLE",
    "InboxTable": "REFLEDGER_INBOX_TABLE",
    "RecordsTable": "REFLEDGER_RECORDS_TABLE",
    "SessionsTable": "REFLEDGER_SESSIONS_TABLE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`state_dir` is absolute; `port` is the first of four."""

    port: int
    state_dir: Path

    @property
    def ports(self) -> dict[str, int]:
        names = ("app", "fake Stripe", "shop", "MiniStack")
        return {name: self.port + distance for distance, name in enumerate(names)}

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def fake_stripe_url(self) -> str:
        return f"http://localhost:{self.port + 1}"

    @property
    def shop_url(self) -> str:
        return f"http://localhost:{self.port + 2}"

    @property
    def aws_url(self) -> str:
        return f"http://{HOST}:{self.port + 3}"

    @property
    def clock_file(self) -> Path:
        return self.state_dir / "clock.json"

    @property
    def demo_file(self) -> Path:
        """What scripts and tests read; its keys are fixed."""
        return self.state_dir / "demo.json"

    @property
    def shop_file(self) -> Path:
        """What the shop needs besides: the ids of what is for sale."""
        return self.state_dir / "shop.json"

    def environment(self) -> dict[str, str]:
        """The environment of every child: this machine's, made deaf to real AWS accounts, and
        without a key that only one of them is given."""
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith("AWS_") and k not in NOBODYS
        }
        here = ",".join(filter(None, [inherited.get("NO_PROXY"), "localhost", HOST]))
        return inherited | {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": here,
            "no_proxy": here,
            "PYTHONUNBUFFERED": "1",
            "REFLEDGER_STAGE": "local",
            "REFLEDGER_KEY_FILE": str(self.state_dir / "key"),
            "REFLEDGER_BASE_URL": self.base_url,
            "REFLEDGER_STRIPE_API_BASE": self.fake_stripe_url,
            **{
                variable: f"refledger-local-{logical_id.removesuffix('Table').lower()}"
                for logical_id, variable in TABLE_VARIABLES.items()
            },
        }
