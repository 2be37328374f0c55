"""What a story is made of: what Stripe tells, and what everybody else does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from chalicelib.core.program import Rule
from tests.builders.world import World, day, token

Tell = tuple[str, Any, float]
"""An event's type, its object, and the day on which it happened."""

Door = Literal["click", "sign-up", "api", "settings", "payout", "look"]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done on a day, by ``do``. What a visitor's browser did and lost is not done
    again: ``stands`` says whether it was taken in all the same. A ``look`` is taken in the plain
    story alone, where nothing comes late."""

    on: float
    door: Door
    do: Callable[[World], Any]
    stands: Callable[[World], bool] | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """Things that happen at their time: ``tells`` are Stripe's, ``acts`` everybody else's.

    Where money is ``paid_out`` on the way, what arrived by then decides what is payable or still
    owed back, so only the sums are compared. ``second`` holds the settings of a second program on
    the same Stripe account: it hears of every event, too. ``comes_to`` is what partners are owed or
    were paid in the end, where a person has worked it out, by partner and currency.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    tells: list[Tell] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    paid_out: bool = False
    second: dict[str, Any] | None = None
    comes_to: dict[str, int] | None = None


def clicks(on: float, partner: str, number: int = 1) -> Act:
    told = token(partner, number)
    return Act(on, "click", lambda w: w.click(told, partner), lambda w: has_click(w, told), told)


def has_click(world: World, told: str) -> bool:
    prefix = f"{world.program.id}#{told}"
    return any(k.pk == prefix and k.sk == "click" for k in world.everything())


def signs_up(on: float, key: str, partner: str | None = None, number: int = 1, **told: Any) -> Act:
    """A sign-up on the website; with ``signed`` the merchant's server vouches for it."""
    signed = told.pop("signed", False)
    if partner:
        told["token"] = token(partner, number)
    by = "verified" if signed else "claim"
    fact = f"key:{key}|{by}"
    if partner:
        fact = f"signup:{key}:{told['token']}" + (":signed" if signed else "")

    def do(world: World) -> None:
        extra = {"signature": world.signature(key, told.get("email", ""))} if signed else {}
        world.sign_up(key, **told, **extra)

    return Act(on, "sign-up", do, lambda w: knows(w, fact), f"{key} {told} signed={signed}")


def knows(world: World, fact: str) -> bool:
    """Whether some household has a touch or a conversion with that id."""
    return any(
        told["id"] == fact
        for item in world.everything().values()
        if item.key.sk == "!household" and "people" in item.body
        for kind in ("touches", "conversions")
        for told in item.body["people"].get(kind, [])
    )


def enrols(on: float, key: str, **told: Any) -> Act:
    return Act(on, "api", lambda w: w.enrol(key, **told), says=f"enrols {key} {told}")


def sells(on: float, key: str, customer: str, minor: int = 4900, currency: str = "eur") -> Act:
    return Act(
        on,
        "api",
        lambda w: w.tell_sale(key, customer, minor, currency),
        says=f"sells {key} to {customer} {minor} {currency}",
    )


def takes_back(on: float, sale: str, key: str, minor: int) -> Act:
    return Act(
        on,
        "api",
        lambda w: w.tell_refund(sale, key, minor),
        says=f"takes back {minor} of {sale} as {key}",
    )


def confirms(on: float, sale: str) -> Act:
    return Act(on, "api", lambda w: w.confirm(sale), says=f"confirms {sale}")


def sets(on: float, starts: float | None = None, **settings: Any) -> Act:
    """A setting, from now on or from the day ``starts``."""
    begins = None if starts is None else day(starts)
    return Act(
        on, "settings", lambda w: w.set(starts=begins, **settings), says=f"from {starts} {settings}"
    )


def changes(on: float, partner: str, **told: Any) -> Act:
    """A partner changed; ``status_starts`` and ``reward_starts`` are days."""
    for name in ("status_starts", "reward_starts"):
        if told.get(name) is not None:
            told[name] = day(told[name]) * 1000
    return Act(
        on, "settings", lambda w: w.change_partner(partner, **told), says=f"{partner} {told}"
    )


def joins(on: float, partner: str) -> Act:
    """A partner is made, whose key may have been used before."""
    return Act(on, "settings", lambda w: w.a_partner(partner), says=f"{partner} joins")


def pays(on: float) -> Act:
    """The merchant looks what is payable and pays it, after the hourly job."""
    return Act(on, "payout", lambda w: w.pay_all())


def sees(on: float, partner: str, *, pending: int = 0, payable: int = 0) -> Act:
    """By that day, after the hourly job, so much is pending and payable to the partner."""

    def look(world: World) -> None:
        world.mature()
        stands = world.balance(partner)
        assert stands[:2] == (pending, payable), f"on day {on} {partner} stands at {stands}"

    return Act(on, "look", look, says=f"{partner}: {pending} pending, {payable} payable")


def percent(rate: int, **about: Any) -> Rule:
    about.setdefault("lasts", "forever")
    return Rule(kind="percentage", rate_basis_points=rate, **about)
