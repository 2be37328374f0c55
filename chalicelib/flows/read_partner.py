"""Finding a partner by any of its names."""

from collections.abc import Mapping

from chalicelib.core.people import normal_email
from chalicelib.core.program import PARTNER_KEY, Partner
from chalicelib.storage import keys, records
from chalicelib.storage.store import Item, Store


def find_partner(program_id: str, name: Mapping[str, str], *, store: Store) -> Partner | None:
    """The partner with that ``key``, ``id`` or ``email``, or with any of them (``any``)."""
    item = find_partner_item(program_id, name, store=store)
    return records.read_partner(item) if item else None


def find_partner_item(program_id: str, name: Mapping[str, str], *, store: Store) -> Item | None:
    """The same, as stored."""
    either = name.get("any", "")
    key, id = name.get("key", either), name.get("id", either)
    email = name.get("email", "")
    wanted = []
    if PARTNER_KEY.fullmatch(key):
        wanted.append(keys.partner(program_id, key))
    if PARTNER_KEY.fullmatch(id):
        wanted.append(keys.partner_id(program_id, id))
    if email:
        wanted.append(keys.partner_email(program_id, normal_email(email)))
    items = store.get(wanted) if wanted else {}
    for wanted_key in wanted:
        item = items.get(wanted_key)
        if item is None:
            continue
        if "of" not in item.body:
            return item
        partner = keys.partner(program_id, str(item.body["of"]))
        found = store.get([partner]).get(partner)
        if found is not None:
            return found
    return None
