"""The stories that a past is made of, each played once on a fake of its own and then copied.

payment        a Checkout Session in payment mode (or a Payment Link's) that is paid
subscription   one in subscription mode, `months` paid invoices, and its end (unless `stays`)
invoice        a customer with `months` paid invoices, a month apart
payment_intent a payment intent that succeeds

All know: `amount`, `currency`, `price` (one of the account, instead of those two), `customer`
({"email", "name", "metadata"}; null: a guest, where Stripe allows one), `metadata`,
`client_reference_id`, `promotion_code`, `payment_link`, `refund` (an amount of the last payment, or
true for all of it; a day later), `credit_note` (an amount of the last invoice). `{n}` in any text
becomes the number of the copy.
"""

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .events import pictured
from .past import DIGITS, MARK, START, Batch
from .periods import step
from .resources.invoicing import DRAFT_SECONDS
from .resources.paying import pay
from .resources.payment_links import visit
from .world import PREFIXES, Object, World, copied

if TYPE_CHECKING:
    from .fake import FakeStripe

DAY = 86_400
MONTH = 31 * DAY
NAMES = ("payment", "subscription", "invoice", "payment_intent")
# What a story uses and does not make: it is the account's own, the same for every copy.
SHARED = (
    "coupon",
    "payment_link",
    "price",
    "product",
    "promotion_code",
    "shipping_rate",
    "tax_rate",
)
_IDS = re.compile(
    r"\b(?:" + "|".join(sorted({p for p, _ in PREFIXES.values() if p})) + r")[A-Za-z0-9]{14,58}\b"
)
_KNOWN = {
    "amount", "client_reference_id", "credit_note", "currency", "customer", "email", "events",
    "metadata", "months", "payment_link", "price", "promotion_code", "refund", "stays", "story",
}  # fmt: skip


def make_past(
    fake: "FakeStripe", world: World, given: Object, count: int, begin: int, end: int
) -> Batch:
    """`count` copies of the story `given`, the first begun at `begin`, the last over by `end`
    (seconds). Raises `ValueError` for a story that is none or does not fit in between, and Stripe's
    refusals for what its calls refuse."""
    unknown = set(given) - _KNOWN
    if given.get("story") not in NAMES or unknown:
        raise ValueError(f"story is one of {', '.join(NAMES)}; unknown: {sorted(unknown)}")
    if not 1 <= count < 10**DIGITS:
        raise ValueError(f"count is from 1 to {10**DIGITS - 1}")
    played = _Stage(fake, world, given, begin)
    played.play()
    span = played.scratch.now() - START
    if end - begin < span:
        raise ValueError(f"the story takes {span} seconds: more than lie between its bounds")
    return world.past.add(count, begin, end - span, played.told())


