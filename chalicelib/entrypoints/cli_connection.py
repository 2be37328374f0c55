"""The operator's commands for connections to Stripe: create, list, rotate, close. What a person
reads is written to standard error, what a program reads to standard output."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.core.facts import Ms
from chalicelib.core.refusals import Refusal
from chalicelib.entrypoints.cli_asking import asked_for
from chalicelib.entrypoints.wiring import House
from chalicelib.flows import manage_programs
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.keys import Scope
from chalicelib.stripe_adapter.credentials import check_webhook_secret

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.client import Account

_ONE_KEY = """\
Stripe gives a restricted API key, in its {mode} mode. This page has everything filled in:
  {link}
(If it does not: Developers > API keys > Create restricted key, with the rights of README's table.)
With it the account is named and its webhook set up. A key that may not set up webhooks: --by-hand.

"""
_TWO_SECRETS = """\
Stripe gives two secrets, both in its {mode} mode:
1. An API key, from Developers > API keys > Create restricted key. With it Stripe is asked whose
   account it is, for which a single right will do (Customers, read), and later what no webhook
   told, for which those of README's table are needed. (A secret key, sk_{mode}_…, works as well,
   and may do far more than is needed.)
2. A signing secret, from Developers > Webhooks > Add destination, shown when the endpoint is made.
   Its address:
  {address}
   Its events:
