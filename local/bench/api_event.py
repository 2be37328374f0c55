"""What API Gateway hands to a function: REST API, Lambda proxy integration."""

import time
from typing import Any

from local.bench.scene import BROWSER


def api_event(
    route: str, body: bytes, *, content_type: str = "text/plain;charset=UTF-8", **more: Any
) -> dict[str, Any]:
    """A POST to a route; ``more`` are its path parameters and, as ``headers``, further headers."""
    headers = {
        "Accept": "*/*",
        "Content-Type": content_type,
        "Host": "refer.example.com",
        "Origin": "https://shop.example.com",
        "User-Agent": BROWSER,
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **more.pop("headers", {}),
    }
    path = route.format(**more)
    return {
        "resource": route,
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": more or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": "POST",
            "path": f"/api{path}",
            "stage": "api",
            "apiId": "bench",
            "accountId": "000000000000",
            "requestId": "00000000-0000-4000-8000-000000000000",
            "protocol": "HTTP/1.1",
            "domainName": "refer.example.com",
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "203.0.113.7", "userAgent": BROWSER},
        },
        "body": body.decode(),
        "isBase64Encoded": False,
    }
