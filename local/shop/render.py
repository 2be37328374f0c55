"""Pages as HTML, and the headers that keep them strict.

The Content-Security-Policy is as strict as a careful merchant's: no inline script or style, and
nothing from anywhere but the shop, Refledger and Stripe. That the tracker works here is the proof.
"""

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from local.place import Place
from local.shop.catalogue import PAGES, Page

HERE = Path(__file__).parent
GROUPS = {
    "pay": "Ways to pay",
    "sign up": "Ways to sign up",
    "website": "Kinds of websites",
}


def rendered(page: Page, *, place: Place, demo: Mapping[str, Any], goods: Mapping[str, Any]) -> str:
    """The whole page. `demo` and `goods` are what demo.json and shop.json hold."""
    program_id = demo["program_id"] if page.program == "acme" else demo["other"]["program_id"]
    consent = ' data-consent="required"' if page.consent else ""
    tracker = f'<script async src="{place.base_url}/t/{program_id}.js"{consent}></script>'
    values = {
        "title": page.title,
        "base_url": place.base_url,
        "stripe_url": place.fake_stripe_url,
        "other_shop_url": f"http://127.0.0.1:{place.ports['shop']}",
        "course_link": goods["payment_links"]["course"],
        "club_link": goods["payment_links"]["club"],
        "buy_button_id": goods["buy_button"]["id"],
        "pricing_table_id": goods["pricing_table"]["id"],
        "publishable_key": goods["publishable_key"],
        "kind": page.path.removeprefix("/").removesuffix("-late"),
        "tracker_tag": tracker,
    }
    safe = {name: html.escape(value) for name, value in values.items()}
    main = Template((HERE / "pages" / page.file).read_text()).substitute(safe, cards=_cards())
    scripts = [f"/static/{name}" for name in (page.early_script, "shop.js", page.script) if name]
    tags = [f'<script src="{address}" defer></script>' for address in scripts]
    if page.early_script:
        tags[0] = tags[0].replace(" defer", "")
    if page.stripe_script:
        tags.append(f'<script async src="{place.fake_stripe_url}/v3/{page.stripe_script}.js">')
        tags.append("</script>")
    layout = Template((HERE / "pages" / "layout.html").read_text())
    return layout.substitute(
        safe, main=main, head="\n  ".join([tags[0], tracker, *tags[1:]]), path=page.path
    )


def security_headers(place: Place) -> list[tuple[str, str]]:
    refledger, stripe = place.base_url, place.fake_stripe_url
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' {refledger} {stripe}",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {refledger} {stripe}",
        "frame-src": stripe,
        "form-action": f"'self' {stripe}",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return [
        ("Content-Security-Policy", "; ".join(f"{k} {v}" for k, v in policy.items())),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Cache-Control", "no-store"),
    ]


def _cards() -> str:
    """The list of pages on the front page, in groups."""
    parts = []
    for group, heading in GROUPS.items():
        cards = [
            f'<li class="card"><a href="{page.path}"><strong>{html.escape(page.title)}</strong>'
            f"<span>{html.escape(page.blurb)}</span></a></li>"
            for page in PAGES
            if page.group == group
        ]
        parts.append(f'<h3>{heading}</h3><ul class="cards">{"".join(cards)}</ul>')
    return "\n".join(parts)
