"""Asking the operator for secrets: on the terminal without showing them, or on standard input."""

import getpass
import sys
from collections.abc import Callable
from typing import TypeVar

from chalicelib.core.refusals import Refusal

TRIES = 3
_Found = TypeVar("_Found")


def asked_for(what: str, check: Callable[[str], _Found]) -> tuple[str, _Found]:
    """A secret and what its check finds, asked for again while the check refuses it: the address
    that was shown is good for this secret alone. Nothing typed gives up."""
    for left in reversed(range(TRIES)):
        told = secret(what)
        try:
            return told, check(told)
        except Refusal as refusal:
            if not told or not left:
                raise
            sys.stderr.write(f"{refusal.message} Once more:\n")
    raise AssertionError("the last refusal is raised")


def asked_or_kept(what: str, check: Callable[[str], _Found]) -> tuple[str, _Found | None]:
    """The same, but nothing typed is an answer: it stays as it is."""
    return asked_for(f"{what}, or nothing to keep it", lambda told: check(told) if told else None)


def secret(what: str) -> str:
    """A secret from the terminal without showing it, or a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ").strip()
    return sys.stdin.readline().strip()
