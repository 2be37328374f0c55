"""The local server in front of the app: `/_local/`, bytes, headers, routes, streams."""

import hashlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.http_wire import MAX_BODY_BYTES
from local.place import HOST, Place
from tests.stack_kit import Stack, four_free_ports, running_stack

TINY = "tests.local.tiny.parts"
pytestmark = [pytest.mark.ministack, pytest.mark.xdist_group("tiny")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    place = Place(port=four_free_ports(), state_dir=tmp_path_factory.mktemp("doors"))
    with running_stack(place, parts=TINY) as running:
        yield running


def ask(tiny: Stack, method: str, path: str, **sent: Any) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, tiny.place.port, timeout=10)
    connection.request(method, path, **sent)
    return connection.getresponse()


class TestClock:
    def test_zero_only_reads(self, tiny: Stack) -> None:
        before = tiny.advance(0)
        assert tiny.advance(0) - before <= 2

    def test_it_moves_the_app_and_the_fake_stripe(self, tiny: Stack) -> None:
        before = tiny.advance(0)
        assert tiny.advance(1.5) - before == pytest.approx(1.5 * 86_400, abs=3)
        assert tiny.call("GET", "/now")[1]["now"] - before == pytest.approx(129_600, abs=5)
        connection = http.client.HTTPConnection(HOST, tiny.place.port + 1, timeout=5)
        connection.request("GET", "/")
        offset = json.load(connection.getresponse())["offset_seconds"]
        assert offset == pytest.approx(tiny.advance(0) - time.time(), abs=3)

    @pytest.mark.parametrize("days", [-1, -0.001, "1", None, True, 1e99, [], {}])
    def test_nonsense_is_refused_with_a_sentence(self, tiny: Stack, days: Any) -> None:
        before = tiny.advance(0)
        status, answer = tiny.call("POST", "/_local/clock", {"advance_days": days})
        assert status == 422
        assert "advance_days" in answer["message"]
        assert tiny.advance(0) - before <= 2

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"advance_days": NaN}', b"\xff"])
    def test_a_broken_body_is_refused(self, tiny: Stack, body: bytes) -> None:
        assert ask(tiny, "POST", "/_local/clock", body=body).status == 422


