"""Coupons, promotion codes, and the discounts they become."""

import re

from ..calls import Call, Route, Rows, lay_over, listing_of, merge_metadata, retrieving, within
from ..errors import invalid
from ..events import emit
from ..world import Object, World, copied

_CODE = re.compile(r"[A-Za-z0-9-]{1,500}")


def discounts_from(world: World, given: list[Object] | str | None, **owner: str) -> list[Object]:
    """Stored discounts for `discounts[]` of a request: each a coupon, a promotion code or a
    discount that is already there. `owner` names whose it is (subscription, invoice, ...)."""
    made = []
    for wanted in given if isinstance(given, list) else []:
        if "discount" in wanted:
            made.append(world.get("discount", wanted["discount"], "discounts"))
            continue
        coupon_id, code_id = wanted.get("coupon"), wanted.get("promotion_code")
        if code_id:
            code = world.get("promotion_code", code_id, "promotion_code")
            if not code["active"]:
                raise invalid("This promotion code is no longer active.", "discounts")
            code["times_redeemed"] += 1
            coupon_id = code["promotion"]["coupon"]
        coupon = world.get("coupon", coupon_id, "coupon")
        if not coupon["valid"]:
            raise invalid("This coupon is no longer valid.", "discounts")
        coupon["times_redeemed"] += 1
        made.append(_discount(world, coupon, code_id, owner))
    return made


def coupon_of(world: World, discount: Object) -> Object:
    """The coupon behind a discount; a deleted coupon still counts."""
    return world.table("coupon")[discount["source"]["coupon"]]


def world_coupon(world: World, code: Object) -> Object:
    """The coupon behind a promotion code."""
    return world.get("coupon", code["promotion"]["coupon"], "promotion_code")


def find_code(world: World, text: str) -> Object | None:
    """An active promotion code by what a buyer types, whatever its case."""
    for code in world.rows("promotion_code"):
        if code["active"] and code["code"].lower() == text.strip().lower():
            return code
    return None


def _discount(world: World, coupon: Object, code_id: str | None, owner: dict[str, str]) -> Object:
    end = None
    if coupon["duration"] == "repeating":
        end = world.now + 30 * 86_400 * coupon["duration_in_months"]
    made = world.new(
        "discount",
        source={"type": "coupon", "coupon": coupon["id"]},
        promotion_code=code_id,
        start=world.now,
        end=end,
        **owner,
    )
    if "customer" in owner:
        emit(world, "customer.discount.created", made)
    return made


def _create_coupon(call: Call) -> Object:
    world, params = call.world, call.params
    if ("percent_off" in params) == ("amount_off" in params):
        raise invalid("You must pass either percent_off or amount_off.", code="parameter_missing")
    if "amount_off" in params and "currency" not in params:
        raise invalid("You must pass currency when passing amount_off.", "currency")
    if params.get("duration") == "repeating" and "duration_in_months" not in params:
        raise invalid("You must pass duration_in_months.", "duration_in_months")
    id_ = params.get("id") or world.new_id("coupon")
    if id_ in world.table("coupon"):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    kept = ("amount_off", "percent_off", "duration_in_months", "max_redemptions", "name")
    made = world.new(
        "coupon",
        id=id_,
        currency=params["currency"].lower() if "currency" in params else None,
        duration=params.get("duration", "once"),
        metadata={},
        redeem_by=params.get("redeem_by"),
        times_redeemed=0,
        valid=True,
        _products=(params.get("applies_to") or {}).get("products"),
        **{k: params[k] for k in kept if k in params},
    )
    merge_metadata(made, params.get("metadata"))
    emit(world, "coupon.created", made)
    return made


def _update_coupon(call: Call) -> Object:
    coupon = call.world.get("coupon", call.id)
    before = copied(coupon)
    lay_over(coupon, call.params, "name")
    merge_metadata(coupon, call.params.get("metadata"))
    emit(call.world, "coupon.updated", coupon, before=before)
    return coupon


def _delete_coupon(call: Call) -> Object:
    """Kept for the discounts that live on; gone for everybody else."""
    world, coupon = call.world, call.world.get("coupon", call.id)
    emit(world, "coupon.deleted", coupon)
    coupon.update(deleted=True, valid=False)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


def _create_code(call: Call) -> Object:
    world, params = call.world, call.params
    coupon = world.get("coupon", params["promotion"].get("coupon", ""), "promotion[coupon]")
    text = params.get("code") or world.fake.random_text(8).upper()
    if not _CODE.fullmatch(text):
        raise invalid("Promotion codes can only contain letters, digits and dashes.", "code")
    if find_code(world, text) is not None:
        raise invalid(
            f"An active promotion code with `code: {text}` already exists.",
            "code",
            "resource_already_exists",
        )
    limits = {"first_time_transaction": False, "minimum_amount": None}
    limits |= {"minimum_amount_currency": None} | params.get("restrictions", {})
    made = world.new(
        "promotion_code",
        active=params.get("active", True),
        code=text,
        customer=params.get("customer"),
        expires_at=params.get("expires_at"),
        max_redemptions=params.get("max_redemptions"),
        metadata={},
        promotion={"type": "coupon", "coupon": coupon["id"]},
        restrictions=limits,
        times_redeemed=0,
    )
    merge_metadata(made, params.get("metadata"))
    emit(world, "promotion_code.created", made)
    return made


def _update_code(call: Call) -> Object:
    code = call.world.get("promotion_code", call.id)
    before = copied(code)
    lay_over(code, call.params, "active")
    merge_metadata(code, call.params.get("metadata"))
    emit(call.world, "promotion_code.updated", code, before=before)
    return code


def _list_codes(call: Call) -> Rows:
    params = call.params

    def keep(code: Object) -> bool:
        same = all(code[f] == params[f] for f in ("active", "customer") if f in params)
        named = "code" not in params or code["code"].lower() == params["code"].lower()
        of = "coupon" not in params or code["promotion"]["coupon"] == params["coupon"]
        return same and named and of and within(code["created"], params.get("created"))

    return Rows(call.world.rows("promotion_code", keep), "/v1/promotion_codes")


ROUTES = [
    Route("POST", "/v1/coupons", _create_coupon, "CouponCreateParams"),
    Route("GET", "/v1/coupons", listing_of("coupon", "/v1/coupons"), "CouponListParams"),
    Route("GET", "/v1/coupons/{}", retrieving("coupon")),
    Route("POST", "/v1/coupons/{}", _update_coupon, "CouponUpdateParams"),
    Route("DELETE", "/v1/coupons/{}", _delete_coupon),
    Route("POST", "/v1/promotion_codes", _create_code, "PromotionCodeCreateParams"),
    Route("GET", "/v1/promotion_codes", _list_codes, "PromotionCodeListParams"),
    Route("GET", "/v1/promotion_codes/{}", retrieving("promotion_code")),
    Route("POST", "/v1/promotion_codes/{}", _update_code, "PromotionCodeUpdateParams"),
]
