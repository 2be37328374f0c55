"""Answers a browser: the pay page of a session, a payment link's visit, buttons and tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ..api import Answer
from ..errors import StripeRefusal
from ..jobs import run_due
from ..keys import account_name_of_key
from ..resources.paying import pay
from ..resources.payment_links import find_link, visit
from ..world import Object, World
from . import html

if TYPE_CHECKING:
    from ..fake import FakeStripe

_HERE = Path(__file__).parent
_ASSETS = {
    "/v3/buy-button.js": ("buy-button.js", "text/javascript; charset=utf-8"),
    "/v3/pricing-table.js": ("pricing-table.js", "text/javascript; charset=utf-8"),
    "/web/pay.css": ("pay.css", "text/css; charset=utf-8"),
}
# No `form-action`: the answer to the form is a redirect to the merchant's own address.
_POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'"
_OPEN = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}


def answer(fake: "FakeStripe", method: str, path: str, query: str, body: bytes) -> Answer | None:
    """None if the path is none of the browser's."""
    if path in _ASSETS:
        name, kind = _ASSETS[path]
        return Answer(200, (_HERE / name).read_bytes(), _OPEN | {"Content-Type": kind})
    parts = path.strip("/").split("/")
    asked = {k: v[0] for k, v in parse_qs(query, keep_blank_values=True).items()}
    with fake.lock:
        match method, parts:
            case "GET", ["pay", code]:
                return _visit_link(fake, code, asked)
            case "GET", ["c", "pay", id_]:
                return _show(fake, id_)
            case "POST", ["c", "pay", id_]:
                form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
                return _pay(fake, id_, form)
            case "GET", ["thanks", _]:
                return html_answer(200, html.said_page("Thanks", "Thanks for your payment."))
            case "GET", ["v3", "buy_buttons" | "pricing_tables", id_]:
                return _embed(fake, id_, asked.get("key", ""))
            case "GET", ["v3", "buy_buttons" | "pricing_tables", id_, "open"]:
                return _open_embed(fake, id_, asked)
    return None


def _visit_link(fake: "FakeStripe", code: str, asked: dict[str, str]) -> Answer:
    for world in fake.worlds.values():
        link = find_link(world, code)
        if link is not None and link["active"]:
            names = ("client_reference_id", "prefilled_email", "prefilled_promo_code")
            given = {n: asked[n] for n in names if n in asked}
            session = _opened(fake, world, link, given)
            return html_answer(200, html.pay_page(session))
    return html_answer(404, html.said_page("Not found", "This link is no longer active."))


def _opened(fake: "FakeStripe", world: World, link: Object, given: dict[str, str]) -> Object:
    run_due(world, fake.now())
    fake.touched()
    return visit(world, link, **given)


def _show(fake: "FakeStripe", id_: str) -> Answer:
    found = _session(fake, id_)
    if found is None:
        return html_answer(404, html.said_page("Not found", "There is no such Checkout Session."))
    if found[1]["status"] != "open":
        return html_answer(410, html.said_page("Over", "This Checkout Session is no longer open."))
    return html_answer(200, html.pay_page(found[1]))


def _pay(fake: "FakeStripe", id_: str, form: dict[str, str]) -> Answer:
    found = _session(fake, id_)
    if found is None:
        return html_answer(404, html.said_page("Not found", "There is no such Checkout Session."))
    world, session = found
    email = form.get("email", "").strip()
    if not session["customer"] and "@" not in (session["customer_email"] or email):
        return html_answer(422, html.pay_page(session, wrong="An e-mail is needed.", filled=form))
    run_due(world, fake.now())
    clock = (world.table("customer").get(session["customer"] or "") or {}).get("test_clock")
    frozen = world.table("test_helpers.test_clock").get(clock or "", {}).get("frozen_time")
    fake.touched()
    try:
        with world.at(frozen or fake.now(), clock):
            pay(
                world,
                session,
                email=email,
                name=form.get("name", "").strip() or "Test Buyer",
                method=form.get("method", "pm_card_visa"),
                code=form.get("promotion_code", "").strip(),
            )
    except StripeRefusal as refusal:
        if session["status"] != "open":
            return html_answer(410, html.said_page("Over", refusal.error["message"]))
        page = html.pay_page(session, wrong=refusal.error["message"], filled=form)
        return html_answer(refusal.status, page)
    target = session["success_url"] or session["return_url"] or f"{fake.url}/thanks/{id_}"
    return redirect(target.replace("{CHECKOUT_SESSION_ID}", id_))


def _session(fake: "FakeStripe", id_: str) -> tuple[World, Object] | None:
    for world in fake.worlds.values():
        if id_ in world.table("checkout.session"):
            return world, world.table("checkout.session")[id_]
    return None


def _embed(fake: "FakeStripe", id_: str, key: str) -> Answer:
    embed = fake.embeds.get(id_)
    try:
        allowed = embed is not None and account_name_of_key(key) == embed["account"]
    except StripeRefusal:
        allowed = False
    if embed is None or not allowed:
        return _json(401 if embed else 404, {"error": "no such element for this key"})
    world = fake.world(embed["account"])
    offers = [_offer(world.get("payment_link", link)) for link in embed["links"]]
    return _json(200, {"text": offers[0]["action"], "offers": offers})


def _offer(link: Object) -> dict[str, str]:
    first = link["_line_items"][0]
    return {
        "name": first["description"],
        "price": html.money(first["amount_total"], first["currency"]),
        "action": "Subscribe" if link["_recurring"] else "Buy now",
    }


def _open_embed(fake: "FakeStripe", id_: str, asked: dict[str, str]) -> Answer:
    embed = fake.embeds.get(id_)
    offer = asked.get("offer", "0")
    if embed is None or not offer.isdigit() or int(offer) >= len(embed["links"]):
        return html_answer(404, html.said_page("Not found", "There is no such offer."))
    world = fake.world(embed["account"])
    link = world.get("payment_link", embed["links"][int(offer)])
    names = ("client_reference_id", "customer_email")
    session = _opened(fake, world, link, {n: asked[n] for n in names if n in asked})
    return redirect(session["url"])


def html_answer(status: int, text: str) -> Answer:
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY}
    return Answer(status, text.encode(), headers | {"Referrer-Policy": "no-referrer"})


def redirect(target: str) -> Answer:
    clean = target.replace("\r", "").replace("\n", "")
    return Answer(303, b"", {"Location": clean, "Content-Type": "text/plain"})


def _json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value).encode(), _OPEN | {"Content-Type": "application/json"})
