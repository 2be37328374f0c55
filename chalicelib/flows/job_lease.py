"""The lease of all jobs: while one process of the deployment holds it, no other runs any."""

from contextlib import suppress

from chalicelib.core.names import Ms
from chalicelib.core.refusals import Unavailable
from chalicelib.storage import job_records, keys
from chalicelib.storage.store import Put, Stale, Store

LEASE_MS = 360_000  # longer than a function that runs jobs may live
RENEW_MS = 60_000


class Lease:
    """One item, conditioned on its version. Whoever dies holding it holds it to its end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = 0
        self._until: Ms = 0

    def take(self, now: Ms) -> bool:
        """Whether nobody else has it. Raises ``Unavailable``."""
        item = self._store.get([keys.job_lease()]).get(keys.job_lease())
        if job_records.leased_until(item) > now:
            return False
        self._version = item.version if item else 0
        return self._put(now)

    def keep(self, now: Ms) -> bool:
        """Whether it is still ours; made longer once a minute of it has passed. Raises
        ``Unavailable``."""
        return self._until - now >= LEASE_MS - RENEW_MS or self._put(now)

    def give_back(self) -> None:
        """Ended, not removed: its versions never begin anew. One that cannot be ended ends by
        itself."""
        with suppress(Stale, Unavailable):
            self._store.commit([Put(job_records.lease_item(0, version=self._version))])

    def _put(self, now: Ms) -> bool:
        self._until = now + LEASE_MS
        try:
            self._store.commit([Put(job_records.lease_item(self._until, version=self._version))])
        except Stale:
            return False
        self._version += 1
        return True
