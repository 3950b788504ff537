"""The public names: exactly what users are meant to import."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

# A name that is added or removed is a change for users: it belongs in CHANGELOG.md.
PUBLIC = {
    "pacemaker": ["__version__"],
    "pacemaker.cli": ["main"],
    "pacemaker.client": [
        "PacemakerConnection",
        "PacemakerPool",
        "ServerAddress",
        "ServerHealth",
    ],
    "pacemaker.config": [
        "AuthMethod",
        "Configuration",
        "Note",
        "Settings",
        "load_configuration",
    ],
    "pacemaker.testing": [
        "FakePool",
        "FakeZooKeeper",
        "MemoryClock",
        "MemoryNetwork",
        "MemoryPeer",
        "MemoryServer",
        "Script",
        "ZooKeeperLink",
        "silent",
        "silent_after",
    ],
    "pacemaker.server": [
        "AdminOptions",
        "Daemon",
        "HoldTimes",
        "ServerOptions",
        "dry_run",
        "run",
    ],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_module_has_its_public_names_and_no_others(name: str) -> None:
    """`__all__` is what is promised, sorted, and each of it is there."""
    module = importlib.import_module(name)
    assert sorted(module.__all__) == PUBLIC[name]
    assert all(hasattr(module, each) for each in module.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_star_import_gives_the_public_names_alone(name: str) -> None:
    """No module of the standard library or of ours comes with it."""
    names: dict[str, object] = {}
    exec(f"from {name} import *", names)  # noqa: S102
    found = {each for each in names if each != "__builtins__"}
    assert found == set(PUBLIC[name])
    assert not [each for each in found if isinstance(names[each], ModuleType)]
