"""What the house does: one verb per file, imported when it is first named (``flows.pay_out``), so
that a process which serves a click does not wait for the booking of sales to be read from disk."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import ask_for_job as ask_for_job
    from . import catch_up as catch_up
    from . import connect_with_key as connect_with_key
    from . import count_clicks as count_clicks
    from . import disconnect as disconnect
    from . import enrol_customer as enrol_customer
    from . import find_overdue as find_overdue
    from . import finish_oauth as finish_oauth
    from . import follow_link as follow_link
    from . import keep_endpoint as keep_endpoint
    from . import manage_partners as manage_partners
    from . import manage_programs as manage_programs
    from . import mature_rewards as mature_rewards
    from . import pay_out as pay_out
    from . import plan_jobs as plan_jobs
    from . import read_partner as read_partner
    from . import receive_connect_webhook as receive_connect_webhook
    from . import receive_webhook as receive_webhook
    from . import record_sale as record_sale
    from . import rotate_connection as rotate_connection
    from . import run_jobs as run_jobs
    from . import show_connections as show_connections
    from . import show_jobs as show_jobs
    from . import show_people as show_people
    from . import show_sales as show_sales
    from . import show_tracker as show_tracker
    from . import sign_up as sign_up
    from . import start_oauth as start_oauth
    from . import stripe_platform as stripe_platform
    from . import sweep as sweep
else:

    def __getattr__(name: str) -> ModuleType:
        """The flow of that name (PEP 562); asked for once, then it is an attribute like others."""
        if name.startswith("_"):
            raise AttributeError(name)
        return import_module(f"{__name__}.{name}")
