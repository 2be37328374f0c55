"""A connection as API and command line show it: never a secret, nor a part of one."""

from __future__ import annotations

from chalicelib.entrypoints.api_shapes import Shape, moment
from chalicelib.storage.connection_records import Connection
from chalicelib.stripe_adapter.permissions import PERMISSIONS


def connection_shape(connection: Connection, *, base_url: str) -> Shape:
    """``permissions`` are those that were asked for when the key was given; none of one whose key
    was never asked."""
    endpoint = None
    if connection.endpoint:
        endpoint = {"id": connection.endpoint, "events": list(connection.endpoint_events)}
    name = "connect" if connection.how == "oauth" else connection.id
    return {
        "id": connection.id,
        "account": connection.account or None,
        "account_name": connection.account_name or None,
        "currency": connection.currency or None,
        "livemode": connection.livemode,
        "how": connection.how,
        "state": connection.state,
        "permissions": [
            {"name": one.name, "for": one.needed_for, "granted": connection.permissions[one.name]}
            for one in PERMISSIONS
            if one.name in connection.permissions
        ],
        "warnings": list(connection.warnings),
        "webhook_url": f"{base_url}/stripe/webhooks/{name}",
        "endpoint": endpoint,
        "created_at": moment(connection.created_at),
        "closed_at": moment(connection.closed_at),
        "closed_because": connection.closed_because or None,
    }
