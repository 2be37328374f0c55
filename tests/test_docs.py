"""The documentation is tested: routes, settings and commands that it names are those there are."""

import re
from pathlib import Path

from app import app
from chalicelib.core.program import DEFAULTS
from chalicelib.entrypoints.api_bodies import SETTINGS, WebsiteBody
from chalicelib.settings import read_settings

HERE = Path(__file__).parent.parent
API = (HERE / "docs" / "api.md").read_text()
README = (HERE / "README.md").read_text()


def test_every_route_is_documented_and_no_other() -> None:
    named = set(re.findall(r"^\| `(GET|HEAD|PUT|POST|DELETE) ([^`?]+)` \|", API, re.MULTILINE))
    there = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert named == there


def test_every_setting_of_a_program_is_documented() -> None:
    assert set(SETTINGS) == set(DEFAULTS)
    for name in SETTINGS:
        assert f"| `{name}` |" in API
    for name in WebsiteBody.model_fields:
        assert f"`{name}`" in API


def test_every_variable_is_documented_and_read() -> None:
    class Asked(dict[str, str]):
        names: set[str]

        def get(self, key: str, default: object = None) -> object:
            self.names.add(key)
            return default

    asked = Asked()
    asked.names = set()
    read_settings(asked)
    assert set(re.findall(r"REFLEDGER_[A-Z_]+", API)) == asked.names


def test_links_lead_somewhere() -> None:
    for page in [HERE / "README.md", *(HERE / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_decisions_are_short() -> None:
    for record in (HERE / "docs" / "decisions").glob("*.md"):
        assert len(record.read_text().splitlines()) <= 50, record.name


def test_the_map_names_every_file_of_core_and_flows() -> None:
    the_map = (HERE / "docs" / "map.md").read_text()
    for room in ("core", "flows", "storage", "entrypoints"):
        for file in (HERE / "chalicelib" / room).glob("*.py"):
            word = file.stem
            known = word in the_map or any(
                word.startswith(prefix) for prefix in ("__init__", "read_", "dynamo", "api_")
            )
            assert known, f"{room}/{word} is not on the map"


def test_the_readme_opens_with_the_two_commands() -> None:
    first_screen = README.splitlines()[:14]
    assert any(line.startswith("make run") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)
