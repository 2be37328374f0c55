"""Connecting by OAuth, from link to connection: each once, in one browser, or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from app import app
from chalicelib.core.refusals import Unavailable
from chalicelib.entrypoints.wiring import House
from chalicelib.flows.keep_base_url import keep_base_url
from chalicelib.storage import keys
from chalicelib.storage.store import Remove
from chalicelib.stripe_adapter.oauth import Authorised, OAuthProvider, Platform
from local.fake_stripe.world import account_id
from tests.doors_kit import BASE_URL, Doors, Reply, failing
from tests.flows.connecting_kit import secret_key
from tests.mishap_kit import Killed, together
from tests.oauth_kit import CALLBACK, FORM, OAuthHouse, Person, client_id, oauth_house, platform_key

COOKIE = "__Host-refledger-oauth"
MINUTES = 60


@pytest.fixture
def oauth(doors: Doors) -> Iterator[OAuthHouse]:
    with oauth_house(doors) as house:
        yield house


def words(reply: Reply) -> str:
    return reply.body.decode()


class TestTheWholeWay:
    def test_from_the_link_to_the_connection(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        page = person.open(oauth.link())
        assert page.status == 200
        assert "Acme" in words(page)
        assert oauth.doors.program.id in words(page)
        assert BASE_URL in words(page)
        assert "test: no real money" in words(page)
        there = person.press(page)
        assert there.status == 303
        asked = person.asked(there.headers["location"])
        assert there.headers["location"].startswith(f"{oauth.fake.url}/oauth/authorize?")
        assert asked == {
            "response_type": "code",
            "client_id": client_id("test"),
            "scope": "read_write",
            "state": asked["state"],
            "redirect_uri": CALLBACK,
        }
        done = person.open(person.agree(there.headers["location"], "acme"))
        assert done.status == 200
        assert "is connected" in words(done)
        assert account_id("acme") in words(done)
        [connection] = oauth.connections()
        assert connection.account == account_id("acme")
        assert connection.program == oauth.doors.program.id
        assert (connection.livemode, connection.state) == (False, "open")
        assert all(connection.permissions.values())
        assert (connection.account_name, connection.currency) == ("acme", "eur")
        assert "acme (acct_" in words(done)
        assert oauth.links() == {(client_id("test"), account_id("acme"))}
        assert oauth.spent() == 1

    def test_its_calls_are_made_with_the_platforms_key_on_the_account(
        self, oauth: OAuthHouse
    ) -> None:
        connection = oauth.connect("acme")
        credentials = oauth.doors.house.connections.credentials(connection)
        assert credentials.api_key == platform_key("test")
        assert (credentials.account, credentials.livemode) == (account_id("acme"), False)

    def test_is_connected_though_the_accounts_name_cannot_be_asked(self, oauth: OAuthHouse) -> None:
        with oauth.fake.lock:
            oauth.fake.illness.plan({"kind": "500", "calls": 3, "path": "/account"})
        connection = oauth.connect("acme")
        assert (connection.state, connection.account_name) == ("open", "")

    def test_its_jobs_are_planned(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        jobs = [i for k, i in oauth.doors.store.everything().items() if "#job#" in k.pk]
        assert {item.body["connection"] for item in jobs} == {connection.id}

    def test_live_and_test_stay_apart(self, oauth: OAuthHouse) -> None:
        test, live = oauth.connect("acme", "test"), oauth.connect("acme", "live")
        assert test.id != live.id
        assert (test.livemode, live.livemode) == (False, True)
        assert oauth.links() == {(client_id(m), account_id("acme")) for m in ("test", "live")}

    def test_authorising_again_is_the_same_connection(self, oauth: OAuthHouse) -> None:
        first = oauth.connect("acme")
        oauth.change(first, closed_at=5, closed_because="ended")
        again = oauth.connect("acme")
        assert again == first
        assert len(oauth.connections()) == 1

    def test_two_programs_on_one_account(self, oauth: OAuthHouse) -> None:
        first = oauth.connect("acme")
        second = oauth.connect("acme", program=oauth.doors.other)
        assert first.id != second.id
        assert (first.account, second.account) == (account_id("acme"),) * 2
        assert (first.program, second.program) == (oauth.doors.program.id, oauth.doors.other.id)

    def test_an_account_that_is_connected_by_key_stays_so(self, oauth: OAuthHouse) -> None:
        connection = oauth.connect("acme")
        oauth.change(connection, how="key", sealed_api_key="sealed")
        with oauth.fake.lock:
            oauth.fake.connect.links.clear()
        reply = oauth.person().go(oauth.link())
        assert reply.status == 409
        assert "with an API key" in words(reply)
        assert oauth.connection(connection.id).how == "key"
        assert oauth.links() == set(), "the authorisation that leads to nothing is taken back"

    def test_what_a_key_had_half_made_of_it_is_taken_back(self, oauth: OAuthHouse) -> None:
        """Stripe's answers were lost while the endpoint was made; then it is connected by OAuth."""
        plan = {"kind": "away_after", "calls": 3, "method": "POST", "path": "/webhook_endpoints"}
        oauth.fake.illness.plan(plan)
        assert oauth.doors.post("/v1/connections", {"api_key": secret_key("acme")}).status == 503
        connection = oauth.connect("acme")
        assert (connection.how, connection.state) == ("oauth", "open")
        with oauth.fake.lock:
            assert list(oauth.fake.world("acme").rows("webhook_endpoint")) == []


