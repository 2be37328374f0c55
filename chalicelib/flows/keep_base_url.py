"""Where this deployment is reached. Requests know by themselves; what runs by the clock, and the
operator's command line, read what the deployment stored (a function's environment cannot hold its
own API's id)."""

from chalicelib.storage import keys
from chalicelib.storage.store import Item, Put, Store


def keep_base_url(url: str, *, store: Store) -> bool:
    """Store the address, without a slash at its end; empty when there is none any more. False if
    it was the one that stands."""
    if url == read_base_url(store=store):
        return False
    store.commit([Put(Item(key=keys.deployment(), body={"base_url": url}), blind=True)])
    return True


def read_base_url(*, store: Store) -> str:
    """The stored address; empty if none was stored."""
    key = keys.deployment()
    item = store.get([key]).get(key)
    return str(item.body["base_url"]) if item else ""
