"""Why an authorisation goes no further, in plain words: what happened, and what to do now."""

from chalicelib.core.refusals import Refusal

START_AGAIN = (
    "Ask whoever gave you the link for a new one. (On the deployment's command line that is"
    " oauth start PROGRAM_ID, with the program's API key POST /v1/connections/oauth.)"
)
NOTHING_KEPT = "Nothing was stored here."
AT_STRIPE = (
    " If you would rather not connect after all, look whether Stripe lists this platform among the"
    " account's connected apps, and remove it there."
)


class OAuthStopped(Refusal):
    """``word`` names the case, for logs; ``message`` says what happened, ``next`` what to do."""

    code = "oauth_stopped"

    def __init__(self, word: str, message: str, *, next: str, status: int) -> None:
        super().__init__(message)
        self.word, self.next, self.status = word, next, status


def stopped(word: str, said: str = "") -> OAuthStopped:
    """The refusal of a case of the table; ``said`` is added to its message."""
    status, message, next = _WHY[word]
    if said:
        message += f" {said[:400]}"
    return OAuthStopped(word, message, next=next, status=status)


_WHY: dict[str, tuple[int, str, str]] = {
    "unknown link": (
        404,
        "This link is not known. Perhaps a part of it is missing.",
        START_AGAIN,
    ),
    "expired link": (409, "This link was good for ten minutes, which are over.", START_AGAIN),
    "used link": (
        409,
        "This link was used already; each is good for one attempt, in one browser.",
        START_AGAIN,
    ),
    "no page": (
        403,
        "This browser did not send what the page before had given it. Nothing was used up.",
        "Allow cookies for this address, open the link again, and press its button.",
    ),
    "unknown": (
        404,
        "This answer belongs to no attempt that is known here: it was made elsewhere, or long ago.",
        START_AGAIN,
    ),
    "other browser": (
        403,
        "This attempt was begun in another browser, or this one sent no cookie. Nothing was"
        " connected, and nothing was used up.",
        "Go on in the browser in which you opened the link. If you did not open one yourself,"
        " somebody sent you here: close this page.",
    ),
    "expired": (
        409,
        "More than ten minutes have passed since you left for Stripe. Nothing was connected.",
        START_AGAIN,
    ),
    "claimed": (
        409,
        "This answer of Stripe's was taken already, and each is taken once. If that was a moment"
        " ago, it may still be at work.",
        "Load this page again in a minute: it then says what came of it. If it still says this,"
        f" the attempt broke off half-way. {START_AGAIN} The account can be authorised again"
        " without harm, and becomes the same connection.",
    ),
    "ended since": (
        409,
        "This answer connected the account, and it was disconnected since.",
        f"It can be connected again. {START_AGAIN}",
    ),
    "denied": (
        409,
        f"At Stripe the connection was declined. {NOTHING_KEPT}",
        f"If that was not meant, begin again. {START_AGAIN}",
    ),
    "error": (409, f"Stripe sent you back with an error. {NOTHING_KEPT}", START_AGAIN),
    "refused": (
        409,
        f"Stripe did not make the connection. {NOTHING_KEPT}",
        START_AGAIN + AT_STRIPE,
    ),
    "away": (
        502,
        "Stripe could not be reached, or did not answer clearly, when the connection was to be"
        f" made. {NOTHING_KEPT}",
        f"{START_AGAIN} If Stripe counts the account as authorised already, authorising it again"
        f" does no harm.{AT_STRIPE}",
    ),
    "not stored": (
        503,
        "Stripe authorised the account, but our store was too busy to keep that.",
        "Load this page again in a minute: it then says whether it was kept after all. If not:"
        f" {START_AGAIN} The account can be authorised again without harm.{AT_STRIPE}",
    ),
    "other mode": (
        409,
        "Stripe authorised the account in the other mode, live in place of test or test in place"
        f" of live. Where nothing else lives by that, it was taken back. {NOTHING_KEPT}",
        START_AGAIN + AT_STRIPE,
    ),
    "by key": (
        409,
        "This account is connected to this program already, with an API key. That stays as it is."
        " Where nothing else lives by the new authorisation, it was taken back.",
        f"To change over, disconnect the API key first. {START_AGAIN}{AT_STRIPE}",
    ),
}
