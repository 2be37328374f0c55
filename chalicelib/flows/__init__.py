"""What the house does: one verb per file, imported when it is first named (``flows.pay_out``), so
that a process which serves a click does not wait for the booking of sales to be read from disk."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import count_clicks as count_clicks
    from . import enrol_customer as enrol_customer
    from . import find_overdue as find_overdue
    from . import follow_link as follow_link
    from . import manage_partners as manage_partners
    from . import manage_programs as manage_programs
    from . import mature_rewards as mature_rewards
    from . import pay_out as pay_out
    from . import read_partner as read_partner
    from . import receive_webhook as receive_webhook
    from . import record_sale as record_sale
    from . import show_people as show_people
    from . import show_sales as show_sales
    from . import show_tracker as show_tracker
    from . import sign_up as sign_up
    from . import sweep as sweep
else:

    def __getattr__(name: str) -> ModuleType:
        """The flow of that name (PEP 562); asked for once, then it is an attribute like others."""
        if name.startswith("_"):
            raise AttributeError(name)
        return import_module(f"{__name__}.{name}")
