"""Refledger: makes the app and registers its doors. Everything else lives in chalicelib."""

import sys

from chalice.app import Chalice

from chalicelib.entrypoints import (
    api,
    api_connections,
    api_jobs,
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
parts = (website, stripe_doors, api, api_connections, api_jobs, schedules)
for doors in dict.fromkeys(part.doors for part in parts):  # the API's files share theirs
    app.register_blueprint(doors)
wiring.warm()
