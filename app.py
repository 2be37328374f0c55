"""Refledger: makes the app and registers its doors. Everything else lives in chalicelib."""

import sys

from chalice.app import Chalice

from chalicelib.entrypoints import (
    api,
    api_connections,  # noqa: F401  its doors are the API's
    api_jobs,  # noqa: F401  its doors are the API's
    schedules,
    stripe_doors,
    website,
    wiring,
)

if "deploy" in sys.argv[1:] and sys.argv[0].rpartition("/")[2].startswith("chalice"):
    raise SystemExit(
        "`chalice deploy` would make functions without their tables, so it is refused here."
        " Use `make deploy STAGE=dev`."
    )

app = Chalice(app_name="refledger")
for part in (website.doors, stripe_doors.doors, api.doors, schedules.doors):
    app.register_blueprint(part)
wiring.warm()
