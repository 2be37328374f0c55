"""The pages' HTML: plain forms with labels, no script, one style sheet of the fake's own."""

from html import escape
from typing import Any

Object = dict[str, Any]
METHODS = (
    ("pm_card_visa", "Card 4242 4242 4242 4242"),
    ("pm_card_chargeDeclined", "Card that is declined"),
    ("pm_success_at", "SEPA debit, settles later"),
    ("pm_failed_at", "SEPA debit, fails later"),
    ("pm_card_createDispute", "Card whose owner disputes"),
    ("pm_card_refundFail", "Card whose refunds fail"),
)
_EXPONENT_0 = set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
_EXPONENT_3 = {"bhd", "jod", "kwd", "omr", "tnd"}


def money(amount: int | None, currency: str | None) -> str:
    """`EUR 49.00`, with Stripe's exponents: docs.stripe.com/currencies#zero-decimal."""
    if amount is None or currency is None:
        return ""
    digits = 0 if currency in _EXPONENT_0 else 3 if currency in _EXPONENT_3 else 2
    if digits == 0:
        return f"{currency.upper()} {amount}"
    whole, rest = divmod(amount, 10**digits)
    return f"{currency.upper()} {whole}.{rest:0{digits}d}"


def pay_page(session: Object, *, wrong: str = "", filled: Object | None = None) -> str:
    """The hosted page of an open session. `filled` holds what the buyer typed before."""
    filled = filled or {}
    email = session["customer_email"] or filled.get("email") or session.get("_prefilled_email")
    fixed = " readonly" if session["customer_email"] or session["customer"] else ""
    lines = "".join(
        f"<li>{escape(str(i['quantity']))} × {escape(i['description'] or '')}: "
        f"{money(i['amount_total'], i['currency'])}</li>"
        for i in session["_line_items"]
    )
    code = ""
    if session["allow_promotion_codes"]:
        code = _field("promotion_code", "Promotion code", filled.get("promotion_code", ""))
    needed = "" if session["customer"] else " required"
    cancel = ""
    if session["cancel_url"]:
        cancel = f'<p><a href="{escape(session["cancel_url"])}">Back to the shop</a></p>'
    total = money(session["amount_total"], session["currency"])
    said = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return _page(
        f"Pay {total}" if total else "Save a payment method",
        f"""<h1>Checkout</h1>
<p><small>This is the fake Stripe: no money moves.</small></p>
{said}<ul>{lines}</ul>
<p>Total: <strong>{total}</strong></p>
<form method="post" action="/c/pay/{escape(session["id"])}">
{_field("email", "E-mail", email or "", f' type="email"{needed}{fixed}')}
{_field("name", "Name", filled.get("name", ""))}
{code}<fieldset><legend>Payment method</legend>{_choices(filled.get("method"))}</fieldset>
<button type="submit">{_verb(session)}</button>
</form>
{cancel}""",
    )


def authorize_page(platform: str, mode: str, kept: dict[str, str]) -> str:
    """Where an account's owner lets a platform in, or not. `kept` goes through the form."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in kept.items()
    )
    return _page(
        f"Connect {platform}",
        f"""<h1>Connect {escape(platform)}</h1>
<p><small>This is the fake Stripe: accounts are made by naming them.</small></p>
<p><strong>{escape(platform)}</strong> asks to read and write in your account ({mode} mode).</p>
<form method="post" action="/oauth/authorize">
{hidden}{_field("account", "Account", "acme", ' required pattern="[A-Za-z0-9]+"')}
<button type="submit" name="decision" value="approve">Connect</button>
<button type="submit" name="decision" value="deny" formnovalidate>Deny</button>
</form>""",
    )


def said_page(title: str, text: str) -> str:
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def _verb(session: Object) -> str:
    if session["mode"] == "subscription":
        return "Subscribe"
    return "Save" if session["mode"] == "setup" else "Pay"


def _field(name: str, label: str, value: str, more: str = "") -> str:
    return (
        f'<label>{label}<input name="{name}" value="{escape(value)}"'
        f' autocomplete="{name if name != "promotion_code" else "off"}"{more}></label>\n'
    )


def _choices(chosen: str | None) -> str:
    shown = []
    for value, text in METHODS:
        mark = " checked" if value == (chosen or "pm_card_visa") else ""
        shown.append(
            f'<label class="choice"><input type="radio" name="method" value="{value}"{mark}>'
            f"{text}</label>"
        )
    return "".join(shown)


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/web/pay.css"></head>
<body><main>{body}</main></body></html>
"""
