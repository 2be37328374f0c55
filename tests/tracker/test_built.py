"""What is served: its size, its origin, and settings that stay settings."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path

import brotli
import pytest

from chalicelib.tracker import TrackerSettings, etag, render, render_debug, snippet

HOUSE = Path(__file__).parents[2]
BUILT = HOUSE / "chalicelib" / "tracker" / "built"

# A deployment without a domain of its own has long addresses; every other product's links on.
REALISTIC = {
    "program_id": "01KAM4Z8QF3VX9T2B7N6YHJD5C",
    "base_url": "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/api",
    "parameters": ("via", "ref", "aff", "fpr", "tolt", "fp_ref"),
    "payment_link_hosts": ("pay.example.com",),
}
BOTH = {"capture_forms": True, "cross_domains": ("shop.example.com", "app.example.org")}


def settings(**changes: object) -> TrackerSettings:
    return TrackerSettings(**{"program_id": "p", "base_url": "https://r.example.com", **changes})


@pytest.mark.parametrize(("features", "budget"), [({}, 1_500), (BOTH, 1_750)])
@pytest.mark.parametrize("attribution", ["last_click", "first_click"])
def test_the_script_stays_within_its_budget(features, budget, attribution):
    script = render(settings(**REALISTIC, **features, attribution=attribution))
    assert len(brotli.compress(script.encode(), quality=11)) <= budget


def test_built_files_are_those_of_this_source_and_recipe():
    record = json.loads((BUILT / "built.json").read_text())
    for path, expected in record["made_from"].items():
        actual = hashlib.sha256((HOUSE / path).read_bytes()).hexdigest()
        assert actual == expected, f"{path} changed: run `make tracker`"
    assert sorted(record["files"]) == sorted(path.name for path in BUILT.glob("*.js"))
    for name, expected in record["files"].items():
        assert hashlib.sha256((BUILT / name).read_bytes()).hexdigest() == expected, name


def test_the_lock_file_names_no_registry():
    recipe = HOUSE / "local" / "tracker_build"
    assert "://" not in (recipe / "package-lock.json").read_text()
    assert json.loads((recipe / "package.json").read_text())["devDependencies"] == {
        "terser": "5.51.2"
    }


@pytest.mark.parametrize(
    ("forms", "cross_domains"), list(itertools.product([False, True], [(), ("other.example",)]))
)
def test_a_feature_that_is_off_is_left_out(forms, cross_domains):
    script = render(settings(capture_forms=forms, cross_domains=cross_domains))
    assert ("formdata" in script) == forms
    assert ("document.links" in script) == bool(cross_domains)
    assert "[refledger]" not in script, "what only debugging says is never in it"
    for forbidden in ("eval", "innerHTML", "document.write", "unload", "Function("):
        assert forbidden not in script


@pytest.mark.parametrize("features", [{}, BOTH])
@pytest.mark.parametrize("renderer", [render, render_debug])
def test_no_blank_is_left(renderer, features):
    script = renderer(settings(**features))
    assert re.findall(r"\$[A-Z]+", script) == []
    assert script.isascii()


@pytest.mark.parametrize(
    "change",
    [
        {"program_id": "</script>"},
        {"program_id": "a/b"},
        {"program_id": ""},
        {"base_url": "https://r.example.com/"},
        {"base_url": 'https://r.example.com/";alert(1)//'},
        {"base_url": "javascript:alert(1)"},
        {"global_name": "a;b"},
        {"global_name": "x\u2028y"},
        {"click_path": "t/click"},
        {"parameters": ("via", "a|b")},
        {"parameters": ("",)},
        {"path_prefix": "aff"},
        {"path_prefix": "/(.*)/"},
        {"payment_link_hosts": ('x"],a[href="',)},
        {"payment_link_hosts": ("https://pay.example.com/path",)},
        {"cross_domains": ("https://shop.example.com",)},
        {"cross_domains": ("</script>",)},
        {"attribution": "any_click"},
        {"cookie_days": 0},
        {"cookie_days": 401},
        {"program_id": "p\n"},
    ],
)
def test_settings_that_could_not_work_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        settings(**change)


def test_a_value_cannot_leave_its_place_in_the_script():
    """Settings are checked when they are made; what is baked in is safe without that."""
    from chalicelib.tracker import _json

    nasty = "</script><!--\u2028\u2029'\"\\ $PROGRAM é"
    baked = _json(nasty)
    assert json.loads(baked) == nasty
    assert "<" not in baked
    assert baked.isascii()


def test_a_value_that_looks_like_a_blank_stays_a_value():
    script = render(settings(global_name="$PROGRAM"))
    assert '"$PROGRAM"' in script


def test_settings_are_baked_in():
    script = render(
        settings(
            program_id="prog_9",
            cookie_days=7,
            attribution="first_click",
            parameters=("via", "fp.ref"),
            path_prefix="/go/",
            payment_link_hosts=("pay.example.com", "http://localhost:8001"),
            global_name="partners",
            click_path="/c",
            signup_path="/s",
        )
    )
    for expected in (
        '"prog_9"',
        "604800000",
        r"via|fp\\.ref",
        "/go/",
        r"a[href^=\"https://pay.example.com/\"]",
        r"a[href^=\"http://localhost:8001/\"]",
        r"a[href^=\"https://buy.stripe.com/\"]",
        '"partners"',
        '"https://r.example.com/c"',
        '"https://r.example.com/s"',
        '"https://r.example.com/t/prog_9.debug.js"',
    ):
        assert expected in script


def test_the_etag_changes_with_the_text():
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag("a"))
    assert etag("a") != etag("b")
    assert etag("a") == etag("a")


def test_the_snippet_is_one_tag():
    assert snippet(settings()) == '<script async src="https://r.example.com/t/p.js"></script>'
    assert 'data-consent="required"' in snippet(settings(require_consent=True))
