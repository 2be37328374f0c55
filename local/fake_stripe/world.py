"""The state of one side (test or live) of one account: its objects, idempotency keys and what is
due later.

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
from .keys import LIVE, base_name
from .past import Past, Table
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


# What is looked up by whose it is, again and again: the kind, and the field that names the owner.
LINKED = {
    "charge": "payment_intent",
    "invoice_payment": "invoice",
    "refund": "charge",
    "subscription": "customer",
}


class World:
    """One side of one account. Every method is called with the fake's lock held."""

    def __init__(self, fake: "FakeStripe", name: str, *, api_version: str) -> None:
        self.fake = fake
        self.name = name
        self.api_version = api_version
        self.livemode = name.endswith(LIVE)
        self.account_id = account_id(base_name(name))
        self.tables: dict[str, dict[str, Object]] = {}
        self.idempotency: dict[str, Object] = {}
        self.jobs: list[Object] = []
        self.counters: dict[str, int] = {}
        self.past = Past()
        self._linked: dict[tuple[str, str], list[str]] = {}
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
        """The objects of a kind by id. With a past, it is a `past.Table`."""
        found = self.tables.get(kind)
        if found is None or (self.past.batches and not isinstance(found, Table)):
            found = Table(self, kind, found or {}) if self.past.batches else {}
            self.tables[kind] = found
        return found

    def peek(self, kind: str, id_: str) -> Object | None:
        """The object, for reading alone: what lies in the past stays there."""
        found = dict.get(self.tables.get(kind, {}), id_)
        if found is None and (spot := self.past.find(id_)) and self.past.kind_at(spot) == kind:
            found = self.past.draw(spot)
        return found

    def new_id(self, kind: str) -> str:
        prefix, length = PREFIXES[kind]
        if self.livemode:
            prefix = prefix.replace("cs_test_", "cs_live_")
        return prefix + self.fake.random_text(length)

    def new(self, kind: str, **values: Any) -> Object:
        """A stored object with id and `created`, every nullable field null unless given."""
        values.setdefault("id", self.new_id(kind))
        declared = field_names(kind)
        if "created" in declared:
            values.setdefault("created", self.now)
        if "livemode" in declared:
            values["livemode"] = self.livemode
        made = blank(kind, **values)
        self.table(kind)[made["id"]] = made
        self.index(kind, made)
        return made

    def index(self, kind: str, made: Object) -> None:
        """Remembers whose a new object is, for `related`."""
        if kind in LINKED and (owner := made.get(LINKED[kind])):
            self._linked.setdefault((kind, owner), []).append(made["id"])

    def related(self, kind: str, owner: str) -> list[Object]:
        """The charges of an intent, the payments of an invoice, the refunds of a charge, a
        customer's subscriptions; newest first, for reading alone."""
        table, spot = self.tables.get(kind, {}), self.past.find(owner)
        if spot is not None and not self._holds(self.past.kind_at(spot), owner):
            near = self.past.copies_near(kind, {spot.copy})
            drawn = [self.past.draw(s) for s in near if s.batch == spot.batch]
            return [row for row in reversed(drawn) if row[LINKED[kind]] == owner]
        ids = reversed(self._linked.get((kind, owner), []))
        return [dict.__getitem__(table, id_) for id_ in ids if dict.__contains__(table, id_)]

    def _holds(self, kind: str, id_: str) -> bool:
        return dict.__contains__(self.tables.get(kind, {}), id_)

    def get(self, kind: str, id_: str, param: str | None = None) -> Object:
        """Raises Stripe's `resource_missing`: 404 for an id of the path, 400 for `param`."""
        found = self.table(kind).get(id_)
        if found is None or found.get("deleted"):
            if param is None:
                raise missing(kind, id_, PATH_PARAMS.get(kind, "id"))
            raise missing(kind, id_, param, 400)
        return found

    def find(self, id_: str) -> Object | None:
        """The object of that id, whatever it is, for reading alone."""
        for table in self.tables.values():
            if dict.__contains__(table, id_):
                return table[id_]
        spot = self.past.find(id_)
        return self.past.draw(spot) if spot else None

    def rows(self, kind: str, keep: Callable[[Object], bool] | None = None) -> list[Object]:
        """Newest first, without deleted ones; of the past, what was brought out of it."""
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
            "past": self.past.dump(),
        }

    def load(self, dumped: Object) -> None:
        self.past.load(dumped.get("past", []))
        for name, value in dumped.items():
            if name != "past":
                setattr(self, name, value)
        for kind, table in self.tables.items():
            for row in table.values():
                self.index(kind, row)
                self.join(row)

    def join(self, row: Object) -> None:
        """A part and its own row are one object here; JSON made two of it."""
        if row.get("deleted"):
            return
        match row["object"]:
            case "subscription":
                parts, kind = row["items"]["data"], "subscription_item"
            case "invoice":
                parts, kind = row["_lines"], "line_item"
            case _:
                return
        parts[:] = [self.tables.get(kind, {}).get(part["id"], part) for part in parts]


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
