"""Payment methods: made from magic names, numbers and tokens; attached to customers."""

from typing import Any

from .. import magic
from ..calls import Call, Handler, Route, Rows, lay_over, merge_metadata, retrieving
from ..errors import invalid, missing
from ..events import emit
from ..magic import Method
from ..world import Object, World, copied

EXPIRES = (12, 2034)


def make_method(world: World, method: Method, **details: Any) -> Object:
    """A stored payment method that behaves like `method` when it is charged."""
    billing = {"address": _no_address(), "email": None, "name": None, "phone": None, "tax_id": None}
    made = world.new(
        "payment_method",
        type=method.type,
        billing_details=billing | details,
        allow_redisplay="unspecified",
        metadata={},
        _does=method.does,
        _code=method.code,
        _decline_code=method.decline_code,
        _slow=method.slow,
    )
    made[method.type] = _own_details(method)
    return made


def use(world: World, id_: str, param: str = "payment_method") -> Object:
    """The named method; a magic name makes a new one, as in Stripe's test mode."""
    if id_ in world.table("payment_method"):
        return world.get("payment_method", id_, param)
    method = magic.named(id_)
    if method is None:
        raise missing("PaymentMethod", id_, param, 400)
    return make_method(world, method)


def from_data(world: World, data: Object) -> Object:
    """A method from `payment_method_data` or the parameters of create."""
    kind = data.get("type", "card")
    given = data.get(kind) or {}
    found: Method | None
    if kind == "card":
        token, number = given.get("token"), given.get("number")
        found = magic.named(token) if token else magic.numbered(number or "4242424242424242")
    elif kind == "sepa_debit":
        found = magic.IBANS.get(given.get("iban", "").replace(" ", ""))
    elif kind == "us_bank_account":
        found = magic.BANK_NUMBERS.get(given.get("account_number", ""))
    else:
        raise invalid(f"The fake Stripe does not know payment methods of type {kind}.", "type")
    if found is None:
        raise invalid("Not one of Stripe's test numbers.", f"{kind}")
    billing = {k: v for k, v in (data.get("billing_details") or {}).items() if k != "address"}
    return make_method(world, found, **billing)


def attach_to(world: World, method: Object, customer: Object) -> None:
    if method["customer"] == customer["id"]:
        return
    method["customer"] = customer["id"]
    emit(world, "payment_method.attached", method)


def shown_on_charge(method: Object) -> Object:
    """`charge.payment_method_details`."""
    kind = method["type"]
    details = copied(method[kind])
    for hidden in ("checks", "generated_from", "networks", "three_d_secure_usage", "display_brand"):
        details.pop(hidden, None)
    if kind == "card":
        details |= {
            "amount_authorized": None,
            "authorization_code": "123456",
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "installments": None,
            "mandate": None,
            "network": details["brand"],
            "network_token": {"used": False},
            "network_transaction_id": None,
            "three_d_secure": None,
        }
    return {"type": kind, kind: details}


def _own_details(method: Method) -> Object:
    match method.type:
        case "card":
            return {
                "brand": method.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "pass",
                },
                "country": method.country,
                "display_brand": method.brand,
                "exp_month": EXPIRES[0],
                "exp_year": EXPIRES[1],
                "fingerprint": f"fingerprint{method.last4}",
                "funding": "credit",
                "generated_from": None,
                "last4": method.last4,
                "networks": {"available": [method.brand], "preferred": None},
                "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": True},
                "wallet": None,
            }
        case "sepa_debit":
            return {
                "bank_code": "19043",
                "branch_code": "",
                "country": method.country,
                "fingerprint": f"fingerprint{method.last4}",
                "generated_from": {"charge": None, "setup_attempt": None},
                "last4": method.last4,
            }
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "fingerprint": f"fingerprint{method.last4}",
        "last4": method.last4,
        "routing_number": "110000000",
    }


def _no_address() -> Object:
    return dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def _create(call: Call) -> Object:
    if "type" not in call.params:
        raise invalid("Missing required param: type.", "type", "parameter_missing")
    made = from_data(call.world, call.params)
    merge_metadata(made, call.params.get("metadata"))
    return made


def _update(call: Call) -> Object:
    method = call.world.get("payment_method", call.id)
    before = copied(method)
    lay_over(method, call.params, "allow_redisplay")
    merge_metadata(method, call.params.get("metadata"))
    emit(call.world, "payment_method.updated", method, before=before)
    return method


def _attach(call: Call) -> Object:
    method = use(call.world, call.id)
    customer = call.world.get("customer", call.params["customer"], "customer")
    attach_to(call.world, method, customer)
    return method


def _detach(call: Call) -> Object:
    method = call.world.get("payment_method", call.id)
    before = copied(method)
    method["customer"] = None
    emit(call.world, "payment_method.detached", method, before=before)
    return method


def _list(url: str) -> Handler:
    def rows(call: Call) -> Rows:
        customer = call.ids[0] if call.ids else call.params.get("customer")
        wanted = call.params.get("type")

        def keep(method: Object) -> bool:
            same = customer is None or method["customer"] == customer
            return same and wanted in (None, method["type"])

        return Rows(call.world.rows("payment_method", keep), url)

    return rows


ROUTES = [
    Route("POST", "/v1/payment_methods", _create, "PaymentMethodCreateParams"),
    Route("GET", "/v1/payment_methods", _list("/v1/payment_methods"), "PaymentMethodListParams"),
    Route("GET", "/v1/payment_methods/{}", retrieving("payment_method")),
    Route("POST", "/v1/payment_methods/{}", _update, "PaymentMethodUpdateParams"),
    Route("POST", "/v1/payment_methods/{}/attach", _attach, "PaymentMethodAttachParams"),
    Route("POST", "/v1/payment_methods/{}/detach", _detach),
    Route(
        "GET",
        "/v1/customers/{}/payment_methods",
        _list("/v1/payment_methods"),
        "CustomerPaymentMethodListParams",
    ),
]
