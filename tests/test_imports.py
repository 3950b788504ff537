"""The layout: which room may import which, which do no I/O, and no cycles."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pacemaker

ROOT = Path(pacemaker.__file__).parent

# From the bottom up: each room, which is a folder or a file beside the folders, and
# all rooms that its modules import.
ROOMS = {
    "_version": "",
    "texts": "",
    "call_soon": "",
    "wakeup": "",
    "descriptor_limit": "",
    "errors": "",
    "wire": "errors texts",
    "heartbeats": "errors wire",
    "sasl": "errors",
    "config": "errors",
    "admin": "call_soon errors wakeup",
    "core": "wire",
    "core.accounts": "",
    "core.store": "core.accounts errors wire",
    "core.history": "core.store heartbeats",
    "core.protocol": (
        "call_soon core core.accounts core.history core.store errors sasl wire"
    ),
    "server.process": "_version call_soon descriptor_limit errors texts",
    "server.io.fairness": "core.accounts wire",
    "server.io.buffers": "core.accounts",
    "server.upgrade_state": "core.protocol texts",
    "server.io": (
        "core core.accounts core.history core.protocol errors sasl server.io.buffers"
        " server.io.fairness server.process server.upgrade_state texts wakeup wire"
    ),
    "server.upgrade": (
        "_version core.protocol core.store errors sasl server.io server.process"
        " server.upgrade_state texts"
    ),
    "server": (
        "_version admin call_soon config core core.accounts core.history"
        " core.protocol core.store errors heartbeats sasl server.io server.io.buffers"
        " server.process server.upgrade server.upgrade_state texts wire"
    ),
    "client": "config errors heartbeats sasl texts wakeup wire",
    "cluster_state": "client config errors",
    "relay.core": "",
    "relay": (
        "call_soon client config core core.accounts core.history core.protocol"
        " core.store errors heartbeats relay.core sasl server server.io server.process"
        " server.upgrade_state wakeup wire"
    ),
    "testing": "client cluster_state config core core.protocol core.store wire",
    "simulate": "client config descriptor_limit errors heartbeats sasl texts wire",
    "observe.decoding": "heartbeats",
    "observe.zookeeper": "errors heartbeats wire",
    "observe.tracking": "config errors heartbeats observe.decoding observe.zookeeper",
    "observe.views": (
        "heartbeats observe.decoding observe.tracking observe.zookeeper texts"
    ),
    "observe": (
        "client cluster_state config errors heartbeats observe.tracking observe.views"
        " observe.zookeeper"
    ),
    "observe.top": "observe.views texts",
    "observe.web": "admin observe.decoding observe.views texts",
    "why": "config heartbeats observe.zookeeper",
    "doctor": "client config errors observe observe.views observe.zookeeper sasl texts",
    "doctor.checks": "config doctor observe.views texts",
    "cli.output": "config texts",
    "cli.options": (
        "admin cli.output client config core.accounts core.protocol errors sasl"
        " server server.process"
    ),
    "cli": (
        "_version admin cli.options cli.output client cluster_state config"
        " core.protocol doctor doctor.checks errors heartbeats observe observe.top"
        " observe.views observe.web observe.zookeeper relay sasl server server.process"
        " server.upgrade simulate texts why"
    ),
    "__init__": "_version",
    "__main__": "cli",
}

IMPURE = frozenset(
    ("asyncio", "concurrent", "select", "selectors", "socket", "ssl", "time")
) | {"threading"}
PURE_ROOMS = (
    "call_soon",
    "texts",
    "errors",
    "wire",
    "heartbeats",
    "sasl",
    "relay.core",
    "core",
    "core.accounts",
    "core.history",
    "core.store",
    "core.protocol",
    "observe.decoding",
    "observe.zookeeper",
    "observe.tracking",
    "observe.views",
    "server.io.fairness",
    "server.io.buffers",
    "server.upgrade_state",
    "doctor.checks",
)
# Of rooms that are not pure as a whole.
PURE_MODULES = (
    "client.backoff",
    "client.connection_limits",
    "client.protocol",
    "client.requests",
    "relay.link_probes",
    "relay.reply_tokens",
    "relay.inbox",
    "relay.backend",
    "server.io.deadlines",
    "server.io.limits",
    "server.upgrade.state_format",
    "simulate.histogram",
    "simulate.shape",
    "simulate.schedule",
    "simulate.tally",
    "simulate.worker",
    "simulate.nimbus",
    "simulate.report",
    "simulate.prepared_heartbeats",
    "admin.address",
    "admin.health",
    "admin.routes",
    "config.settings",
    "config.storm_defaults",
    "doctor.facts",
    "doctor.storm_yaml",
    "observe.web.assets",
    "observe.web.html",
    "observe.web.metrics",
    "observe.web.pages",
    "observe.web.routes",
    "observe.top.levels",
    "why.evidence",
    "why.endings",
    "why.facts",
    "why.census",
    "why.gaps",
    "why.outages",
    "why.signs",
    "why.verdicts",
)
# They hold a lock.
LOCKED = (
    "core.accounts.registry",
    "core.history.history",
    "core.store.store",
    "relay.inbox",
    "server.io.buffers.buffer_budget",
)


def _name(path: Path) -> str:
    """Return a module's name below `pacemaker`; a package's is that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_face = parts[-1] == "__init__" and len(parts) > 1
    return ".".join(parts[:-1] if is_face else parts)


