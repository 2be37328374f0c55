"""What of something told is not known yet."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.facts import (
    Bond,
    Conversion,
    CreditNote,
    Dispute,
    KeepOut,
    Profile,
    Refund,
    RefundedTotal,
    Sighting,
    Touch,
    View,
    ViewKind,
    Way,
    edge,
)
from chalicelib.core.lacking import CHECKOUT_OPEN_MS, lacking
from chalicelib.core.people import KEPT_CONVERSIONS, People
from chalicelib.core.sale import Sale
from chalicelib.core.told import Told

AT = 1_777_593_600_000
SAM, MAIL = "stripe:cus_1", "email:sam@example.com"


def view(**about: Any) -> View:
    told = {"id": "in_1", "kind": ViewKind.INVOICE, "currency": "eur", "paid": True}
    return View(**{"amount": 4900, "paid_at": AT, "told_at": AT, **told, **about})


def touch(**about: Any) -> Touch:
    return Touch(
        **{"id": "reference:cs_1", "way": Way.REFERENCE, "at": AT, "partner": "ann"} | about
    )


def sale(**about: Any) -> Sale:
    return Sale(ids=about.pop("ids", frozenset({"in_1"})), **about)


def by_id(*facts: Any) -> dict[str, Any]:
    return {fact.id: fact for fact in facts}


def of_sale(told: Sale, *known: Sale) -> tuple[str, ...]:
    return lacking(Told(sale=told), known, ())


REFUND = Refund(id="re_1", amount=900, status="succeeded", told_at=AT, charge="ch_1")
DISPUTE = Dispute(id="du_1", amount=4900, status="needs_response")
NOTE = CreditNote(id="cn_1", amount=300)
TOTAL = RefundedTotal(charge="ch_1", amount=900, told_at=AT, intent="pi_1")


def refunds(*told: Refund) -> Sale:
    return sale(refunds=by_id(*told))


def totals(*told: RefundedTotal) -> Sale:
    return sale(refunded_totals={total.charge: total for total in told})


SALES: list[tuple[str, Sale, list[Sale], tuple[str, ...]]] = [
    ("all unknown", sale(), [], ("the sale",)),
    (
        "another net",
        sale(views=by_id(view(total=4900, net=4900))),
        [sale(views=by_id(view(total=4900, net=4000)))],
        ("what of it is without tax and shipping",),
    ),
    (
        "a part paid outside Stripe",
        sale(views=by_id(view(outside=900))),
        [sale(views=by_id(view()))],
        ("what of it was paid outside Stripe",),
    ),
    (
        "a part paid outside Stripe that is known",
        sale(views=by_id(view())),
        [sale(views=by_id(view(outside=900)))],
        (),
    ),
    ("all known", sale(views=by_id(view())), [sale(views=by_id(view()))], ()),
    (
        "another id",
        sale(ids=frozenset({"in_1", "pi_1"})),
        [sale()],
        ("that these are one payment",),
    ),
    (
        "two sales",
        sale(ids=frozenset({"in_1", "pi_1"})),
        [sale(), sale(ids=frozenset({"pi_1"}))],
        ("that these are one payment",),
    ),
    ("more is known", sale(), [sale(ids=frozenset({"in_1", "pi_1"}))], ()),
    ("a customer", sale(identities=frozenset({SAM})), [sale()], ("whose sale it is",)),
    ("a touch", sale(touches=by_id(touch())), [sale()], ("who brought the customer",)),
    (
        "a touch at another time",
        sale(touches=by_id(touch(at=AT + 9))),
        [sale(touches=by_id(touch()))],
        (),
    ),
    ("kept out", sale(keep_out=True), [sale()], ("that it is kept out",)),
    ("kept out no more", sale(), [sale(keep_out=True)], ()),
    ("a view", sale(views=by_id(view())), [sale()], ("the payment",)),
    ("an unpaid view", sale(views=by_id(view(paid=False))), [sale()], ()),
    (
        "paid, known as unpaid",
        sale(views=by_id(view())),
        [sale(views=by_id(view(paid=False)))],
        ("the payment",),
    ),
    (
        "unpaid, known as paid",
        sale(views=by_id(view(paid=False))),
        [sale(views=by_id(view()))],
        (),
    ),
    (
        "another amount",
        sale(views=by_id(view(amount=4800))),
        [sale(views=by_id(view()))],
        ("the amount of the payment",),
    ),
    (
        "another currency",
        sale(views=by_id(view(currency="usd"))),
        [sale(views=by_id(view()))],
        ("the amount of the payment",),
    ),
    (
        "another time",
        sale(views=by_id(view(paid_at=AT + 5_000, told_at=AT - 5_000))),
        [sale(views=by_id(view()))],
        (),
    ),
    ("a refund", refunds(REFUND), [sale()], ("a refund",)),
    ("a refund that is known", refunds(REFUND), [refunds(REFUND)], ()),
    (
        "one that was pending",
        refunds(REFUND),
        [refunds(replace(REFUND, status="pending"))],
        (),
    ),
    (
        "one that failed",
        refunds(replace(REFUND, status="failed")),
        [refunds(REFUND)],
        ("that a refund failed",),
    ),
    (
        "one that is known to have failed",
        refunds(REFUND),
        [refunds(replace(REFUND, status="failed"))],
        (),
    ),
    ("what a capture left over", refunds(replace(REFUND, status="released")), [sale()], ()),
    (
        "what a capture left over, known as a refund",
        refunds(replace(REFUND, status="released")),
        [refunds(REFUND)],
        ("that a refund failed",),
    ),
    ("a total", totals(TOTAL), [sale()], ("what was refunded of the charge",)),
    ("a total that is known", totals(TOTAL), [totals(replace(TOTAL, told_at=1))], ()),
    ("a total that is less", totals(TOTAL), [totals(replace(TOTAL, amount=1000))], ()),
    (
        "a total that is more",
        totals(TOTAL),
        [totals(replace(TOTAL, amount=800))],
        ("what was refunded of the charge",),
    ),
    ("a total that refunds make up", totals(TOTAL), [refunds(REFUND)], ()),
    (
        "a total of refunds by the intent",
        totals(TOTAL),
        [refunds(replace(REFUND, charge="", intent="pi_1"))],
        (),
    ),
    (
        "a total of which one failed",
        totals(TOTAL),
        [refunds(replace(REFUND, status="failed"))],
        ("what was refunded of the charge",),
    ),
    (
        "a total of another charge's",
        totals(TOTAL),
        [refunds(replace(REFUND, charge="ch_2"))],
        ("what was refunded of the charge",),
    ),
    ("a dispute", sale(disputes=by_id(DISPUTE)), [sale()], ("a dispute",)),
    (
        "one that is under review",
        sale(disputes=by_id(replace(DISPUTE, status="under_review"))),
        [sale(disputes=by_id(DISPUTE))],
        (),
    ),
    (
        "one that is won",
        sale(disputes=by_id(replace(DISPUTE, status="won"))),
        [sale(disputes=by_id(DISPUTE))],
        ("how a dispute stands",),
    ),
    (
        "one that is known as won",
        sale(disputes=by_id(DISPUTE)),
        [sale(disputes=by_id(replace(DISPUTE, status="won")))],
        (),
    ),
    (
        "an inquiry that ended",
        sale(disputes=by_id(replace(DISPUTE, status="warning_closed"))),
        [sale(disputes=by_id(replace(DISPUTE, status="warning_under_review")))],
        (),
    ),
    (
        "an inquiry that became a dispute",
        sale(disputes=by_id(DISPUTE)),
        [sale(disputes=by_id(replace(DISPUTE, status="warning_closed")))],
        ("how a dispute stands",),
    ),
    ("a credit note", sale(credit_notes=by_id(NOTE)), [sale()], ("a credit note",)),
    (
        "a void one",
        sale(credit_notes=by_id(replace(NOTE, voided=True))),
        [sale(credit_notes=by_id(NOTE))],
        ("a credit note",),
    ),
    (
        "one that is known as void",
        sale(credit_notes=by_id(NOTE)),
        [sale(credit_notes=by_id(replace(NOTE, voided=True)))],
        (),
    ),
]


STAND = (("the amount of the payment",), ("what of it is without tax and shipping",))
"""Where what is known is as new as what was told, it stands."""


@pytest.mark.parametrize(
    ("told", "known", "lacks"), [row[1:] for row in SALES], ids=[r[0] for r in SALES]
)
def test_of_a_sale(told: Sale, known: list[Sale], lacks: tuple[str, ...]) -> None:
    assert of_sale(told, *known) == lacks
    if lacks and lacks not in STAND:
        healed = told
        for one in known:
            healed = healed.join(one)
        if "what was refunded of the charge" not in lacks:
            assert of_sale(told, healed) == ()


def people(**about: Any) -> People:
    return People(**{name: by_id(*facts) for name, facts in about.items()})


def of_people(told: People, *known: People) -> tuple[str, ...]:
    return lacking(Told(people=told), (), known)


SEEN = Sighting(identity=SAM, by="stripe", at=AT)
LONG_AFTER = replace(SEEN, at=AT + CHECKOUT_OPEN_MS + 1)
CLAIM = Sighting(identity="key:1", by="claim", at=AT)
TIE = edge(SAM, MAIL, Bond.STRIPE_EMAIL, AT)
CHECKOUT = Conversion(id="checkout:cs_1", identity=SAM, at=AT)
KNOWN_AS = f"{SAM}|verified"  # as it is stored (``earliest_conversions``)
PROFILE = Profile(identity=SAM, at=AT, created_at=AT, verified=True, email="sam@example.com")
OUT = KeepOut(identity=SAM, at=AT, out=True)


def converted(at: int) -> People:
    return people(conversions=[replace(CHECKOUT, id=KNOWN_AS, at=at)])


PEOPLE: list[tuple[str, People, list[People], tuple[str, ...]]] = [
    ("nobody", People(), [], ()),
    ("somebody", people(sightings=[SEEN]), [], ("an identity of the customer",)),
    (
        "somebody who is known",
        people(sightings=[SEEN]),
        [people(sightings=[replace(SEEN, at=AT + 9)])],
        (),
    ),
    (
        "somebody who was a customer long before",
        people(sightings=[SEEN]),
        [people(sightings=[LONG_AFTER])],
        (),
    ),
    (
        "somebody who was a customer long before, and signed up",
        people(sightings=[SEEN]),
        [people(sightings=[LONG_AFTER, CLAIM])],
        ("since when the customer is known",),
    ),
    (
        "an e-mail that is his by now, and signed up",
        people(sightings=[replace(SEEN, identity=MAIL)]),
        [people(sightings=[replace(LONG_AFTER, identity=MAIL), CLAIM])],
        (),
    ),
    ("a tie", people(edges=[TIE]), [People()], ("that two identities are one customer",)),
    ("a tie that is known", people(edges=[TIE]), [people(edges=[replace(TIE, at=1)])], ()),
    ("a touch", people(touches=[touch()]), [], ("who brought the customer",)),
    ("a touch that is known", people(touches=[touch()]), [people(touches=[touch(at=9)])], ()),
    ("a conversion", people(conversions=[CHECKOUT]), [], ("that the customer converted",)),
    ("one that is known", people(conversions=[CHECKOUT]), [converted(AT + 60_000)], ()),
    ("one that was before", people(conversions=[CHECKOUT]), [converted(AT - 60_000)], ()),
    (
        "one that was long before those known",
        people(conversions=[CHECKOUT]),
        [converted(AT + CHECKOUT_OPEN_MS + 1)],
        ("that the customer converted",),
    ),
    ("a profile", people(profiles=[PROFILE]), [], ("the customer's profile",)),
    (
        "a newer profile",
        people(profiles=[PROFILE]),
        [people(profiles=[replace(PROFILE, at=AT + 1, email="new@example.com")])],
        (),
    ),
    (
        "an older profile",
        people(profiles=[PROFILE]),
        [people(profiles=[replace(PROFILE, at=AT - 1, email="old@example.com")])],
        ("the customer's profile",),
    ),
    ("kept out", people(keep_outs=[OUT]), [], ("that the customer is kept out",)),
    (
        "kept out, which ended",
        people(keep_outs=[OUT]),
        [people(keep_outs=[replace(OUT, at=AT + 9, out=False)])],
        (),
    ),
    ("let in", people(keep_outs=[replace(OUT, out=False)]), [], ()),
]


@pytest.mark.parametrize(
    ("told", "known", "lacks"), [row[1:] for row in PEOPLE], ids=[r[0] for r in PEOPLE]
)
def test_of_people(told: People, known: list[People], lacks: tuple[str, ...]) -> None:
    assert of_people(told, *known) == lacks


def test_several_sets_of_people_are_looked_at_together() -> None:
    told = people(sightings=[SEEN], edges=[TIE])
    assert of_people(told, people(sightings=[SEEN]), people(edges=[TIE])) == ()


def test_what_a_household_would_not_keep_is_not_lacking() -> None:
    """Of conversions it keeps the earliest, of names the newest, of payments' touches both ends."""
    earlier = [
        Conversion(id=f"key:{n}|verified", identity=f"key:{n}", at=AT - n)
        for n in range(1, KEPT_CONVERSIONS + 1)
    ]
    assert of_people(people(conversions=[CHECKOUT]), people(conversions=earlier)) == ()
    later = replace(CHECKOUT, at=AT - 999)
    assert of_people(people(conversions=[later]), people(conversions=earlier)) != ()
    names = [replace(PROFILE, identity=f"stripe:cus_{n}", at=AT + n) for n in range(2, 12)]
    assert of_people(people(profiles=[PROFILE]), people(profiles=names)) == ()


def test_nothing_personal_is_said() -> None:
    told = Told(
        sale=sale(identities=frozenset({SAM, MAIL}), touches=by_id(touch())),
        people=people(sightings=[SEEN], edges=[TIE], profiles=[PROFILE]),
    )
    said = " ".join(lacking(told, [sale()], ()))
    assert "sam" not in said and "cus_1" not in said and "ann" not in said


def test_each_is_said_once() -> None:
    two = refunds(REFUND, replace(REFUND, id="re_2"))
    assert of_sale(two, sale()) == ("a refund",)
