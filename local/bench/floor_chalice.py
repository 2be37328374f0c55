"""The floor: the least that Chalice and PynamoDB do for one click, and nothing else.

Packaged as ``app.py`` just as the real one is; never imported here.
"""

import json
import os

from chalice.app import Chalice, Response
from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

app = Chalice(app_name="floor")


class Click(Model):
    class Meta:
        table_name = os.environ["REFLEDGER_CLICKS_TABLE"]
        region = os.environ["AWS_REGION"]

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    b = UnicodeAttribute()


@app.route("/t/click", methods=["POST"], content_types=["text/plain"])
def post_click() -> Response:
    raw = app.current_request.raw_body.decode()
    Click(json.loads(raw)["t"], "click", b=raw).save()
    return Response(body="", status_code=204)