class _Stage:
    """One playing of a story, on a fake that nobody else sees."""

    def __init__(self, fake: "FakeStripe", world: World, given: Object, begin: int) -> None:
        from .fake import FakeStripe

        self.given = json.loads(json.dumps(given).replace("{n}", MARK))
        self.scratch = FakeStripe(
            clock=lambda: START,
            seed=fake.random.getrandbits(32),
            check=fake.check,
            api_version=world.api_version,
        )
        self.scratch.url = fake.url
        self.world = self.scratch.world(world.name)
        self.key = f"sk_{'live' if world.livemode else 'test'}_" + world.name.partition(":")[0]
        self.price = given.get("price", "")
        if not self.price and "payment_link" not in given:
            self.price = _price(world, given, begin)
        # each past has people of its own
        self.email = f"past-{fake.random_text(6).lower()}-{MARK}@example.com"
        for kind in SHARED:
            self.world.tables[kind] = copied(dict(world.table(kind)))
        self.shared = {id_ for kind in SHARED for id_ in self.world.table(kind)}

    def play(self) -> None:
        told = {
            "payment": self._payment, "subscription": self._subscription,
            "invoice": self._invoices, "payment_intent": self._intent,
        }  # fmt: skip
        told[self.given["story"]]()
        if not self.world.table("payment_intent"):
            return
        last = list(self.world.table("payment_intent").values())[-1]
        if refund := self.given.get("refund"):
            self._later(DAY)
            amount = {} if refund is True else {"amount": refund}
            self._post("/refunds", {"payment_intent": last["id"]} | amount)
        if amount := self.given.get("credit_note"):
            self._later(DAY)
            invoice = list(self.world.table("invoice").values())[-1]["id"]
            asked = {"invoice": invoice, "amount": amount, "refund_amount": amount}
            self._post("/credit_notes", asked)

    def told(self) -> list[tuple[Object, Object]]:
        """Every object of the story, as stored and as pictured, with gaps for number and times."""
        made = []
        for kind, table in self.world.tables.items():
            if kind in SHARED or (kind == "event" and not self.given.get("events", True)):
                continue
            made += [(row, pictured(self.world, row)) for row in table.values()]
        return [(self._gapped(row), self._gapped(drawn)) for row, drawn in made]

    def _gapped(self, made: Object) -> Object:
        text = json.dumps(made)
        for customer in self.world.table("customer").values():
            text = text.replace(customer["invoice_prefix"], "A" + MARK)
        return json.loads(_IDS.sub(self._id, text))

    def _id(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self.shared else found[0][:-DIGITS] + MARK

    # -- what stories are made of ------------------------------------------------------------

    def _payment(self) -> None:
        self._pay(self._session("payment"))

    def _subscription(self) -> None:
        self._pay(self._session("subscription"))
        if (more := self._months() - 1) > 0:
            self._later(step(START, "month", more) - START + DRAFT_SECONDS + 60)
        if not self.given.get("stays"):
            for id_ in self.world.table("subscription"):
                self._post(f"/subscriptions/{id_}", {}, "DELETE")

    def _invoices(self) -> None:
        customer = self._customer() or self._post("/customers", {})["id"]
        asked = {"customer": customer}
        method = self._post("/payment_methods/pm_card_visa/attach", asked)["id"]
        metadata = {"metadata": self.given["metadata"]} if "metadata" in self.given else {}
        code = self.given.get("promotion_code")
        discounts = {"discounts": [{"promotion_code": code}]} if code else {}
        for month in range(self._months()):
            self._later(MONTH if month else 0)
            self._post("/invoiceitems", asked | {"pricing": {"price": self.price}})
            taken = {"pending_invoice_items_behavior": "include"}
            invoice = self._post("/invoices", asked | taken | metadata | discounts)
            self._post(f"/invoices/{invoice['id']}/pay", {"payment_method": method})

    def _intent(self) -> None:
        price = self.world.get("price", self.price)
        asked = {
            "amount": price["unit_amount"], "currency": price["currency"], "confirm": True,
            "payment_method": "pm_card_visa", "metadata": self.given.get("metadata", {}),
        }  # fmt: skip
        customer = self._customer()
        self._post("/payment_intents", asked | ({"customer": customer} if customer else {}))

    def _session(self, mode: str) -> str:
        reference = self.given.get("client_reference_id")
        if link := self.given.get("payment_link"):
            found = self.world.get("payment_link", link)
            session = visit(self.world, found)
            session["client_reference_id"] = reference
            return session["id"]
        asked: Object = {"mode": mode, "line_items": [{"price": self.price, "quantity": 1}]}
        asked |= {"success_url": f"{self.scratch.url}/thanks"}
        asked |= {"metadata": self.given.get("metadata", {})}
        if reference:
            asked["client_reference_id"] = reference
        if customer := self._customer():
            asked["customer"] = customer
        if code := self.given.get("promotion_code"):
            asked["discounts"] = [{"promotion_code": code}]
        return self._post("/checkout/sessions", asked)["id"]

    def _pay(self, session: str) -> None:
        found = self.world.get("checkout.session", session)
        email = self.given.get("email", self.email)
        with self.world.at(self.scratch.now(), None):
            pay(self.world, found, email=email, name="Guest", method="pm_card_visa")

    def _customer(self) -> str:
        """The customer made before the payment, or '' for a guest."""
        wanted = self.given.get("customer", {"email": self.email})
        return self._post("/customers", wanted)["id"] if wanted is not None else ""

    def _months(self) -> int:
        return max(1, int(self.given.get("months", 1)))

    def _later(self, seconds: int) -> None:
        self.scratch.move_clock(self.scratch.offset_seconds + seconds)

    def _post(self, path: str, params: Object, method: str = "POST") -> Object:
        from .api import answer

        headers = {"authorization": f"Bearer {self.key}"}
        body = urlencode(_flat(params)).encode()
        made = answer(self.scratch, method, "/v1" + path, "", headers, body)
        told = json.loads(made.body)
        if made.status >= 400:
            raise ValueError(f"{path}: {told['error']['message']}")
        return told


def _price(world: World, given: Object, begin: int) -> str:
    """A price of the account's, made as its past begins, without an event."""
    from .resources.catalog import make_price

    recurring = {"interval": "month"} if given["story"] == "subscription" else None
    with world.at(begin, None), world.fake.illness.silence():
        made = make_price(
            world,
            unit_amount=int(given.get("amount", 4900)),
            currency=given.get("currency", "eur"),
            product_data={"name": "Past"},
            **({"recurring": recurring} if recurring else {}),
        )
    return made["id"]


def _flat(params: Any, name: str = "") -> list[tuple[str, str]]:
    """Stripe's form encoding of a tree."""
    if isinstance(params, dict):
        items = [(f"{name}[{k}]" if name else k, v) for k, v in params.items()]
    elif isinstance(params, list):
        items = [(f"{name}[{n}]", v) for n, v in enumerate(params)]
    else:
        text = str(params).lower() if isinstance(params, bool) else str(params)
        return [(name, text)]
    return [pair for key, value in items for pair in _flat(value, key)]
