"""A sign-up from the website: an unverified claim, unless the merchant's server signed it."""

import hashlib
import hmac
from dataclasses import dataclass, field, replace

from chalicelib.core.attribution_token import parse_token
from chalicelib.core.facts import (
    Ms,
    Touch,
    Way,
)
from chalicelib.core.people import People, customer_facts
from chalicelib.core.refusals import Conflict, Invalid, NotFound
from chalicelib.core.told import Told
from chalicelib.core.validation import FieldErrors, email_address, short_text, tag_list
from chalicelib.flows.read_program import Programs
from chalicelib.flows.settle_work import book_and_settle
from chalicelib.storage.keys import Scope
from chalicelib.storage.sealing import Sealer
from chalicelib.storage.store import Store

MAX_BODY_BYTES = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """What the website sent, checked: ``key`` is the merchant's own for the customer."""

    program: str
    key: str
    email: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    token: str = ""
    signature: str = field(default="", repr=False)


def read_sign_up(body: object) -> SignUp:
    """A sign-up from parsed JSON; raises ``Invalid`` naming every field that is wrong."""
    if not isinstance(body, dict):
        raise Invalid({"body": ["Send a JSON object."]})
    errors = FieldErrors()
    told = SignUp(
        program=short_text(body, "p", errors, most=64, needed=True),
        key=short_text(body, "key", errors, most=64, needed=True),
        email=email_address(body, "email", errors),
        name=short_text(body, "name", errors, most=100),
        tags=tag_list(body, "tags", errors),
        token=short_text(body, "t", errors, most=100),
        signature=short_text(body, "signature", errors, most=64),
    )
    errors.check()
    return told


def sign_up(
    told: SignUp,
    *,
    store: Store,
    programs: Programs,
    sealer: Sealer,
    now: Ms,
) -> None:
    """Book a sign-up. The same answer whether the person was known or not. Raises ``NotFound``
    for an unknown program."""
    program, _ = programs.get(told.program)
    if program is None:
        raise NotFound("There is no such program.")
    signing_key = ""
    if told.signature and program.sealed_signing_key:
        place = signing_key_place(program.id)
        signing_key = sealer.open(program.sealed_signing_key, place=place)
    verified = signed_by_merchant(told, signing_key)
    scope = Scope(program.id, program.mode)
    try:
        book_and_settle(
            Told(people=_people(told, verified=verified, now=now)),
            scope=scope,
            store=store,
            now=now,
        )
    except Conflict:
        return  # a flood of claims about one person: what stands, stands


def signing_key_place(program_id: str) -> str:
    """What a program's signing key is sealed for."""
    return f"program/{program_id}/signing_key"


def signed_by_merchant(told: SignUp, signing_key: str) -> bool:
    """Whether the merchant's server vouches for key and e-mail: hex HMAC-SHA256 of
    ``<key>\\n<e-mail>``."""
    if not signing_key or not told.signature:
        return False
    message = f"{told.key}\n{told.email}".encode()
    expected = hmac.new(signing_key.encode(), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), told.signature.encode())


def _people(told: SignUp, *, verified: bool, now: Ms) -> People:
    people = customer_facts(
        told.key,
        email=told.email,
        name=told.name,
        tags=told.tags,
        by="merchant" if verified else "claim",
        now=now,
    )
    parsed = parse_token(told.token.split(".")[0])
    if parsed is None:
        return people
    token, partner = parsed
    touch = Touch(
        id=f"signup:{told.key}:{token}" + (":signed" if verified else ""),
        way=Way.SIGNUP,
        at=now,
        partner=partner,
        token=token,
        identity=f"key:{told.key}",
        verified=verified,
    )
    return replace(people, touches={touch.id: touch})
