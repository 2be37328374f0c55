"""What an error of DynamoDB, botocore or the network means to the house. Closed by default: an
error that this table does not name is a bug or a wrong setting, and stays loud.

Sources: "Error handling with DynamoDB" (which codes may be tried again), API_TransactWriteItems
(the codes of cancellation reasons), botocore's exceptions.
"""

from enum import Enum
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

CALL_ERRORS = (PynamoDBException, BotoCoreError, ClientError)
"""Everything that a call through PynamoDB raises when the call itself fails."""


class Failure(Enum):
    STALE = "a condition did not hold or another transaction was in the way"
    REFUSED = "turned away: certainly nothing was done"
    LOST = "no clear answer: it may have been done"
    BUG = "neither waiting nor reading again would help"


_CONDITION = {"ConditionalCheckFailedException", "TransactionConflictException"}
_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
}
_SERVER = {"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"}

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


def _of_answer(error: ClientError) -> Failure:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        return _of_reasons({reason.code for reason in _reasons(error)})
    if code in _CONDITION:
        return Failure.STALE
    if code in _THROTTLED:
        return Failure.REFUSED
    if code in _SERVER or _http_status(error) >= 500:
        return Failure.LOST
    return Failure.BUG


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
