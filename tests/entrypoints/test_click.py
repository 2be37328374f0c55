"""`POST /t/click`: 204 whatever comes, and the reason in `X-Refledger`."""

import json
from typing import Any

import pytest

from chalicelib.core.refusals import Unavailable
from chalicelib.storage import keys
from chalicelib.storage.checks import _item_bytes, body_text
from chalicelib.storage.records import read_click
from tests.doors_kit import SITE, Doors, failing, token


def stored(doors: Doors, named: str = token("ann")) -> Any:
    return read_click(doors.store.everything()[keys.click(doors.program.id, named)])


def test_a_click_is_recorded(doors: Doors) -> None:
    reply = doors.click(u=f"{SITE}/pricing", r="https://blog.example.com/post?x=1")
    assert (reply.status, reply.told, reply.body) == (204, "recorded", b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-expose-headers"] == "X-Refledger"
    click = stored(doors)
    assert (click.partner, click.at, click.page) == ("ann", doors.clock.ms, f"{SITE}/pricing")
    assert click.referrer == "https://blog.example.com/post"


@pytest.mark.parametrize(
    ("body", "because"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 2000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "missing"),
        (b'{"p": 1, "t": 2}', "missing"),
        (b'{"p": "a", "t": "' + b"x" * 2049 + b'"}', "larger than 2 kB"),
        (b" " * 2049, "larger than 2 kB"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_what_is_not_ours_to_read(doors: Doors, body: bytes, because: str) -> None:
    before = doors.writes()
    reply = doors.click(body)
    assert reply.status == 204
    assert reply.told.startswith("ignored; ")
    assert because in reply.told
    assert doors.writes() == before


@pytest.mark.parametrize(
    ("about", "because"),
    [
        ({"p": "prg_nobody"}, "unknown program"),
        ({"p": "x" * 1000}, "unknown program"),
        ({"p": "a#b"}, "unknown program"),
        ({"p": "\ud800"}, "unknown program"),
        ({"t": token("nobody")}, "unknown partner"),
        ({"t": "short_ann"}, "the token is malformed"),
        ({"t": token("a/b")}, "the token is malformed"),
        ({"t": token("ann") + "\n"}, "the token is malformed"),
        ({"t": token("\ud800")}, "the token is malformed"),
    ],
    ids=str,
)
def test_whom_we_do_not_know(doors: Doors, about: Any, because: str) -> None:
    before = doors.writes()
    reply = doors.click(**about)
    assert (reply.status, reply.told) == (204, f"ignored; {because}")
    assert doors.writes() == before


def test_a_paused_partner(doors: Doors) -> None:
    doors.put("/v1/partners/ann", {"status": "paused"})
    assert doors.click().told == "ignored; the partner is paused"
    assert doors.items("clicks") == []


def test_the_same_token_is_recorded_once(doors: Doors) -> None:
    assert doors.click().told == "recorded"
    assert doors.click().told == "ignored; already recorded"
    assert len(doors.items("clicks")) == 1


@pytest.mark.parametrize(
    "agent", ["Googlebot/2.1", "bingbot", "Mozilla/5.0 (compatible; AhrefsBot/7.0)", "my crawler"]
)
def test_a_bot(doors: Doors, agent: str) -> None:
    body = json.dumps({"p": doors.program.id, "t": token("ann")}).encode()
    reply = doors.ask(
        "POST", "/t/click", body, [("User-Agent", agent), ("Content-Type", "text/plain")]
    )
    assert (reply.status, reply.told) == (204, "ignored; a bot")
    assert doors.items("clicks") == []


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/json",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
    ],
)
def test_any_way_of_sending_it(doors: Doors, kind: str) -> None:
    body = json.dumps({"p": doors.program.id, "t": token("ann")}).encode()
    assert doors.ask("POST", "/t/click", body, [("Content-Type", kind)]).told == "recorded"


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        (
            f"{SITE}/a?utm_source=x&email=sam%40example.com&via=ann#top",
            f"{SITE}/a?utm_source=x&via=ann",
        ),
        (f"{SITE}/a?ref=ann", f"{SITE}/a"),
        ("https://user:secret@shop.example.com:444/a", "https://shop.example.com:444/a"),
        ("javascript:alert(1)", ""),
        ("https://[bad", ""),
        ("https://a:99999/", ""),
        ("", ""),
        (5, ""),
        (f"{SITE}/\u20ac", f"{SITE}/?"),
    ],
)
def test_the_page_is_kept_without_what_may_be_personal(doors: Doors, page: Any, kept: str) -> None:
    assert doors.click(u=page).told == "recorded"
    assert stored(doors).page == kept


@pytest.mark.parametrize("filler", ["x", '"', "\\", "\u20ac", "%22", "/", "&via=aaaa"])
@pytest.mark.parametrize("subs", [0, 5])
def test_the_worst_click_is_below_one_write_unit(doors: Doors, filler: str, subs: int) -> None:
    partner = "p" * 64
    doors.post("/v1/partners", {"email": "long@example.com", "key": partner})
    sizes = []
    for share in range(5, 200, 5):
        named = token(partner, share)
        reply = doors.click(
            t=named,
            u=f"https://{'h' * share}.example/{filler * share}?via={filler * 40}",
            r=f"https://{'r' * share}.example/{filler * share}",
            s={filler + str(n): filler * 20 for n in range(subs)},
        )
        if reply.told == "recorded":
            doors.stream()
            item = doors.store.everything()[keys.click(doors.program.id, named)]
            sizes.append(_item_bytes(item, body_text(item.body)))
    assert sizes
    assert max(sizes) < 1000


def test_subs_are_cut_to_five(doors: Doors) -> None:
    doors.click(s={f"s{n}": "v" * 60 for n in range(9)} | {"x": [1], "y": None})
    subs = stored(doors).subs
    assert len(subs) == 5
    assert all(len(sub) <= 34 for sub in subs)
    doors.click(t=token("ann", 2), s="no map")
    assert stored(doors, token("ann", 2)).subs == ()


def test_warm_one_call_cold_two(doors: Doors) -> None:
    doors.cold()
    doors.store.calls.clear()
    doors.click()
    assert dict(doors.store.calls) == {"get": 1, "commit": 1}
    doors.store.calls.clear()
    doors.click(t=token("ann", 2))
    assert dict(doors.store.calls) == {"commit": 1}
    doors.days(1).store.calls.clear()
    doors.click(t=token("ann", 3))
    assert dict(doors.store.calls) == {"get": 1, "commit": 1}


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("error", [Unavailable(), RuntimeError("bug")], ids=type)
def test_an_error_is_204_too(doors: Doors, at: int, error: Exception) -> None:
    doors.cold()
    doors.store.before = failing(error, at=at)
    reply = doors.click()
    assert reply.status == 204
    assert reply.told in ("ignored; the store is busy", "ignored; something broke on our side")
    assert doors.items("clicks") == []
    assert doors.click().told == "recorded"


def test_no_address_and_no_agent_is_kept_or_logged(
    doors: Doors, capsys: pytest.CaptureFixture[str]
) -> None:
    doors.click(u=f"{SITE}/?email=sam@example.com")
    kept = str([i for k, i in doors.store.everything().items() if k.table == "clicks"])
    for word in ("203.0.113.7", "Mozilla", "sam@example.com"):
        assert word not in kept + capsys.readouterr().out
