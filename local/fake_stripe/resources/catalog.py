"""What is sold: products, prices (one-off and recurring), tax rates, shipping rates."""

from typing import Any

from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving, within
from ..errors import invalid, missing
from ..events import emit
from ..world import Object, World, copied


def make_product(world: World, **given: Any) -> Object:
    metadata = given.pop("metadata", None)
    if "id" not in given:
        given["id"] = world.new_id("product")
    if given["id"] in world.table("product"):
        raise invalid("Product already exists.", "id", "resource_already_exists")
    made = world.new(
        "product",
        **{
            "active": True,
            "images": [],
            "marketing_features": [],
            "metadata": {},
            "type": "service",
            "updated": world.now,
        }
        | given,
    )
    merge_metadata(made, metadata)
    emit(world, "product.created", made)
    return made


def make_price(world: World, **given: Any) -> Object:
    """A price; `product` or `product_data`, `unit_amount` or `unit_amount_decimal`."""
    given = dict(given)
    product_data, metadata = given.pop("product_data", None), given.pop("metadata", None)
    if product_data is not None:
        given["product"] = make_product(world, **product_data)["id"]
    if "product" not in given:
        raise invalid("You must specify product or product_data.", code="parameter_missing")
    world.get("product", given["product"], "product")
    decimal = given.pop("unit_amount_decimal", None)
    amount = given.pop("unit_amount", None)
    if amount is None and decimal is None:
        raise invalid("You must specify unit_amount.", "unit_amount", "parameter_missing")
    if amount is None and decimal == int(decimal):
        amount = int(decimal)
    recurring = given.pop("recurring", None)
    made = world.new(
        "price",
        **{
            "active": True,
            "billing_scheme": "per_unit",
            "metadata": {},
            "tax_behavior": "unspecified",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount if decimal is None else decimal),
        }
        | {k: v for k, v in given.items() if k not in ("transfer_lookup_key", "tiers")}
        | {"currency": given["currency"].lower()},
        recurring=_recurring(recurring) if recurring else None,
        type="recurring" if recurring else "one_time",
    )
    merge_metadata(made, metadata)
    emit(world, "price.created", made)
    return made


def price_from(world: World, item: Object) -> Object:
    """The price of a line: by id, or made from `price_data`."""
    if "price" in item:
        found = world.get("price", item["price"], "line_items[0][price]")
        if not found["active"]:
            raise invalid("The price specified is inactive. This field only accepts active prices.")
        return found
    if "price_data" not in item:
        raise invalid("You must specify price or price_data.", code="parameter_missing")
    return make_price(world, **item["price_data"])


def tax_rates(world: World, ids: list[str] | None) -> list[Object]:
    return [world.get("tax_rate", i, "tax_rates") for i in ids or []]


def shipping_rate_from(world: World, option: Object) -> Object:
    if "shipping_rate" in option:
        return world.get("shipping_rate", option["shipping_rate"], "shipping_rate")
    data = option.get("shipping_rate_data")
    if data is None or "fixed_amount" not in data:
        raise missing("shipping rate", "", "shipping_options", 400)
    return world.new(
        "shipping_rate",
        active=True,
        display_name=data.get("display_name"),
        fixed_amount={k: data["fixed_amount"][k] for k in ("amount", "currency")},
        metadata=data.get("metadata", {}),
        tax_behavior=data.get("tax_behavior", "unspecified"),
        type="fixed_amount",
    )


def _recurring(given: Object) -> Object:
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "meter": None,
        "trial_period_days": None,
        "usage_type": given.get("usage_type", "licensed"),
    }


def _create_product(call: Call) -> Object:
    params = {k: v for k, v in call.params.items() if k not in ("expand", "default_price_data")}
    product = make_product(call.world, **params)
    if "default_price_data" in call.params:
        price = make_price(call.world, product=product["id"], **call.params["default_price_data"])
        product["default_price"] = price["id"]
    return product


def _update_product(call: Call) -> Object:
    product = call.world.get("product", call.id)
    before = copied(product)
    lay_over(product, call.params, "name", "active", "description", "default_price", "url")
    merge_metadata(product, call.params.get("metadata"))
    emit(call.world, "product.updated", product, before=before)
    return product


def _delete_product(call: Call) -> Object:
    product = call.world.get("product", call.id)
    if call.world.rows("price", lambda p: p["product"] == product["id"]):
        raise invalid(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    del call.world.table("product")[product["id"]]
    emit(call.world, "product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


def _create_price(call: Call) -> Object:
    return make_price(call.world, **{k: v for k, v in call.params.items() if k != "expand"})


def _update_price(call: Call) -> Object:
    price = call.world.get("price", call.id)
    before = copied(price)
    lay_over(price, call.params, "active", "nickname", "lookup_key", "tax_behavior")
    merge_metadata(price, call.params.get("metadata"))
    emit(call.world, "price.updated", price, before=before)
    return price


def _list_prices(call: Call) -> Rows:
    params = call.params

    def keep(price: Object) -> bool:
        same = all(
            price[f] == params[f] for f in ("active", "currency", "product", "type") if f in params
        )
        keyed = "lookup_keys" not in params or price["lookup_key"] in params["lookup_keys"]
        return same and keyed and within(price["created"], params.get("created"))

    return Rows(call.world.rows("price", keep), "/v1/prices")


def _create_tax_rate(call: Call) -> Object:
    params = {k: v for k, v in call.params.items() if k not in ("expand", "metadata")}
    made = call.world.new(
        "tax_rate",
        **{"active": True, "effective_percentage": None, "metadata": {}, "rate_type": "percentage"}
        | params,
    )
    merge_metadata(made, call.params.get("metadata"))
    emit(call.world, "tax_rate.created", made)
    return made


def _update_tax_rate(call: Call) -> Object:
    rate = call.world.get("tax_rate", call.id)
    before = copied(rate)
    lay_over(rate, call.params, "active", "description", "display_name")
    merge_metadata(rate, call.params.get("metadata"))
    emit(call.world, "tax_rate.updated", rate, before=before)
    return rate


_products = listing_of("product", "/v1/products", "active", "url")
_tax_rates = listing_of("tax_rate", "/v1/tax_rates", "active", "inclusive")
ROUTES = [
    Route("POST", "/v1/products", _create_product, "ProductCreateParams"),
    Route("GET", "/v1/products", _products, "ProductListParams"),
    Route("GET", "/v1/products/{}", retrieving("product")),
    Route("POST", "/v1/products/{}", _update_product, "ProductUpdateParams"),
    Route("DELETE", "/v1/products/{}", _delete_product),
    Route("POST", "/v1/prices", _create_price, "PriceCreateParams"),
    Route("GET", "/v1/prices", _list_prices, "PriceListParams"),
    Route("GET", "/v1/prices/{}", retrieving("price")),
    Route("POST", "/v1/prices/{}", _update_price, "PriceUpdateParams"),
    Route("POST", "/v1/tax_rates", _create_tax_rate, "TaxRateCreateParams"),
    Route("GET", "/v1/tax_rates", _tax_rates, "TaxRateListParams"),
    Route("GET", "/v1/tax_rates/{}", retrieving("tax_rate")),
    Route("POST", "/v1/tax_rates/{}", _update_tax_rate, "TaxRateUpdateParams"),
]
