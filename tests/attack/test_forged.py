"""Forged signatures, invented tokens, claims of being somebody else, and ways off the site."""

import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.builders.stripe_bodies import a_session, an_invoice, as_body, signed
from tests.doors_kit import PAYMENT_LINK, SITE, WEBHOOK_SECRET, Doors, Reply, token

OTHER_SECRET = "whsec_" + "e" * 24


def paid(doors: Doors, **about: Any) -> bytes:
    session = a_session(client_reference_id=token("ann"))
    return as_body(doors.event("checkout.session.completed", session, **about))


def refused(doors: Doors, reply: Reply) -> None:
    assert reply.status == 400, reply.body
    assert doors.items("inbox") == []
    assert doors.balance() == (0, 0, 0)


class TestSignatures:
    def test_any_byte_changed(self, doors: Doors) -> None:
        body = paid(doors)
        signature = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
        for place in range(0, len(body), 37):
            for letter in (body[place] ^ 1, body[place] ^ 0x20, 0):
                changed = body[:place] + bytes([letter]) + body[place + 1 :]
                refused(doors, doors.deliver(changed, signature=signature))
        for changed in (
            body + b"\n",
            b" " + body,
            body[:-1],
            body.rstrip() + b"\x00",
            b"\xef\xbb\xbf" + body,
            body.replace(b"  ", b" "),
            json.dumps(json.loads(body)).encode(),
            body.replace(b"\n", b"\r\n"),
            b"",
        ):
            refused(doors, doors.deliver(changed, signature=signature))
        assert doors.deliver(body, signature=signature).data["state"] == "handled"

    def test_any_letter_of_the_signature_changed(self, doors: Doors) -> None:
        body = paid(doors)
        signature = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
        start = signature.index("v1=") + 3
        for place in range(start, len(signature)):
            changed = "1" if signature[place] == "0" else "0"
            forged = signature[:place] + changed + signature[place + 1 :]
            refused(doors, doors.deliver(body, signature=forged))

    @pytest.mark.parametrize(
        "form",
        [
            "{digest}",
            "v1={digest}",
            "t={now}",
            "t={now},v1=",
            "t={now},v1",
            "t={now},v0={digest}",
            "t={now},V1={digest}",
            "t={now},v1={upper}",
            "t={now},v1={digest}x",
            "t={now},v1=x{digest}",
            "t={now},v1={short}",
            "t={later},v1={digest}",
            "t={earlier},v1={digest}",
            "t=-{now},v1={digest}",
            "t=0x{now},v1={digest}",
            "t={now}.0,v1={digest}",
            "t=,v1={digest}",
            "t=nan,v1={digest}",
            "t={many},v1={digest}",
            "t={later},t={now},v1={digest}",
            "t={now};v1={digest}",
            "t={now},v1=\x00{digest}",
            "t={now},v1={other}",
            "t={now},v1={other},v1={blank}",
            "t={now},v1={plain}",
            "T={now},v1={digest}",
            '{{"t":{now},"v1":"{digest}"}}',
            "sha256={digest}",
        ],
    )
    def test_forms_that_are_not_it(self, doors: Doors, form: str) -> None:
        body, now = paid(doors), int(doors.clock.now)
        digest = signed(body, WEBHOOK_SECRET, now).split("v1=")[1]
        signature = form.format(
            digest=digest,
            upper=digest.upper(),
            short=digest[:-1],
            now=now,
            later=now + 1,
            earlier=now - 1,
            many="9" * 5_000,
            other=signed(body, OTHER_SECRET, now).split("v1=")[1],
            blank=signed(body, "", now).split("v1=")[1],
            plain=hashlib.sha256(b"%d.%s" % (now, body)).hexdigest(),
        )
        refused(doors, doors.deliver(body, signature=signature))

    def test_a_very_long_header(self, doors: Doors) -> None:
        body, now = paid(doors), int(doors.clock.now)
        good = signed(body, WEBHOOK_SECRET, now)
        for padding in (",v1=" + "0" * 64) * 200, "," * 9_000, ",x=" + "y" * 8_200:
            refused(doors, doors.deliver(body, signature=good + padding))

    def test_of_another_connection(self, doors: Doors) -> None:
        """Each connection's secret opens that one alone, and a test one nothing live."""
        others = [
            doors.a_connection(secret=OTHER_SECRET, account="acct_2"),
            doors.a_connection(secret=OTHER_SECRET, livemode=True),
        ]
        body = paid(doors)
        for other in others:
            refused(doors, doors.deliver(body, connection=other))
            refused(doors, doors.deliver(body, secret=OTHER_SECRET))
            both = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
            refused(doors, doors.deliver(body, connection=other, signature=both))

    def test_a_delivery_played_again(self, doors: Doors) -> None:
        """Within five minutes it is a duplicate, later it is refused; never is it counted twice."""
        body, now = paid(doors), int(doors.clock.now)
        signature = signed(body, WEBHOOK_SECRET, now)
        assert doors.deliver(body, signature=signature).data["state"] == "handled"
        for after, status in ((0, 200), (299, 200), (301, 400), (86_400 * 400, 400)):
            doors.clock.now = now + after
            reply = doors.deliver(body, signature=signature)
            assert reply.status == status
            if status == 200:
                assert reply.data["state"] == "duplicate"
        assert doors.balance() == (980, 0, 0)
        assert len([key for key in doors.items("inbox") if key.sk == "head"]) == 1

    def test_an_old_one_with_a_new_time(self, doors: Doors) -> None:
        body, now = paid(doors), int(doors.clock.now)
        old = signed(body, WEBHOOK_SECRET, now - 1_000)
        digest = old.split("v1=")[1]
        for signature in (old, f"t={now},v1={digest}", f"t={now},t={now - 1000},v1={digest}"):
            refused(doors, doors.deliver(body, signature=signature))

    def test_a_signature_in_another_header(self, doors: Doors) -> None:
        body = paid(doors)
        good = signed(body, WEBHOOK_SECRET, int(doors.clock.now))
        path = f"/stripe/webhooks/{doors.connection.id}"
        for name in ("X-Stripe-Signature", "Signature", "Authorization", "Stripe_Signature"):
            refused(doors, doors.ask("POST", path, body, [(name, good)]))

    def test_an_event_of_another_account_or_mode_moves_no_money(self, doors: Doors) -> None:
        for number, about in enumerate(({"account": "acct_2"}, {"livemode": True})):
            reply = doors.deliver(paid(doors, id=f"evt_{number}", **about))
            assert reply.data["state"] == "ignored"
        assert doors.balance() == (0, 0, 0)


