"""The few pages that a person sees on the way to Stripe and back: no scripts, no links of others,
every text escaped, never kept and never framed."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from chalice.app import Response

from chalicelib.core.program import Mode, Program

_STYLE = """\
:root{color-scheme:light dark;--line:#d5d9e2;--quiet:#5b6475;--go:#4338ca;--text:#fff}
@media (prefers-color-scheme:dark){:root{--line:#3a4152;--quiet:#a5adbd;--go:#a5b4fc;--text:#111}}
body{margin:0 auto;padding:8vh 1.25rem 3rem;max-width:36rem;font:1rem/1.55 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1.05rem;margin:1.75rem 0 .5rem}
dl{margin:1.5rem 0;border-top:1px solid var(--line)}
dl div{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.6rem 0;border-bottom:1px solid var(--line)}
dt{flex:0 0 8.5rem;color:var(--quiet)}
dd{margin:0;flex:1 1 14rem;overflow-wrap:anywhere;font-weight:600}
p{margin:0 0 1rem;overflow-wrap:anywhere}
.quiet{color:var(--quiet)}
button{font:inherit;font-weight:600;padding:.75rem 1.4rem;border:0;border-radius:.5rem;
background:var(--go);color:var(--text);cursor:pointer}
button:focus-visible{outline:3px solid currentColor;outline-offset:3px}
"""
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page(
    title: str,
    *parts: str,
    status: int = 200,
    form_action: str = "'none'",
    cookies: Sequence[str] = (),
) -> Response:
    """A whole page of parts that are HTML already. A form of it is sent to ``form_action``, and
    what that redirects to must be named there too."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {form_action}"
    )
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Robots-Tag": "noindex, nofollow",
    }
    if cookies:
        headers["Set-Cookie"] = list(cookies)
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Refledger</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>"
    )
    return Response(body=html, status_code=status, headers=headers)


def start_page(
    program: Program,
    mode: Mode,
    *,
    base_url: str,
    hidden: Mapping[str, str],
    form_action: str,
    cookies: Sequence[str],
) -> Response:
    """Whose program it is, and a button: nothing is spent by looking at this."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    return page(
        "Connect a Stripe account",
        _said(
            f"You are about to let the program “{program.name}” use a Stripe account. Stripe asks"
            " you to sign in, to choose the account, and to agree."
        ),
        _facts(program, mode, base_url),
        _said(
            "Whoever runs this deployment can then read the account's customers and payments, and"
            " change what the account holds: Stripe calls it read and write access."
        ),
        _said(
            "Go on only if you know this program and this address, and asked for this link"
            " yourself. If somebody sent it to you unasked, close this page: nothing has happened."
        ),
        f'<form method="post" action="{escape(base_url)}/stripe/oauth/start">{fields}'
        '<button type="submit">Continue to Stripe</button></form>',
        form_action=form_action,
        cookies=cookies,
    )


def connected_page(
    program: Program, mode: Mode, *, base_url: str, account: str, name: str, connection: str
) -> Response:
    more = {"Stripe account": f"{name} ({account})" if name else account, "Connection": connection}
    return page(
        "The Stripe account is connected",
        _said(f"From now on “{program.name}” hears of the account's sales. You can close this."),
        _facts(program, mode, base_url, **more),
        _said(
            "It ends when the connection is deleted here, or this platform is removed from the"
            " account's connected apps at Stripe. What was earned until then stays.",
            quiet=True,
        ),
    )


def stopped_page(title: str, message: str, next: str = "", *, status: int) -> Response:
    parts = [_said(message)]
    if next:
        parts += ["<h2>What to do now</h2>", _said(next)]
    return page(title, *parts, status=status)


def _said(text: str, *, quiet: bool = False) -> str:
    return f'<p class="quiet">{escape(text)}</p>' if quiet else f"<p>{escape(text)}</p>"


def _facts(program: Program, mode: Mode, base_url: str, **more: str) -> str:
    facts = {
        "Program": program.name,
        "Website": program.website.url,
        "Program's id": program.id,
        "Mode": "live: real money" if mode == "live" else "test: no real money",
        "Deployment": base_url,
        **more,
    }
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f"<dl>{rows}</dl>"
