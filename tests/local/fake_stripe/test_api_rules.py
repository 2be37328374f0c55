"""What holds for every resource: keys, errors, idempotency, paging, expanding, honesty."""

from typing import Any

import pytest
import stripe

from local.fake_stripe import FakeStripe
from local.fake_stripe.checks import ShapeFault, check_object
from local.fake_stripe.world import public

from .conftest import KEY, a_customer, a_price, client_of, control, paid_intent


@pytest.mark.parametrize("key", ["nonsense", "sk_" + "other_acme_1", "pk_test_acme_1"])
def test_a_wrong_key_is_401(fake: FakeStripe, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as refused:
        client_of(fake, key).v1.customers.list()
    assert refused.value.http_status == 401


def test_keys_of_one_name_share_an_account_and_others_do_not(fake: FakeStripe) -> None:
    made = client_of(fake, "sk_" + "test_acme_1").v1.customers.create({"email": "a@example.com"})
    assert client_of(fake, "rk_" + "test_acme_2").v1.customers.retrieve(made.id).id == made.id
    other = client_of(fake, "sk_" + "test_beta_1").v1
    assert other.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        other.customers.retrieve(made.id)
    own = client_of(fake).v1.accounts.retrieve_current()
    assert own.id.startswith("acct_") and own.id != other.accounts.retrieve_current().id


def test_stripe_account_header_reaches_the_own_account_alone(fake: FakeStripe) -> None:
    """Others only when they are connected: `test_oauth`."""
    beta = client_of(fake, "sk_" + "test_beta_1").v1
    made = beta.customers.create({"email": "b@example.com"})
    options = {"stripe_account": beta.accounts.retrieve_current().id}
    assert beta.customers.retrieve(made.id, options=options).id == made.id
    for account in (options["stripe_account"], "acct_unknown"):
        with pytest.raises(stripe.PermissionError):
            client_of(fake).v1.customers.list(options={"stripe_account": account})


@pytest.mark.parametrize(
    ("call", "code", "param", "status"),
    [
        (lambda v: v.customers.retrieve("cus_none"), "resource_missing", "id", 404),
        (
            lambda v: v.refunds.create({"payment_intent": "pi_none"}),
            "resource_missing",
            "payment_intent",
            400,
        ),
        (
            lambda v: v.payment_intents.create({"amount": 5}),
            "parameter_missing",
            "currency",
            400,
        ),
        (
            lambda v: v.payment_intents.create({"amount": "five", "currency": "eur"}),
            "parameter_invalid_integer",
            "amount",
            400,
        ),
        (lambda v: v.customers.create({"colour": "red"}), "parameter_unknown", "colour", 400),
        (
            lambda v: v.checkout.sessions.create({"line_items": [{"prize": "x"}]}),
            "parameter_unknown",
            "line_items[0][prize]",
            400,
        ),
        (
            lambda v: v.checkout.sessions.create({"mode": "gift", "success_url": "x"}),
            None,
            "mode",
            400,
        ),
    ],
)
def test_refusals_carry_stripes_code_and_parameter(
    api: Any, call: Any, code: str | None, param: str, status: int
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        call(api)
    assert (refused.value.code, refused.value.param, refused.value.http_status) == (
        code,
        param,
        status,
    )


def test_a_restricted_key_is_told_what_it_lacks(fake: FakeStripe) -> None:
    key = "rk_" + "test_acme_2"
    control(fake, "/keys", {"key": key, "permissions": ["rak_customer_read", "rak_coupon_write"]})
    restricted = client_of(fake, key).v1
    assert restricted.customers.list().data == []
    assert restricted.coupons.create({"percent_off": 5}).id == restricted.coupons.list().data[0].id
    for call, lacking in (
        (lambda: restricted.customers.create({}), "rak_customer_write"),
        (lambda: restricted.invoices.list(), "rak_invoice_read"),
        (lambda: restricted.accounts.retrieve_current(), "rak_accounts_kyc_basic_read"),
    ):
        with pytest.raises(stripe.PermissionError, match=lacking) as refused:
            call()
        assert refused.value.http_status == 403
    assert client_of(fake).v1.invoices.list().data == []
    control(fake, "/keys", {"key": key, "permissions": None})
    assert restricted.invoices.list().data == []


def test_unknown_urls_are_404(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        api.payouts.list()


def test_an_idempotency_key_answers_once(fake: FakeStripe, api: Any) -> None:
    options = {"idempotency_key": "key-1"}
    first = api.customers.create({"email": "a@example.com"}, options=options)
    again = api.customers.create({"email": "a@example.com"}, options=options)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    with pytest.raises(stripe.IdempotencyError) as refused:
        api.customers.create({"email": "b@example.com"}, options=options)
    assert refused.value.http_status == 400
    assert len(api.customers.list().data) == 1
    other = client_of(fake, "sk_" + "test_beta_1").v1
    assert other.customers.create({"email": "b@example.com"}, options=options).id != first.id


def test_a_decline_is_kept_under_its_idempotency_key_and_a_typo_is_not(api: Any) -> None:
    options = {"idempotency_key": "key-2"}
    wrong = {"amount": 100, "currency": "eur", "colour": "red"}
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.create(wrong, options=options)
    given = {"amount": 100, "currency": "eur", "payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            api.payment_intents.create(given | {"confirm": True}, options=options)
    assert len(api.charges.list().data) == 1


def test_lists_are_newest_first_and_paged(api: Any) -> None:
    made = [api.customers.create({"name": str(n)}).id for n in range(7)]
    newest = made[::-1]
    first = api.customers.list({"limit": 3})
    assert [c.id for c in first.data] == newest[:3]
    assert first.has_more
    rest = api.customers.list({"limit": 10, "starting_after": newest[2]})
    assert [c.id for c in rest.data] == newest[3:]
    assert not rest.has_more
    before = api.customers.list({"limit": 2, "ending_before": newest[4]})
    assert [c.id for c in before.data] == newest[2:4]
    assert [c.id for c in api.customers.list({"limit": 2}).auto_paging_iter()] == newest
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.customers.list({"limit": 101})
    assert refused.value.param == "limit"


def test_created_filters(fake: FakeStripe, api: Any) -> None:
    old = api.customers.create({})
    fake.move_clock(100)
    new = api.customers.create({})
    assert [c.id for c in api.customers.list({"created": {"gt": old.created}}).data] == [new.id]
    assert [c.id for c in api.customers.list({"created": {"lte": old.created}}).data] == [old.id]


def test_references_expand_down_the_levels(api: Any) -> None:
    customer = a_customer(api)
    intent = paid_intent(api, customer=customer)
    shown = api.payment_intents.retrieve(
        intent.id, {"expand": ["customer", "latest_charge.balance_transaction"]}
    )
    assert shown.customer.email == "sam@example.com"
    assert shown.latest_charge.balance_transaction.amount == 4900
    listed = api.payment_intents.list({"expand": ["data.customer"]})
    assert listed.data[0].customer.id == customer
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        api.payment_intents.retrieve(intent.id, {"expand": ["colour"]})


def test_metadata_merges_and_empties(api: Any) -> None:
    made = api.customers.create({"metadata": {"a": "1", "b": "2", "3": "c"}})
    assert made.metadata.to_dict() == {"a": "1", "b": "2", "3": "c"}
    changed = api.customers.update(made.id, {"metadata": {"a": "", "d": "4"}})
    assert changed.metadata.to_dict() == {"b": "2", "3": "c", "d": "4"}
    assert api.customers.update(made.id, {"metadata": ""}).metadata.to_dict() == {}


def test_a_wrong_request_is_caught_by_the_sdks_parameters(api: Any) -> None:
    """The deliberate mistake: `payment_method_types` left Checkout's parameters with endive."""
    line = {"price": a_price(api), "quantity": 1}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.checkout.sessions.create(
            {"line_items": [line], "success_url": "x", "payment_method_types": ["card"]}
        )
    assert refused.value.code == "parameter_unknown"


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"amount": "4900"}, "amount: Input should be a valid integer"),
        ({"paid": None}, "paid: Input should be a valid boolean"),
        ({"status": "settled"}, "status: Input should be"),
        ({"billing_details": {"shoe_size": 42}}, "billing_details[shoe_size]: Extra inputs"),
    ],
)
def test_a_wrong_answer_is_caught_by_the_sdks_resource(
    fake: FakeStripe, api: Any, mistake: dict[str, Any], said: str
) -> None:
    intent = paid_intent(api)
    charge = public(fake.world("acme").get("charge", intent.latest_charge))
    check_object(charge)
    with pytest.raises(ShapeFault) as caught:
        check_object(charge | mistake)
    assert said in str(caught.value)