class TestTokens:
    @pytest.mark.parametrize(
        "made_up",
        [
            "", "ann", "_ann", "x" * 21 + "_ann", "x" * 22 + "ann", "x" * 22 + "_",
            "x" * 22 + "_" + "a" * 65, "x" * 10_000, "x" * 22 + "_ann/..", "x" * 22 + "_a#b",
            "x" * 22 + "_\u0430nn", "\x00" * 25, "x" * 22 + "_an\nn",
            "é" * 22 + "_ann", "x" * 22 + "-ann",
        ],
        ids=lambda text: ascii(text)[:30],
    )  # fmt: skip
    def test_what_is_no_token_brings_nothing_anywhere(self, doors: Doors, made_up: str) -> None:
        assert doors.click(t=made_up).told.startswith("ignored; ")
        assert doors.items("clicks") == []
        doors.sign_up(t=made_up)  # taken without it, or refused
        assert doors.post("/v1/customers", {"key": "c1", "token": made_up or "x"}).status == 422
        session = a_session(client_reference_id=made_up)
        reply = doors.deliver(doors.event("checkout.session.completed", session))
        assert reply.data["state"] == ("handled" if len(made_up) < 1_000 else "failed")
        assert doors.balance() == (0, 0, 0)

    def test_of_another_programs_partner(self, doors: Doors) -> None:
        """The key is looked up in the program alone where the token is shown."""
        doors.post(
            "/v1/partners", {"email": "friend@example.com", "key": "friend"}, doors.other_key
        )
        assert doors.click(t=token("friend")).told == "ignored; unknown partner"
        other = {"p": doors.other.id, "t": token("friend"), "u": SITE, "r": ""}
        assert doors.click(other).told == "recorded"
        session = a_session(client_reference_id=token("friend"))
        doors.deliver(doors.event("checkout.session.completed", session))
        assert doors.get("/v1/rewards").data == []
        assert doors.get("/v1/rewards", doors.other_key).data == []

    def test_a_recorded_visit_with_another_partners_key(self, doors: Doors) -> None:
        """Ann's visit was seen; the same letters with Bob's key were not, and do not beat it."""
        doors.click(t=token("ann"))
        doors.clock.now += 60
        doors.sign_up(t=token("ann"), email="sam@example.com")
        doors.sign_up(t=token("Bob"), email="sam@example.com")
        doors.sign_up(key="u2", t=token("Bob"), email="sam@example.com")
        doors.clock.now += 60
        doors.deliver(doors.event("invoice.paid", an_invoice(paid_at=int(doors.clock.now))))
        assert (doors.balance("ann"), doors.balance("Bob")) == ((980, 0, 0), (0, 0, 0))

    def test_a_partner_cannot_give_away_a_known_customer(self, doors: Doors) -> None:
        doors.a_customer("sam", email="sam@example.com", partner={"key": "ann"})
        doors.clock.now += 60
        for number in range(5):
            doors.click(t=token("Bob", number))
            doors.sign_up(key="sam", t=token("Bob", number), email="sam@example.com")
        doors.a_sale(customer="sam")
        assert (doors.balance("ann"), doors.balance("Bob")) == ((980, 0, 0), (0, 0, 0))

    def test_one_token_for_everybody(self, doors: Doors) -> None:
        """A link that is shared brings many; still each sale is rewarded once, to one."""
        doors.click()
        for number in range(5):
            doors.sign_up(key=f"u{number}", email=f"u{number}@example.com")
            doors.clock.now += 1
            doors.a_sale(f"s{number}", customer=f"u{number}")
        assert doors.balance("ann") == (5 * 980, 0, 0)
        assert len(doors.get("/v1/rewards").data) == 5


