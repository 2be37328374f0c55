"""Refledger: makes the app and registers its doors. Everything else lives in chalicelib."""

import sys
from pathlib import Path

from chalice.app import Chalice

from chalicelib.entrypoints import api, schedules, stripe_doors, website

if "deploy" in sys.argv[1:] and Path(sys.argv[0]).name.startswith("chalice"):
    raise SystemExit(
        "`chalice deploy` would make functions without their tables, so it is refused here."
        " This version runs on one machine: `make run`."
    )

app = Chalice(app_name="refledger")
for part in (website.doors, stripe_doors.doors, api.doors, schedules.doors):
    app.register_blueprint(part)
