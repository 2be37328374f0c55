"""Every refusal of the house: a code, a status and a sentence, the same at every door.

Refusal
|- Invalid        422  the input is wrong; ``errors`` says which field and why
|  |- KeyRefused         Stripe does not take the key, or nobody is connected any more
|  `- PermissionMissing  the key lacks a permission; ``permission`` names it
|- Unauthorised   401  no key, or none that we know
|- NotFound       404  not there, or not yours
|- Conflict       409  it contradicts what stands
|  `- TooManyEndpoints   the Stripe account has as many webhook endpoints as it may
|- BadSignature   400  a webhook that Stripe did not sign
|- OAuthRefused   400  Stripe would not connect an account; ``error`` is Stripe's word for why
|- StripeRefused  502  Stripe would not do what we asked, and will not if asked again
`- Unavailable    503  the store is away or busy; the same call again completes what is missing
   `- StripeAway         Stripe could not be asked, or said nothing of use; later it may
      `- PlatformRefused Stripe does not take the platform's own key: no account's fault
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


class KeyRefused(Invalid):
    """Asking again with this key is of no use."""

    code = "key_refused"

    def __init__(self, message: str) -> None:
        super().__init__({"api_key": [message]}, message)


class PermissionMissing(Invalid):
    """``permission`` is Stripe's name (``rak_invoice_read``), empty where Stripe did not say."""

    code = "permission_missing"

    def __init__(self, message: str, *, permission: str = "") -> None:
        super().__init__({"api_key": [message]}, message)
        self.permission = permission


class TooManyEndpoints(Conflict):
    code = "too_many_endpoints"


class OAuthRefused(Refusal):
    status = 400
    code = "oauth_refused"

    def __init__(self, message: str, *, error: str) -> None:
        super().__init__(message)
        self.error = error


class StripeRefused(Refusal):
    """``stripe_code`` and ``param`` are Stripe's words, empty where it gave none."""

    status = 502
    code = "stripe_refused"

    def __init__(self, message: str, *, stripe_code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.stripe_code = stripe_code
        self.param = param


class StripeAway(Unavailable):
    """``answered``: with a fault of Stripe's own, which it repeats to whoever repeats a change
    under the same idempotency key."""

    code = "stripe_away"

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class PlatformRefused(StripeAway):
    code = "platform_refused"
