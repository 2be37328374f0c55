"""The account itself: `GET /v1/account`."""

from ..blanks import blank
from ..calls import Call, Route
from ..keys import base_name
from ..world import Object


def _retrieve(call: Call) -> Object:
    world = call.world
    return blank(
        "account",
        id=world.account_id,
        business_profile={"name": base_name(world.name), "url": "https://shop.example"},
        capabilities={"card_payments": "active", "transfers": "active"},
        charges_enabled=True,
        country="DE",
        default_currency="eur",
        details_submitted=True,
        email=f"{base_name(world.name)}@example.com",
        metadata={},
        payouts_enabled=True,
        settings=None,
        type="standard",
    )


ROUTES = [Route("GET", "/v1/account", _retrieve), Route("GET", "/v1/accounts/{}", _retrieve)]
