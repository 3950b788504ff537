"""The conventions of the package's source that no linter checks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pacemaker

PACKAGE = Path(pacemaker.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+")

# A breach of each convention, and what the message says of it.
BROKEN = {
    "X_S = 1.0": "X_S is not Final",
    "_NAMES: dict[str, int] = {}": "_NAMES is not Final",
    "import logging\nlogger = logging.getLogger(__name__)": "the logger is not _logger",
    "X: Final = 1\n'What it is.'": "a docstring below a constant",
    "try:\n    f()\nexcept OSError:\n    raise ValueError": "raised without a cause",
    "try:\n    f()\nexcept OSError:\n    raise E from None": "raised without a cause",
}


def statements_with_names(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, str]]:
    """Yield each assignment to one name at the top level, with name and annotation."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node, node.targets[0].id, ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node, node.target.id, ast.unparse(node.annotation)


def is_named(cause: ast.expr | None) -> bool:
    """Return whether a cause is an exception: neither missing nor None."""
    return isinstance(cause, ast.Name)


def breaches(source: str) -> Iterator[str]:
    """Yield a message for each breach of a convention: its line and what to do."""
    tree = ast.parse(source)
    for node, name, annotation in statements_with_names(tree):
        if CONSTANT.fullmatch(name) and not annotation.startswith(
            ("Final", "TypeAlias")
        ):
            yield f"{node.lineno}: {name} is not Final: say `{name}: Final = ...`"
        value = ast.unparse(getattr(node, "value", None) or ast.Constant(None))
        if value.startswith("logging.getLogger(") and name != "_logger":
            yield f"{node.lineno}: the logger is not _logger, but {name}"
    for below in tree.body[1:]:
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield f"{below.lineno}: a docstring below a constant: comment above it"
    for handler in ast.walk(tree):
        if isinstance(handler, ast.ExceptHandler):
            for raised in ast.walk(handler):
                if (
                    isinstance(raised, ast.Raise)
                    and raised.exc
                    and not is_named(raised.cause)
                ):
                    yield f"{raised.lineno}: raised without a cause: say `from exc`"


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_module_keeps_the_conventions(module: Path) -> None:
    """Constants are Final, the logger is _logger, and errors keep their cause."""
    assert not list(breaches(module.read_text()))


@pytest.mark.parametrize("source", BROKEN)
def test_breach_of_a_convention_is_found(source: str) -> None:
    """The check sees a breach of each convention."""
    (found,) = breaches(f'"""A module."""\n{source}\n')
    assert BROKEN[source] in found
