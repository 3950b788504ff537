"""The manual: every page has its place, and it builds without a broken link."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.webdriver.support.wait import WebDriverWait

from tests.observe.web.test_browser import WAIT_S, browser
from tests.release.conftest import ROOT

GENERATED = {"commands.md", "api.md"}


def _pages(nav: Any) -> Iterator[str]:
    for each in nav.values() if isinstance(nav, dict) else nav:
        yield from [each] if isinstance(each, str) else _pages(each)


def _config() -> dict[str, Any]:
    # The file has no tags of Python's, which mkdocs would allow.
    config: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    return config


def _nav() -> list[Any]:
    nav: list[Any] = _config()["nav"]
    return nav


def test_every_page_has_its_place_in_the_order() -> None:
    """A new page is put where a reader looks for it."""
    top = {"index.md", "changelog.md", "contributing.md", "security-policy.md"}
    pages = {path.name for path in ROOT.glob("docs/*.md")}
    assert set(_pages(_nav())) == pages | top | GENERATED


def test_reports_come_last() -> None:
    """Measurements and tests are not what a reader begins with."""
    (last,) = _nav()[-1].values()
    assert {"performance.md", "isolation.md", "testing.md"} <= set(_pages(last))


def test_pages_that_search_puts_behind_exist() -> None:
    """A page that was renamed would silently come to the front again."""
    behind = _config()["extra"]["search_ranks"]["pages"]
    assert set(behind) <= set(_pages(_nav()))


@pytest.fixture(scope="module")
def site(release_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the manual strictly: no link is broken."""
    folder = tmp_path_factory.mktemp("manual") / "site"
    built = subprocess.run(
        [
            *(release_python.with_name("mkdocs"), "build", "--strict"),
            f"--site-dir={folder}",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.real
def test_commands_and_the_api_are_in_the_manual(site: Path) -> None:
    """The pages that are generated have what they are generated from."""
    assert "--store-budget" in (site / "commands.html").read_text()
    assert "PacemakerPool" in (site / "api.html").read_text()


@pytest.mark.real
def test_pages_for_developers_come_last_in_the_results(site: Path) -> None:
    """The search index has the rank of each page."""
    index = json.loads((site / "search" / "search_index.json").read_text())
    boosts = {each["location"]: each.get("boost", 1) for each in index["docs"]}
    assert boosts["troubleshooting.html"] == 1
    assert boosts["api.html"] < 1


@pytest.mark.real
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """No script, style or font comes from the internet."""
    loads = re.compile(r"<(?:script|link|img)[^>]* (?:src|href)=[\"']?https?:[^>]*>")
    for page in site.glob("*.html"):
        assert loads.findall(page.read_text()) == [], page.name


@pytest.mark.real
@pytest.mark.slow
def test_manual_can_be_searched_from_a_disk(site: Path) -> None:
    """Without a server and without the internet, the first result has the answer."""
    with browser() as driver:
        driver.get(f"{(site / 'index.html').as_uri()}?q=change+port")
        results = WebDriverWait(driver, WAIT_S).until(
            lambda page: page.find_elements("css selector", ".md-search-result__link")
        )
        found = [(each.get_attribute("href") or "").split("?")[0] for each in results]
        assert found[0].endswith("/systemd.html")
