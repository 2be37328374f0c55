"""A program's script for its website, and the line of HTML that loads it."""

from functools import lru_cache

from chalicelib import tracker
from chalicelib.core.names import Ms
from chalicelib.core.program import Program
from chalicelib.tracker import TrackerSettings


def show_tracker(program: Program, *, base_url: str, now: Ms, debug: bool) -> tuple[str, str]:
    """The script with the program's settings in it, and its ETag."""
    website = program.website
    text = _script(
        TrackerSettings(
            program_id=program.id,
            base_url=base_url,
            attribution=program.terms(now).attribution,
            cookie_days=website.cookie_days,
            parameters=website.parameters,
            path_prefix=website.path_prefix or None,
            payment_link_hosts=website.payment_link_hosts,
            capture_forms=website.capture_forms,
            cross_domains=website.cross_domains,
            require_consent=website.require_consent,
            global_name=website.global_name,
        ),
        debug,
    )
    return text, tracker.etag(text)


@lru_cache(maxsize=64)
def _script(settings: TrackerSettings, debug: bool) -> str:
    return tracker.render_debug(settings) if debug else tracker.render(settings)


def snippet(program_id: str, *, base_url: str) -> str:
    """What the merchant puts into the website's pages."""
    return tracker.snippet(TrackerSettings(program_id=program_id, base_url=base_url))
