"""Making and changing partners."""

import re
import secrets
from dataclasses import dataclass, replace

from chalicelib.core.facts import Ms
from chalicelib.core.people import normal_email
from chalicelib.core.program import Dated, Partner, Rule, as_of, partner_key, with_value
from chalicelib.core.refusals import Conflict, Invalid, NotFound, Unavailable
from chalicelib.flows.read_partner import find_partner_item
from chalicelib.flows.retry import until_not_stale
from chalicelib.flows.settle_since import owe_since, owe_to_new_partner
from chalicelib.storage import keys, records
from chalicelib.storage.store import Put, Stale, Store, Write

TRIES = 5
RETRIED_MS = 86_400_000  # a call that broke off is made again within a day


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerChange:
    """What a call says of a partner; None leaves what stands. ``reward`` and ``status`` come with
    the moment from which they hold (None: for a new partner from ever, else from now)."""

    email: str | None = None
    key: str | None = None
    name: str | None = None
    surname: str | None = None
    tags: tuple[str, ...] | None = None
    status: str | None = None
    status_starts: Ms | None = None
    reward: Rule | None = None
    reward_starts: Ms | None = None
    no_reward: bool = False


def create_partner(told: PartnerChange, *, program_id: str, store: Store, now: Ms) -> Partner:
    """A new partner, or the one that stands with just this content."""
    partner, _ = take_in_partner(told, program_id=program_id, store=store, now=now)
    return partner


def take_in_partner(
    told: PartnerChange, *, program_id: str, store: Store, now: Ms
) -> tuple[Partner, bool]:
    """A new partner, and that it is new; its key is made up from name or e-mail if absent. The
    same content again gives the partner that stands. Raises ``Conflict`` when key or e-mail is
    another's."""
    if not told.email:
        raise Invalid({"email": ["This is required."]})
    email = normal_email(told.email)
    for _ in range(TRIES):
        key = partner_key(told.key) if told.key else _made_up_key(told)
        partner = Partner(
            id="ptn_" + secrets.token_hex(10),
            key=key,
            emails=(Dated(starts=0, value=email),),
            created_at=now,
            name=told.name or "",
            surname=told.surname or "",
            tags=told.tags or (),
            statuses=_first(told.status, told.status_starts),
            rewards=_first(told.reward, told.reward_starts),
        )
        owed = owe_to_new_partner(program_id, key, store=store, now=now)
        try:
            store.commit(
                [
                    Put(records.partner_item(program_id, partner)),
                    Put(records.alias_item(keys.partner_id(program_id, partner.id), key)),
                    Put(records.alias_item(keys.partner_email(program_id, email), key)),
                    *owed,
                ]
            )
        except Stale:
            known = _taken(program_id, key if told.key else "", email, store=store)
            if known and _same(known, partner, told):
                if now - known.created_at < RETRIED_MS:  # the call before may have broken off here
                    _owe_late(program_id, known.key, store=store, now=now)
                return known, False
            if known:
                which = "e-mail" if email in known.emails_by(now) else "key"
                raise Conflict(f"Another partner has this {which}.") from None
            continue
        if not owed:  # the key may have been used just while he was made
            _owe_late(program_id, key, store=store, now=now)
        return partner, True
    raise Unavailable


def _first(value: object, starts: Ms | None) -> tuple[Dated, ...]:
    return (Dated(starts=starts or 0, value=value),) if value is not None else ()


def _made_up_key(told: PartnerChange) -> str:
    source = told.name or (told.email or "").split("@")[0]
    word = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:24] or "partner"
    return f"{word}-{secrets.token_hex(3)}"


def _taken(program_id: str, key: str, email: str, *, store: Store) -> Partner | None:
    """Who has the e-mail, or else the key."""
    by_email = find_partner_item(program_id, {"email": email}, store=store)
    item = by_email or (find_partner_item(program_id, {"key": key}, store=store) if key else None)
    return records.read_partner(item) if item else None


def _same(known: Partner, wanted: Partner, told: PartnerChange) -> bool:
    """Whether a partner stands as it is now told again."""
    as_told = replace(wanted, id=known.id, created_at=known.created_at, key=told.key or known.key)
    return as_told == known


def _owe_late(program_id: str, key: str, *, store: Store, now: Ms) -> None:
    def owe(attempt: int) -> None:
        owed = owe_to_new_partner(program_id, key, store=store, now=now)
        if owed:
            store.commit(owed)

    until_not_stale(owe)


def change_partner(
    name: str, told: PartnerChange, *, program_id: str, store: Store, now: Ms
) -> Partner:
    """Change a partner found by id or key. Raises ``NotFound``, ``Conflict``, ``Invalid``. A rule
    or a status that has begun leaves work: the sales paid since are settled again."""
    for _ in range(TRIES):
        item = find_partner_item(program_id, {"any": name}, store=store)
        if item is None:
            raise NotFound("There is no such partner.")
        before = records.read_partner(item)
        after = _changed(before, told, now=now)
        if after == before:
            return after
        writes: list[Write] = [Put(records.partner_item(program_id, after, version=item.version))]
        begun = _begun(before, after, told, now=now)
        writes += owe_since(program_id, begun, store=store, now=now)
        if after.email != before.email:
            taken = keys.partner_email(program_id, after.email)
            held = store.get([taken]).get(taken)
            if held is None:
                writes.append(Put(records.alias_item(taken, after.key)))
            elif held.body["of"] != after.key:
                raise Conflict("Another partner has this e-mail.")
        try:
            store.commit(writes)
        except Stale:
            continue
        return after
    raise Unavailable


def _begun(before: Partner, after: Partner, told: PartnerChange, *, now: Ms) -> Ms | None:
    """The earliest start of what was changed and holds already, or None."""
    this_second = now - now % 1000
    starts = [
        this_second if at is None else at
        for at, changed in (
            (told.status_starts, after.statuses != before.statuses),
            (told.reward_starts, after.rewards != before.rewards),
            (None, after.emails != before.emails),
        )
        if changed
    ]
    return min((at for at in starts if at <= now), default=None)


def _changed(partner: Partner, told: PartnerChange, *, now: Ms) -> Partner:
    if told.key is not None and told.key.lower() != partner.key.lower():
        raise Invalid({"key": ["A partner's key stands in links and cannot change."]})
    emails = partner.emails
    if told.email is not None and normal_email(told.email) != partner.email:
        email = normal_email(told.email)
        emails = with_value(emails, email, now)
    statuses, rewards = partner.statuses, partner.rewards
    if told.status is not None:
        known = statuses or (Dated(starts=0, value="active"),)
        changed = _from(known, told.status, told.status_starts, now)
        statuses = statuses if changed == known else changed
    if told.reward is not None or told.no_reward:
        rewards = _from(rewards, told.reward, told.reward_starts, now)
    return replace(
        partner,
        emails=emails,
        name=partner.name if told.name is None else told.name,
        surname=partner.surname if told.surname is None else told.surname,
        tags=partner.tags if told.tags is None else told.tags,
        statuses=statuses,
        rewards=rewards,
    )


def _from(
    history: tuple[Dated, ...], value: object, starts: Ms | None, now: Ms
) -> tuple[Dated, ...]:
    """The history with a value from a moment on, or from now on unless it holds already."""
    if starts is None:
        if as_of(history, now) == value:
            return history
        starts = now - now % 1000
    return with_value(history, value, starts)
