"""The API's doors to Stripe accounts: connect by key, look, rotate, disconnect. No answer holds a
secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chalice.app import Response

from chalicelib import flows
from chalicelib.core.refusals import Invalid
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import address, json_body, ok, query
from chalicelib.entrypoints.api import door, doors
from chalicelib.entrypoints.api_lists import listed
from chalicelib.storage.keys import Scope

if TYPE_CHECKING:
    from chalicelib.storage.connection_records import Connection

FLAGS: Mapping[str, bool] = {"": True, "1": True, "true": True, "0": False, "false": False}


@door("/v1/connections", "POST")
def post_connection(scope: Scope) -> Response:
    """201 for an account that is connected now, 200 for one that was: its key is this one now."""
    from chalicelib.entrypoints.api_bodies import ConnectionBody, parsed

    body = parsed(ConnectionBody, json_body(doors.current_request))
    connected = flows.connect_with_key.connect_with_key(
        scope, body.api_key, base_url=address(doors.current_request), **_about()
    )
    return _shown(connected.connection, status=201 if connected.created else 200)


@door("/v1/connections", "GET")
def get_connections(scope: Scope) -> Response:
    from chalicelib.entrypoints.connection_shapes import connection_shape

    rows = flows.show_connections.connections_of(scope, store=wiring.stores().store)
    at = address(doors.current_request)

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Connection], bool]:
        ids = [row.id for row in rows]
        if after:
            if after not in ids:
                raise Invalid({"starting_after": ["There is no such connection."]})
            skip += ids.index(after) + 1
        return rows[skip : skip + limit], skip + limit < len(rows)

    return listed(
        doors.current_request,
        read,
        cursor=lambda row: row.id,
        shape=lambda row: connection_shape(row, base_url=at),
    )


@door("/v1/connections/oauth", "POST")
def post_oauth_link(scope: Scope) -> Response:
    from chalicelib.entrypoints.oauth_doors import make_link

    return make_link(scope, doors.current_request)


@door("/v1/connections/{connection}", "GET")
def get_connection(scope: Scope, connection: str) -> Response:
    return _shown(
        flows.show_connections.find_connection(connection, scope=scope, store=wiring.stores().store)
    )


@door("/v1/connections/{connection}", "DELETE")
def delete_connection(scope: Scope, connection: str) -> Response:
    """Closed, whatever Stripe says; what could not be taken back there is a warning."""
    asked = query(doors.current_request).get("remove_endpoint", "")
    if asked not in FLAGS:
        raise Invalid({"remove_endpoint": ["1 or 0."]})
    done = flows.disconnect.disconnect(
        connection, scope=scope, remove_endpoint=FLAGS[asked], **_about()
    )
    return _shown(done.connection, warnings=done.warnings)


@door("/v1/connections/{connection}/rotate", "POST")
def post_rotate(scope: Scope, connection: str) -> Response:
    """A new key, or a new webhook secret: made by us, or one that was rolled in the Dashboard."""
    from chalicelib.entrypoints.api_bodies import RotateBody, parsed

    body = parsed(RotateBody, json_body(doors.current_request))
    rotate = flows.rotate_connection
    at = address(doors.current_request)
    if body.api_key is not None:
        done = rotate.rotate_key(connection, body.api_key, scope=scope, base_url=at, **_about())
    elif body.webhook_secret in (None, "new"):
        done = rotate.rotate_webhook_secret(connection, scope=scope, base_url=at, **_about())
    else:
        about = _about()
        del about["api_base"]
        done = rotate.take_webhook_secret(connection, body.webhook_secret, scope=scope, **about)
    return _shown(done.connection, warnings=done.warnings)


def _about() -> dict[str, Any]:
    house = wiring.stores()
    return {
        "store": house.store,
        "sealer": house.sealer,
        "now": wiring.now_ms(),
        "api_base": house.settings.stripe_api_base,
    }


def _shown(connection: Connection, *, status: int = 200, warnings: Sequence[str] = ()) -> Response:
    from chalicelib.entrypoints.connection_shapes import connection_shape

    shape = connection_shape(connection, base_url=address(doors.current_request))
    return ok({**shape, "warnings": [*shape["warnings"], *warnings]}, status=status)