def test_a_missing_required_field_is_caught(fake: FakeStripe, api: Any) -> None:
    intent = paid_intent(api)
    charge = public(fake.world("acme").get("charge", intent.latest_charge))
    del charge["captured"]
    with pytest.raises(ShapeFault, match="captured: Field required"):
        check_object(charge)


def test_the_servers_own_check_turns_a_wrong_object_into_a_500(fake: FakeStripe, api: Any) -> None:
    made = api.customers.create({})
    fake.world("acme").get("customer", made.id)["shoe_size"] = 42
    with pytest.raises(stripe.APIError, match="shoe_size"):
        api.customers.retrieve(made.id)
    assert len(fake.faults) == 1
    fake.faults.clear()


def test_every_event_is_checked_too(fake: FakeStripe, api: Any) -> None:
    made = api.customers.create({})
    fake.world("acme").get("customer", made.id)["shoe_size"] = 42
    with pytest.raises(stripe.APIError, match="shoe_size"):
        api.customers.update(made.id, {"name": "Sam"})
    fake.faults.clear()


def test_the_key_never_shows_in_a_refusal(fake: FakeStripe) -> None:
    key = "sk_" + "other_very_secret_indeed"
    with pytest.raises(stripe.AuthenticationError) as refused:
        client_of(fake, key).v1.customers.list()
    assert "secret" not in str(refused.value) and KEY not in str(refused.value)
