"""Core's values as stored items, and back. One function each way, per thing stored; those that a
visit needs stand in ``visit_records``, and connections in ``connection_records``; all are known
here too."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.core.facts import Identity, Ms, SaleId, Sighting
from chalicelib.core.ledger import Entry
from chalicelib.core.people import Household, People, SalePointer
from chalicelib.core.sale import Summary
from chalicelib.core.settlement import SettledSale
from chalicelib.core.told import Reference, Told
from chalicelib.storage import keys
from chalicelib.storage.codec import dump, load
from chalicelib.storage.connection_records import Connection as Connection
from chalicelib.storage.connection_records import connection_item as connection_item
from chalicelib.storage.connection_records import read_connection as read_connection
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Add, Item, Key, Put
from chalicelib.storage.visit_records import CLICK_TTL_S as CLICK_TTL_S
from chalicelib.storage.visit_records import DAY_S
from chalicelib.storage.visit_records import Click as Click
from chalicelib.storage.visit_records import click_item as click_item
from chalicelib.storage.visit_records import partner_item as partner_item
from chalicelib.storage.visit_records import program_item as program_item
from chalicelib.storage.visit_records import read_click as read_click
from chalicelib.storage.visit_records import read_partner as read_partner
from chalicelib.storage.visit_records import read_program as read_program

INBOX_TTL_S = 400 * DAY_S


def alias_item(key: Key, of: str) -> Item:
    """A pointer from one name of a thing to another."""
    return Item(key=key, body={"of": of})


def sale_item(scope: Scope, settled: SettledSale, summary: Summary, *, version: int) -> Item:
    """A settled sale under its canonical id. Listed once it is paid; due when Stripe is to be asked
    about it, else when it may mature."""
    id = settled.sale.canonical
    place = f"{summary.paid_at:013d}#{id}"
    key = keys.sale(scope, id)
    partner = settled.credited or min(settled.partners(), default="")
    return Item(
        key=key,
        body=dump(settled),
        version=version,
        listing=(f"{scope}#sales", place) if summary.paid else None,
        due=_due(settled, f"{scope}#{id}"),
        partner=(f"{scope}#{partner}", place) if partner and summary.paid else None,
    )


def _due(settled: SettledSale, key: str) -> tuple[str, str] | None:
    if settled.question:
        return keys.DUE_ASK, keys.due(settled.question.at, key)
    return (keys.DUE_RELEASE, keys.due(settled.due_at, key)) if settled.due_at else None


def sale_alias_item(scope: Scope, id: SaleId, canonical: SaleId, version: int) -> Item:
    return Item(key=keys.sale(scope, id), body={"of": canonical}, version=version)


def read_sale(item: Item) -> SettledSale:
    return load(SettledSale, item.body)


def identity_item(
    scope: Scope, identity: Identity, household: str, *, merchant: bool, version: int
) -> Item:
    """Whose an identity is; ``merchant`` marks a customer key that the merchant made."""
    body: dict[str, Any] = {"household": household}
    if merchant:
        body["merchant"] = True
    return Item(key=keys.identity(scope, identity), body=body, version=version)


def reference_item(scope: Scope, reference: Reference, household: str) -> Item:
    """A checkout that may be of a customer whom the merchant has not made yet."""
    return Item(key=keys.reference(scope, reference.key, household), body=dump(reference))


def read_reference(item: Item) -> Reference:
    return load(Reference, item.body)


def household_item(scope: Scope, household: Household, *, created_at: Ms, version: int) -> Item:
    """A household; listed among the customers by when it was first seen."""
    return Item(
        key=keys.household(scope, household.id),
        body={**dump(household), "created_at": created_at},
        version=version,
        listing=(f"{scope}#customers", f"{created_at:013d}#{household.id}"),
    )


def forwarding_item(scope: Scope, id: str, to: str, *, version: int) -> Item:
    """A household that was joined into another: its identities still lead here."""
    return Item(key=keys.household(scope, id), body={"of": to}, version=version)


def read_household(item: Item) -> Household:
    body = {name: value for name, value in item.body.items() if name != "created_at"}
    return load(Household, body)


def pointer_item(scope: Scope, part: str, pointer: SalePointer) -> Item:
    return Item(key=keys.pointer(scope, part, pointer.place), body=dump(pointer))


def read_pointer(item: Item) -> SalePointer:
    return load(SalePointer, item.body)


def work_item(
    scope: Scope,
    household_id: str,
    *,
    due_at: Ms,
    since: Ms,
    version: int,
    done: tuple[str, str] = ("", ""),
) -> Item:
    """What a change of a household still owes: its sales paid from ``since`` on are to be settled
    again. ``done`` is the partition and the place up to which that was done."""
    body = {"program": scope.program, "mode": scope.mode, "household": household_id}
    return Item(
        key=keys.work(scope, household_id),
        body={**body, "since": since, "done": list(done)},
        version=version,
        due=(keys.DUE_WORK, keys.due(due_at, f"{scope}#{household_id}")),
    )


def program_work_item(scope: Scope, *, since: Ms, after: str, due_at: Ms, version: int) -> Item:
    """All sales of a program paid from a time on are to be settled again; ``after`` is the place in
    the list of sales up to which that was done."""
    return Item(
        key=keys.program_work(scope),
        body={"program": scope.program, "mode": scope.mode, "from": since, "after": after},
        version=version,
        due=(keys.DUE_WORK, keys.due(due_at, str(scope))),
    )


def no_work_item(work: Item) -> Item:
    """What was owed is done. The item stays, so that its version goes on: were it removed, the next
    work would begin at 1 again, and whoever still holds the work of before would end it unseen."""
    return Item(key=work.key, version=work.version)


def entry_item(scope: Scope, entry: Entry) -> Item:
    return Item(key=keys.entry(scope, entry.partner, entry.at, entry.id), body=dump(entry))


def read_entry(item: Item) -> Entry:
    return load(Entry, item.body)


def add_to_balance(
    scope: Scope, partner: str, currency: str, changes: Mapping[str, int], *, period: int
) -> Add:
    """A change of a partner's balance, for as long as no payout came in between."""
    return Add(keys.balance(scope, partner, currency), changes, when={"period": period})


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A partner's minor units in one currency. ``period`` counts the payouts."""

    pending: int = 0
    payable: int = 0
    paid: int = 0
    period: int = 0


