"""Hooks of `mkdocs.yml`: they add the pages at the top, and the references.

README.md, CHANGELOG.md and the others stay at the top of the repository, where people
look for them.  In the manual they have their own names, and links to them and from them
are rewritten.  No page of docs/ can be forgotten: `mkdocs build --strict` fails if one
is missing from mkdocs.yml.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from mkdocs.structure.files import File, Files

from pacemaker.cli import main
from pacemaker.cli.completion import PROGRAM
from release.man import visible_commands

ROOT: Final = Path(__file__).parents[1]

# Pages at the top of the repository, and their names in the manual.
TOP: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}

# Scripts that the pages load, and their names in the manual.
SCRIPTS: Final = {"iframe-worker.js": "assets/javascripts/iframe-worker.js"}

# Packages with an API for other programs.
API: Final = ("client", "cluster_state", "heartbeats", "testing", "errors")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/, and the scripts."""
    for source, name in TOP.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=from_top(text)))
    for source, name in SCRIPTS.items():
        script = ROOT / "release" / "manual_files" / source
        content = script.read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=content))
    for name, text in (("commands.md", commands_page()), ("api.md", api_page())):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite the links of a page in docs/ to pages at the top, and rank the page."""
    ranks = config.extra["search_ranks"]
    if page.file.src_uri in ranks["pages"]:
        page.meta["search"] = {"boost": ranks["boost"]}
    for source, name in TOP.items():
        markdown = markdown.replace(f"](../{source}", f"]({name}")
    return markdown


def from_top(text: str) -> str:
    """Rewrite the links of a page at the top: to docs/, and to other such pages."""
    text = text.replace("](docs/", "](")
    for source, name in TOP.items():
        text = text.replace(f"]({source}", f"]({name}")
    return text


def commands_page() -> str:
    """Return the reference of the commands, from their help."""
    top = click.Context(main, info_name=PROGRAM, **main.context_settings)
    parts = [
        "# Commands",
        "The man pages and each command's `--help` say the same.",
    ]
    for name, command in visible_commands():
        ctx = click.Context(command, info_name=name, parent=top)
        parts += [f"## {name}", f"```text\n{ctx.get_help()}\n```"]
    return "\n\n".join(parts) + "\n"


def api_page() -> str:
    """Return the reference of the packages that other programs use."""
    parts = [
        "# Reference of the API",
        "From the docstrings.  Names that begin with an underscore, and packages that"
        " are not here, may change at any time.",
    ]
    for package in API:
        parts.append(f"## pacemaker.{package}")
        parts += [f"::: {name}" for name in public_modules(package)]
    return "\n\n".join(parts) + "\n"


def public_modules(package: str) -> Iterator[str]:
    """Yield a package's modules with public classes or functions."""
    place = ROOT / "pacemaker" / package
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for file in files:
        defined = ast.parse(file.read_text(encoding="utf-8")).body
        kinds = ast.ClassDef | ast.FunctionDef
        if any(isinstance(d, kinds) and d.name[0] != "_" for d in defined):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield re.sub(r"\.__init__$", "", name)
