"""Facts join: any order and any repetition come to one result."""

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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
from chalicelib.core.people import People, persons
from chalicelib.core.sale import Sale, join_maps, summarise

times = st.integers(0, 5).map(lambda n: n * 1000)
small = st.integers(0, 4)
word = st.sampled_from(["", "a", "b"])

FACTS = [
    st.builds(
        View,
        kind=st.just(ViewKind.INVOICE),
        id=st.just("in_1"),
        paid=st.booleans(),
        currency=st.sampled_from(["eur", "usd"]),
        total=small,
        net=small,
        amount=small,
        outside=small,
        paid_at=times,
        exact=st.booleans(),
        told_at=times,
    ),
    st.builds(
        Refund,
        id=st.just("re_1"),
        amount=small,
        status=st.sampled_from(["pending", "succeeded", "failed", "canceled", "new"]),
        charge=word,
        intent=word,
    ),
    st.builds(
        RefundedTotal,
        charge=st.just("ch_1"),
        amount=small,
        told_at=times,
        intent=word,
        asked=st.booleans(),
    ),
    st.builds(
        Dispute,
        id=st.just("du_1"),
        amount=small,
        status=st.sampled_from(["needs_response", "won", "lost", "warning_closed", "new"]),
    ),
    st.builds(CreditNote, id=st.just("cn_1"), amount=small, voided=st.booleans()),
    st.builds(
        Touch,
        id=st.just("t"),
        way=st.sampled_from(list(Way)),
        at=times,
        partner=word,
        identity=word,
        token=word,
        click_at=st.none() | times,
        sale=word,
        verified=st.booleans(),
    ),
    st.builds(Sighting, identity=st.just("key:a"), by=st.just("merchant"), at=times),
    st.builds(Conversion, id=st.just("c"), identity=word, at=times, verified=st.just(True)),
    st.builds(KeepOut, identity=st.just("stripe:a"), at=st.just(1), out=st.booleans()),
    st.builds(
        Profile,
        identity=st.just("key:a"),
        at=times,
        created_at=times,
        verified=st.booleans(),
        email=word,
        name=word,
    ),
]


@given(
    st.sampled_from(FACTS).flatmap(lambda fact: st.lists(fact, min_size=1, max_size=5)), st.data()
)
def test_a_fact_told_often(told: list[Any], data: Any) -> None:
    again = data.draw(st.permutations([*told, *told]))
    one = reduce(lambda a, b: a.join(b), told)
    assert reduce(lambda a, b: a.join(b), again) == one


identities = st.sampled_from(
    ["key:a", "key:b", "stripe:1", "stripe:2", "email:x", "email:y", "email:z"]
)
edges = st.lists(
    st.builds(
        edge,
        identities,
        identities,
        st.sampled_from(list(Bond)),
        times,
    ).filter(lambda e: e.one != e.two),
    max_size=8,
)
sightings = st.lists(
    st.builds(
        Sighting,
        identity=identities,
        by=st.sampled_from(["merchant", "metadata", "stripe", "claim"]),
        at=times,
    ),
    max_size=5,
)


@given(edges, sightings, st.data())
def test_persons_do_not_depend_on_the_order(told: list[Any], seen: list[Any], data: Any) -> None:
    def people(some: list[Any]) -> People:
        result = People()
        for fact in some:
            kind = "sightings" if isinstance(fact, Sighting) else "edges"
            result = result.join(People(**{kind: {fact.id: fact}}))
        return result

    facts = [*told, *seen]
    again = data.draw(st.permutations([*facts, *facts]))
    parted = persons(people(facts))
    assert persons(people(again)) == parted
    for person in parted:
        assert sum(identity.startswith("key:") for identity in person.identities) <= 1
    assert sorted(i for p in parted for i in p.identities) == sorted(people(facts).identities())


@given(st.lists(FACTS[0], max_size=3), st.lists(FACTS[1], max_size=3), st.data())
def test_sales_do_not_depend_on_the_order(views: list[Any], refunds: list[Any], data: Any) -> None:
    def sale(some: list[Any]) -> Sale:
        result = Sale(ids=frozenset({"in_1"}))
        for fact in some:
            kind = "views" if isinstance(fact, View) else "refunds"
            result = result.join(Sale(ids=frozenset({"in_1"}), **{kind: {fact.id: fact}}))
        return result

    facts = [*views, *refunds]
    again = data.draw(st.permutations([*facts, *facts]))
    assert sale(again) == sale(facts)
    assert summarise(sale(again)) == summarise(sale(facts))


def test_maps_join_by_id() -> None:
    one = Sighting(identity="key:a", by="merchant", at=1)
    two = Sighting(identity="key:a", by="merchant", at=2)
    assert join_maps({one.id: two}, {one.id: one}) == {one.id: one}