def read_balance(item: Item | None) -> Balance:
    return Balance(**item.numbers) if item else Balance()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What a program API key opens: one program, one mode. Stored by the key's hash."""

    program: str
    mode: str
    name: str = ""
    created_at: Ms = 0


def api_key_item(digest: str, api_key: ApiKey) -> Item:
    return Item(key=keys.api_key(digest), body=dump(api_key))


def read_api_key(item: Item) -> ApiKey:
    return load(ApiKey, item.body)


def awaited_item(
    scope: Scope, token: str, identities: Sequence[Identity], *, now: Ms, version: int
) -> Item:
    """Who used a token whose click was not seen yet."""
    return Item(
        key=keys.awaited_click(scope.program, token, scope.mode),
        body={"identities": list(identities)},
        version=version,
        expires_at=now // 1000 + 30 * DAY_S,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHead:
    """An outside event as received: ``state`` is ``received``, ``handled``, ``ignored`` or
    ``failed``; the last two with their reason."""

    connection: str
    id: str
    type: str
    state: str
    received_at: Ms
    because: str = ""
    handled_at: Ms = 0
    attempts: int = 0

    @property
    def kept_out(self) -> bool:
        """It came while its connection was closed: ignored for good, unless it comes again."""
        return self.state == "ignored" and self.because.startswith(CLOSED)


CLOSED = "the connection is closed"


def inbox_item(
    head: InboxHead, *, version: int, due_at: Ms | None = None, blob: bytes | None = None
) -> Item:
    """The head of an event: due while it is to be handled, listed apart if it failed. ``blob`` is
    its packed body, where that has no item of its own."""
    key = keys.inbox(head.connection, head.id)
    due = None
    if head.state == "failed":
        due = (keys.DUE_FAILED, keys.due(head.received_at, key.pk))
    elif due_at is not None:
        due = (keys.DUE_INBOX, keys.due(due_at, key.pk))
    return Item(
        key=key,
        body=dump(head),
        version=version,
        due=due,
        blob=blob,
        expires_at=head.received_at // 1000 + INBOX_TTL_S,
    )


def with_version(item: Item, version: int) -> Item:
    """The item as it stands once it was put."""
    return replace(item, version=version)


def read_inbox(item: Item) -> InboxHead:
    return load(InboxHead, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """Rewards paid together, by the merchant's own key."""

    key: str
    partner: str
    currency: str
    amount_minor: int
    at: Ms


def payout_item(scope: Scope, payout: Payout) -> Item:
    return Item(
        key=keys.payout(scope, payout.key),
        body=dump(payout),
        listing=(f"{scope}#payouts", f"{payout.at:013d}#{payout.key}"),
    )


def read_payout(item: Item) -> Payout:
    return load(Payout, item.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a door was told and booked, and when: facts made whole (owners, times of clicks)."""

    told: Told
    at: Ms


def telling_item(scope: Scope, telling: Telling) -> Item:
    """The key is made from the content, so that one telling is one item however often it is
    tried."""
    body = dump(telling)
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Item(key=keys.telling(scope, digest[:32]), body=body)


def read_telling(item: Item) -> Telling:
    return load(Telling, item.body)


def stamped(item: Item, *, state: str, now: Ms, because: str = "") -> Put:
    """The inbox head of a stored event as handled, ignored or failed: it is owed no more."""
    head = replace(
        read_inbox(item),
        state=state,
        handled_at=now,
        because=because,
        attempts=read_inbox(item).attempts + 1,
    )
    return Put(inbox_item(head, version=item.version, blob=item.blob))


def people_about(identity: Identity) -> People:
    """Facts that say nothing but name an identity: to read what is known of it."""
    named = Sighting(identity=identity, by="named", at=0)
    return People(sightings={named.id: named})
