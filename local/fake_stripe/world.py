"""The state of one account: its objects, idempotency keys and what is due later.

Objects are kept in one internal shape: the newest API version, plus keys that start with `_`. Those
are the fake's own notes and what older versions need (`versions/`); they never leave it.
"""

import copy
import hashlib
import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .blanks import blank
from .errors import missing
from .sdk_hints import field_names

if TYPE_CHECKING:
    from .fake import FakeStripe

Object = dict[str, Any]
ALPHABET = string.ascii_letters + string.digits
# What the ids of each resource begin with, and how many characters follow.
PREFIXES = {
    "balance_transaction": ("txn_", 24),
    "card": ("card_", 24),
    "charge": ("ch_", 24),
    "checkout.session": ("cs_test_", 58),
    "coupon": ("", 8),
    "credit_note": ("cn_", 24),
    "credit_note_line_item": ("cnli_", 24),
    "customer": ("cus_", 14),
    "customer_balance_transaction": ("cbtxn_", 24),
    "discount": ("di_", 24),
    "dispute": ("du_", 24),
    "event": ("evt_", 24),
    "invoice": ("in_", 24),
    "invoice_payment": ("inpay_", 24),
    "invoiceitem": ("ii_", 24),
    "item": ("li_", 24),
    "line_item": ("il_", 24),
    "payment_intent": ("pi_", 24),
    "payment_link": ("plink_", 24),
    "payment_method": ("pm_", 24),
    "price": ("price_", 24),
    "product": ("prod_", 14),
    "promotion_code": ("promo_", 24),
    "refund": ("re_", 24),
    "setup_intent": ("seti_", 24),
    "shipping_rate": ("shr_", 24),
    "subscription": ("sub_", 24),
    "subscription_item": ("si_", 14),
    "tax_rate": ("txr_", 24),
    "test_helpers.test_clock": ("clock_", 24),
    "webhook_endpoint": ("we_", 24),
}
# The parameter Stripe names in "No such ..." for an object of the path.
PATH_PARAMS = {"invoice": "invoice", "payment_intent": "intent", "price": "price"}


class World:
    """One account. Every method is called with the fake's lock held."""

    def __init__(self, fake: "FakeStripe", name: str, *, api_version: str) -> None:
        self.fake = fake
        self.name = name
        self.api_version = api_version
        self.account_id = account_id(name)
        self.tables: dict[str, dict[str, Object]] = {}
        self.idempotency: dict[str, Object] = {}
        self.jobs: list[Object] = []
        self.counters: dict[str, int] = {}
        self._time: int | None = None
        self.clock_id: str | None = None
        self.request: Object = {"id": None, "idempotency_key": None}

    @property
    def now(self) -> int:
        """Seconds: the test clock's or a due job's time while one is at work, else the fake's."""
        return self._time if self._time is not None else self.fake.now()

    @contextmanager
    def at(self, time: int, clock_id: str | None) -> Iterator[None]:
        """Everything inside happens at `time`, on that test clock (None: the fake's own)."""
        before = (self._time, self.clock_id)
        self._time, self.clock_id = time, clock_id
        try:
            yield
        finally:
            self._time, self.clock_id = before

    def table(self, kind: str) -> dict[str, Object]:
        return self.tables.setdefault(kind, {})

    def new_id(self, kind: str) -> str:
        prefix, length = PREFIXES[kind]
        return prefix + self.fake.random_text(length)

    def new(self, kind: str, **values: Any) -> Object:
        """A stored object with id and `created`, every nullable field null unless given."""
        values.setdefault("id", self.new_id(kind))
        declared = field_names(kind)
        if "created" in declared:
            values.setdefault("created", self.now)
        if "livemode" in declared:
            values["livemode"] = False
        made = blank(kind, **values)
        self.table(kind)[made["id"]] = made
        return made

    def get(self, kind: str, id_: str, param: str | None = None) -> Object:
        """Raises Stripe's `resource_missing`: 404 for an id of the path, 400 for `param`."""
        found = self.table(kind).get(id_)
        if found is None or found.get("deleted"):
            if param is None:
                raise missing(kind, id_, PATH_PARAMS.get(kind, "id"))
            raise missing(kind, id_, param, 400)
        return found

    def find(self, id_: str) -> Object | None:
        """The object of that id, whatever it is."""
        for table in self.tables.values():
            if id_ in table:
                return table[id_]
        return None

    def rows(self, kind: str, keep: Callable[[Object], bool] | None = None) -> list[Object]:
        """Newest first, without deleted ones."""
        rows = [r for r in self.table(kind).values() if not r.get("deleted")]
        return [r for r in reversed(rows) if keep is None or keep(r)]

    def count(self, name: str) -> int:
        self.counters[name] = self.counters.get(name, 0) + 1
        return self.counters[name]

    def schedule(self, do: str, at: int, *args: Any) -> None:
        """Job `do` is due at `at`, on the clock that is at work now."""
        job = {"at": at, "do": do, "args": list(args), "clock": self.clock_id}
        self.jobs.append({**job, "n": self.count("job")})

    def unschedule(self, do: str, first_arg: str) -> None:
        self.jobs = [j for j in self.jobs if (j["do"], j["args"][:1]) != (do, [first_arg])]

    def dump(self) -> Object:
        return {
            "api_version": self.api_version,
            "tables": self.tables,
            "idempotency": self.idempotency,
            "jobs": self.jobs,
            "counters": self.counters,
        }

    def load(self, dumped: Object) -> None:
        for name, value in dumped.items():
            setattr(self, name, value)
        for subscription in self.table("subscription").values():
            self._join(subscription["items"]["data"], "subscription_item")
        for invoice in self.table("invoice").values():
            self._join(invoice["_lines"], "line_item")

    def _join(self, parts: list[Object], kind: str) -> None:
        """A part and its row are one object here; JSON made two of it."""
        parts[:] = [self.table(kind).get(part["id"], part) for part in parts]


def account_id(name: str) -> str:
    """The same name always gives the same account."""
    seeded = random.Random(hashlib.sha256(name.encode()).digest())
    return "acct_1" + "".join(seeded.choices(ALPHABET, k=15))


def public(value: Any) -> Any:
    """A deep copy without the fake's own notes."""
    if isinstance(value, dict):
        return {k: public(v) for k, v in value.items() if not k.startswith("_")}
    if isinstance(value, list):
        return [public(v) for v in value]
    return value


def copied(value: Object) -> Object:
    return copy.deepcopy(value)
