"""API Gateway and Lambda, as far as this machine needs them, in front of the Chalice app.

Where `chalice local` and a deployed REST API differ, this follows the deployed one:
- the event carries both `headers` and `multiValueHeaders`, names as they were sent;
- path parameters come **still percent-encoded** (aws/chalice #511 and #688, aws-sam-cli #771);
- text bodies come as `str`; what is not UTF-8 comes as base64, so that no byte is ever lost;
- `requestContext` has `domainName`, `stage`, `path`, `requestId` and the time of request;
- an unknown path or method is answered before any code of ours runs;
- answers from `minimumCompressionSize` bytes up are gzipped for those who accept it.
"""

import base64
import gzip
import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LambdaContext, LocalChalice, LocalGateway

from local.http_wire import Answer, Request

log = logging.getLogger("local.gateway")

LAMBDA_TIMEOUT_MS = 30_000
NOT_FOUND = {"message": "There is nothing at this address.", "errors": {}, "status": 0}

JsonObject = dict[str, Any]


class Gateway:
    """Answers HTTP requests with the app's routes. Several may be answered at once."""

    def __init__(
        self,
        app: Chalice,
        *,
        base_url: str,
        clock: Callable[[], datetime],
        not_found: JsonObject = NOT_FOUND,
        minimum_compression_size: int | None = None,
    ) -> None:
        app.__class__ = type("LocalChalice", (LocalChalice, app.__class__), {})
        self._app = app
        self._preflights = LocalGateway(app, Config.create())
        self._routes = RouteTree(list(app.routes))
        self._base = urlsplit(base_url)
        self._clock = clock
        self._not_found = json.dumps(not_found, separators=(",", ":")).encode()
        self._minimum_compression_size = minimum_compression_size

    def answer(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        route, variables = self._routes.find(path)
        methods = self._app.routes[route] if route else {}
        if route and request.method == "OPTIONS" and "OPTIONS" not in methods:
            return self._preflight(route)
        if route is None or request.method not in methods:
            return _json_answer(404, self._not_found)
        event = self._event(request, route=route, variables=variables)
        context = LambdaContext("api_handler", 256, max_runtime_ms=LAMBDA_TIMEOUT_MS)
        try:
            response = self._app(event, context)
            answer = _answer_of(response)
        except Exception:
            log.exception("the app did not answer %s %s", request.method, path)
            return _json_answer(502, b'{"message": "Internal server error"}')
        return self._compressed(request, answer)

    def _event(self, request: Request, *, route: str, variables: dict[str, str]) -> JsonObject:
        path, _, query = request.target.partition("?")
        many: dict[str, list[str]] = {}
        for name, value in [*request.headers, *self._forwarded(request)]:
            many.setdefault(name, []).append(value)
        queries = parse_qs(query, keep_blank_values=True) or None
        body, is_base64 = self._body(request)
        return {
            "resource": route,
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in many.items()},
            "multiValueHeaders": many,
            "queryStringParameters": queries and {k: v[-1] for k, v in queries.items()},
            "multiValueQueryStringParameters": queries,
            "pathParameters": variables or None,
            "stageVariables": None,
            "requestContext": self._request_context(request, route=route, path=path),
            "body": body,
            "isBase64Encoded": is_base64,
        }

    def _request_context(self, request: Request, *, route: str, path: str) -> JsonObject:
        now = self._clock()
        return {
            "resourcePath": route,
            "httpMethod": request.method,
            "path": path,
            "stage": "local",
            "apiId": "local",
            "accountId": "000000000000",
            "requestId": str(uuid.uuid4()),
            "protocol": "HTTP/1.1",
            "domainName": self._base.netloc,
            "domainPrefix": self._base.netloc.split(".")[0],
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "identity": {"sourceIp": request.peer, "userAgent": request.header("User-Agent")},
        }

    def _forwarded(self, request: Request) -> list[tuple[str, str]]:
        port = self._base.port or (443 if self._base.scheme == "https" else 80)
        return [
            ("X-Forwarded-For", request.peer),
            ("X-Forwarded-Port", str(port)),
            ("X-Forwarded-Proto", self._base.scheme),
        ]

    def _body(self, request: Request) -> tuple[str | None, bool]:
        if not request.body:
            return None, False
        media_type = (request.header("Content-Type") or "").split(";")[0].strip().lower()
        if media_type not in self._app.api.binary_types:
            try:
                return request.body.decode("utf-8"), False
            except UnicodeDecodeError:
                pass
        return base64.b64encode(request.body).decode("ascii"), True

    def _preflight(self, route: str) -> Answer:
        event = {"requestContext": {"resourcePath": route}}
        headers = self._preflights._autogen_options_headers(event)
        if len(headers) <= 1:
            return _json_answer(404, self._not_found)
        return Answer(status=200, headers=list(headers.items()))

    def _compressed(self, request: Request, answer: Answer) -> Answer:
        smallest = self._minimum_compression_size
        accepted = "gzip" in (request.header("Accept-Encoding") or "")
        encoded = any(name.lower() == "content-encoding" for name, _ in answer.headers)
        if smallest is None or not accepted or encoded or len(answer.body) < smallest:
            return answer
        return Answer(
            status=answer.status,
            headers=[*answer.headers, ("Content-Encoding", "gzip")],
            body=gzip.compress(answer.body, compresslevel=6, mtime=0),
        )


def _answer_of(response: JsonObject) -> Answer:
    """The proxy integration's answer as HTTP. Raises ValueError for a header with a line break."""
    headers = list(response["headers"].items())
    for name, values in response["multiValueHeaders"].items():
        headers += [(name, value) for value in values]
    if any("\n" in value or "\r" in value for _, value in headers):
        raise ValueError("a header with a line break")
    body = response["body"] or ""
    if response.get("isBase64Encoded"):
        raw = base64.b64decode(body)
    else:
        raw = body if isinstance(body, bytes) else body.encode("utf-8")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Answer(status=response["statusCode"], headers=headers, body=raw)


def _json_answer(status: int, body: bytes) -> Answer:
    return Answer(status=status, headers=[("Content-Type", "application/json")], body=body)


class RouteTree:
    """Finds the route of a path: a literal segment goes before a variable one."""

    def __init__(self, routes: list[str]) -> None:
        self._root: JsonObject = {}
        for route in routes:
            node = self._root
            for segment in _segments(route):
                node = node.setdefault("{}" if segment.startswith("{") else segment, {})
            node[""] = route

    def find(self, path: str) -> tuple[str | None, dict[str, str]]:
        """The route and its variables as they stand in the path; (None, {}) for none."""
        segments = _segments(path)
        route = self._descend(self._root, segments) if all(segments) else None
        if route is None:
            return None, {}
        pairs = zip(_segments(route), segments, strict=True)
        return route, {name[1:-1]: value for name, value in pairs if name.startswith("{")}

    def _descend(self, node: JsonObject, segments: list[str]) -> str | None:
        if not segments:
            return node.get("")
        first, *rest = segments
        for child in (node.get(first) if first != "{}" else None, node.get("{}")):
            if child is not None and (route := self._descend(child, rest)) is not None:
                return route
        return None


def _segments(path: str) -> list[str]:
    """`/a/b` and `/a/b/` as [a, b]; the root as []."""
    trimmed = path.removeprefix("/").removesuffix("/")
    return trimmed.split("/") if trimmed else []
