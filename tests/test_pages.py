"""The documentation: its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_CLASS_NAME = re.compile(r"`(_?[A-Z][a-zA-Z]*[a-z])((?:\.\w+)*)`")
# The standard library's classes that docs/design.md names.
_FOREIGN = frozenset(("QueueHandler", "QueueListener"))
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


def rooms_of_the_design() -> dict[str, set[str]]:
    """Return the modules that docs/design.md names, by room; a file is a room, too."""
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    sections = {
        section.partition("\n")[0]: section
        for section in re.split(r"^## ", text, flags=re.MULTILINE)
    }
    table, lists = sections["Rooms"], sections["Modules of each room"]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    modules = {
        room.rstrip("/"): set[str]()
        for row in rows
        for room in re.findall(r"`([^`]+)`", row)
    }
    for room, items in re.findall(r"\*\*`([^`]+)/`\*\*\n\n((?:[- ] .*\n)+)", lists):
        modules[room] |= set(re.findall(r"`(\w+)`", items))
    return modules


def test_design_names_the_room_of_every_module() -> None:
    """A newcomer finds each module, and what its room is for, in one table."""
    named = rooms_of_the_design()
    for path in (ROOT / "pacemaker").rglob("[!_]*.py"):
        place = path.relative_to(ROOT / "pacemaker")
        if len(place.parts) == 1:
            assert place.name in named
        elif place.parts[0] != "cli" or "command" not in path.read_text():
            assert place.stem in named[str(place.parent)], place


def test_design_names_classes_that_exist() -> None:
    """Each class in docs/design.md is in the package, with the attribute named."""
    sources = [path.read_text() for path in (ROOT / "pacemaker").rglob("*.py")]
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    named = [match for match in _CLASS_NAME.findall(design) if match[0] not in _FOREIGN]
    assert len(named) > 20
    for name, attributes in named:
        found = [text for text in sources if re.search(rf"class {name}\b", text)]
        assert found, f"there is no class {name}"
        for attribute in attributes.split(".")[1:]:
            used = re.compile(rf"\b{attribute}\b")
            assert any(map(used.search, found)), f"{name} has no {attribute}"


def test_pages_are_found() -> None:
    """The pages at both places are checked, and some of them have links to headings."""
    assert {"README.md", "SECURITY.md", "design.md"} <= {page.name for page in PAGES}
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert any(anchor for text in texts for _, anchor in _LINK.findall(text))
