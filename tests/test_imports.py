"""The pure half stays pure: its modules import no I/O, no clock and no threads."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pacemaker

ROOT = Path(pacemaker.__file__).parent
IMPURE = frozenset(
    ("asyncio", "concurrent", "select", "selectors", "socket", "ssl", "time")
) | {"threading"}
ALLOWED = {"store": frozenset(("threading",))}

# From the bottom up: a module imports only what stands above it in this list.
LAYERS = (
    *("errors", "words", "accounts", "idl", "binary", "messages", "canonical"),
    *("strangers", "frames", "store"),
    "holding",
    *("listing", "control", "figures", "worker_pulses", "dispatch"),
    *("sasl.mechanism", "protocol"),
    *("client.requests", "client.protocol"),
)
PURE = {name: ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in LAYERS} | {
    f"sasl.{path.stem}": path for path in (ROOT / "sasl").glob("*.py")
}
SIMULATION = ("histogram", "shape", "schedule", "tally", "worker", "nimbus", "report")
PURE |= {f"simulate.{name}": ROOT / "simulate" / f"{name}.py" for name in SIMULATION}


def imported_by(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("name", PURE)
def test_pure_module_imports_no_io(name: str) -> None:
    """No module of the pure half imports sockets, clocks or threads but the lock."""
    roots = {module.partition(".")[0] for module in imported_by(PURE[name])}
    assert roots & IMPURE <= ALLOWED.get(name, frozenset())


@pytest.mark.parametrize("name", PURE)
def test_pure_module_imports_no_shell(name: str) -> None:
    """The pure half knows nothing of what is built over it."""
    shells = ("pacemaker.server", "pacemaker.cli", "pacemaker.client")
    pure = tuple(f"pacemaker.{pure}" for pure in PURE)
    imported = [m for m in imported_by(PURE[name]) if not m.startswith(pure)]
    assert not [m for m in imported if m.startswith(shells)]


def test_client_and_server_do_not_know_each_other() -> None:
    """Neither end imports the other: each can be used, and changed, alone."""
    for side, other in (("client", "server"), ("server", "client")):
        for path in (ROOT / side).glob("*.py"):
            names = imported_by(path)
            assert not [m for m in names if m.startswith(f"pacemaker.{other}")], path


@pytest.mark.parametrize("name", LAYERS)
def test_imports_run_downwards(name: str) -> None:
    """A module of the core imports only modules below it, so that none go in rings."""
    below = {f"pacemaker.{lower}" for lower in LAYERS[: LAYERS.index(name)]}
    core = {f"pacemaker.{layer}" for layer in LAYERS}
    assert imported_by(PURE[name]) & core <= below


def test_every_module_of_the_top_is_pure_or_known() -> None:
    """A new module beside the core is either held to its rules or named here."""
    modules = {path.stem for path in ROOT.glob("*.py")}
    assert modules - set(LAYERS) == {"__init__", "__main__", "_version"}
