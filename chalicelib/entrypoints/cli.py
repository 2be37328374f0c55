"""The operator's command line: the same flows as the API's doors.

    python -m chalicelib.entrypoints.cli --local program create Acme --url https://acme.example
    python -m chalicelib.entrypoints.cli --stage prod key create prg_… --mode live
    python -m chalicelib.entrypoints.cli --stage prod backfill con_… --from 2025-01-01 --preview
    python -m chalicelib.entrypoints.cli --stage prod rebuild --into prod-2

``--local [STATE_DIR]`` works on a local run (``make run``) while it is up; ``--stage`` on the
tables of that stage, with the AWS credentials of the shell. Secrets are asked for on standard
input, so that they stand in no shell history.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.core.facts import Ms
from chalicelib.core.money import currency_code
from chalicelib.core.program import Website
from chalicelib.core.refusals import Refusal
from chalicelib.entrypoints import cli_connection, wiring
from chalicelib.entrypoints.cli_jobs import add_commands as add_job_commands
from chalicelib.entrypoints.cli_platform import set_platform
from chalicelib.entrypoints.cli_platform import start as start_oauth
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.manage_partners import PartnerChange, create_partner
from chalicelib.flows.manage_programs import (
    create_api_key,
    create_program,
    read_program,
)
from chalicelib.flows.sweep import replay_event, replay_failed
from chalicelib.settings import read_settings, tables_of
from chalicelib.storage.dynamo_failures import CALL_ERRORS

MOST_LISTED = 100
STAGE = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
"""What ``make deploy`` takes."""


def main(argv: Sequence[str] | None = None, *, house: House | None = None) -> int:
    """Run one command, in a given house or where the words say; prints JSON. 0 when done, 1 when
    refused or when a rebuild came out otherwise, 2 when the words are off."""
    asked = _parser().parse_args(argv)
    try:
        house = house or House(read_settings(_environment(asked)))
        with redirect_stdout(sys.stderr):  # the log's lines are no part of the answer
            told = asked.run(asked, house, wiring.now_ms())
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.message} {_errors(refusal)}\n".strip() + "\n")
        return 1
    except CALL_ERRORS as error:
        sys.stderr.write(
            f"AWS refused: {error}\nIs this the account and the region of the stage?\n"
        )
        return 1
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 0 if told.get("equal", True) else 1


def _errors(refusal: Refusal) -> str:
    """What the message does not say already, field by field."""
    more = {
        field: [one for one in said if one not in refusal.message]
        for field, said in refusal.errors.items()
    }
    return " ".join(f"{field}: {' '.join(said)}" for field, said in more.items() if said)


def _environment(asked: argparse.Namespace) -> Mapping[str, str]:
    """This process's environment, with what the place needs. Of a local run ``demo.json`` tells the
    addresses; its store has the third port after the app's."""
    if asked.local is None:
        _check_stage(asked.stage)
        os.environ["REFLEDGER_STAGE"] = asked.stage
        os.environ.setdefault("REFLEDGER_KMS_KEY", f"alias/refledger-{asked.stage}")
        if "AWS_REGION" in os.environ:  # what other tools read, and boto3 does not
            os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"]
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
            "REFLEDGER_STRIPE_API_BASE": told.get("stripe_api_base") or told["fake_stripe_url"],
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
    cli_connection.add_commands(things)
    platform = _command(things, "platform", "set", set_platform)
    platform.add_argument("--mode", choices=["live", "test"], required=True)
    platform.add_argument("--base-url", default="", help="where this deployment is reached")
    oauth = _command(things, "oauth", "start", start_oauth)
    oauth.add_argument("program")
    oauth.add_argument("--mode", choices=["live", "test"], help="the program's, if not said")
    oauth.add_argument("--base-url", default="", help="where this deployment is reached")
    replay = _command(things, "event", "replay", _replay)
    replay.add_argument("connection", nargs="?", default="")
    replay.add_argument("event", nargs="?", default="")
    replay.add_argument("--failed", action="store_true", help="all that failed (of a connection)")
    rebuilding = things.add_parser("rebuild", help=(_rebuild.__doc__ or "").split("\n")[0])
    rebuilding.add_argument("--into", required=True, metavar="STAGE", help="with empty tables")
    rebuilding.set_defaults(run=_rebuild)
    add_job_commands(things)
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


def _replay(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Handle an event of the inbox again, or all that failed."""
    if asked.failed:
        return _replay_failed(asked, house, now)
    if not asked.connection or not asked.event:
        raise Refusal("Name a connection and an event, or say --failed.")
    received = replay_event(
        asked.connection, asked.event, store=house.store, connections=house.connections, now=now
    )
    if not received.event:
        raise Refusal(f"Nothing was replayed: {received.because}.")
    return {"event": asked.event, "state": received.state, "reason": received.because}


def _replay_failed(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    done = replay_failed(
        asked.connection, store=house.store, connections=house.connections, now=now
    )
    failed = [{"event": f.event, "reason": f.because} for f in done.failed[:MOST_LISTED]]
    return {"replayed": dict(done.states), "failed": failed}


def _rebuild(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Work everything out anew into the empty tables of another stage, and compare."""
    from chalicelib.flows.rebuild import rebuild
    from chalicelib.flows.reseal import resealed

    _check_stage(asked.into)
    if set(tables_of(asked.into).values()) & set(house.settings.tables.values()):
        raise Refusal("A rebuild goes into the tables of another stage.")
    done = rebuild(
        house.store,
        house.store_of(asked.into),
        named={str(table): name for table, name in house.settings.tables.items()},
        now=now,
        say=_say,
        seal_anew=partial(resealed, old=house.sealer, new=house.sealer_of(asked.into)),
    )
    return {
        "conclusion": done.conclusion,
        "equal": done.compared.equal,
        "read": dict(done.copied.items),
        "told_again": dict(done.replayed.told),
        "events": dict(done.replayed.events),
        "not_handled_yet_in_the_old_tables": done.copied.waiting,
        "troubled": done.replayed.troubled,
        "troubles": done.replayed.troubles,
        "compared": dict(done.compared.counts),
        "different": done.compared.different,
        "differences": done.compared.differences,
        "balances_in_other_parts": done.compared.moved,
    }


def _check_stage(stage: str) -> None:
    if not STAGE.fullmatch(stage):
        raise Refusal("A stage is 1 to 20 of a-z, 0-9 and -, the - not at either end.")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