class TestSignUps:
    def vouched(self, doors: Doors, key: str, email: str = "", signing_key: str = "") -> str:
        secret = signing_key or doors.signing_key
        return hmac.new(secret.encode(), f"{key}\n{email}".encode(), hashlib.sha256).hexdigest()

    def partner_of(self, doors: Doors, customer: str) -> str | None:
        found = doors.get(f"/v1/customers/{customer}").data["partner"]
        return found and str(found["key"])

    @pytest.mark.parametrize(
        "case",
        [
            "of another program's key",
            "of another key",
            "of another e-mail",
            "of another case of the e-mail",
            "of the key alone",
            "of key and e-mail run together",
            "in capitals",
            "one letter short",
            "one letter long",
            "not keyed",
            "keyed by the program's id",
            "keyed by nothing",
            "keyed by the webhook's secret",
        ],
    )
    def test_what_the_merchant_did_not_sign_is_a_claim(self, doors: Doors, case: str) -> None:
        _, other_signing_key = doors.a_program("Gamma")
        key, email = "u1", "sam@example.com"
        good = self.vouched(doors, key, email)
        forged = {
            "of another program's key": self.vouched(doors, key, email, other_signing_key),
            "of another key": self.vouched(doors, "u2", email),
            "of another e-mail": self.vouched(doors, key, "late@example.com"),
            "of another case of the e-mail": self.vouched(doors, key, "SAM@example.com"),
            "of the key alone": self.vouched(doors, key),
            "of key and e-mail run together": hmac.new(
                doors.signing_key.encode(), f"{key}{email}".encode(), hashlib.sha256
            ).hexdigest(),
            "in capitals": good.upper(),
            "one letter short": good[:-1],
            "one letter long": good + "0",
            "not keyed": hashlib.sha256(f"{key}\n{email}".encode()).hexdigest(),
            "keyed by the program's id": self.vouched(doors, key, email, doors.program.id),
            "keyed by nothing": hmac.new(
                b"", f"{key}\n{email}".encode(), hashlib.sha256
            ).hexdigest(),
            "keyed by the webhook's secret": self.vouched(doors, key, email, WEBHOOK_SECRET),
        }[case]
        doors.a_customer("u1", email=email)
        doors.clock.now += 1
        doors.sign_up(key=key, email=email, signature=forged)
        assert self.partner_of(doors, "u1") is None
        doors.sign_up(key=key, email=email, signature=good)
        assert self.partner_of(doors, "u1") == "ann"

    def test_key_and_e_mail_cannot_trade_letters(self, doors: Doors) -> None:
        """The line feed between them can stand in neither."""
        for key, email in (("u1\nsam@example.com", ""), ("u1", "\nsam@example.com")):
            signature = self.vouched(doors, "u1", "sam@example.com")
            reply = doors.sign_up(key=key, email=email, signature=signature)
            assert reply.status == 422 or email.strip() == "sam@example.com"

    def test_a_signed_one_played_again_for_another_partner(self, doors: Doors) -> None:
        """Whoever sees it can send it again with a token of his; the tie was made at the first."""
        signature = self.vouched(doors, "u1", "sam@example.com")
        doors.click()
        doors.sign_up(email="sam@example.com", signature=signature)
        doors.clock.now += 3_600
        doors.click(t=token("Bob"))
        doors.sign_up(email="sam@example.com", signature=signature, t=token("Bob"))
        assert self.partner_of(doors, "u1") == "ann"
        doors.a_sale(customer="u1")
        assert (doors.balance("ann"), doors.balance("Bob")) == ((980, 0, 0), (0, 0, 0))

    def test_a_signed_one_at_another_program(self, doors: Doors) -> None:
        signature = self.vouched(doors, "u1", "sam@example.com")
        doors.post("/v1/partners", {"email": "x@example.com", "key": "ann"}, doors.other_key)
        doors.post("/v1/customers", {"key": "u1", "email": "sam@example.com"}, doors.other_key)
        doors.clock.now += 1
        about = {"p": doors.other.id, "email": "sam@example.com", "signature": signature}
        assert doors.sign_up(**about).status == 200
        assert doors.get("/v1/customers/u1", doors.other_key).data["partner"] is None

    def test_a_claimed_e_mail_takes_no_sale(self, doors: Doors) -> None:
        """Sam is the merchant's. A stranger signs up with Sam's e-mail, and with Sam's key."""
        doors.a_customer("sam", email="sam@example.com", stripe_customer_id="cus_1")
        doors.clock.now += 60
        for number, (key, email) in enumerate(
            (
                ("stranger", "sam@example.com"),
                ("sam", "x@example.com"),
                ("cus_1", "SAM@Example.com"),
            )
        ):
            doors.click(t=token("Bob", number))
            assert doors.sign_up(key=key, email=email, t=token("Bob", number)).status == 200
        doors.clock.now += 60
        doors.deliver(doors.event("invoice.paid", an_invoice(paid_at=int(doors.clock.now))))
        assert doors.balance("Bob") == (0, 0, 0)
        known = doors.get("/v1/customers/sam").data
        assert (known["email"], known["partner"]) == ("sam@example.com", None)

    def test_a_sign_up_stays_on_the_programs_own_side(self, doors: Doors) -> None:
        """The program tries out: nobody outside can put anything among its live customers."""
        doors.sign_up(mode="live", livemode=True, program="other")
        assert doors.get("/v1/customers", doors.live_key).data == []
        assert len(doors.get("/v1/customers").data) == 1
        assert not [k for k in doors.items("records") if f"{doors.program.id}/live#" in k.pk]

    def test_the_answer_gives_no_one_away(self, doors: Doors) -> None:
        """A known e-mail, an unknown one, a good signature, a bad one: word for word the same."""
        doors.a_customer("sam", email="sam@example.com", partner={"key": "ann"})
        answers = set()
        for email in ("sam@example.com", "late@example.com", "ann@example.com"):
            for signature in ("", "0" * 64, self.vouched(doors, "u1", email)):
                reply = doors.sign_up(email=email, signature=signature)
                answers.add((reply.status, reply.body, str(sorted(reply.headers.items()))))
        assert len(answers) == 1


