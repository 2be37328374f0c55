"""Stripe's refusals: one class, its body as documented at docs.stripe.com/api/errors.

invalid_request_error   400 bad parameters, 401 bad key, 404 resource_missing
idempotency_error       400 one key, other parameters
card_error              402 the bank said no
api_error               500 the fake itself is wrong
"""

from typing import Any


class StripeRefusal(Exception):
    """An error answer: `status` and the fields of Stripe's `error` object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type_: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"type": type_, "message": message}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param
        self.error.update(more)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


class OAuthRefusal(Exception):
    """What `/oauth/...` answers: docs.stripe.com/connect/oauth-reference#get-authorize-errors."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def missing(kind: str, id_: str, param: str = "id", status: int = 404) -> StripeRefusal:
    """The named object does not exist: 404 for one in the path, 400 for one in a parameter."""
    words = kind.split(".")[-1].replace("_", " ")
    return StripeRefusal(
        f"No such {words}: '{id_}'", status=status, code="resource_missing", param=param
    )


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeRefusal:
    """A parameter that is well formed and yet cannot be."""
    return StripeRefusal(message, code=code, param=param)


def declined(decline_code: str, code: str, **more: Any) -> StripeRefusal:
    """The bank's refusal of a card, 402."""
    return StripeRefusal(
        DECLINE_MESSAGES.get(code, "Your card was declined."),
        status=402,
        type_="card_error",
        code=code,
        decline_code=decline_code,
        **more,
    )


DECLINE_MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}
