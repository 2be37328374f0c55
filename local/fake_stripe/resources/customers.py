"""Customers, their balance, and what is left of a deleted one."""

from typing import Any

from .. import magic
from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving
from ..errors import invalid, missing
from ..events import emit
from ..world import Object, World, copied
from . import payment_methods

_PLAIN = (
    "address", "business_name", "description", "email", "individual_name", "name", "phone",
    "preferred_locales", "shipping", "tax_exempt",
)  # fmt: skip


def make_customer(world: World, **given: Any) -> Object:
    """A stored customer, with its event."""
    made = world.new(
        "customer",
        **{
            "balance": 0,
            "delinquent": False,
            "invoice_prefix": world.fake.random_text(8).upper(),
            "invoice_settings": _invoice_settings(),
            "metadata": {},
            "next_invoice_sequence": 1,
            "preferred_locales": [],
            "tax_exempt": "none",
        }
        | given,
    )
    emit(world, "customer.created", made)
    return made


def default_method(world: World, customer: Object) -> Object | None:
    """What an invoice of this customer is charged to, if nothing else is said."""
    id_ = customer["invoice_settings"]["default_payment_method"] or customer.get("_default_method")
    return world.get("payment_method", id_) if id_ else None


def change_balance(
    world: World, customer: Object, amount: int, currency: str, type_: str, **more: Any
) -> Object:
    """Adds to the balance (a credit is negative) and writes it down."""
    before = copied(customer)
    customer["balance"] += amount
    customer["currency"] = customer["currency"] or currency
    emit(world, "customer.updated", customer, before=before)
    return world.new(
        "customer_balance_transaction",
        **{
            "amount": amount,
            "currency": currency,
            "customer": customer["id"],
            "ending_balance": customer["balance"],
            "metadata": {},
            "type": type_,
        }
        | more,
    )


def _invoice_settings() -> Object:
    return {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": None,
        "rendering_options": None,
    }


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    given = {k: (None if params[k] == "" else params[k]) for k in _PLAIN if k in params}
    if "test_clock" in params:
        clock = world.get("test_helpers.test_clock", params["test_clock"], "test_clock")
        given["test_clock"] = clock["id"]
        with world.at(clock["frozen_time"], clock["id"]):
            return _made(world, params, given)
    return _made(world, params, given)


def _made(world: World, params: Object, given: Object) -> Object:
    metadata = {"metadata": {}}
    merge_metadata(metadata, params.get("metadata"))
    methods = [payment_methods.use(world, params[k]) for k in ("payment_method",) if k in params]
    if "source" in params:
        methods.append(_from_source(world, params["source"]))
        given["_default_method"] = methods[-1]["id"]
    settings = _invoice_settings() | params.get("invoice_settings", {})
    if settings["default_payment_method"]:
        default = payment_methods.use(world, settings["default_payment_method"])
        settings["default_payment_method"] = default["id"]
    made = make_customer(
        world,
        **given | metadata | {"balance": params.get("balance", 0), "invoice_settings": settings},
    )
    for method in methods:
        payment_methods.attach_to(world, method, made)
    return made


def _from_source(world: World, source: str) -> Object:
    method = magic.named(source)
    if method is None:
        raise missing("token", source, "source", 400)
    return payment_methods.make_method(world, method)


def _update(call: Call) -> Object:
    world, params = call.world, call.params
    customer = world.get("customer", call.id)
    before = copied(customer)
    lay_over(customer, params, *_PLAIN)
    merge_metadata(customer, params.get("metadata"))
    if "source" in params:
        method = _from_source(world, params["source"])
        payment_methods.attach_to(world, method, customer)
        customer["_default_method"] = method["id"]
    if "invoice_settings" in params:
        settings = customer["invoice_settings"] | params["invoice_settings"]
        default = settings["default_payment_method"]
        if default:
            method = payment_methods.use(world, default)
            payment_methods.attach_to(world, method, customer)
            settings["default_payment_method"] = method["id"]
        customer["invoice_settings"] = settings | {"default_payment_method": default or None}
        if default:
            customer["invoice_settings"]["default_payment_method"] = method["id"]
    if "balance" in params and params["balance"] != customer["balance"]:
        difference = params["balance"] - customer["balance"]
        change_balance(world, customer, difference, customer["currency"] or "eur", "adjustment")
        before["balance"] = customer["balance"]
    emit(world, "customer.updated", customer, before=before)
    return customer


def _delete(call: Call) -> Object:
    from . import subscriptions

    world, customer = call.world, call.world.get("customer", call.id)
    for subscription in world.rows("subscription", lambda s: s["customer"] == customer["id"]):
        if subscription["status"] != "canceled":
            subscriptions.end(world, subscription)
    emit(world, "customer.deleted", customer)
    stub = {"id": customer["id"], "object": "customer", "deleted": True}
    world.table("customer")[customer["id"]] = dict(stub)
    return stub


def _add_to_balance(call: Call) -> Object:
    customer = call.world.get("customer", call.id)
    if customer["currency"] not in (None, call.params["currency"]):
        raise invalid("The balance has another currency.", "currency")
    entry = change_balance(
        call.world,
        customer,
        call.params["amount"],
        call.params["currency"],
        "adjustment",
        description=call.params.get("description"),
    )
    merge_metadata(entry, call.params.get("metadata"))
    return entry


def _balance(call: Call) -> Rows:
    rows = call.world.rows("customer_balance_transaction", lambda t: t["customer"] == call.id)
    return Rows(rows, f"/v1/customers/{call.id}/balance_transactions")


_list = listing_of("customer", "/v1/customers", "email", "test_clock")
_BALANCE = "/v1/customers/{}/balance_transactions"
ROUTES = [
    Route("POST", "/v1/customers", _create, "CustomerCreateParams"),
    Route("GET", "/v1/customers", _list, "CustomerListParams"),
    Route("GET", "/v1/customers/{}", retrieving("customer")),
    Route("POST", "/v1/customers/{}", _update, "CustomerUpdateParams"),
    Route("DELETE", "/v1/customers/{}", _delete),
    Route("POST", _BALANCE, _add_to_balance, "CustomerBalanceTransactionCreateParams"),
    Route("GET", _BALANCE, _balance, "CustomerBalanceTransactionListParams"),
]
