"""Names in docstrings, comments and docs/design.md: each one still exists.

A name counts if it is in backticks and its first part is a room, a module or a class of
the package: `core.store`, `limits.ACCEPT_S`, `Store.put`, and in docs/design.md also
`io/limits`.  Other dotted names are Storm's keys, or of other libraries.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pacemaker.config.keys import KEYS, KNOWN_PACEMAKER_KEYS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pacemaker"
DESIGN = ROOT / "docs/design.md"
MODULES = sorted(PACKAGE.rglob("*.py"))

_DOTTED = re.compile(r"`(_?[A-Za-z]\w*(?:\.\w+)+)(?:\(\))?`")
_PATH = re.compile(r"`([a-z_]+(?:/\w+)+)(?:\.py|/)?`")
_CONFIG_KEYS = {key.name for key in KEYS} | KNOWN_PACEMAKER_KEYS


def _place(path: Path) -> tuple[str, ...]:
    """Return the folders and the name of a module; a package's are its folder's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


PLACES = {_place(path): path for path in MODULES}
# Modules and rooms, by the last part of their name.
BY_LAST_PART = defaultdict(list)
for _parts in PLACES:
    BY_LAST_PART[_parts[-1] if _parts else "pacemaker"].append(_parts)


@cache
def _bound(path: Path) -> frozenset[str]:
    """Return the names that a module binds, imports included."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        else:
            names.update(
                name.id
                for name in ast.walk(node)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            )
    return frozenset(names)


@cache
def _classes() -> dict[str, list[Path]]:
    """Return the modules that define each class."""
    found = defaultdict(list)
    for path in MODULES:
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
            found[name].append(path)
    return found


def _has_words(path: Path, words: tuple[str, ...]) -> bool:
    text = path.read_text()
    return all(re.search(rf"\b{word}\b", text) for word in words)


def _leads_somewhere(place: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Return whether the parts lead from a room or module to something in it."""
    if not parts:
        return True
    if (*place, parts[0]) in PLACES:
        return _leads_somewhere((*place, parts[0]), parts[1:])
    path = PLACES[place]
    return parts[0] in _bound(path) and _has_words(path, parts[1:])


def is_stale(name: str) -> bool:
    """Return whether a dotted name is of this package, and leads to nothing in it."""
    first, *others = name.split(".")
    rest = tuple(others)
    if name in _CONFIG_KEYS or (first == "pacemaker" and (rest[0],) not in PLACES):
        return False
    if rest == ("py",):
        return first not in BY_LAST_PART and not list(ROOT.rglob(f"tests/**/{name}"))
    if first in _classes():
        return not any(_has_words(path, rest) for path in _classes()[first])
    places = BY_LAST_PART[first]
    if (first,) in PLACES:
        # `core` is never `relay.core`, and so on, but may be a module of that name.
        places = [
            place
            for place in places
            if len(place) == 1 or PLACES[place].name != "__init__.py"
        ]
    return bool(places) and not any(_leads_somewhere(each, rest) for each in places)


def texts_of(source: str) -> Iterator[str]:
    """Yield the comments and strings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.string


def stale_names(texts: Iterator[str]) -> list[str]:
    """Return the dotted names in some texts that lead to nothing."""
    return [name for text in texts for name in _DOTTED.findall(text) if is_stale(name)]


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_module_names_what_exists(module: Path) -> None:
    """Each dotted name in its docstrings and comments leads somewhere."""
    assert not stale_names(texts_of(module.read_text()))


def test_design_names_what_exists() -> None:
    """Each dotted name and each path in docs/design.md leads somewhere."""
    text = DESIGN.read_text(encoding="utf-8")
    assert not stale_names(iter([text]))
    ends = {"/".join(place[-2:]) for place in PLACES}
    ends |= {"/".join(place) for place in PLACES}
    for name in _PATH.findall(text):
        if name.split("/")[0] in BY_LAST_PART and not name.startswith("pacemaker/"):
            assert name in ends, f"there is no {name}"


@pytest.mark.parametrize(
    "name",
    [
        "accounts.UNKNOWN_PEER",
        "core.outbox",
        "io_thread.NO_SUCH_NUMBER",
        "limits.NO_SUCH_NUMBER",
        "no_such_file.py",
        "pacemaker.core.no_such_module",
        "Store.no_such_method",
    ],
)
def test_name_without_a_place_is_found(name: str) -> None:
    """A name of the package that leads to nothing is reported."""
    source = f'"""See `{name}`."""\n# See `{name}`.\n'
    assert stale_names(texts_of(source)) == [name, name]


@pytest.mark.parametrize(
    "name",
    [
        "core.store.trie",
        "limits.ACCEPT_S",
        "pacemaker.relay.servers",
        "select.epoll",
        "store.py",
        "Store.put",
        "pacemaker.core.store.store.Store.put",
    ],
)
def test_name_with_a_place_passes(name: str) -> None:
    """A name that leads somewhere, or is of something else, is not reported."""
    assert not stale_names(iter([f"`{name}`"]))
