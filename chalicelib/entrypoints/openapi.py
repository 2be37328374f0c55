"""The API's description (OpenAPI 3.1), served at ``/v1/openapi.json``.

Made when it is asked for: the bodies from the very models that read them, the answers from
``openapi_answers``. Tests hold it to the app's routes, both ways, and to what is answered.
"""

import json
from functools import lru_cache
from typing import Any

from pydantic.json_schema import models_json_schema

from chalicelib.core.money import CURRENCIES
from chalicelib.entrypoints import api_bodies
from chalicelib.entrypoints.openapi_answers import ANSWERS, Schema, closed, ref
from chalicelib.entrypoints.openapi_routes import JSON, OPERATIONS, PAGE, SCRIPT, Operation

BODIES = (
    "ProgramBody PartnerBody PartnerChangeBody CustomerBody TransactionBody RefundBody PayoutBody"
    " ConnectionBody RotateBody ReconciliationBody BackfillBody"
).split()


@lru_cache(maxsize=4)
def description_text(base_url: str) -> str:
    return json.dumps(description(base_url), separators=(",", ":"))


def description(base_url: str) -> Schema:
    """The whole document, for a deployment that is reached at ``base_url``."""
    paths: dict[str, Schema] = {}
    for (method, route), operation in OPERATIONS.items():
        paths.setdefault(route, {})[method.lower()] = _written(operation, method, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Refledger", "version": "1", "description": _ABOUT},
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**ANSWERS, **_bodies()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


_ABOUT = (
    "Answers are {data, status: 1}, lists add links and meta, refusals are {message, errors, code,"
    " status: 0}. A key is of one program and one mode; it sees nothing of any other."
)


def _written(operation: Operation, method: str, route: str) -> Schema:
    written: Schema = {
        "operationId": operation.id if method != "HEAD" else f"{operation.id}_head",
        "tags": [operation.tag],
        "summary": operation.says,
        "parameters": _parameters(operation, route),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        schema = ref(operation.body) if isinstance(operation.body, str) else operation.body
        content = {operation.body_type: {"schema": schema}}
        written["requestBody"] = {"required": True, "content": content}
    if not operation.keyed:
        written["security"] = []
    return written


def _responses(operation: Operation) -> Schema:
    """What it answers, its refusals, and what any door may answer; a click is never refused."""
    refusals = {*operation.refusals, *((401, 503) if operation.keyed else ())}
    if 204 not in operation.answers:
        refusals.add(500)
    answers = {
        **{status: ref("Error") for status in refusals},
        **operation.answers,
        415: ref("UnsupportedMediaType"),
    }
    return {str(status): _answer(answers[status], status) for status in sorted(answers)}


def _parameters(operation: Operation, route: str) -> list[Schema]:
    variables = [part[1:-1] for part in route.split("/") if part.startswith("{")]
    path = {name: {"type": "string", "minLength": 1} for name in variables}
    return [
        {"name": name, "in": place, "required": place == "path", "schema": schema}
        for place, known in (("path", path), ("query", operation.query))
        for name, schema in known.items()
    ] + [
        {"name": name, "in": "header", "required": True, "schema": schema}
        for name, schema in operation.headers.items()
    ]


_SAID = {
    200: "As asked.",
    201: "Made.",
    202: "Taken on; Location says where to look.",
    204: "Taken; see X-Refledger.",
    302: "On to there.",
    303: "On to there.",
    304: "As it is known.",
    400: "Not signed by Stripe.",
    401: "No key, or none that is known.",
    403: "Not from this browser.",
    404: "Not there, or not yours.",
    409: "It contradicts what stands.",
    415: "The body calls itself something that is not read.",
    422: "Something of what was sent is wrong; see errors.",
    500: "Something broke on our side.",
    502: "Stripe did not do its part.",
    503: "Busy. The same call again completes what is missing.",
}


def _answer(schema: Schema | None, status: int) -> Schema:
    answer: Schema = {"description": _SAID[status]}
    if status in (202, 302, 303):
        answer["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    if status == 204:
        answer["headers"] = {"X-Refledger": {"required": True, "schema": {"type": "string"}}}
    if schema is not None:
        kinds = {id(SCRIPT): "text/javascript", id(PAGE): "text/html"}
        kind = kinds.get(id(schema), JSON)
        answer["content"] = {kind: {"schema": schema}}
    return answer


def _bodies() -> dict[str, Schema]:
    models = [getattr(api_bodies, name) for name in BODIES]
    _, made = models_json_schema(
        [(model, "validation") for model in [*models, api_bodies.SettingsValues]],
        ref_template="#/components/schemas/{model}",
    )
    bodies: dict[str, Schema] = _tidied(made["$defs"])
    settings = bodies.pop("SettingsValues")["properties"]
    for name in api_bodies.SETTINGS:
        value = settings[name]["anyOf"][0]  # the other is null: to leave it out
        dated = closed(value=value, starts_on=ref("Day"))
        dated["required"] = ["value"]
        bodies["ProgramBody"]["properties"][name] = {"anyOf": [value, dated]}
    for name in ("TransactionBody", "RefundBody"):
        bodies[name]["anyOf"] = [{"required": ["amount"]}, {"required": ["amount_minor"]}]
    day = bodies["ProgramBody"]["properties"]["starts_on"]
    currency = {"type": "string", "enum": sorted(CURRENCIES), "description": "Of any case."}
    return {**bodies, "Day": day, "Currency": currency}


def _tidied(schema: Any) -> Any:
    """Without pydantic's titles and null defaults; a currency by its name."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "currency":
        return ref("Currency")
    return {
        name: _tidied(part)
        for name, part in schema.items()
        if not (name == "title" and isinstance(part, str))
        and not (name == "default" and part is None)
    }
