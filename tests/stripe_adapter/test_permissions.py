"""What a key may do, found out at the fake Stripe; the link and the table made of it."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib.core.refusals import KeyRefused, StripeAway
from chalicelib.stripe_adapter.pace import Pacer
from chalicelib.stripe_adapter.permissions import (
    OFF,
    PERMISSIONS,
    Granted,
    creation_link,
    permission_table,
    probe,
)
from local.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import client_of, control
from tests.stripe_adapter.asking import (
    RESTRICTED_KEY,
    SECRET_KEY,
    TAIL,
    Says,
    Scripted,
    Waiting,
    credentials,
    error,
    mute,
)

NAMES = [each.name for each in PERMISSIONS]
README = Path(__file__).parents[2] / "README.md"


def probed(fake: FakeStripe, waiting: Waiting, *permissions: str) -> dict[str, Granted]:
    control(fake, "/keys", {"key": RESTRICTED_KEY, "permissions": list(permissions)})
    found = probe(credentials(RESTRICTED_KEY), api_base=fake.url, pacer=waiting.pacer())
    assert [each.permission.name for each in found] == NAMES
    return {each.permission.name: each for each in found}


class TestProbe:
    def test_of_a_key_that_may_all(self, fake: FakeStripe, waiting: Waiting) -> None:
        assert all(each.granted for each in probed(fake, waiting, *NAMES).values())

    def test_of_a_key_that_may_nothing(self, fake: FakeStripe, waiting: Waiting) -> None:
        found = probed(fake, waiting)
        assert not any(each.granted for each in found.values())
        for each in found.values():
            assert each.because == OFF[each.permission.feature]

    @pytest.mark.parametrize("lacking", NAMES)
    def test_finds_the_one_that_lacks(
        self, fake: FakeStripe, waiting: Waiting, lacking: str
    ) -> None:
        found = probed(fake, waiting, *(name for name in NAMES if name != lacking))
        assert [name for name, each in found.items() if not each.granted] == [lacking]

    @pytest.mark.parametrize("write", [each.name for each in PERMISSIONS if each.write])
    def test_is_not_content_with_reading_where_writing_is_needed(
        self, fake: FakeStripe, waiting: Waiting, write: str
    ) -> None:
        others = [name for name in NAMES if name != write]
        found = probed(fake, waiting, *others, write.replace("_write", "_read"))
        assert not found[write].granted

    def test_changes_nothing(self, fake: FakeStripe, waiting: Waiting) -> None:
        api = client_of(fake, SECRET_KEY).v1
        probed(fake, waiting, *NAMES)
        assert not api.events.list().data
        assert not api.coupons.list().data
        assert not api.promotion_codes.list().data
        assert not api.webhook_endpoints.list().data

    def test_takes_a_second_of_waiting_at_most(self, fake: FakeStripe, waiting: Waiting) -> None:
        """One paced request each: at 0.25 s an answer, within five seconds."""
        probed(fake, waiting, *NAMES)
        assert sum(waiting.waits) < 1
        assert len(waiting.waits) == len(NAMES) - 1

    def test_gives_up_on_a_stripe_that_is_too_slow(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        def passing() -> float:
            waiting.time += 0.7  # at each look
            return waiting.time

        pacer = Pacer(clock=passing, sleep=waiting.sleep)
        with pytest.raises(StripeAway, match="too slowly"):
            probe(credentials(RESTRICTED_KEY), api_base=answering.base, pacer=pacer)
        assert len(answering.asked) < len(NAMES)

    def test_of_a_secret_key_asks_nothing(self, answering: Scripted) -> None:
        found = probe(credentials(SECRET_KEY), api_base=answering.base)
        assert all(each.granted and "secret key" in each.because for each in found)
        assert [each.permission for each in found] == list(PERMISSIONS)
        assert answering.asked == []

    def test_of_a_key_that_is_no_more(self, fake: FakeStripe, waiting: Waiting) -> None:
        control(fake, "/keys", {"key": RESTRICTED_KEY, "state": "expired"})
        with pytest.raises(KeyRefused) as refused:
            probe(credentials(RESTRICTED_KEY), api_base=fake.url, pacer=waiting.pacer())
        mute(refused.value)

    @pytest.mark.parametrize("status", [429, 500, 404])
    def test_that_cannot_tell_says_so(
        self, answering: Scripted, waiting: Waiting, status: int
    ) -> None:
        answering.says(Says(status, error("Not now")))
        with pytest.raises(StripeAway):
            probe(credentials(RESTRICTED_KEY), api_base=answering.base, pacer=waiting.pacer())

    def test_adds_what_stripe_names_if_that_is_another(
        self, answering: Scripted, waiting: Waiting
    ) -> None:
        """As it has done for lists of invoices."""
        sentence = f"'rk_****{TAIL}' … Having the 'rak_order_read' permission would allow this"
        answering.says(Says(403, error(sentence)))
        found = probe(credentials(RESTRICTED_KEY), api_base=answering.base, pacer=waiting.pacer())
        assert all("Stripe asks for rak_order_read" in each.because for each in found)
        assert TAIL not in repr(found)


class TestTheTable:
    def test_names_each_once(self) -> None:
        assert len(set(NAMES)) == len(NAMES)

    def test_has_what_the_payments_need_for_vital(self) -> None:
        vital = {each.name for each in PERMISSIONS if each.vital}
        assert vital == {
            "rak_customer_read",
            "rak_payment_intent_read",
            "rak_charge_read",
            "rak_invoice_read",
            "rak_subscription_read",
            "rak_checkout_session_read",
            "rak_credit_note_read",
            "rak_dispute_read",
            "rak_webhook_write",
        }

    def test_writes_only_what_the_house_makes(self) -> None:
        assert {each.name for each in PERMISSIONS if each.write} == {
            "rak_webhook_write",
            "rak_coupon_write",
            "rak_promotion_code_write",
        }
        for each in PERMISSIONS:
            assert each.name.endswith("_write" if each.write else "_read")
            assert each.feature in OFF

    def test_in_markdown_has_a_row_each(self) -> None:
        rows = permission_table().splitlines()[2:]
        assert len(rows) == len(PERMISSIONS)
        for row, each in zip(rows, PERMISSIONS, strict=True):
            assert f"`{each.name}`" in row
            assert each.needed_for in row
            assert row.count("|") == 5
            assert ("refused" in row) == each.vital

    def test_stands_in_the_readme(self) -> None:
        said = README.read_text().partition("<!-- permissions -->")[2]
        assert said.partition("<!-- /permissions -->")[0].strip() == permission_table().strip()


class TestTheCreationLink:
    @pytest.mark.parametrize(
        ("livemode", "path"), [(True, "/apikeys/create"), (False, "/test/apikeys/create")]
    )
    def test_fills_in_the_name_and_exactly_these(self, livemode: bool, path: str) -> None:
        link = urlsplit(creation_link(livemode=livemode, name="Refledger: Acme & Söhne"))
        assert (link.scheme, link.netloc, link.path) == ("https", "dashboard.stripe.com", path)
        asked = parse_qsl(link.query)
        assert asked[0] == ("name", "Refledger: Acme & Söhne")
        assert asked[1:] == [("permissions[]", name) for name in NAMES]
