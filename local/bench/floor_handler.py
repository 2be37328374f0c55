"""The lowest floor: a function that answers and does nothing. Packaged as ``app.py``."""

from typing import Any


def app(event: Any, context: Any) -> dict[str, Any]:
    return {"statusCode": 204, "headers": {}, "body": ""}
