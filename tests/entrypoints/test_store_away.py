"""A store that is away or busy at any call: 503 to the API, and the same call again completes."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.storage.store import Stale
from tests.doors_kit import Doors, Reply, failing, token

CALLS: dict[str, Callable[[Doors], Reply]] = {
    "partner": lambda d: d.post("/v1/partners", {"email": "new@example.com", "key": "new"}),
    "nameless partner": lambda d: d.post("/v1/partners", {"email": "new@example.com"}),
    "change of a partner": lambda d: d.put("/v1/partners/ann", {"email": "n@example.com"}),
    "customer": lambda d: d.post(
        "/v1/customers", {"key": "c9", "email": "s@example.com", "partner": {"key": "Bob"}}
    ),
    "customer by token": lambda d: d.post("/v1/customers", {"key": "c9", "token": token("ann")}),
    "partner for a customer with sales": lambda d: d.post(
        "/v1/customers", {"key": "c2", "partner": {"key": "Bob"}}
    ),
    "sale": lambda d: d.post(
        "/v1/transactions", {"key": "s9", "customer": {"key": "c1"}, "amount": 10}
    ),
    "refund": lambda d: d.post("/v1/transactions/s1/refund", {"key": "r1", "amount": 9}),
    "confirm": lambda d: d.post("/v1/transactions/s1/confirm"),
    "payout": lambda d: d.post(
        "/v1/payouts",
        {"key": "p1", "partner": {"key": "ann"}, "currency": "eur", "expected_minor": 980},
    ),
    "program": lambda d: d.put("/v1/program", {"hold_days": 7, "name": "New"}),
    "sign-up": lambda d: d.sign_up(email="u@example.com"),
    "list": lambda d: d.get("/v1/transactions"),
    "rewards": lambda d: d.get("/v1/rewards?partner=ann"),
}


@pytest.fixture
def acme(doors: Doors) -> Doors:
    doors.a_customer("c1", partner={"key": "ann"})
    doors.a_customer("c2")
    doors.a_sale("s1")
    doors.a_sale("s3", customer="c2")
    doors.days(31).mature()
    return doors


def story(doors: Doors) -> Any:
    """All that the API tells, but for what is made up anew each time."""
    partners = sorted(doors.get("/v1/partners").data, key=lambda row: str(row["email"]))
    for row in partners:
        row["key"] = row["key"].split("-")[0]
        row["referral_link"] = row["id"] = ""
    told = [doors.get(f"/v1/{name}").data for name in ("customers", "transactions", "rewards")]
    ledgers = [doors.get(f"/v1/partners/{name}/ledger").data for name in ("ann", "Bob")]
    text = repr((told, ledgers, doors.get("/v1/program").data["hold_days"]))
    for known in doors.get("/v1/partners").data:
        text = text.replace(known["id"], known["key"].split("-")[0])
    return partners, text


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("when", ["before", "after"])
def test_503_and_again(acme: Doors, name: str, when: str, tmp_path_factory: Any) -> None:
    """Fails at the first call, then at the second, and so on, until the whole went through."""
    calm = Doors(tmp_path_factory.mktemp("calm"))
    calm.a_customer("c1", partner={"key": "ann"})
    calm.a_customer("c2")
    calm.a_sale("s1")
    calm.a_sale("s3", customer="c2")
    calm.days(31).mature()
    assert CALLS[name](calm).status < 300
    expected = story(calm)

    acme.cold()
    for at in range(1, 40):
        setattr(acme.store, when, failing(Unavailable(), at=at))
        reply = CALLS[name](acme)
        setattr(acme.store, when, None)
        if reply.status < 300:
            break
        assert reply.status == 503
        assert reply.json == {
            "message": Unavailable().message,
            "errors": {},
            "code": "unavailable",
            "status": 0,
        }
    assert reply.status < 300
    acme.clock.now += 120
    acme.sweep()
    acme.clock.now -= 120
    assert story(acme) == expected


@pytest.mark.parametrize("name", [n for n in CALLS if n not in ("list", "rewards", "confirm")])
def test_half_a_write_is_never_seen(acme: Doors, name: str) -> None:
    """Each transaction fails before it is written: nothing of it stands."""
    for at in range(1, 12):
        stood = acme.store.everything()
        acme.store.before = failing(Unavailable(), call="commit", at=1)
        reply = CALLS[name](acme)
        acme.store.before = None
        if reply.status < 300:
            return  # answered without a write
        assert reply.status == 503, at
        assert acme.store.everything() == stood
        assert CALLS[name](acme).status < 300
        return


@pytest.mark.parametrize("name", [n for n in CALLS if n not in ("list", "rewards", "confirm")])
def test_somebody_else_in_between_is_tried_again(acme: Doors, name: str) -> None:
    acme.store.before = failing(Stale("moved"), call="commit", at=1)
    assert CALLS[name](acme).status < 300
