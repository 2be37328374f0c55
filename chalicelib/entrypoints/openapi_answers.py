"""What the doors answer, as JSON schemas: every field that ``api_shapes`` gives, and no other.

Tests hold each answer of theirs against these, so a field that is added to a shape and not here
is found by whatever test asks for it.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.money import CURRENCIES
from chalicelib.core.program import DEFAULTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
MOMENT: Schema = {"type": "string", "format": "date-time"}
CURRENCY: Schema = {"type": "string", "enum": sorted(CURRENCIES)}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
STATUSES: Schema = {"type": "string", "enum": ["pending", "payable", "paid", "reversed"]}
CODES = "invalid unauthorised not_found conflict bad_signature unavailable bug".split()


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def closed(**fields: Schema) -> Schema:
    """An object with just these fields, all of them."""
    return _object(fields, list(fields))


def _object(fields: Mapping[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(fields),
        "required": required,
        "additionalProperties": False,
    }


def listing(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def maybe(known: Schema) -> Schema:
    """That, or null."""
    if isinstance(known.get("type"), str) and "enum" not in known:
        return {**known, "type": [known["type"], "null"]}
    return {"anyOf": [known, {"type": "null"}]}


def by_currency(of: Schema) -> Schema:
    return {"type": "object", "propertyNames": CURRENCY, "additionalProperties": of}


def enveloped(name: str) -> Schema:
    return closed(data=ref(name), status={"const": 1})


def page_of(name: str) -> Schema:
    """A list in its envelope."""
    return closed(
        data={"type": "array", "items": ref(name), "maxItems": 250},
        links=closed(next=maybe(TEXT)),
        meta=closed(
            limit={"type": "integer", "minimum": 1, "maximum": 250},
            page={"type": "integer", "minimum": 1, "maximum": 1000},
            has_more=FLAG,
            next=maybe(TEXT),
        ),
        status={"const": 1},
    )


_RULE = {
    "type": {"enum": ["percentage", "fixed"]},
    "lasts": {"enum": ["first", "payments", "months", "forever"]},
    "rate_basis_points": NUMBER,
    "of": {"enum": ["net", "gross"]},
    "amounts_minor": by_currency(NUMBER),
    "count": NUMBER,
    "minimum_minor": by_currency(NUMBER),
    "words": TEXT,
}
_RULE_NEEDS = ["type", "lasts", "words"]
_OWN_RULE = _object({**_RULE, "starts_on": maybe(MOMENT)}, [*_RULE_NEEDS, "starts_on"])
_NO_OWN_RULE = closed(type={"const": "program"}, starts_on=maybe(MOMENT))
_SETTINGS: dict[str, Schema] = {
    name: ref("Rule") if name == "reward" else NUMBER if isinstance(value, int) else TEXT
    for name, value in DEFAULTS.items()
}


def _dated(value: Schema) -> Schema:
    return listing(closed(value=value, starts_on=maybe(MOMENT)))


ANSWERS: Mapping[str, Schema] = {
    "Error": closed(
        message=TEXT,
        errors={"type": "object", "additionalProperties": TEXTS},
        code={"enum": CODES},
        status={"const": 0},
    ),
    "UnsupportedMediaType": closed(Code=TEXT, Message=TEXT),
    "Rule": _object(_RULE, _RULE_NEEDS),
    "Test": closed(program=closed(id=TEXT, name=TEXT), mode={"enum": ["live", "test"]}),
    "Program": closed(
        id=TEXT,
        name=TEXT,
        type={"enum": ["affiliate", "refer_a_friend"]},
        currency=CURRENCY,
        mode={"enum": ["live", "test"]},
        **_SETTINGS,
        history=closed(**{name: _dated(value) for name, value in _SETTINGS.items()}),
        website=closed(
            url=TEXT,
            cookie_days=NUMBER,
            parameters=TEXTS,
            path_prefix=TEXT,
            payment_links=TEXTS,
            payment_link_hosts=TEXTS,
            capture_forms=FLAG,
            cross_domains=TEXTS,
            require_consent=FLAG,
            global_name=TEXT,
        ),
        snippet=TEXT,
        created_at=maybe(MOMENT),
    ),
    "PartnerNamed": closed(id=TEXT, key=TEXT, email=TEXT),
    "Balance": closed(pending_minor=NUMBER, payable_minor=NUMBER, paid_minor=NUMBER),
    "Partner": closed(
        id=TEXT,
        key=TEXT,
        email=TEXT,
        name=TEXT,
        surname=TEXT,
        tags=TEXTS,
        status={"enum": ["active", "paused"]},
        reward=maybe(_OWN_RULE),
        reward_history=listing({"anyOf": [_OWN_RULE, _NO_OWN_RULE]}),
        status_history=_dated(TEXT),
        referral_link=TEXT,
        balances=by_currency(ref("Balance")),
        clicks=NUMBER,
        created_at=maybe(MOMENT),
    ),
    "Entry": closed(
        id=TEXT,
        at=maybe(MOMENT),
        kind=TEXT,
        currency=CURRENCY,
        because=TEXT,
        transaction=maybe(TEXT),
        payout=maybe(TEXT),
        postings=listing(closed(account=TEXT, amount_minor=NUMBER)),
    ),
    "CustomerNamed": closed(id=TEXT, key=TEXT, email=maybe(TEXT)),
    "Trace": listing(closed(considered=TEXT, verdict=TEXT, because=TEXT)),
    "Customer": closed(
        id=TEXT,
        key=TEXT,
        email=maybe(TEXT),
        name=TEXT,
        tags=TEXTS,
        partner=maybe(ref("PartnerNamed")),
        referral=closed(because=TEXT, at=maybe(MOMENT), trace=ref("Trace")),
        stripe_customer_ids=TEXTS,
        created_at=maybe(MOMENT),
    ),
    "Reward": closed(
        id=TEXT,
        partner=closed(id=TEXT, key=TEXT),
        transaction=TEXT,
        amount=DECIMAL,
        amount_minor=NUMBER,
        currency=CURRENCY,
        status=STATUSES,
        because=TEXT,
        paid_at=maybe(MOMENT),
    ),
    "Transaction": closed(
        key=TEXT,
        ids=TEXTS,
        amount=DECIMAL,
        amount_minor=NUMBER,
        amount_units=CURRENCY,
        net_minor=NUMBER,
        currency=CURRENCY,
        refunded_minor=NUMBER,
        disputed=FLAG,
        paid_at=maybe(MOMENT),
        customer=maybe(ref("CustomerNamed")),
        partner=maybe(ref("PartnerNamed")),
        rewards=listing(ref("Reward")),
        because=TEXT,
        held=maybe(TEXT),
        possible_duplicate=FLAG,
        trace=ref("Trace"),
    ),
    "Payout": closed(
        key=TEXT,
        partner=ref("PartnerNamed"),
        currency=CURRENCY,
        amount=DECIMAL,
        amount_minor=NUMBER,
        paid_at=maybe(MOMENT),
    ),
    "SignedUp": closed(data=closed(key=TEXT), status={"const": 1}),
    "Received": closed(state={"enum": ["handled", "ignored", "failed", "duplicate"]}, reason=TEXT),
}
"""By name: what stands under ``data``, and the two forms of a refusal."""
