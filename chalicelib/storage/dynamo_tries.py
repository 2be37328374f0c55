"""What a failed call of DynamoDB means to the house, and when it is tried again. Shared by both
stores on DynamoDB.

Codes are closed by default: one that this table does not name is a bug or a wrong setting, and
stays loud. Sources: "Error handling with DynamoDB" (which codes may be tried again),
API_TransactWriteItems.
"""

from collections.abc import Callable
from enum import Enum
from os import urandom
from typing import TypeVar

from ..core.refusals import Unavailable
from .store import Stale

CONNECT_SECONDS = 1
READ_SECONDS = 2
MAX_RETRIES = 2
_FIRST_PAUSE_SECONDS = 0.05  # at most; doubles, and any shorter time is as likely

_Answer = TypeVar("_Answer")


class Failure(Enum):
    STALE = "a condition did not hold or another transaction was in the way"
    REFUSED = "turned away: certainly nothing was done"
    LOST = "no clear answer: it may have been done"
    BUG = "neither waiting nor reading again would help"


class Failed(Exception):
    """A call that failed, other than by a bug. ``broken``: its connection ended without an answer,
    as one does that was kept while the process slept."""

    def __init__(self, failure: Failure, said: str = "", *, broken: bool = False) -> None:
        super().__init__(said)
        self.failure, self.broken = failure, broken


_CONDITION = {"ConditionalCheckFailedException", "TransactionConflictException"}
_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
}
_SERVER = {"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"}


def failure_of_code(code: str, http_status: int) -> Failure:
    """What an answer means that is an error, a cancelled transaction aside."""
    if code in _CONDITION:
        return Failure.STALE
    if code in _THROTTLED:
        return Failure.REFUSED
    if code in _SERVER or http_status >= 500:
        return Failure.LOST
    return Failure.BUG


def tried(
    call: Callable[[], _Answer], *, repeatable: bool, sleep: Callable[[float], None]
) -> _Answer:
    """The call's answer, from at most three tries. Raises ``Stale``, or ``Unavailable`` once the
    tries are used up.

    What is not ``repeatable`` is said again only if it was certainly not done, or if its connection
    broke. If then its condition fails, nobody knows whether it was done the first time: that is
    ``Unavailable``, since ``Stale`` promises that nothing was written.
    """
    tries, unsure = 0, False
    while True:
        try:
            return call()
        except Failed as failed:
            failure = failed.failure
            if failure is Failure.STALE and (repeatable or not unsure):
                raise Stale(str(failed)) from failed
            unsure = unsure or failure is Failure.LOST
            again = failure is not Failure.STALE and (
                repeatable or failed.broken or failure is Failure.REFUSED
            )
            if tries == MAX_RETRIES or not again:
                raise _unavailable(failure) from failed
        pause(tries, sleep)
        tries += 1


def pause(tries: int, sleep: Callable[[float], None]) -> None:
    """A moment's wait, at most twice as long each time."""
    sleep(urandom(1)[0] / 255 * _FIRST_PAUSE_SECONDS * 2**tries)


def _unavailable(failure: Failure) -> Unavailable:
    if failure is Failure.REFUSED:
        return Unavailable()
    return Unavailable("The store did not answer in time; try again.")
