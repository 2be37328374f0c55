"""What a visit reads and writes, as stored items and back: program, partner, click. Apart from the
other records, whose types a click must not wait for."""

from dataclasses import dataclass

from chalicelib.core.names import Ms
from chalicelib.core.program import Partner, Program
from chalicelib.storage import keys
from chalicelib.storage.codec import dump, load
from chalicelib.storage.store import Item

DAY_S = 86_400
CLICK_TTL_S = 396 * DAY_S  # 13 months


def program_item(program: Program, version: int = 0) -> Item:
    return Item(
        key=keys.program(program.id),
        body=dump(program),
        version=version,
        listing=("programs", f"{program.created_at:013d}#{program.id}"),
    )


def read_program(item: Item) -> Program:
    return load(Program, item.body)


def partner_item(program_id: str, partner: Partner, version: int = 0) -> Item:
    return Item(
        key=keys.partner(program_id, partner.key),
        body=dump(partner),
        version=version,
        listing=(f"{program_id}#partners", f"{partner.created_at:013d}#{partner.id}"),
    )


def read_partner(item: Item) -> Partner:
    return load(Partner, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One attributed visit. ``page`` has no query but for listed parameters."""

    program: str
    token: str
    partner: str
    at: Ms
    page: str = ""
    referrer: str = ""
    subs: tuple[str, ...] = ()
    counted: bool = False


def click_item(click: Click, version: int = 0) -> Item:
    return Item(
        key=keys.click(click.program, click.token),
        body=dump(click),
        version=version,
        expires_at=click.at // 1000 + CLICK_TTL_S,
    )


def read_click(item: Item) -> Click:
    return load(Click, item.body)
