"""The operator's command that asks for secrets: a connection to Stripe."""

import argparse
import getpass
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import Invalid, Refusal
from chalicelib.entrypoints.wiring import House
from chalicelib.flows import manage_programs

MIN_SECRET = 16
TRIES = 3
_Found = TypeVar("_Found")

_TWO_SECRETS = """\
Stripe gives two secrets, both in its {mode} mode:
1. An API key, from Developers > API keys > Create restricted key. With it Stripe is asked, once,
   whose account it is, so that a single right will do: Customers, read. (A secret key, sk_{mode}_…,
   works as well, and may do far more than is needed.)
2. A signing secret, from Developers > Webhooks > Add destination, shown when the endpoint is made.
   Its address:
  {address}
   Its events:
"""


def create_connection(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A connection from a Stripe API key and a webhook's signing secret, both asked for.

    Prints the webhook's address first: Stripe gives the secret for it.
    """
    from chalicelib.stripe_adapter.client import Account, account_of
    from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

    program = manage_programs.read_program(asked.program, store=house.store)
    mode = asked.mode or program.mode
    id = manage_programs.new_connection_id()
    base_url = asked.base_url or house.base_url or "<your base URL>"
    sys.stderr.write(
        _TWO_SECRETS.format(mode=mode, address=f"{base_url}/stripe/webhooks/{id}")
        + f"  {' '.join(ENABLED_EVENTS)}\n\n"
    )

    def account_in_mode(key: str) -> Account:
        _check_mode(key, mode)
        return account_of(key, api_base=house.settings.stripe_api_base or None)

    api_key, account = _asked_for(f"1. API key (rk_{mode}_… or sk_{mode}_…)", account_in_mode)
    webhook_secret, _ = _asked_for("2. Signing secret (whsec_…)", _check_webhook_secret)
    manage_programs.create_connection(
        program,
        id=id,
        api_key=api_key,
        webhook_secret=webhook_secret,
        livemode=account.livemode,
        account=account.id,
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    return {"connection_id": id, "account": account.id, "livemode": account.livemode}


def _check_mode(api_key: str, mode: str) -> None:
    """Raises ``Refusal`` for a key of the other mode. What is no key at all is told elsewhere."""
    other = "test" if mode == "live" else "live"
    if api_key.startswith((f"rk_{other}_", f"sk_{other}_")):
        raise Refusal(
            f"This is a key of Stripe's {other} mode, and {mode} is wanted: what it tells would"
            f" stand apart from the program's. Take a key of {mode} mode, or say --mode {other}."
        )


def _check_webhook_secret(secret: str) -> None:
    if not secret.startswith("whsec_") or len(secret) < MIN_SECRET:
        raise Invalid(
            {}, "A signing secret begins with whsec_ and goes on; its endpoint's page shows it."
        )


def _asked_for(what: str, check: Callable[[str], _Found]) -> tuple[str, _Found]:
    """A secret and what its check finds, asked for again while the check refuses it: the address
    that was shown is good for this connection alone. Nothing typed gives up."""
    for left in reversed(range(TRIES)):
        secret = _secret(what)
        try:
            return secret, check(secret)
        except Refusal as refusal:
            if not secret or not left:
                raise
            sys.stderr.write(f"{refusal.message} Once more:\n")
    raise AssertionError("the last refusal is raised")


def _secret(what: str) -> str:
    """A secret from the terminal without showing it, or a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ").strip()
    return sys.stdin.readline().strip()
