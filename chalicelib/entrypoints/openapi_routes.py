"""Every method of every route as the API's description tells of it."""

from dataclasses import dataclass, field

from chalicelib.entrypoints.openapi_answers import (
    STATUSES,
    Schema,
    enveloped,
    page_of,
    ref,
)

JSON = "application/json"
PLAIN = "text/plain"
TOKEN: Schema = {"type": "string", "maxLength": 100, "description": "A visit's token."}
PROGRAM_ID: Schema = {"type": "string", "maxLength": 64, "description": "The program's id."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one route. ``answers`` by status; ``body`` names a model of ``api_bodies`` or
    is a schema; ``refusals`` are statuses answered with ``Error``."""

    id: str
    says: str
    answers: dict[int, Schema | None]
    tag: str = "api"
    body: str | Schema | None = None
    body_type: str = JSON
    query: dict[str, Schema] = field(default_factory=dict)
    headers: dict[str, Schema] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()
    keyed: bool = True


def _text(most: int, says: str = "") -> Schema:
    return {"type": "string", "maxLength": most, **({"description": says} if says else {})}


WHOLE: Schema = {"type": "integer", "minimum": 1}
PAGING: dict[str, Schema] = {
    "limit": {**WHOLE, "maximum": 250, "default": 15},
    "starting_after": _text(4000, "The `meta.next` of the page before."),
    "page": {**WHOLE, "maximum": 1000, "default": 1, "description": "For the first 1,000 rows."},
}
PARTNER_QUERY: Schema = _text(64, "Of this partner alone, by id or key.")


def _one(name: str, *statuses: int) -> dict[int, Schema | None]:
    return {status: enveloped(name) for status in statuses or (200,)}


def _list(id: str, name: str, says: str, *, path: bool = False, **query: Schema) -> Operation:
    refusals = (404, 422) if path or query else (422,)
    answers: dict[int, Schema | None] = {200: page_of(name)}
    return Operation(
        id=id, says=says, answers=answers, query={**PAGING, **query}, refusals=refusals
    )


def _shown(id: str, name: str, says: str, *refusals: int) -> Operation:
    return Operation(id=id, says=says, answers=_one(name), refusals=refusals)


def _told(
    id: str, body: str, name: str, says: str, *statuses: int, known: bool = False
) -> Operation:
    """A POST or PUT; ``known``: of something that must be there."""
    return Operation(
        id=id,
        says=says,
        body=body,
        answers=_one(name, *statuses),
        refusals=(404, 409, 422) if known else (409, 422),
    )


SCRIPT: Schema = {"type": "string"}
PAGE: Schema = {"type": "string"}
SIGN_UP: Schema = {
    "type": "object",
    "properties": {
        "p": PROGRAM_ID,
        "t": TOKEN,
        "key": {"type": ["string", "integer"], "minLength": 1, "maxLength": 64},
        "email": _text(254),
        "name": _text(100),
        "tags": {"type": "array", "items": _text(100), "maxItems": 20},
        "signature": _text(64, "Hex HMAC-SHA256 of key, line feed, e-mail."),
    },
    "required": ["p", "key"],
}
FORM = "application/x-www-form-urlencoded"
OAUTH_START: Schema = {
    "type": "object",
    "properties": {name: _text(64) for name in ("program", "code", "token")},
    "required": ["program", "code", "token"],
}
OAUTH_CALLBACK: dict[str, Schema] = {
    "state": _text(64),
    "code": _text(300),
    "error": _text(100),
    "error_description": _text(1000),
}
CLICK: Schema = {
    "type": "object",
    "properties": {
        "p": PROGRAM_ID,
        "t": TOKEN,
        "u": _text(2000, "The page."),
        "r": _text(2000, "The referrer."),
        "s": {"type": "object", "description": "Sub ids."},
    },
    "required": ["p", "t"],
}
_LINK = Operation(
    id="get_link",
    tag="website",
    says="A short link: on to the program's own site or one of its Payment Links.",
    query={"to": _text(2000, "A path of the site, or a registered Payment Link.")},
    answers={302: None},
    refusals=(404, 503),
    keyed=False,
)


def _pages(*statuses: int, on: int | None = None) -> dict[int, Schema | None]:
    """A door for people answers all in pages; with ``on`` it mostly leads elsewhere."""
    return {**({on: None} if on else {}), **dict.fromkeys((*statuses, 500, 503), PAGE)}


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/t/{file}"): Operation(
        id="serve_tracker",
        tag="website",
        says="PROGRAM_ID.js, the script; PROGRAM_ID.debug.js.",
        answers={200: SCRIPT, 304: None},
        refusals=(404, 503),
        keyed=False,
    ),
    ("POST", "/t/click"): Operation(
        id="post_click",
        tag="website",
        says="One attributed visit. Always 204; what became of it stands in X-Refledger.",
        body=CLICK,
        body_type=PLAIN,
        answers={204: None},
        keyed=False,
    ),
    ("POST", "/t/signup"): Operation(
        id="post_sign_up",
        tag="website",
        says="Somebody signed up: an unverified claim, unless signed.",
        body=SIGN_UP,
        body_type=PLAIN,
        answers={200: ref("SignedUp")},
        refusals=(404, 422, 503),
        keyed=False,
    ),
    ("GET", "/r/{program}/{partner}"): _LINK,
    ("HEAD", "/r/{program}/{partner}"): _LINK,
    ("POST", "/stripe/webhooks/{connection}"): Operation(
        id="post_webhook",
        tag="stripe",
        says="Stripe's events, signed.",
        body={"type": "object"},
        headers={"Stripe-Signature": _text(8192)},
        answers=_one("Received"),
        refusals=(400, 404, 503),
        keyed=False,
    ),
    ("GET", "/stripe/oauth/start"): Operation(
        id="get_oauth_start",
        tag="stripe",
        says="A page that names the program to which an account is to be connected.",
        query={"program": PROGRAM_ID, "code": _text(64, "The one-time code of the link.")},
        answers=_pages(200, 404, 409),
        keyed=False,
    ),
    ("POST", "/stripe/oauth/start"): Operation(
        id="post_oauth_start",
        tag="stripe",
        says="That page's button: spends the code and goes on to Stripe.",
        body=OAUTH_START,
        body_type=FORM,
        answers=_pages(403, 404, 409, on=303),
        keyed=False,
    ),
    ("GET", "/stripe/oauth/callback"): Operation(
        id="get_oauth_callback",
        tag="stripe",
        says="Stripe's way back.",
        query=OAUTH_CALLBACK,
        answers=_pages(200, 403, 404, 409, 502),
        keyed=False,
    ),
    ("POST", "/v1/connections"): Operation(
        id="post_connection",
        says="Connect a Stripe account by an API key; its webhook is set up.",
        body="ConnectionBody",
        answers=_one("Connection", 200, 201),
        refusals=(404, 409, 422, 502),
    ),
    ("GET", "/v1/connections"): _list(
        "get_connections", "Connection", "Connected Stripe accounts, newest first."
    ),
    ("GET", "/v1/connections/{connection}"): _shown(
        "get_connection", "Connection", "A connected Stripe account.", 404
    ),
    ("DELETE", "/v1/connections/{connection}"): Operation(
        id="delete_connection",
        says="Disconnect: secrets are forgotten, what was booked stays.",
        answers=_one("Connection"),
        query={
            "remove_endpoint": {
                "type": "string",
                "enum": ["1", "0", "true", "false"],
                "default": "1",
                "description": "Whether the webhook endpoint at Stripe goes as well.",
            }
        },
        refusals=(404, 422),
    ),
    ("POST", "/v1/connections/{connection}/rotate"): Operation(
        id="post_rotate",
        says="Another API key of the same account, or another webhook secret.",
        body="RotateBody",
        answers=_one("Connection"),
        refusals=(404, 409, 422, 502),
    ),
    ("POST", "/v1/connections/oauth"): Operation(
        id="post_oauth_link",
        says="A one-time link to connect a Stripe account by OAuth.",
        body={"type": "object", "properties": {}, "additionalProperties": False},
        answers=_one("OAuthLink", 201),
        refusals=(404, 409, 422),
    ),
    ("GET", "/v1/openapi.json"): Operation(
        id="get_description",
        says="This description.",
        answers={200: {"type": "object"}},
        keyed=False,
    ),
    ("GET", "/v1/test"): _shown("get_test", "Test", "Whose key this is."),
    ("GET", "/v1/program"): _shown("get_program", "Program", "The program, its settings, history."),
    ("PUT", "/v1/program"): _told("put_program", "ProgramBody", "Program", "Change the program."),
    ("POST", "/v1/partners"): _told(
        "post_partner", "PartnerBody", "Partner", "A new partner, or the one that stands.", 200, 201
    ),
    ("GET", "/v1/partners"): _list("get_partners", "Partner", "Partners, newest first."),
    ("GET", "/v1/partners/{partner}"): _shown(
        "get_partner", "Partner", "A partner by id or key.", 404
    ),
    ("PUT", "/v1/partners/{partner}"): _told(
        "put_partner", "PartnerChangeBody", "Partner", "Change a partner.", known=True
    ),
    ("GET", "/v1/partners/{partner}/ledger"): _list(
        "get_ledger", "Entry", "A partner's entries, newest first.", path=True
    ),
    ("POST", "/v1/customers"): _told(
        "post_customer", "CustomerBody", "Customer", "A new customer, or the known one.", 200, 201
    ),
    ("GET", "/v1/customers"): _list("get_customers", "Customer", "Customers, newest first."),
    ("GET", "/v1/customers/{customer}"): _shown(
        "get_customer", "Customer", "A customer by key, id, Stripe's id or e-mail.", 404
    ),
    ("POST", "/v1/transactions"): _told(
        "post_transaction", "TransactionBody", "Transaction", "Tell of a sale.", 200, 201
    ),
    ("GET", "/v1/transactions"): _list(
        "get_transactions", "Transaction", "Sales, newest first.", partner=PARTNER_QUERY
    ),
    ("GET", "/v1/transactions/{transaction}"): _shown(
        "get_transaction", "Transaction", "A sale by any of its ids.", 404
    ),
    ("POST", "/v1/transactions/{transaction}/refund"): _told(
        "post_refund", "RefundBody", "Transaction", "Take back a part of a sale.", known=True
    ),
    ("POST", "/v1/transactions/{transaction}/confirm"): Operation(
        id="post_confirm",
        says="A possible duplicate is a sale of its own.",
        answers=_one("Transaction"),
        refusals=(404, 409),
    ),
    ("GET", "/v1/rewards"): _list(
        "get_rewards",
        "Reward",
        "Rewards, newest sale first.",
        partner=PARTNER_QUERY,
        status=STATUSES,
        transaction=_text(600, "Of this transaction alone."),
    ),
    ("POST", "/v1/payouts"): _told(
        "post_payout", "PayoutBody", "Payout", "Pay all that is payable.", 200, 201
    ),
    ("POST", "/v1/reconciliations"): _told(
        "post_reconciliation",
        "ReconciliationBody",
        "Job",
        "Compare a stretch of time with Stripe, and heal what differs.",
        202,
    ),
    ("GET", "/v1/reconciliations"): _list(
        "get_reconciliations", "Reconciliation", "Reports of reconciliations, newest first."
    ),
    ("POST", "/v1/backfills"): _told(
        "post_backfill",
        "BackfillBody",
        "Job",
        "Bring in an account's past, or with preview say what would come of it.",
        202,
    ),
    ("GET", "/v1/jobs/{job}"): _shown("get_job", "Job", "How far a job is, what it found.", 404),
    ("DELETE", "/v1/jobs/{job}"): _shown("delete_job", "Job", "Stop a job.", 404, 409),
    ("GET", "/v1/jobs/{job}/transactions"): Operation(
        id="get_job_transactions",
        says="Sale by sale what a backfill changed, or by its preview would change.",
        answers={200: page_of("JobTransaction")},
        query=PAGING,
        refusals=(404, 409, 422),
    ),
}
