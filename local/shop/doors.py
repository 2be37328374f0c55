"""The shop's HTTP doors: pages, static files, the sign-up, and the shop's own JSON.

What needs a key, Refledger's API or Stripe's, happens here on the server; a page never sees one.
"""

import json
import logging
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.http_wire import Answer, Request
from local.place import Place
from local.shop.catalogue import page_at
from local.shop.render import HERE, rendered, security_headers
from local.shop.selling import Refused, Till

log = logging.getLogger("local.shop")

STATIC = {file.name: file for file in (HERE / "static").iterdir() if file.is_file()}


class Shop:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._headers = security_headers(place)

    def answer(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/health":
            return Answer(status=200, body=b"ready\n")
        if request.method in ("GET", "HEAD") and parts.path.startswith("/static/"):
            return self._static(parts.path.removeprefix("/static/"))
        if not (self._place.demo_file.exists() and self._place.shop_file.exists()):
            return self._plain(503, "The shop opens in a moment.")
        try:
            return self._answer(request, parts.path, query)
        except Refused as refused:
            return self._json(refused.status, {"message": str(refused)})
        except Exception:
            log.exception("%s %s failed", request.method, parts.path)
            return self._plain(500, "Something went wrong in the shop; its log says what.")

    def _answer(self, request: Request, path: str, query: Mapping[str, str]) -> Answer:
        demo, goods = _read(self._place.demo_file), _read(self._place.shop_file)
        page = page_at(path)
        if request.method in ("GET", "HEAD") and page:
            text = rendered(page, place=self._place, demo=demo, goods=goods)
            return self._html(text)
        if request.method == "POST" and _from_elsewhere(request):
            raise Refused(403, "Only the shop's own pages may do this.")
        till = Till(self._place, demo, goods)
        doors: dict[tuple[str, str], Callable[[], Answer]] = {
            ("POST", "/signup"): lambda: self._to(till.sign_up_and_subscribe(_form(request))),
            ("POST", "/subscribe"): lambda: self._to(till.subscribe(_form(request))),
            ("POST", "/form"): lambda: self._to(till.joined(_form(request))),
            ("GET", "/api/what-happened"): lambda: self._json(200, till.what_happened(query)),
            ("POST", "/api/refund"): lambda: self._json(200, till.refund(_json_body(request))),
            ("POST", "/api/let-a-month-pass"): lambda: self._json(200, till.let_a_month_pass()),
        }
        door = doors.get((request.method, path))
        return door() if door else self._plain(404, "The shop has no such page.")

    def _static(self, name: str) -> Answer:
        file = STATIC.get(name)
        if file is None:
            return self._plain(404, "The shop has no such file.")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._made(200, f"{kind}; charset=utf-8", file.read_bytes())

    def _html(self, text: str) -> Answer:
        return self._made(200, "text/html; charset=utf-8", text.encode())

    def _json(self, status: int, value: Any) -> Answer:
        return self._made(status, "application/json", json.dumps(value).encode())

    def _plain(self, status: int, text: str) -> Answer:
        return self._made(status, "text/plain; charset=utf-8", text.encode())

    def _to(self, address: str) -> Answer:
        return Answer(status=303, headers=[*self._headers, ("Location", address)])

    def _made(self, status: int, kind: str, body: bytes) -> Answer:
        return Answer(status=status, headers=[*self._headers, ("Content-Type", kind)], body=body)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=20)
    return {name: values[-1].strip()[:200] for name, values in fields.items()}


def _json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        raise Refused(400, "That is not JSON.") from None
    return body if isinstance(body, dict) else {}


def _from_elsewhere(request: Request) -> bool:
    return request.header("Sec-Fetch-Site") in ("cross-site", "same-site")
