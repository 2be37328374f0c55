"""From outcomes and refusals to HTTP answers, the same at every door."""

import functools
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from chalice.app import Request, Response

from chalicelib.core.refusals import Invalid, Refusal
from chalicelib.log import log

JSON = "application/json"
ANY_TEXT = [JSON, "text/plain", "application/x-www-form-urlencoded"]
"""Bodies are read as JSON whatever they call themselves: ``curl -d`` says that it sends a form."""
MAX_JSON_BYTES = 1_000_000
Handler = Callable[..., Response]


def ok(data: Any, *, status: int = 200, **more: Any) -> Response:
    """The envelope ``{"data": …, "status": 1}``; ``more`` stands beside data (links, meta)."""
    return _json({"data": data, **more, "status": 1}, status)


def refused(refusal: Refusal) -> Response:
    """A refusal in the envelope ``{"message", "errors", "status": 0}``."""
    errors = {field: list(said) for field, said in refusal.errors.items()}
    body = {"message": refusal.message, "errors": errors, "code": refusal.code, "status": 0}
    return _json(body, refusal.status)


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(
        body=json.dumps(body, ensure_ascii=True, separators=(",", ":")),
        status_code=status,
        headers={
            "Content-Type": JSON,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def answering(door: str) -> Callable[[Handler], Handler]:
    """A door whose refusals become answers and whose bugs become a plain 500 and a log line."""

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def answered(*args: Any, **kwargs: Any) -> Response:
            kwargs = {name: unquote(str(value)) for name, value in kwargs.items()}
            try:
                response = handler(*args, **kwargs)
            except Refusal as refusal:
                log(door, "refused", status=refusal.status, because=refusal.code)
                return refused(refusal)
            except Exception as error:
                log(door, "bug", status=500, error=type(error).__name__, where=where_of(error))
                body = {"message": "Something broke on our side. It was noted.", "errors": {}}
                return _json({**body, "code": "bug", "status": 0}, 500)
            log(door, "answered", status=response.status_code)
            return response

        return answered

    return wrap


def where_of(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find a bug, nothing of the data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    name = trace.tb_frame.f_code.co_filename.rsplit("/", 1)[-1]
    return f"{name}:{trace.tb_lineno}"


def raw_body(request: Request) -> bytes:
    """The body's bytes, exactly as sent."""
    raw = request.raw_body
    return raw if isinstance(raw, bytes) else raw.encode()


def json_body(request: Request) -> Any:
    """The request's body as JSON, decimals exact. Raises ``Invalid``."""
    raw = raw_body(request)
    if len(raw) > MAX_JSON_BYTES:
        raise Invalid({"body": ["This is larger than 1 MB."]})
    if not raw.strip():
        return {}
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Invalid({"body": ["This is not JSON, or holds a number beyond reading."]}) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def query(request: Request) -> Mapping[str, str]:
    """The query's parameters; of one given twice the last."""
    return dict((request.query_params or {}).items())


def header(request: Request, name: str) -> str:
    return str(request.headers.get(name, "") or "")


def base_url(request: Request) -> str:
    """Where this deployment is reached, without a slash at the end: custom domain or stage path,
    from the request's own context."""
    context = request.context
    scheme = "http" if header(request, "x-forwarded-proto") == "http" else "https"
    own = str(context.get("path", ""))
    asked = requested_path(request)
    prefix = own[: -len(asked)] if own.endswith(asked) else ""
    return f"{scheme}://{context.get('domainName', 'localhost')}{prefix}"


def address(request: Request) -> str:
    """Where Stripe and people are sent to: the address that this deployment was given, which the
    platform is registered with, else the one that the request came to."""
    from chalicelib.entrypoints import wiring
    from chalicelib.flows.keep_base_url import read_base_url

    house = wiring.stores()
    known = house.settings.base_url or read_base_url(store=house.store)
    return known or base_url(request)


def requested_path(request: Request) -> str:
    """The path as it was asked for, without the stage."""
    original: Mapping[str, Any] = request.to_original_event()
    return str(original.get("path", "") or "/")