class TestKeys:
    def test_one_letter_off(self, doors: Doors) -> None:
        for place in range(len(doors.key)):
            letter = "A" if doors.key[place] != "A" else "B"
            assert (
                doors.get("/v1/test", doors.key[:place] + letter + doors.key[place + 1 :]).status
                == 401
            )
        for key in (doors.key[:-1], doors.key + "x", doors.key.lower(), doors.key.upper()):
            assert doors.get("/v1/test", key).status == 401

    def test_what_else_is_secret_is_no_key(self, doors: Doors) -> None:
        digest = hashlib.sha256(doors.key.encode()).hexdigest()
        for other in (
            doors.signing_key, WEBHOOK_SECRET, doors.program.id, digest, f"rfl_{digest}",
            doors.key.replace("_test_", "_live_"), doors.program.sealed_signing_key,
            "rfl_test_" + secrets.token_urlsafe(32), doors.connection.id,
        ):  # fmt: skip
            assert doors.get("/v1/test", other).status == 401

    @pytest.mark.parametrize(
        "form",
        ["{0}", "Basic {0}", "Bearer{0}", "Bearer: {0}", "Token {0}", "Bearer {0},{0}",
         "Bearer {0} {0}", "Bearer \u00e9{0}", "Bearer", "", "Bearer  ", "Bearer null"],
    )  # fmt: skip
    def test_forms_that_are_no_bearer(self, doors: Doors, form: str) -> None:
        head = [("Authorization", form.format(doors.key))]
        assert doors.ask("GET", "/v1/test", b"", head).status == 401

    def test_a_key_elsewhere_is_none(self, doors: Doors) -> None:
        for target in (
            f"/v1/test?key={'x'}",
            "/v1/test?access_token=x",
            "/v1/test?Authorization=x",
        ):
            assert doors.get(target.replace("=x", "=" + "k" * 40), "").status == 401
        for name in ("X-Api-Key", "Cookie", "Proxy-Authorization", "X-Authorization"):
            assert doors.ask("GET", "/v1/test", b"", [(name, f"Bearer {doors.key}")]).status == 401


