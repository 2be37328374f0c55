"""Every refusal of the house: a code, a status and a sentence, the same at every door.

Refusal
|- Invalid        422  the input is wrong; ``errors`` says which field and why
|- Unauthorised   401  no key, or none that we know
|- NotFound       404  not there, or not yours
|- Conflict       409  it contradicts what stands
|- BadSignature   400  a webhook that Stripe did not sign
`- Unavailable    503  the store is away or busy; the same call again completes what is missing
"""

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """Something the caller must be told. ``status`` is HTTP's, ``code`` ours, ``message`` a
    sentence fit for the caller's eyes."""

    status = 400
    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.errors: Mapping[str, Sequence[str]] = {}


class Invalid(Refusal):
    status = 422
    code = "invalid"

    def __init__(self, errors: Mapping[str, Sequence[str]], message: str = "") -> None:
        super().__init__(message or "Some of what was sent is not valid; see errors.")
        self.errors = errors


class Unauthorised(Refusal):
    status = 401
    code = "unauthorised"


class NotFound(Refusal):
    status = 404
    code = "not_found"


class Conflict(Refusal):
    status = 409
    code = "conflict"


class BadSignature(Refusal):
    status = 400
    code = "bad_signature"


class Unavailable(Refusal):
    status = 503
    code = "unavailable"

    def __init__(self, message: str = "The store is busy. Nothing was written; try again.") -> None:
        super().__init__(message)
