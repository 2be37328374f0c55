"""What an error of pynamodb, botocore or the network means to the house. Closed by default: an
error that this table does not name is a bug or a wrong setting, and stays loud.

Sources: API_TransactWriteItems (the codes of cancellation reasons), botocore's exceptions.
"""

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from pynamodb.exceptions import PynamoDBException

from .dynamo_tries import Failure, failure_of_code

CALL_ERRORS = (PynamoDBException, BotoCoreError, ClientError)
"""Everything that a call through PynamoDB raises when the call itself fails."""


_REASON_STALE = {"ConditionalCheckFailed", "TransactionConflict"}
_REASON_THROTTLED = {"ProvisionedThroughputExceeded", "ThrottlingError"}


def failure_of(error: Exception) -> Failure:
    """What one of CALL_ERRORS means."""
    cause = error.cause if isinstance(error, PynamoDBException) else error
    match cause:
        case ClientError():
            return _of_answer(cause)
        case ConnectTimeoutError() | EndpointConnectionError():
            return Failure.REFUSED
        case HTTPClientError() | BotoConnectionError():
            return Failure.LOST
        case _:
            return Failure.BUG


def is_no_table(error: Exception) -> bool:
    """Whether there is no such table: a stage that was never deployed, or a mistyped one."""
    cause = error.cause if isinstance(error, PynamoDBException) else error
    return (
        isinstance(cause, ClientError)
        and cause.response.get("Error", {}).get("Code") == "ResourceNotFoundException"
    )


def _of_answer(error: ClientError) -> Failure:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        return _of_reasons({reason.code for reason in _reasons(error)})
    return failure_of_code(code, _http_status(error))


def _of_reasons(codes: set[str]) -> Failure:
    """A cancelled transaction wrote nothing. A reason that we do not know outranks the others,
    else a bug would hide behind a retry."""
    if not codes or codes - _REASON_STALE - _REASON_THROTTLED:
        return Failure.BUG
    return Failure.STALE if codes & _REASON_STALE else Failure.REFUSED


def _reasons(error: ClientError) -> list[Any]:
    """PynamoDB's VerboseClientError carries the reasons that apply, None for the other writes."""
    return [reason for reason in getattr(error, "cancellation_reasons", []) if reason is not None]


def _http_status(error: ClientError) -> int:
    """PynamoDB keeps code and message of an answer only; the whole stands in the cause."""
    whole = error.__cause__ if isinstance(error.__cause__, ClientError) else error
    return int(whole.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
