"""Webhook endpoints: at most 16 an account; the secret is told once, at creation. One made with
`connect` hears the accounts that are connected to this one."""

from urllib.parse import urlsplit

from ..calls import Call, Route, lay_over, listing_of, merge_metadata, retrieving
from ..errors import invalid
from ..world import Object, copied

MAX_ENDPOINTS = 16


def _create(call: Call) -> Object:
    world, params = call.world, call.params
    if len(world.rows("webhook_endpoint")) >= MAX_ENDPOINTS:
        mode = "live" if world.livemode else "test"
        raise invalid(f"You have reached the maximum of {MAX_ENDPOINTS} {mode} webhook endpoints.")
    _check_url(params["url"])
    connect = bool(params.get("connect"))
    made = world.new(
        "webhook_endpoint",
        api_version=params.get("api_version"),
        application=world.fake.connect.client_of(world) if connect else None,
        description=params.get("description") or None,
        enabled_events=params["enabled_events"],
        metadata={},
        status="enabled",
        url=params["url"],
        _connect=connect,
        _secret="whsec_" + world.fake.random_text(32),
    )
    merge_metadata(made, params.get("metadata"))
    return copied(made) | {"secret": made["_secret"]}


def _check_url(url: str) -> None:
    """A `callable:` URL is the fake's own: a Python function of the same process."""
    if urlsplit(url).scheme not in ("http", "https", "callable"):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url")


def _update(call: Call) -> Object:
    endpoint = call.world.get("webhook_endpoint", call.id)
    if "url" in call.params:
        _check_url(call.params["url"])
    lay_over(endpoint, call.params, "url", "enabled_events", "description")
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params["disabled"] else "enabled"
    merge_metadata(endpoint, call.params.get("metadata"))
    return endpoint


def _delete(call: Call) -> Object:
    endpoint = call.world.get("webhook_endpoint", call.id)
    del call.world.table("webhook_endpoint")[endpoint["id"]]
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


_list = listing_of("webhook_endpoint", "/v1/webhook_endpoints")
ROUTES = [
    Route("POST", "/v1/webhook_endpoints", _create, "WebhookEndpointCreateParams"),
    Route("GET", "/v1/webhook_endpoints", _list, "WebhookEndpointListParams"),
    Route("GET", "/v1/webhook_endpoints/{}", retrieving("webhook_endpoint")),
    Route("POST", "/v1/webhook_endpoints/{}", _update, "WebhookEndpointUpdateParams"),
    Route("DELETE", "/v1/webhook_endpoints/{}", _delete),
]
