"""The operator's command line: the same flows as the API's doors.

    python -m chalicelib.entrypoints.cli --local program create Acme --url https://acme.example
    python -m chalicelib.entrypoints.cli --stage prod key create prg_… --mode live

``--local [STATE_DIR]`` works on a local run (``make run``) while it is up; ``--stage`` on the
tables of that stage, with the AWS credentials of the shell. Secrets are asked for on standard
input, so that they stand in no shell history.
"""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.core.facts import Ms
from chalicelib.core.money import currency_code
from chalicelib.core.program import Website
from chalicelib.core.refusals import Refusal
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import (
    create_api_key,
    create_connection,
    create_program,
    new_connection_id,
    read_program,
)
from chalicelib.flows.sweep import replay_event
from chalicelib.settings import read_settings

MIN_SECRET = 16


def main(argv: Sequence[str] | None = None, *, house: House | None = None) -> int:
    """Run one command, in a given house or where the words say; prints JSON. 0 when done, 1 when
    refused, 2 when the words are off."""
    asked = _parser().parse_args(argv)
    try:
        house = house or House(read_settings(_environment(asked)))
        told = asked.run(asked, house, wiring.now_ms())
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.message} {_errors(refusal)}\n".strip() + "\n")
        return 1
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 0


def _errors(refusal: Refusal) -> str:
    return " ".join(f"{field}: {' '.join(said)}" for field, said in refusal.errors.items())


def _environment(asked: argparse.Namespace) -> Mapping[str, str]:
    """This process's environment, with what the place needs. Of a local run ``demo.json`` tells the
    addresses; its store has the third port after the app's."""
    if asked.local is None:
        os.environ["REFLEDGER_STAGE"] = asked.stage
        return os.environ
    place = Path(asked.local).resolve()
    demo = place / "demo.json"
    if not demo.exists():
        raise Refusal(f"Nothing runs in {asked.local}: start it with `make run` first.")
    told = json.loads(demo.read_text())
    os.environ.update(
        {
            "REFLEDGER_STAGE": "local",
            "REFLEDGER_BASE_URL": told["base_url"],
            "REFLEDGER_STRIPE_API_BASE": told["fake_stripe_url"],
            "REFLEDGER_KEY_FILE": str(place / "key"),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{(urlsplit(told['base_url']).port or 0) + 3}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
    )
    return os.environ


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="refledger", description=(__doc__ or "").split("\n")[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stage", help="the deployed stage, e.g. prod")
    where.add_argument(
        "--local", nargs="?", const=".local", metavar="STATE_DIR", help="a local run"
    )
    things = parser.add_subparsers(dest="thing", required=True)
    program = _command(things, "program", "create", _create_program)
    program.add_argument("name")
    program.add_argument("--url", required=True, help="the website, e.g. https://acme.example")
    program.add_argument("--currency", default="eur")
    program.add_argument("--mode", choices=["live", "test"], default="live")
    partner = _command(things, "partner", "create", _create_partner)
    partner.add_argument("program")
    partner.add_argument("--email", required=True)
    partner.add_argument("--key")
    partner.add_argument("--name")
    key = _command(things, "key", "create", _create_key)
    key.add_argument("program")
    key.add_argument("--mode", choices=["live", "test"], required=True)
    key.add_argument("--name", default="")
    connection = _command(things, "connection", "create", _create_connection)
    connection.add_argument("program")
    connection.add_argument("--base-url", default="", help="where this deployment is reached")
    replay = _command(things, "event", "replay", _replay)
    replay.add_argument("connection")
    replay.add_argument("event")
    return parser


def _command(things: Any, thing: str, verb: str, run: Any) -> argparse.ArgumentParser:
    verbs = things.add_parser(thing).add_subparsers(dest="verb", required=True)
    parser: argparse.ArgumentParser = verbs.add_parser(
        verb, help=(run.__doc__ or "").split("\n")[0]
    )
    parser.set_defaults(run=run)
    return parser


def _create_program(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A new program: 20 % of net for 12 months, until its settings say otherwise."""
    from chalicelib.entrypoints.api_bodies import ProgramBody, parsed

    body = parsed(ProgramBody, {"name": asked.name, "website": {"url": asked.url}})
    program, signing_key = create_program(
        body.name,
        currency=currency_code(asked.currency),
        mode=asked.mode,
        website=Website(url=body.website.url),
        store=house.store,
        sealer=house.sealer,
        now=now,
    )
    return {"program_id": program.id, "name": program.name, "signing_key": signing_key}


def _create_partner(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A new partner of a program."""
    from chalicelib.entrypoints.api_bodies import PartnerBody, parsed

    read_program(asked.program, store=house.store)
    body = parsed(PartnerBody, {"email": asked.email, "key": asked.key, "name": asked.name})
    told = PartnerChange(email=body.email, key=body.key, name=body.name)
    partner = create_partner(told, program_id=asked.program, store=house.store, now=now)
    return {"partner_id": partner.id, "key": partner.key}


def _create_key(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A new API key, shown this once."""
    program = read_program(asked.program, store=house.store)
    key = create_api_key(program, mode=asked.mode, name=asked.name, store=house.store, now=now)
    return {"program_id": program.id, "mode": asked.mode, "api_key": key}


def _create_connection(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A connection from a Stripe API key and a webhook secret, both asked for.

    Prints the webhook's address first: Stripe gives the secret for it.
    """
    from chalicelib.stripe_adapter.client import account_of
    from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

    program = read_program(asked.program, store=house.store)
    id = new_connection_id()
    base_url = asked.base_url or house.settings.base_url or "<your base URL>"
    sys.stderr.write(
        f"Make a webhook endpoint in Stripe for\n  {base_url}/stripe/webhooks/{id}\n"
        f"with these events:\n  {' '.join(ENABLED_EVENTS)}\n"
    )
    api_key = _secret("Stripe API key (rk_… or sk_…)")
    account = account_of(api_key, api_base=house.settings.stripe_api_base or None)
    webhook_secret = _secret("Webhook secret (whsec_…)")
    if not webhook_secret.startswith("whsec_") or len(webhook_secret) < MIN_SECRET:
        raise Refusal("A webhook secret begins with whsec_ and goes on; Stripe shows it once.")
    create_connection(
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


def _secret(what: str) -> str:
    """A secret from the terminal without showing it, or a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ").strip()
    return sys.stdin.readline().strip()


def _replay(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Handle an event of the inbox again."""
    received = replay_event(
        asked.connection, asked.event, store=house.store, connections=house.connections, now=now
    )
    if not received.event:
        raise Refusal(f"Nothing was replayed: {received.because}.")
    return {"event": asked.event, "state": received.state, "reason": received.because}


if __name__ == "__main__":
    raise SystemExit(main())
