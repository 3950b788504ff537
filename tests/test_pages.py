"""The pages for people: their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub forms them."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    """Each relative link names a file that exists and a heading that the file has."""
    for file, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), f"{file} does not exist"
        if anchor:
            assert anchor in anchors(target), f"{target.name} has no #{anchor}"


def test_pages_are_found() -> None:
    """The pages at both places are checked, and some of them have links to headings."""
    assert {"README.md", "SECURITY.md", "design.md"} <= {page.name for page in PAGES}
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert any(anchor for text in texts for _, anchor in _LINK.findall(text))
