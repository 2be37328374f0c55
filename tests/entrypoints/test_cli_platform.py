"""`platform set` and `oauth start`: what they ask, store and print, and what they never print."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.flows.reseal import resealed
from chalicelib.flows.stripe_platform import WebhookSecrets, platform_of
from chalicelib.storage import keys, oauth_records
from chalicelib.storage.sealing import FileSealer
from chalicelib.stripe_adapter.translate import ENABLED_EVENTS
from local.fake_stripe import running_fake_stripe
from tests.doors_kit import Doors, Run
from tests.oauth_kit import client_id, oauth_house, platform_key

KEY = "sk_" + "test_platform_" + "1" * 24
OTHER_KEY = "sk_" + "test_platform_" + "2" * 24
LIVE_KEY = "sk_" + "live_platform_" + "1" * 24
WEBHOOK, OTHER_WEBHOOK = "whsec_" + "p" * 24, "whsec_" + "q" * 24
ANSWERS = f"ca_123platform\n{KEY}\n{WEBHOOK}\n"
BASE = "https://refer.example.com"


@pytest.fixture(autouse=True)
def _fake(doors: Doors) -> Iterator[None]:
    with running_fake_stripe() as fake:
        doors.with_stripe(fake.url)
        yield


def set_platform(run: Run, answers: str = ANSWERS, mode: str = "test") -> tuple[int, str, str]:
    return run("platform", "set", "--mode", mode, "--base-url", BASE, secrets=answers)


def secrets_of(doors: Doors) -> tuple[str, ...]:
    house = doors.house
    return WebhookSecrets(house.store, house.sealer, lambda: doors.clock.ms).get().get("test", ())


class TestSettingThePlatform:
    def test_it_says_what_to_register_before_it_asks(self, run: Run) -> None:
        code, out, err = set_platform(run)
        assert code == 0, err
        told = json.loads(out)
        redirect, webhook = f"{BASE}/stripe/oauth/callback", f"{BASE}/stripe/webhooks/connect"
        assert (told["redirect_address"], told["webhook_address"]) == (redirect, webhook)
        assert redirect in err and webhook in err
        for event in (*ENABLED_EVENTS, "account.application.deauthorized"):
            assert event in err

    def test_it_is_stored_sealed_and_not_printed(self, doors: Doors, run: Run) -> None:
        _, out, err = set_platform(run)
        house = doors.house
        platform = platform_of("test", store=house.store, sealer=house.sealer)
        assert platform and (platform.client_id, platform.secret_key) == ("ca_123platform", KEY)
        assert platform.livemode is False
        assert secrets_of(doors) == (WEBHOOK,)
        kept = str(doors.store.everything())
        for secret in (KEY, WEBHOOK):
            assert secret not in out + err + kept + repr(platform)
        assert platform_of("live", store=house.store, sealer=house.sealer) is None

    def test_what_is_not_answered_stays(self, doors: Doors, run: Run) -> None:
        set_platform(run)
        code, _, err = set_platform(run, f"\n{OTHER_KEY}\n\n")
        assert code == 0, err
        house = doors.house
        platform = platform_of("test", store=house.store, sealer=house.sealer)
        assert platform and (platform.client_id, platform.secret_key) == (
            "ca_123platform",
            OTHER_KEY,
        )
        assert secrets_of(doors) == (WEBHOOK,)

    def test_two_webhook_secrets_hold_for_a_day(self, doors: Doors, run: Run) -> None:
        set_platform(run)
        doors.clock.now += 60
        set_platform(run, f"\n\n{OTHER_WEBHOOK}\n")
        key = keys.platform("test")
        stored = oauth_records.read_platform(doors.store.get([key])[key])
        assert [secret.until > 0 for secret in stored.webhook_secrets] == [False, True]

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            ("", "client id begins with ca_"),
            ("acct_1\nca\n\n", "client id begins with ca_"),
            (f"ca_123platform\n{LIVE_KEY}\n\n\n", "begins with sk_test_"),
            (f"ca_123platform\n{KEY}\nwhsec_\n\n", "begins with whsec_"),
        ],
    )
    def test_what_is_none_is_refused(self, doors: Doors, run: Run, answers: str, said: str) -> None:
        code, _, err = set_platform(run, answers)
        assert code == 1
        assert said in err
        assert keys.platform("test") not in doors.store.everything()

    def test_a_secret_moved_elsewhere_does_not_open(self, doors: Doors, run: Run) -> None:
        set_platform(run)
        house, key = doors.house, keys.platform("test")
        item = house.store.get([key])[key]
        stored = oauth_records.read_platform(item)
        for place in ("platform/live/secret_key", "platform/test/webhook_secret"):
            with pytest.raises(ValueError, match="another place"):
                house.sealer.open(stored.sealed_secret_key, place=place)

    def test_it_opens_in_another_stage_once_it_is_sealed_anew(
        self, doors: Doors, run: Run, tmp_path: Path
    ) -> None:
        set_platform(run)
        key, new = keys.platform("test"), FileSealer(str(tmp_path / "new"))
        item = doors.store.get([key])[key]
        moved = resealed(item, old=doors.house.sealer, new=new)
        stored = oauth_records.read_platform(moved)
        assert new.open(stored.sealed_secret_key, place="platform/test/secret_key") == KEY
        [webhook] = stored.webhook_secrets
        assert new.open(webhook.sealed, place="platform/test/webhook_secret") == WEBHOOK


def test_another_platforms_key_is_refused_while_accounts_live_by_this_one(
    doors: Doors, run: Run
) -> None:
    """The next job would find none of them connected, and close them all."""

    def key_now() -> str:
        platform = platform_of("test", store=doors.store, sealer=doors.house.sealer)
        assert platform
        return platform.secret_key

    anothers = "sk_" + "test_stranger_" + "2" * 24
    with oauth_house(doors) as oauth:
        names = {oauth.connect(name).id: name for name in ("acme", "bakery")}
        with oauth.fake.lock:  # the first one asked left without our hearing of it
            oauth.fake.connect.links.remove([client_id("test"), names[min(names)]])
        code, _, err = set_platform(run, f"\n{anothers}\n{anothers}\n{anothers}\n")
        assert code == 1
        assert "another platform's. Nothing was stored" in err
        assert key_now() == platform_key("test")
        for of_the_same in (platform_key("test"), OTHER_KEY):
            assert set_platform(run, f"\n{of_the_same}\n\n")[0] == 0
            assert key_now() == of_the_same
        for one in oauth.connections():
            oauth.change(one, closed_at=5, closed_because="ended")
        assert set_platform(run, f"\n{anothers}\n\n")[0] == 0
        assert key_now() == anothers


class TestALink:
    def test_opens_the_page(self, doors: Doors, run: Run) -> None:
        set_platform(run)
        code, out, _ = run("oauth", "start", doors.program.id, "--base-url", BASE)
        assert code == 0
        told = json.loads(out)
        assert (told["mode"], told["minutes"]) == ("test", 10)
        assert told["link"].startswith(f"{BASE}/stripe/oauth/start?")
        asked = parse_qs(urlsplit(told["link"]).query)
        assert asked["program"] == [doors.program.id]
        assert doors.ask("GET", told["link"].removeprefix(BASE)).status == 200

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("prg_nobody", "--base-url", BASE), "no such program"),
            (("{program}", "--mode", "live", "--base-url", BASE), "not configured for live mode"),
            (("{program}",), "say --base-url"),
        ],
    )
    def test_without_what_it_needs_is_refused(
        self, doors: Doors, run: Run, words: tuple[str, ...], said: str
    ) -> None:
        set_platform(run)
        words = tuple(word.format(program=doors.program.id) for word in words)
        code, out, err = run("oauth", "start", *words)
        assert (code, out) == (1, "")
        assert said in err
