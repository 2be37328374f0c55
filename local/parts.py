"""Which modules a local run is made of. The runner's own tests put small ones in their place."""

from dataclasses import dataclass
from pathlib import Path

from local.place import REPOSITORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Module names; `demo` runs once after the app is up and writes `demo.json` and `shop.json`."""

    app: str = "app"
    wiring: str = "chalicelib.entrypoints.wiring"
    fake_stripe: str = "local.fake_stripe"
    demo: str = "local.demo"
    shop: str = "local.shop"
    resources: Path = REPOSITORY / ".chalice" / "resources.json"


PARTS = Parts()
