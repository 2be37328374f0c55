"""``python -m deploy package | up | down``: see the README."""

import argparse
import json
import os
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, WaiterError
from botocore.exceptions import ConnectionError as BotoConnectionError

from chalicelib.core.refusals import Refusal
from deploy.account import account_of_shell, check_python, checked_stage
from deploy.package import Package, package
from deploy.refusal import Refused
from deploy.template import RESOURCES

PASSING = ("Throttl", "ExpiredToken", "RequestExpired", "RequestLimitExceeded", "SlowDown")
"""What AWS's codes for refusals begin with that a later try may not meet."""


def main() -> int:
    asked = _parser().parse_args()
    try:
        asked.run(asked)
    except (Refused, Refusal) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"AWS refused: {error}\n{_what_helps(error)}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What CloudFormation has begun it ends by itself.\n")
        return 130
    return 0


def _what_helps(error: BotoCoreError | ClientError) -> str:
    """Where the same command may well come out otherwise, that it may be given again."""
    if isinstance(error, ClientError):
        answer = error.response
        later = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
        later = later or answer.get("Error", {}).get("Code", "").startswith(PASSING)
    else:
        later = isinstance(error, HTTPClientError | BotoConnectionError | WaiterError)
    return "The same command again goes on from there.\n" if later else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy")
    verbs = parser.add_subparsers(required=True)
    packaging = verbs.add_parser("package", help="the zip and the template, in a folder")
    packaging.add_argument("--out", type=Path, required=True)
    packaging.add_argument("--stage", help="taken, and not needed: the template is for any stage")
    where = packaging.add_mutually_exclusive_group()
    where.add_argument("--arm64", action="store_const", const="arm64", dest="target")
    where.add_argument("--host", action="store_const", const="host", dest="target")
    packaging.set_defaults(run=_package, target="arm64")
    putting = verbs.add_parser("up", help="deploy, or bring up to date")
    putting.add_argument("--stage", default="")
    putting.add_argument("--package", type=Path, help="a folder that `package` made")
    putting.set_defaults(run=_up)
    removing = verbs.add_parser("down", help="remove; keeps the data")
    removing.add_argument("--stage", default="")
    removing.add_argument("--data", default="", choices=["", "keep", "delete"])
    removing.set_defaults(run=_down)
    return parser


def _package(asked: argparse.Namespace) -> None:
    check_python()
    made = package(asked.out, asked.target)
    _say(f"{made.zip}\n{made.template}")


def _up(asked: argparse.Namespace) -> None:
    from deploy.up import Wishes, check_names, next_steps, up

    stage = checked_stage(asked.stage)
    check_python()
    wishes = Wishes(stage=stage, parameters=_told(os.environ.get("SET", "")))
    names = Package.at(asked.package).template if asked.package else RESOURCES
    check_names(wishes, json.loads(names.read_text())["Parameters"])

    def packed(folder: Path) -> Package:
        return Package.at(asked.package) if asked.package else package(folder, "arm64")

    account = account_of_shell()
    done = up(wishes, account=account, package=packed, agreed=_agreed, say=_say)
    _say(f"Refledger {stage} is at {done.base_url}")
    if done.first:
        _say(next_steps(stage, done.base_url))


def _down(asked: argparse.Namespace) -> None:
    from deploy.down import down

    stage = checked_stage(asked.stage)
    down(
        stage,
        delete=asked.data == "delete",
        account=account_of_shell(),
        typed=_typed,
        say=_say,
    )


def _told(said: str) -> dict[str, str]:
    """``SET``: names and values of the template's parameters."""
    pairs = [word.partition("=") for word in said.split()]
    if any(not equals for _, equals, _ in pairs):
        raise Refused('SET wants names and values: SET="AlarmEmail=ann@example.com".')
    return {name: value for name, _, value in pairs}


def _agreed(question: str) -> bool:
    if os.environ.get("YES") == "1":
        return True
    return _typed(f"{question} [y/N] ").lower() in ("y", "yes")


def _typed(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
