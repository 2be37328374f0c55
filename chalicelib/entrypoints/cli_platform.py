"""The operator's commands for OAuth: the deployment's own Stripe platform, and links to connect."""

import argparse
import re
import sys
from typing import Any

from chalicelib.core.facts import Ms
from chalicelib.core.program import Mode
from chalicelib.core.refusals import Invalid, KeyRefused, Refusal
from chalicelib.entrypoints.cli_asking import asked_for, asked_or_kept
from chalicelib.entrypoints.cli_connection import base_url_of
from chalicelib.entrypoints.wiring import House
from chalicelib.flows import manage_programs, start_oauth, stripe_platform
from chalicelib.flows.receive_connect_webhook import CONNECT, DEAUTHORISED
from chalicelib.stripe_adapter.credentials import check_webhook_secret

CLIENT_ID = re.compile(r"ca_[A-Za-z0-9_]{4,200}")
MOST_ASKED = 3  # accounts: one may have left at Stripe without our hearing of it

_GUIDE = """\
Register this deployment as a platform, in Stripe's dashboard, in {mode} mode:
1. Settings > Connect: finish the platform's profile. Then Onboarding options > OAuth: switch OAuth
   on, and add this redirect address:
     {redirect}
   The client id (ca_…) stands there, too; each mode has one of its own.
2. Developers > API keys: the platform's secret key (sk_{mode}_…).
3. Developers > Webhooks > Add destination: events from "Connected accounts", with this address:
     {webhook}
   and these events; the signing secret (whsec_…) is shown when it is made:
     {events}
What was set before stays where you answer with nothing.

"""


def set_platform(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """The Stripe platform by which accounts are connected by OAuth; asks for its secrets."""
    from chalicelib.stripe_adapter.client import Account, account_of
    from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

    mode = asked.mode
    base_url = asked.base_url or house.base_url or "<your base URL>"
    redirect = f"{base_url}/stripe/oauth/callback"
    webhook = f"{base_url}/stripe/webhooks/{CONNECT}"
    events = " ".join((*ENABLED_EVENTS, DEAUTHORISED))
    sys.stderr.write(_GUIDE.format(mode=mode, redirect=redirect, webhook=webhook, events=events))

    def account_in_mode(key: str) -> Account:
        if not key.startswith((f"sk_{mode}_", f"rk_{mode}_")):
            raise Refusal(f"A secret key of Stripe's {mode} mode begins with sk_{mode}_.")
        account = account_of(key, api_base=house.settings.stripe_api_base or None)
        _check_reach(key, mode, house)
        return account

    known = mode in stripe_platform.configured(store=house.store)
    ask: Any = asked_or_kept if known else asked_for
    client_id, _ = ask("1. Client id (ca_…)", _check_client_id)
    secret_key, account = ask(f"2. Secret key (sk_{mode}_…)", account_in_mode)
    webhook_secret, _ = ask("3. Signing secret (whsec_…)", check_webhook_secret)
    stored = stripe_platform.keep_platform(
        mode,
        client_id=client_id,
        secret_key=secret_key,
        webhook_secret=webhook_secret,
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    return {
        "mode": mode,
        "client_id": stored.client_id,
        **({"platform_account": account.id} if account else {}),
        "redirect_address": redirect,
        "webhook_address": webhook,
        "webhook_secrets": len(stored.webhook_secrets),
    }


def start(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A link that connects a Stripe account to a program by OAuth: ten minutes, one use."""
    program = manage_programs.read_program(asked.program, store=house.store)
    mode = asked.mode or program.mode
    base_url = base_url_of(asked, house)
    code = start_oauth.make_start_code(program.id, mode=mode, store=house.store, now=now)
    link = start_oauth.start_link(base_url, program.id, code)
    return {"program_id": program.id, "mode": mode, "link": link, "minutes": 10}


def _check_reach(key: str, mode: Mode, house: House) -> None:
    """Another platform's key reaches none of the accounts that were connected by this one, and the
    next job would close them all. Raises ``Refusal``."""
    from chalicelib.flows.show_connections import open_connections
    from chalicelib.stripe_adapter.client import account_of
    from chalicelib.stripe_adapter.credentials import Credentials

    accounts = [
        one.account
        for one in open_connections(store=house.store)
        if one.how == "oauth" and one.scope.mode == mode
    ]
    for account in accounts[:MOST_ASKED]:
        credentials = Credentials(api_key=key, livemode=mode == "live", account=account)
        try:
            account_of(credentials, api_base=house.settings.stripe_api_base or None)
        except KeyRefused:
            continue
        return
    if accounts:
        raise Refusal(
            f"This key does not reach {accounts[0]}, which is connected by OAuth: it is another"
            " platform's. Nothing was stored. If the platform is to be another one, close its"
            " connections first, and have them authorised anew."
        )


def _check_client_id(client_id: str) -> None:
    if not CLIENT_ID.fullmatch(client_id):
        raise Invalid({}, "A client id begins with ca_; it stands in Connect's OAuth settings.")