AWAY = [
    "//evil.test", "///evil.test", "////evil.test", "/\\evil.test", "\\/evil.test", "/\t/evil.test",
    "/\n/evil.test", "/%0a/evil.test", "/%09/evil.test", "/%2f/evil.test", "/%5cevil.test",
    "https:/evil.test", "https:\\\\evil.test", "http:evil.test", "//evil.test@shop.example.com",
    "/@evil.test", "@evil.test", ":@evil.test", ".evil.test", ".evil.test/", ":443@evil.test",
    "?@evil.test", "#@evil.test", "%40evil.test", "javascript:alert(1)//", "/javascript:alert(1)",
    "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://evil.test", "mailto:x@evil.test",
    "\u3002evil.test", "/\u2215\u2215evil.test", "\uff0f\uff0fevil.test", "/.//evil.test",
    "/..//evil.test", "/%2e%2e//evil.test", "https://shop.example.com", "https://shop.example.com.",
    "https://shop.example.com:443@evil.test", "https://shop.example.com%2eevil.test",
    "https://shop.example.com\\@evil.test", "https://evil.test/https://shop.example.com",
    "https://evil.test?https://buy.stripe.com/test_28o5kD2vC1", "https://buy.stripe.com",
    "https://buy.stripe.com@evil.test/test_28o5kD2vC1", "HTTPS://BUY.STRIPE.COM/test_28o5kD2vC1",
    "https://buy.stripe.com/test_28o5kD2vC1.evil", "https://buy.stripe.com/./test_28o5kD2vC1",
    "https://buy.stripe.com:80/test_28o5kD2vC1", "http://buy.stripe.com/test_28o5kD2vC1",
    "https://buy.stripe.com/test_28o5kD2vC1\\@evil.test", PAYMENT_LINK + "@evil.test",
    PAYMENT_LINK + "\r\nLocation: https://evil.test", "/a%0d%0aLocation:%20https://evil.test",
    "/a\r\nSet-Cookie: a=b", "/" + "a" * 3_000, "/\ud800", "\x00//evil.test",
]  # fmt: skip


@pytest.mark.parametrize("to", AWAY, ids=lambda text: ascii(text)[:40])
def test_a_link_never_leads_away(doors: Doors, to: str) -> None:
    """As a browser reads it, too: backslashes are slashes, tabs and line feeds are nothing."""
    for encoded in (
        quote(to.encode(errors="surrogatepass"), safe=""),
        to.replace("#", "%23").encode(errors="replace").decode("latin-1"),
    ):
        if any(letter in encoded for letter in "\r\n\t \x00"):
            continue  # no request line has these
        reply = doors.ask("GET", f"/r/{doors.program.id}/ann?to={encoded}")
        assert reply.status == 302
        location = reply.headers["location"]
        assert all("!" <= letter <= "~" for letter in location), location
        assert "\\" not in location
        known = urlsplit(location)
        allowed = ("https", "shop.example.com"), ("https", "buy.stripe.com")
        assert (known.scheme, known.netloc) in allowed
        if known.netloc == "buy.stripe.com":
            assert known.path.rstrip("/") == "/test_28o5kD2vC1"
        assert "set-cookie" not in reply.headers


def test_a_link_of_many_parameters(doors: Doors) -> None:
    to = quote("/?" + "&".join(f"a{n}=1" for n in range(400)), safe="")
    assert doors.ask("GET", f"/r/{doors.program.id}/ann?to={to}").status == 302
    many = "&".join("to=%2Fa" for _ in range(2_000))
    assert doors.ask("GET", f"/r/{doors.program.id}/ann?{many}").status == 302