"""


def add_commands(things: Any) -> None:
    """``connection create|list|rotate|close`` for the command line's parser."""
    verbs = things.add_parser("connection").add_subparsers(dest="verb", required=True)

    def command(verb: str, run: Any, what: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(
            verb, help=(run.__doc__ or "").split("\n")[0]
        )
        parser.add_argument(what)
        parser.set_defaults(run=run)
        return parser

    create = command("create", create_connection, "program")
    create.add_argument("--by-hand", action="store_true", help="you make the webhook endpoint")
    rotate = command("rotate", rotate_connection, "connection")
    which = rotate.add_mutually_exclusive_group()
    which.add_argument("--webhook-secret", action="store_true", help="by another endpoint of ours")
    which.add_argument("--rolled", action="store_true", help="one that you rolled in Stripe")
    for parser in (create, rotate):
        parser.add_argument("--base-url", default="", help="where this deployment is reached")
    listing = command("list", list_connections, "program")
    for parser in (create, listing):
        parser.add_argument("--mode", choices=["live", "test"], help="the program's, if not said")
    close = command("close", close_connection, "connection")
    close.add_argument("--keep-endpoint", action="store_true", help="leave Stripe's as it is")


def create_connection(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A connection from a Stripe API key, which is asked for; the webhook is set up."""
    from chalicelib.flows.connect_with_key import connect_with_key
    from chalicelib.stripe_adapter.permissions import creation_link

    program = manage_programs.read_program(asked.program, store=house.store)
    mode = asked.mode or program.mode
    if asked.by_hand:
        return _by_hand(asked, house, now)
    base_url = base_url_of(asked, house)
    link = creation_link(livemode=mode == "live", name=f"Refledger {program.name}")
    sys.stderr.write(_ONE_KEY.format(mode=mode, link=link))
    api_key, _ = asked_for(_KEY.format(mode=mode), lambda key: _account_in_mode(key, mode, house))
    connected = connect_with_key(
        Scope(program.id, mode), api_key, base_url=base_url, **_about(house, now)
    )
    _show([connected.connection], permissions=True)
    return _told(connected.connection)


_KEY = "API key (rk_{mode}_… or sk_{mode}_…)"


def _by_hand(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """The address is printed first: Stripe gives the signing secret for it."""
    from chalicelib.stripe_adapter.translate import ENABLED_EVENTS

    program = manage_programs.read_program(asked.program, store=house.store)
    mode = asked.mode or program.mode
    id = manage_programs.new_connection_id()
    base_url = asked.base_url or house.base_url or "<your base URL>"
    sys.stderr.write(
        _TWO_SECRETS.format(mode=mode, address=f"{base_url}/stripe/webhooks/{id}")
        + f"  {' '.join(ENABLED_EVENTS)}\n\n"
    )
    api_key, account = asked_for(
        f"1. {_KEY.format(mode=mode)}", lambda key: _account_in_mode(key, mode, house)
    )
    assert account is not None, "a key was asked for"
    webhook_secret, _ = asked_for("2. Signing secret (whsec_…)", check_webhook_secret)
    connection = manage_programs.create_connection(
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
    return _told(connection)


def list_connections(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """A program's connections, newest first."""
    from chalicelib.flows.show_connections import connections_of

    program = manage_programs.read_program(asked.program, store=house.store)
    found = connections_of(Scope(program.id, asked.mode or program.mode), store=house.store)
    _show(found)
    return {"connections": [_told(one) for one in found]}


def rotate_connection(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Another API key, or another webhook secret; the old one works until the new one does."""
    from chalicelib.flows import rotate_connection as rotate

    scope = scope_of(asked.connection, house)
    about = _about(house, now)
    if asked.rolled:
        del about["api_base"]
        secret, _ = asked_for("Signing secret (whsec_…)", check_webhook_secret)
        done = rotate.take_webhook_secret(asked.connection, secret, scope=scope, **about)
    elif asked.webhook_secret:
        done = rotate.rotate_webhook_secret(
            asked.connection, scope=scope, base_url=base_url_of(asked, house), **about
        )
    else:
        mode = scope.mode
        key, _ = asked_for(_KEY.format(mode=mode), lambda key: _account_in_mode(key, mode, house))
        done = rotate.rotate_key(
            asked.connection, key, scope=scope, base_url=base_url_of(asked, house), **about
        )
    _show([done.connection], done.warnings, permissions=True)
    return _told(done.connection)


def close_connection(asked: argparse.Namespace, house: House, now: Ms) -> dict[str, Any]:
    """Disconnect: secrets are forgotten, what was booked stays."""
    from chalicelib.flows.disconnect import disconnect

    scope = scope_of(asked.connection, house)
    done = disconnect(
        asked.connection,
        scope=scope,
        remove_endpoint=not asked.keep_endpoint,
        **_about(house, now),
    )
    _show([done.connection], done.warnings)
    return _told(done.connection)


def scope_of(connection_id: str, house: House) -> Scope:
    """The program and mode of a connection: the operator may work on any. Raises ``NotFound``."""
    from chalicelib.core.validation import PLAIN_ID
    from chalicelib.flows.keep_endpoint import read_stored

    id = connection_id if PLAIN_ID.fullmatch(connection_id) else "-"
    return read_stored(id, store=house.store)[1].scope


def base_url_of(asked: argparse.Namespace, house: House) -> str:
    """Where Stripe and people reach the deployment. Raises ``Refusal`` if nobody said."""
    base_url: str = asked.base_url or house.base_url
    if not base_url:
        raise Refusal("Nobody said where this deployment is reached: say --base-url https://…")
    return base_url


def _about(house: House, now: Ms) -> dict[str, Any]:
    return {
        "store": house.store,
        "sealer": house.sealer,
        "now": now,
        "api_base": house.settings.stripe_api_base,
    }


def _account_in_mode(api_key: str, mode: str, house: House) -> "Account":
    """Raises ``Refusal`` for a key of the other mode. What is no key at all is told elsewhere."""
    from chalicelib.stripe_adapter.client import account_of

    other = "test" if mode == "live" else "live"
    if api_key.startswith((f"rk_{other}_", f"sk_{other}_")):
        raise Refusal(
            f"This is a key of Stripe's {other} mode, and {mode} is wanted: what it tells would"
            f" stand apart from the program's. Take a key of {mode} mode, or say --mode {other}."
        )
    return account_of(api_key, api_base=house.settings.stripe_api_base or None)


def _told(connection: Connection) -> dict[str, Any]:
    return {
        "connection_id": connection.id,
        "account": connection.account,
        "account_name": connection.account_name,
        "livemode": connection.livemode,
        "how": connection.how,
        "state": connection.state,
        "endpoint": connection.endpoint,
        "permissions": dict(connection.permissions),
        "warnings": list(connection.warnings),
        "closed_because": connection.closed_because,
    }


def _show(
    connections: Sequence[Connection], warnings: Sequence[str] = (), *, permissions: bool = False
) -> None:
    from chalicelib.stripe_adapter.permissions import PERMISSIONS

    heads = ("CONNECTION", "ACCOUNT", "NAME", "MODE", "BY", "STATE")
    rows = [
        (c.id, c.account or "-", c.account_name or "-", c.scope.mode, c.how, c.state)
        for c in connections
    ]
    _table([heads, *rows])
    for one in connections:
        if permissions and one.permissions:
            _table(
                [
                    (p.name, "granted" if one.permissions[p.name] else "MISSING", p.needed_for)
                    for p in PERMISSIONS
                    if p.name in one.permissions
                ]
            )
        whose = f"{one.id}: " if len(connections) > 1 else ""
        for warning in (*one.warnings, *warnings):
            sys.stderr.write(f"! {whose}{warning}\n")


def _table(rows: Sequence[Sequence[str]]) -> None:
    """An account's name is whoever owns it to say: a terminal is shown no control characters."""
    rows = [["".join(filter(str.isprintable, cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stderr.write(line.rstrip() + "\n")
    sys.stderr.write("\n")
