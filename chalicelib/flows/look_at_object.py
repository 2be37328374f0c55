"""One object of Stripe's: the event that it makes, what that tells, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core.facts import Ms
from chalicelib.core.lacking import lacking
from chalicelib.core.told import Ignored, Told
from chalicelib.flows.read_claims import account_told
from chalicelib.flows.read_known import Known
from chalicelib.flows.receive_webhook import BUG, read_told
from chalicelib.storage import keys, records
from chalicelib.storage.records import Connection
from chalicelib.storage.store import Key
from chalicelib.stripe_adapter.envelope import Unreadable, read_envelope
from chalicelib.stripe_adapter.fields import Body
from chalicelib.stripe_adapter.objects import event_of, untold

if TYPE_CHECKING:
    from chalicelib.stripe_adapter.calls import Kind

Became = Literal["matched", "healed", "explained", "unexplained"]
PAYMENTS: Mapping[str, tuple[str, ...]] = {
    "invoice": ("in_",),
    "payment_intent": ("pi_",),
    "charge": ("ch_", "py_"),
    "checkout.session": ("cs_",),
}
"""Objects that are about one payment, and how their ids begin: the first that it has stands for its
amount."""


@dataclass(slots=True)
class Look:
    """``body`` is the event that the object makes (empty: none), ``place`` its place in the inbox,
    ``told`` what it tells, or ``unread`` that it cannot be read. ``lacks`` is what was not known of
    it, ``again`` what is not, still; ``because`` is why it tells nothing, or was not taken in."""

    kind: "Kind"
    row: Body
    place: Key | None = None
    body: bytes = b""
    told: Told = field(default_factory=Told)
    because: str = ""
    unread: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    found: bool = False
    again: tuple[str, ...] = ()

    def is_since(self, known: Known, since: Ms) -> bool:
        """Whether just this was taken in since then."""
        head = known.items.get(self.place) if self.place else None
        return head is not None and records.read_inbox(head).received_at >= since

    @property
    def intent(self) -> str:
        """The payment intent that the object is about, empty where it is about none."""
        ids = self.told.sale.ids if self.told.sale else frozenset[str]()
        return min((id for id in ids if id.startswith("pi_")), default="")

    def lacking_in(self, known: Known) -> tuple[str, ...]:
        return self.unread or lacking(self.told, known.sales(self.told), known.people(self.told))

    def needs_claims(self, known: Known) -> bool:
        """Whether it is a payment of which nobody told what it is for."""
        if self.kind not in ("payment_intent", "charge") or not self.intent:
            return False
        return not any(s.is_claimed or s.settled_by_stripe for s in known.sales(self.told))

    def has_the_amount(self, known: Known) -> bool:
        """Whether its amount counts: no other object stands for the same payment before it."""
        ids = {str(self.row.get("id")), *(id for s in known.sales(self.told) for id in s.ids)}
        kinds = (
            kind for kind, begin in PAYMENTS.items() if any(id.startswith(begin) for id in ids)
        )
        return self.kind not in PAYMENTS or self.kind == next(kinds, self.kind)

    @property
    def became(self) -> Became:
        if self.again:
            bug = self.because.startswith(BUG)
            return "explained" if self.because and not bug else "unexplained"
        if self.found:
            return "healed"
        return "explained" if self.because else "matched"

    def example(self) -> dict[str, Any]:
        said = {"because": self.because} if self.because else {}
        lacks = list(self.again or self.lacks)
        id = str(self.row.get("id"))
        return {"kind": self.kind, "id": id, "lacking": lacks, "became": self.became, **said}


def look_at(kind: "Kind", row: Body, connection: Connection) -> Look:
    """What the object tells, as this connection's."""
    look = Look(kind, row)
    account = account_told(connection)
    body = event_of(kind, row, livemode=connection.livemode, account=account)
    if body is None:
        look.because = untold(kind, row)
        return look
    told = read_told(body)
    if isinstance(told, Unreadable):  # taken in, it is put down as failed
        look.unread, told = ("anything that can be read",), Told()
    if isinstance(told, Ignored):
        look.because = told.because
        return look
    look.body, look.told = body, told
    look.place = keys.inbox(connection.id, read_envelope(body).id)
    return look