class TestTheLink:
    def test_the_page_spends_nothing(self, oauth: OAuthHouse) -> None:
        link = oauth.link()
        before = oauth.doors.writes()
        for _ in range(3):
            assert oauth.person().open(link).status == 200
        assert oauth.doors.writes() == before
        assert oauth.person().go(link).status == 200

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"code": ""}, 404),
            ({"code": "A" * 43}, 404),
            ({"code": "a#b"}, 404),
            ({"code": "\u0000"}, 404),
            ({"code": "x" * 3000}, 404),
            ({"program": ""}, 404),
            ({"program": "prg_nobody"}, 404),
            ({"program": "<script>alert(1)</script>"}, 404),
        ],
        ids=str,
    )
    def test_another_one_opens_nothing(
        self, oauth: OAuthHouse, change: dict[str, str], status: int
    ) -> None:
        asked = oauth.person().asked(oauth.link())
        reply = oauth.person().open(f"/stripe/oauth/start?{urlencode(asked | change)}")
        assert reply.status == status
        assert "This link is not known" in words(reply)
        assert "<script" not in words(reply)

    def test_of_another_program_it_opens_nothing(self, oauth: OAuthHouse) -> None:
        asked = oauth.person().asked(oauth.link())
        other = asked | {"program": oauth.doors.other.id}
        assert oauth.person().open(f"/stripe/oauth/start?{urlencode(other)}").status == 404

    def test_it_is_good_for_ten_minutes(self, oauth: OAuthHouse) -> None:
        link = oauth.link()
        person = oauth.person()
        page = person.open(link)
        oauth.doors.clock.now += 10 * MINUTES
        for reply in (person.open(link), person.press(page)):
            assert reply.status == 409
            assert "ten minutes" in words(reply)
        assert oauth.spent() == 0

    def test_it_is_spent_once(self, oauth: OAuthHouse) -> None:
        link = oauth.link()
        other = oauth.person()
        seen = other.open(link)
        assert oauth.person().go(link).status == 200
        for reply in (other.open(link), other.press(seen)):
            assert reply.status == 409
            assert "was used already" in words(reply)

    def test_of_two_browsers_at_once_one_goes_on(self, oauth: OAuthHouse) -> None:
        link = oauth.link()
        people = [oauth.person() for _ in range(4)]
        pages = [person.open(link) for person in people]
        replies = together(*[partial(p.press, page) for p, page in zip(people, pages, strict=True)])
        assert sorted(reply.status for reply in replies) == [303, 409, 409, 409]

    def test_of_two_browsers_within_a_moment_one_goes_on(self, oauth: OAuthHouse) -> None:
        """Both have read the code as unspent."""
        link, quick, slow = oauth.link(), oauth.person(), oauth.person()
        pages = quick.open(link), slow.open(link)
        first: list[Reply] = []
        oauth.doors.store.before = just_before_commit(lambda: first.append(quick.press(pages[0])))
        assert slow.press(pages[1]).status == 409
        assert [reply.status for reply in first] == [303]

    def test_a_button_pressed_twice_leads_to_one_place(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        page = person.open(oauth.link())
        replies = together(*[partial(person.press, page)] * 2)
        assert {reply.status for reply in replies} == {303}
        [place] = {reply.headers["location"] for reply in replies}
        assert person.open(person.agree(place, "acme")).status == 200
        assert person.press(page).status == 409

    def test_is_kept_by_its_hash_and_runs_out(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        link = oauth.link()
        person.to_stripe(link)
        code = person.asked(link)["code"]
        kept = [i for k, i in oauth.doors.store.everything().items() if "oauth" in k.pk]
        assert len(kept) == 2
        assert all(item.expires_at for item in kept)
        assert code not in str(kept)
        assert person.cookies[COOKIE] not in str(kept)


class TestThePage:
    def test_is_guarded(self, oauth: OAuthHouse) -> None:
        link = oauth.link()
        person = oauth.person()
        pages = [person.open(link), person.go(link), person.open(link)]
        assert [page.status for page in pages] == [200, 200, 409]
        for page in pages:
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script-src" not in policy and "unsafe" not in policy
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-frame-options"] == "DENY"
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "<script" not in words(page)

    def test_its_form_leads_to_stripe_alone(self, oauth: OAuthHouse) -> None:
        policy = oauth.person().open(oauth.link()).headers["content-security-policy"]
        sent = next(part for part in policy.split("; ") if part.startswith("form-action"))
        assert sent == f"form-action 'self' {BASE_URL} https://*.stripe.com {oauth.fake.url}"

    def test_its_cookie_is_the_hosts_alone(self, oauth: OAuthHouse) -> None:
        cookie = oauth.person().open(oauth.link()).headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie

    def test_is_there_again_for_who_comes_back_from_stripe(self, oauth: OAuthHouse) -> None:
        """By the browser's button, without an answer; for nobody else, and not after one."""
        link, person = oauth.link(), oauth.person()
        at_stripe = person.to_stripe(link)
        page = person.open(link)
        assert page.status == 200
        assert person.press(page).headers["location"] == at_stripe
        assert oauth.person().open(link).status == 409
        assert person.open(person.agree(at_stripe, "acme")).status == 200
        assert person.open(link).status == 409

    def test_shows_names_as_they_are(self, oauth: OAuthHouse) -> None:
        program, _ = oauth.doors.a_program('<b>Acme</b> & "Sons"')
        page = oauth.person().open(oauth.link(program=program))
        assert "<b>Acme" not in words(page)
        assert "&lt;b&gt;Acme&lt;/b&gt; &amp; &quot;Sons&quot;" in words(page)


class TestBehindAStagesPath:
    """As API Gateway has it without a domain of one's own: the stage stands in every address."""

    HOST = "abc123.execute-api.eu-central-1.amazonaws.com"

    def ask(self, method: str, query: dict[str, str], body: str = "", cookie: str = "") -> Any:
        path = "/stripe/oauth/start"
        headers = {"X-Forwarded-Proto": "https", "Cookie": cookie}
        if body:
            headers["Content-Type"] = FORM[1]
        context = {"resourcePath": path, "httpMethod": method, "path": f"/api{path}"}
        return app(
            {
                "resource": path,
                "path": path,
                "httpMethod": method,
                "headers": headers,
                "multiValueHeaders": {name: [value] for name, value in headers.items()},
                "pathParameters": None,
                "queryStringParameters": query,
                "multiValueQueryStringParameters": {n: [v] for n, v in query.items()},
                "stageVariables": None,
                "body": body,
                "isBase64Encoded": False,
                "requestContext": {**context, "domainName": self.HOST, "stage": "api"},
            },
            None,
        )

    def test_form_and_way_back_have_the_stage(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        page = self.ask("GET", person.asked(oauth.link()))
        text = page["body"]
        assert f'action="https://{self.HOST}/api/stripe/oauth/start"' in text
        [cookie] = page["multiValueHeaders"]["Set-Cookie"]
        assert "Path=/;" in cookie
        reply = Reply(status=200, headers={}, body=text.encode())
        fields = urlencode(person.fields(reply))
        there = self.ask("POST", {}, fields, cookie.split(";")[0])
        assert there["statusCode"] == 303
        location = there["headers"].get("Location") or there["multiValueHeaders"]["Location"][0]
        assert person.asked(location)["redirect_uri"] == (
            f"https://{self.HOST}/api/stripe/oauth/callback"
        )


class TestTheDeploymentsAddress(TestBehindAStagesPath):
    """Where a deployment was given an address, Stripe and people are sent there, whatever name a
    request came by: the platform is registered with that one."""

    OWN = "https://refer.example.org/own"

    @pytest.fixture(autouse=True)
    def _given(self, doors: Doors) -> None:
        keep_base_url(self.OWN, store=doors.store)

    def test_form_and_way_back_have_the_stage(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        page = self.ask("GET", person.asked(oauth.link()))
        assert f'action="{self.OWN}/stripe/oauth/start"' in page["body"]
        policy = page["multiValueHeaders"].get("Content-Security-Policy") or [
            page["headers"]["Content-Security-Policy"]
        ]
        assert "form-action 'self' https://refer.example.org https://*.stripe.com" in policy[0]
        fields = urlencode(person.fields(Reply(status=200, headers={}, body=page["body"].encode())))
        [cookie] = page["multiValueHeaders"]["Set-Cookie"]
        there = self.ask("POST", {}, fields, cookie.split(";")[0])
        location = there["headers"].get("Location") or there["multiValueHeaders"]["Location"][0]
        assert person.asked(location)["redirect_uri"] == f"{self.OWN}/stripe/oauth/callback"

    def test_links_lead_there(self, oauth: OAuthHouse) -> None:
        link = oauth.doors.post("/v1/connections/oauth", {}).data["link"]
        assert link.startswith(f"{self.OWN}/stripe/oauth/start?")

    def test_webhooks_are_sent_there(self, oauth: OAuthHouse) -> None:
        made = oauth.doors.post("/v1/connections", {"api_key": "sk_" + "test_acme_1"}).data
        with oauth.fake.lock:
            [endpoint] = oauth.fake.world("acme").rows("webhook_endpoint")
        assert endpoint["url"] == made["webhook_url"]
        assert made["webhook_url"] == f"{self.OWN}/stripe/webhooks/{made['id']}"


class TestAnAttackersLink:
    """Somebody who may make links of a program of his own sends one to a victim."""

    def test_the_page_says_whose_program_it_is(self, oauth: OAuthHouse) -> None:
        page = words(oauth.person().open(oauth.link(program=oauth.doors.other)))
        assert "Beta" in page and oauth.doors.other.id in page
        assert "Go on only if you know this program" in page
        assert "Acme" not in page

    @pytest.mark.parametrize("case", ["no cookie", "a cookie of its own", "no token"])
    def test_his_own_site_cannot_press_the_button(self, oauth: OAuthHouse, case: str) -> None:
        """A form of another site comes without the Lax cookie; and what his own page gave him
        fits no other browser."""
        attacker, victim = oauth.person(), oauth.person()
        link = oauth.link(program=oauth.doors.other)
        fields = attacker.fields(attacker.open(link))
        if case == "a cookie of its own":
            victim.open(oauth.link())
        if case == "no token":
            victim.open(link)
            fields.pop("token")
        reply = victim._ask("POST", "/stripe/oauth/start", urlencode(fields).encode(), FORM)
        assert reply.status == 403
        assert "location" not in reply.headers
        assert attacker.press(attacker.open(link)).status == 303, "and nothing was used up"

    def test_his_answer_is_not_taken_in_the_victims_browser(self, oauth: OAuthHouse) -> None:
        """He authorises his own account and has the victim's browser bring the answer."""
        attacker, victim = oauth.person(), oauth.person()
        answer = attacker.agree(attacker.to_stripe(oauth.link()), "mallory")
        for bystander in (victim, oauth.person()):
            victim.open(oauth.link())
            reply = bystander.open(answer)
            assert reply.status == 403
            assert "another browser" in words(reply)
        assert oauth.connections() == []
        assert (oauth.spent(), oauth.links()) == (0, set())

    def test_a_victims_answer_is_not_taken_in_his(self, oauth: OAuthHouse) -> None:
        attacker, victim = oauth.person(), oauth.person()
        answer = victim.agree(victim.to_stripe(oauth.link()), "acme")
        attacker.open(oauth.link(program=oauth.doors.other))
        assert attacker.open(answer).status == 403
        assert oauth.spent() == 0
        assert victim.open(answer).status == 200, "the state is still the victim's to use"


class TestTheAnswer:
    @pytest.fixture
    def person(self, oauth: OAuthHouse) -> Person:
        return oauth.person()

    @pytest.fixture
    def answer(self, oauth: OAuthHouse, person: Person) -> str:
        return person.agree(person.to_stripe(oauth.link()), "acme")

    def test_taken_twice_is_exchanged_once(
        self, oauth: OAuthHouse, person: Person, answer: str
    ) -> None:
        assert person.open(answer).status == 200
        before = oauth.doors.store.everything()
        again = person.open(answer)
        assert again.status == 200
        assert "is connected" in words(again)
        assert oauth.doors.store.everything() == before
        assert (oauth.spent(), len(oauth.links()), len(oauth.connections())) == (1, 1, 1)

    def test_taken_again_when_it_has_ended_says_so(
        self, oauth: OAuthHouse, person: Person, answer: str
    ) -> None:
        assert person.open(answer).status == 200
        [connection] = oauth.connections()
        oauth.change(connection, closed_at=5, closed_because="ended")
        reply = person.open(answer)
        assert reply.status == 409
        assert "was disconnected since" in words(reply)
        assert oauth.connection(connection.id).state == "closed"

    def test_taken_at_the_same_instant_is_exchanged_once(
        self, oauth: OAuthHouse, person: Person, answer: str
    ) -> None:
        """A second exchange would revoke the connection at Stripe."""
        replies = together(*[partial(person.open, answer)] * 8)
        assert {reply.status for reply in replies} <= {200, 409}
        assert [reply.status for reply in replies].count(200) >= 1
        assert oauth.links() == {(client_id("test"), account_id("acme"))}
        assert (oauth.spent(), len(oauth.connections())) == (1, 1)
        assert person.open(answer).status == 200

    def test_taken_between_anothers_look_and_claim_is_exchanged_once(
        self, oauth: OAuthHouse, person: Person, answer: str
    ) -> None:
        """Both have read the state as unclaimed; the other one is quicker by a moment."""
        first: list[Reply] = []
        oauth.doors.store.before = just_before_commit(lambda: first.append(person.open(answer)))
        second = person.open(answer)
        assert [reply.status for reply in first] == [200]
        assert second.status == 409
        assert "was taken already" in words(second)
        assert oauth.links() == {(client_id("test"), account_id("acme"))}, "nothing was revoked"
        assert len(oauth.connections()) == 1

    def test_is_good_for_ten_minutes(self, oauth: OAuthHouse, person: Person, answer: str) -> None:
        oauth.doors.clock.now += 10 * MINUTES
        reply = person.open(answer)
        assert reply.status == 409
        assert "ten minutes" in words(reply)
        assert (oauth.spent(), oauth.connections()) == (0, [])

    @pytest.mark.parametrize("state", ["", "A" * 43, "a#b", "\u0000", "x" * 3000, "<b>"])
    def test_of_no_known_state_is_refused(
        self, oauth: OAuthHouse, person: Person, answer: str, state: str
    ) -> None:
        code = person.asked(answer)["code"]
        reply = person.open(person.back(state, code=code))
        assert reply.status == 404
        assert "belongs to no attempt" in words(reply)
        assert oauth.spent() == 0

    @pytest.mark.parametrize("cookie", ["", "x", "A" * 43])
    def test_without_its_cookie_is_refused(
        self, oauth: OAuthHouse, person: Person, answer: str, cookie: str
    ) -> None:
        person.cookies[COOKIE] = cookie
        reply = person.open(answer)
        assert reply.status == 403
        assert (oauth.spent(), oauth.connections()) == (0, [])

    def test_of_somebody_who_declined_says_so(self, oauth: OAuthHouse, person: Person) -> None:
        state = person.asked(person.to_stripe(oauth.link()))["state"]
        said = {"error": "access_denied", "error_description": "The user denied <i>it</i>"}
        for _ in range(2):
            reply = person.open(person.back(state, **said))
            assert reply.status == 409
            assert "declined" in words(reply)
            assert "<i>" not in words(reply)
        assert oauth.connections() == []

    def test_with_another_error_gives_stripes_words(
        self, oauth: OAuthHouse, person: Person
    ) -> None:
        state = person.asked(person.to_stripe(oauth.link()))["state"]
        reply = person.open(person.back(state, error="invalid_scope", error_description="No."))
        assert reply.status == 409
        assert "does not give this platform the access" in words(reply)
        assert "invalid_scope: No." in words(reply)

    def test_with_neither_is_an_error(self, oauth: OAuthHouse, person: Person) -> None:
        state = person.asked(person.to_stripe(oauth.link()))["state"]
        assert person.open(person.back(state)).status == 409
        assert oauth.spent() == 0

    def test_whose_code_stripe_does_not_take(self, oauth: OAuthHouse, person: Person) -> None:
        state = person.asked(person.to_stripe(oauth.link()))["state"]
        for _ in range(2):
            reply = person.open(person.back(state, code="ac_nobody_has_it"))
            assert reply.status == 409
            assert "Stripe did not make the connection" in words(reply)
        assert oauth.connections() == []

    def test_that_was_spent_elsewhere(self, oauth: OAuthHouse, person: Person, answer: str) -> None:
        """Stripe revokes what the first use gave: nothing is stored, and the page says what now."""
        from local.fake_stripe.world import World

        code = person.asked(answer)["code"]
        with oauth.fake.lock:
            world: World = oauth.fake.world("platform")
            oauth.fake.connect.exchange(world, code)
        reply = person.open(answer)
        assert reply.status == 409
        assert "used already" in words(reply)
        assert (oauth.connections(), oauth.links()) == ([], set())

    def test_in_the_other_mode_is_taken_back(
        self, oauth: OAuthHouse, person: Person, answer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As another provider than Connect may answer."""
        house = oauth.doors.house
        monkeypatch.setattr(
            house, "oauth_provider", lambda platform: OtherMode(provider_of(house, platform))
        )
        reply = person.open(answer)
        assert reply.status == 409
        assert "in the other mode" in words(reply)
        assert (oauth.connections(), oauth.links()) == ([], set())


class TestWhatBreaksOff:
    """After each the whole way taken again leads to one connection that lives."""

    def again(self, oauth: OAuthHouse) -> None:
        assert oauth.person().go(oauth.link()).status == 200
        assert len(oauth.connections()) == 1
        assert oauth.links() == {(client_id("test"), account_id("acme"))}

    @pytest.mark.parametrize(
        "kind", ["429", "500", "503", "500_after", "away", "away_after", "cut", "broken"]
    )
    def test_stripe_does_not_answer_clearly(self, oauth: OAuthHouse, kind: str) -> None:
        """It is asked once: had it done what was asked, a second time would undo it."""
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        with oauth.fake.lock:
            oauth.fake.illness.plan({"kind": kind, "calls": 9, "path": "/oauth/token"})
        reply = person.open(answer)
        with oauth.fake.lock:
            assert oauth.fake.illness.struck == {kind: 1}
            oauth.fake.illness.planned.clear()
        assert reply.status == 502
        assert "Nothing was stored here" in words(reply)
        assert "authorising it again does no harm" in words(reply)
        assert oauth.connections() == []
        assert person.open(answer).status == 502, "and it is not exchanged a second time"
        self.again(oauth)

    def test_the_store_is_away_before_the_claim(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        oauth.doors.store.before = failing(Unavailable(), call="commit")
        assert person.open(answer).status == 503
        oauth.doors.store.before = None
        assert oauth.spent() == 0
        assert person.open(answer).status == 200, "nothing was claimed: it goes on where it stood"

    def test_the_answer_to_the_claim_is_lost(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        oauth.doors.store.after = failing(Unavailable(), call="commit")
        assert person.open(answer).status == 503
        oauth.doors.store.after = None
        reply = person.open(answer)
        assert (reply.status, oauth.spent()) == (409, 0)
        assert "was taken already" in words(reply)
        self.again(oauth)

    @pytest.mark.parametrize("lost", [False, True], ids=["not written", "answer lost"])
    def test_the_store_is_away_for_a_moment_after_the_exchange(
        self, oauth: OAuthHouse, lost: bool
    ) -> None:
        """It is tried again, since nothing else knows the account."""
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        hook = failing(Unavailable(), call="commit", at=2)
        setattr(oauth.doors.store, "after" if lost else "before", hook)
        assert person.open(answer).status == 200
        assert len(oauth.connections()) == 1

    def test_the_process_dies_after_the_exchange(self, oauth: OAuthHouse) -> None:
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        oauth.doors.store.before = failing(Killed(), call="commit", at=2)
        with pytest.raises(Killed):
            person.open(answer)
        oauth.doors.store.before = None
        assert (oauth.spent(), oauth.connections()) == (1, [])
        reply = person.open(answer)
        assert reply.status == 409
        assert "broke off half-way" in words(reply)
        self.again(oauth)

    def test_the_process_dies_after_the_connection_is_stored(self, oauth: OAuthHouse) -> None:
        """Before its jobs are planned: whoever loads the page again has them planned."""
        person = oauth.person()
        answer = person.agree(person.to_stripe(oauth.link()), "acme")
        oauth.doors.store.before = failing(Killed(), call="commit", at=3)
        with pytest.raises(Killed):
            person.open(answer)
        oauth.doors.store.before = None
        assert len(oauth.connections()) == 1
        assert not [k for k in oauth.doors.store.everything() if "#job#" in k.pk]
        assert person.open(answer).status == 200
        assert [k for k in oauth.doors.store.everything() if "#job#" in k.pk]


class TestWithoutAPlatform:
    @pytest.fixture(autouse=True)
    def _none(self, oauth: OAuthHouse) -> None:
        for mode in ("live", "test"):
            key = keys.platform(mode)
            oauth.doors.store.commit([Remove(key, oauth.doors.store.get([key])[key].version)])

    def test_the_api_says_how(self, oauth: OAuthHouse) -> None:
        reply = oauth.doors.post("/v1/connections/oauth", {})
        assert reply.status == 409
        assert "OAuth is not configured for test mode" in reply.json["message"]
        assert "refledger platform set --mode test" in reply.json["message"]

    def test_the_page_says_how(self, oauth: OAuthHouse) -> None:
        reply = oauth.person().open("/stripe/oauth/start?program=prg_1&code=abc")
        assert reply.status == 409
        assert "refledger platform set" in words(reply)


class TestTheApisLink:
    def test_leads_to_the_keys_mode(self, oauth: OAuthHouse) -> None:
        for key, livemode in ((oauth.doors.key, False), (oauth.doors.live_key, True)):
            reply = oauth.doors.post("/v1/connections/oauth", {}, key)
            assert reply.status == 201
            assert reply.data["mode"] == ("live" if livemode else "test")
            done = oauth.person().go(reply.data["link"])
            assert done.status == 200
        assert {c.livemode for c in oauth.connections()} == {False, True}

    def test_takes_nothing(self, oauth: OAuthHouse) -> None:
        assert oauth.doors.post("/v1/connections/oauth", {"mode": "live"}).status == 422


def test_no_log_line_holds_a_secret(oauth: OAuthHouse, capsys: pytest.CaptureFixture[str]) -> None:
    person = oauth.person()
    link = oauth.link()
    answer = person.agree(person.to_stripe(link), "acme")
    person.open(answer)
    oauth.person().open(answer)
    logged = capsys.readouterr().out
    assert '"connected"' in logged and '"other browser"' in logged
    for secret in (
        person.asked(link)["code"],
        person.asked(answer)["state"],
        person.asked(answer)["code"],
        person.cookies[COOKIE],
        platform_key("test"),
    ):
        assert secret not in logged


def just_before_commit(act: Callable[[], None]) -> Any:
    """A hook: somebody else acts ahead of the next commit."""
    done = False

    def hook(name: str, writes: Any) -> None:
        nonlocal done
        if name == "commit" and not done:
            done = True
            act()

    return hook


class OtherMode:
    """Stripe, that says the other mode than it was asked in."""

    def __init__(self, stripe: OAuthProvider) -> None:
        self._stripe = stripe

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        return self._stripe.authorize_url(state=state, redirect_uri=redirect_uri)

    def exchange(self, code: str) -> Authorised:
        done = self._stripe.exchange(code)
        return replace(done, livemode=not done.livemode)

    def deauthorise(self, account: str) -> None:
        self._stripe.deauthorise(account)


def provider_of(house: House, platform: Platform) -> OAuthProvider:
    return House.oauth_provider(house, platform)
