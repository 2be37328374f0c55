"""Whose key it is, asked of a server on this machine that answers as Stripe does."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import stripe

from chalicelib.core.refusals import Invalid, Refusal, Unavailable
from chalicelib.stripe_adapter.client import Account, account_of

KEY = "rk_test_made_up"


class Answering(HTTPServer):
    """Answers every request alike, and remembers them."""

    status = 200
    answer: Any = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers))
        body = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Answering]:
    server = Answering()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_account_is_named_with_its_mode_and_currency(answering: Answering) -> None:
    answering.answer = {
        "id": "acct_1",
        "object": "account",
        "default_currency": "EUR",
        "settings": {"dashboard": {"display_name": "Acme"}},
    }
    assert account_of(KEY, api_base=answering.base) == Account(
        id="acct_1", livemode=False, name="Acme", currency="eur"
    )
    ((path, headers),) = answering.asked
    assert path == "/v1/account"
    assert headers["stripe-version"] == stripe.api_version
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_live_key_and_an_account_that_says_little(answering: Answering) -> None:
    answering.answer = {"id": "acct_1", "object": "account"}
    live = account_of("sk_" + "live_made_up", api_base=answering.base)
    assert live == Account(id="acct_1", livemode=True, name="", currency="")


def test_a_restricted_key_is_known_by_the_account_that_its_refusal_names(
    answering: Answering,
) -> None:
    answering.status = 403
    answering.answer = refusal(
        f"The provided key '{KEY}' does not have the required permissions for this endpoint on "
        "account 'acct_1'."
    )
    assert account_of(KEY, api_base=answering.base) == Account(
        id="acct_1", livemode=False, name="", currency=""
    )


def refusal(message: str) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "message": message}}


@pytest.mark.parametrize(
    "status, kind, sentence",
    [
        (400, Invalid, "did not take this key"),
        (401, Invalid, "does not know this key"),
        (403, Invalid, "may not read the account"),
        (404, Unavailable, "could not be asked"),
    ],
)
def test_stripes_refusal_is_a_sentence_without_the_key(
    answering: Answering, status: int, kind: type[Refusal], sentence: str
) -> None:
    answering.status = status
    answering.answer = refusal(f"Invalid API Key provided: {KEY}")
    with pytest.raises(kind) as refused:
        account_of(KEY, api_base=answering.base)
    assert sentence in refused.value.message
    assert KEY not in refused.value.message + str(refused.value.errors)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_stripe_away_is_asked_three_times(answering: Answering) -> None:
    answering.status = 503
    answering.answer = refusal("away")
    with pytest.raises(Unavailable):
        account_of(KEY, api_base=answering.base)
    assert len(answering.asked) == 3


@pytest.mark.parametrize("key", ["", "pk_test_public", "whsec_one", "rk_test_", "rk_test_a b"])
def test_what_is_no_secret_key_is_never_sent(answering: Answering, key: str) -> None:
    with pytest.raises(Invalid, match="not a Stripe secret or restricted key"):
        account_of(key, api_base=answering.base)
    assert answering.asked == []
