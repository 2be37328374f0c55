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
CODES = (
    "invalid key_refused permission_missing unauthorised not_found conflict too_many_endpoints"
    " bad_signature oauth_refused stripe_refused unavailable stripe_away platform_refused bug"
).split()


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


_COUNTS_BY_WORD: Schema = {"type": "object", "additionalProperties": NUMBER}
_READ: dict[str, Schema] = {
    "seen": NUMBER,
    "found": NUMBER,
    "healed": NUMBER,
    "explained": _COUNTS_BY_WORD,
    "unexplained": NUMBER,
    "amounts_minor": closed(
        **{name: by_currency(NUMBER) for name in ("found", "healed", "explained", "unexplained")}
    ),
    "examples": listing({"type": "object"}),
}
_COMPARED: dict[str, Schema] = {"from": MOMENT, "to": MOMENT, **_READ}


def _lines(of: str, minor: str) -> Schema:
    return listing(
        closed(**{of: TEXT, "currency": CURRENCY, "transactions": NUMBER, minor: NUMBER})
    )


_BACKFILLED = closed(
    read=closed(**_READ),
    transactions_found=maybe(NUMBER),
    transactions_changed=maybe(NUMBER),
    amounts_minor=maybe(by_currency(NUMBER)),
    partners=maybe(_lines("partner", "reward_minor")),
    reasons=maybe(_lines("because", "reward_minor")),
    nobody=maybe(_lines("because", "amount_minor")),
)


def _job(kind: Schema, result: Schema, **more: Schema) -> Schema:
    return closed(
        id=TEXT,
        kind=kind,
        connection=TEXT,
        state={"enum": ["waiting", "running", "done", "failed", "stopped"]},
        because=maybe(TEXT),
        done=NUMBER,
        total=NUMBER,
        rate={"type": "number"},
        result=maybe(result),
        created_at=maybe(MOMENT),
        started_at=maybe(MOMENT),
        ended_at=maybe(MOMENT),
        **more,
    )


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
    "Job": {
        "anyOf": [
            _job({"const": "reconcile"}, closed(**_COMPARED)),
            _job(
                {"const": "backfill"},
                _BACKFILLED,
                **{"preview": FLAG, "from": maybe(MOMENT), "transactions_until": maybe(MOMENT)},
            ),
            _job({"enum": ["catch_up", "resolve"]}, {"type": "object"}),
        ]
    },
    "Reconciliation": closed(
        job=TEXT,
        connection=TEXT,
        started_at=maybe(MOMENT),
        ended_at=maybe(MOMENT),
        **_COMPARED,
    ),
    "JobTransaction": closed(
        transaction=TEXT,
        now_part_of=maybe(TEXT),
        new=FLAG,
        paid_at=maybe(MOMENT),
        amount=DECIMAL,
        amount_minor=NUMBER,
        currency=CURRENCY,
        partner=maybe(TEXT),
        rewards=listing(
            closed(partner=TEXT, amount=DECIMAL, amount_minor=NUMBER, currency=CURRENCY)
        ),
        because=TEXT,
        trace=ref("Trace"),
    ),
    "SignedUp": closed(data=closed(key=TEXT), status={"const": 1}),
    "Connection": closed(
        id=TEXT,
        account=maybe(TEXT),
        account_name=maybe(TEXT),
        currency=maybe(TEXT),
        livemode=FLAG,
        how={"enum": ["key", "oauth"]},
        state={"enum": ["opening", "open", "closed"]},
        permissions=listing(closed(**{"name": TEXT, "for": TEXT, "granted": FLAG})),
        warnings=TEXTS,
        webhook_url=TEXT,
        endpoint=maybe(closed(id=TEXT, events=TEXTS)),
        created_at=maybe(MOMENT),
        closed_at=maybe(MOMENT),
        closed_because=maybe(TEXT),
    ),
    "OAuthLink": closed(link=TEXT, mode={"enum": ["live", "test"]}, expires_at=MOMENT),
    "Received": closed(state={"enum": ["handled", "ignored", "failed", "duplicate"]}, reason=TEXT),
}
"""By name: what stands under ``data``, and the two forms of a refusal."""
