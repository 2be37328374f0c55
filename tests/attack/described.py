"""An answer held against the API's description."""

import json
from functools import cache
from typing import Any

import jsonschema_rs

BASE_URL = "https://refer.example.com"


def contradictions(event: dict[str, Any], answered: dict[str, Any]) -> list[str]:
    """What an answer (as Lambda gives it) has that the description does not know."""
    method, route = event["httpMethod"], event["resource"]
    status = answered["statusCode"]
    name = f"{method} {route} -> {status}"
    operation = document()["paths"].get(route, {}).get(method.lower())
    if operation is None:
        return [f"{name}: the route is not described"]
    described = operation["responses"].get(str(status))
    if described is None:
        return [f"{name}: the status is not described"]
    heads = {n.lower(): v for n, v in answered.get("headers", {}).items()}
    heads |= {n.lower(): v[-1] for n, v in answered.get("multiValueHeaders", {}).items()}
    missing = [head for head in described.get("headers", {}) if head.lower() not in heads]
    found = [f"{name}: there is no header {head}" for head in missing]
    content = described.get("content")
    if content is None:
        return found + ([f"{name}: a body where none is described"] if answered["body"] else [])
    kind = heads.get("content-type", "application/json").split(";")[0]
    if kind not in content:
        return [*found, f"{name}: {kind} is not described"]
    if kind == "application/json":
        validator = _validator(method.lower(), route, str(status))
        body = answered["body"]
        told = json.loads(body) if isinstance(body, str | bytes) else body
        for problem in validator.iter_errors(told):
            place = ".".join(str(step) for step in problem.instance_path)
            found.append(f"{name}: {place}: {problem.message[:200]}")
    return found


@cache
def document() -> dict[str, Any]:
    from chalicelib.entrypoints.openapi import description_text

    read: dict[str, Any] = json.loads(description_text(BASE_URL))
    return read


@cache
def _validator(method: str, route: str, status: str) -> Any:
    answer = document()["paths"][route][method]["responses"][status]
    schema = answer["content"]["application/json"]["schema"]
    whole = {"allOf": [schema], "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