class TestRunning:
    def test_a_schedule_runs_on_the_shifted_clock(self, tiny: Stack) -> None:
        now = tiny.advance(0.25)
        at = tiny.run("sweep")["at"]
        assert at[:16] == time.strftime("%Y-%m-%dT%H:%M", time.gmtime(now))

    def test_an_unknown_one_is_404_with_the_names(self, tiny: Stack) -> None:
        status, answer = tiny.call("POST", "/_local/run/nobody")
        assert status == 404
        assert answer["schedules"] == ["failing", "sweep", "count_clicks"]

    def test_a_failing_one_says_so(self, tiny: Stack) -> None:
        status, answer = tiny.call("POST", "/_local/run/failing")
        assert (status, answer["message"][:29]) == (500, "failing failed: RuntimeError.")

    def test_the_stream_is_pumped_until_empty(self, tiny: Stack) -> None:
        for number in range(5):
            tiny.call("PUT", f"/items/click-{number}", {})
        tiny.run("count_clicks")
        assert all(tiny.call("GET", f"/items/click-{n}")[1]["seen"] for n in range(5))

    def test_the_stream_is_fed_by_itself(self, tiny: Stack) -> None:
        tiny.call("PUT", "/items/by-itself", {})
        deadline = time.monotonic() + 10
        while not tiny.call("GET", "/items/by-itself")[1]["seen"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_inbox_and_work_are_listed(self, tiny: Stack) -> None:
        assert tiny.call("GET", "/_local/inbox")[1][0]["id"] == "evt_1"
        assert tiny.call("GET", "/_local/work")[1] == []
        assert tiny.call("GET", "/_local/elsewhere")[0] == 404


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param('{"name": "Zoë 🦊"}'.encode(), id="non-ascii"),
            pytest.param(os.urandom(500_000), id="random bytes"),
            pytest.param(b"\xff\xfe\x00", id="not utf-8"),
            pytest.param(b"a" * 1_000_000, id="large"),
            pytest.param(b"\r\n\r\n  {} \n", id="white space"),
            pytest.param(b"", id="empty"),
        ],
    )
    @pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8"])
    def test_they_arrive_as_they_were_sent(self, tiny: Stack, body: bytes, kind: str) -> None:
        answer = json.load(ask(tiny, "POST", "/digest", body=body, headers={"Content-Type": kind}))
        assert answer == {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}

    def test_chunks_are_put_together(self, tiny: Stack) -> None:
        parts = [b"one", b"two" * 50_000, "drei ü".encode()]
        answer = json.load(ask(tiny, "POST", "/digest", body=iter(parts), encode_chunked=True))
        assert answer["sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()

    def test_more_than_ten_megabytes_are_refused(self, tiny: Stack) -> None:
        sent = b"x" * (MAX_BODY_BYTES + 1)
        assert ask(tiny, "POST", "/digest", body=sent).status == 413
        assert tiny.call("GET", "/now")[0] == 200

    def test_nonsense_on_the_wire_does_no_harm(self, tiny: Stack) -> None:
        for nonsense in (
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"GET /now\r\n\r\n",
            b"POST /digest HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST /digest HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"POST /digest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /now HTTP/1.1\r\nBad Name : x\r\n\r\n",
            b"GET /now HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        ):
            with socket.create_connection((HOST, tiny.place.port), timeout=5) as raw:
                raw.sendall(nonsense)
                assert raw.recv(64).startswith(b"HTTP/1.1 4")
        assert tiny.call("GET", "/now")[0] == 200


class TestGateway:
    def test_the_base_url_follows_from_the_request_context(self, tiny: Stack) -> None:
        sent = {"Host": "evil.test", "User-Agent": "me", "x-Odd-CASE": "1"}
        path = "/event/a%2Fb%20c/literal/?q=1&q=%C3%BC&empty="
        answer = json.load(ask(tiny, "GET", path, headers=sent))
        event = answer["event"]
        context = event["requestContext"]
        assert f"http://{context['domainName']}" == tiny.place.base_url
        assert context["path"] == event["path"]
        assert event["headers"]["X-Forwarded-Proto"] == "http"
        assert event["headers"]["x-Odd-CASE"] == "1"
        assert event["pathParameters"] == {"one": "a%2Fb%20c"}
        assert answer["one"] == "a%2Fb%20c"
        assert event["multiValueQueryStringParameters"] == {"q": ["1", "ü"], "empty": [""]}
        assert event["queryStringParameters"] == {"q": "ü", "empty": ""}

    def test_a_literal_segment_goes_first(self, tiny: Stack) -> None:
        assert tiny.call("GET", "/event/fixed/literal")[1]["one"] == "the literal route"

    @pytest.mark.parametrize("path", ["/", "/nowhere", "/now/more", "/event//literal", "//now"])
    def test_an_unknown_path_is_404(self, tiny: Stack, path: str) -> None:
        answer = ask(tiny, "GET", path)
        assert (answer.status, json.load(answer)["status"]) == (404, 0)

    def test_an_unknown_method_is_404(self, tiny: Stack) -> None:
        assert ask(tiny, "DELETE", "/now").status == 404

    def test_head_has_no_body(self, tiny: Stack) -> None:
        assert ask(tiny, "HEAD", "/now").read() == b""

    def test_preflights_are_answered_where_cors_is_on(self, tiny: Stack) -> None:
        open_one = ask(tiny, "OPTIONS", "/open")
        assert (open_one.status, open_one.getheader("Access-Control-Allow-Origin")) == (200, "*")
        assert ask(tiny, "OPTIONS", "/now").status == 404

    def test_repeated_headers_and_compression(self, tiny: Stack) -> None:
        answer = ask(tiny, "GET", "/cookies", headers={"Accept-Encoding": "identity"})
        assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
        assert answer.getheader("Content-Type") == "text/html"
        assert "ü" in answer.read().decode()

    def test_204_has_neither_body_nor_length(self, tiny: Stack) -> None:
        answer = ask(tiny, "POST", "/nothing", body="{}", headers={"Content-Type": "text/plain"})
        assert (answer.status, answer.getheader("Content-Length")) == (204, None)
        assert answer.getheader("X-Refledger") == "recorded"

    def test_a_bug_is_a_500_without_a_trace(self, tiny: Stack) -> None:
        answer = ask(tiny, "GET", "/broken")
        assert answer.status == 500
        assert b"Traceback" not in answer.read()


class TestConnections:
    def test_one_connection_carries_many_requests(self, tiny: Stack) -> None:
        connection = http.client.HTTPConnection(HOST, tiny.place.port, timeout=10)
        for _ in range(50):
            connection.request("GET", "/now")
            assert connection.getresponse().read()

    def test_pipelined_requests_are_answered_in_order(self, tiny: Stack) -> None:
        with socket.create_connection((HOST, tiny.place.port), timeout=5) as raw:
            raw.sendall(b"GET /now HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\nConnection: close\r\n\r\n")
            received = b""
            while piece := raw.recv(65_536):
                received += piece
        assert received.index(b"HTTP/1.1 200") < received.index(b"HTTP/1.1 404")

    def test_idle_connections_do_not_hold_the_workers(self, tiny: Stack) -> None:
        idle = [socket.create_connection((HOST, tiny.place.port)) for _ in range(60)]
        try:
            with ThreadPoolExecutor(20) as pool:
                answers = pool.map(lambda _: tiny.call("GET", "/now")[0], range(60))
            assert set(answers) == {200}
        finally:
            for one in idle:
                one.close()