def imported_by(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.update(_modules(node.module or "", node.names))
    return names


def _modules(module: str, aliases: list[ast.alias]) -> set[str]:
    """Tell modules that are imported from a package from what is in the package."""
    place = ROOT.parent.joinpath(*module.split("."))
    below = {alias.name for alias in aliases if (place / f"{alias.name}.py").exists()}
    below |= {alias.name for alias in aliases if (place / alias.name).is_dir()}
    names = {f"{module}.{name}" for name in below}
    return names | {module} if len(below) < len(aliases) else names


FILES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}
IMPORTED = {name: imported_by(path) for name, path in FILES.items()}
USED = {
    name: {
        other.removeprefix("pacemaker.")
        for other in names
        if other.startswith("pacemaker.")
    }
    for name, names in IMPORTED.items()
}


def _room(name: str) -> str:
    """Return the room of a module."""
    parent = FILES[name].parent
    is_file = parent == ROOT or name in ROOMS
    return name if is_file else ".".join(parent.relative_to(ROOT).parts)


PURE = [name for name in FILES if _room(name) in PURE_ROOMS or name in PURE_MODULES]


def test_every_folder_is_a_room_of_the_table() -> None:
    """A new room is given its place, and with it what it may use."""
    assert {_room(name) for name in FILES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_uses_what_the_table_allows(room: str) -> None:
    """It uses these rooms, all of them and no other."""
    used = {_room(u) for name in FILES if _room(name) == room for u in USED[name]}
    assert sorted(used - {room}) == ROOMS[room].split()


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_stand_above_what_they_use(room: str) -> None:
    """No arrow runs upwards, and so there is no circle between rooms."""
    order = list(ROOMS)
    assert set(ROOMS[room].split()) <= set(order[: order.index(room)])


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Within a room there is an order too."""
    assert list(TopologicalSorter(USED).static_order())


def test_upgrade_is_known_to_the_main_thread_and_to_reload_alone() -> None:
    """What serves knows nothing of it."""
    users = {
        name for name, used in USED.items() if "server.upgrade" in map(_room, used)
    }
    outside = {name for name in users if _room(name) != "server.upgrade"}
    assert outside == {"cli.reload", "server.run"}


def test_core_knows_the_interface_of_sasl_alone() -> None:
    """Mechanisms come from outside; no login file is read in the core."""
    used = {u for name in FILES if _room(name).startswith("core") for u in USED[name]}
    assert {name for name in used if _room(name) == "sasl"} == {"sasl.mechanism"}


@pytest.mark.parametrize("name", PURE)
def test_pure_module_imports_no_io(name: str) -> None:
    """No pure module imports sockets, clocks or threads, but for a lock."""
    roots = {module.partition(".")[0] for module in IMPORTED[name]}
    assert roots & IMPURE <= ({"threading"} if name in LOCKED else set())


@pytest.mark.parametrize("name", PURE)
def test_pure_module_uses_pure_modules_alone(name: str) -> None:
    """What has no I/O itself does none through another module either."""
    assert {used for used in USED[name] if used not in PURE} == set()


@pytest.mark.parametrize("folder", ["benchmarks", "pacemaker", "tools"])
def test_only_tests_import_tests(folder: str) -> None:
    """What both need has its home outside of `tests/`."""
    files = sorted((ROOT.parent / folder).rglob("*.py"))
    assert files
    imported = {path: imported_by(path) for path in files}
    users = [
        str(path)
        for path, names in imported.items()
        if any(name.partition(".")[0] == "tests" for name in names)
    ]
    assert users == []
