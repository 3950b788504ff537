"""The manual: every page has its place, and it builds without a broken link."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

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


@pytest.mark.real
def test_manual_builds_strictly_and_can_be_searched(
    release_python: Path, tmp_path: Path
) -> None:
    """No link is broken; commands and the API are in it."""
    built = subprocess.run(
        [
            *(release_python.with_name("mkdocs"), "build", "--strict"),
            f"--site-dir={tmp_path / 'site'}",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    assert "--store-budget" in (site / "commands.html").read_text()
    assert "PacemakerPool" in (site / "api.html").read_text()
    assert (site / "search" / "search_index.js").is_file()
    index = json.loads((site / "search" / "search_index.json").read_text())
    boosts = {each["location"]: each.get("boost", 1) for each in index["docs"]}
    assert boosts["troubleshooting.html"] == 1
    assert boosts["api.html"] < 1
