"""Each module has its own file of tests, or a reason here why it has none."""

from __future__ import annotations

from pathlib import Path

import pytest

import pacemaker

ROOT = Path(pacemaker.__file__).parent
TESTS = Path(__file__).parent

NO_CODE = "types and constants, which the type checker holds"
NEEDS_A_KDC = "runs against MIT's library and a real KDC: real/test_sasl_kerberos.py"

EXCEPTIONS = {
    "_version.py": NO_CODE,
    "call_soon.py": NO_CODE,
    "admin/exposition.py": "is tested with the figures: server/test_metrics.py",
    "cli/options/admin_options.py": "are options of `health` and `serve`: cli/",
    "cli/options/server_options.py": "are options of `relay` and `serve`: cli/",
    "client/connection_limits.py": NO_CODE,
    "cluster_state/acls.py": NO_CODE,
    "cluster_state/events.py": NO_CODE,
    "config/load.py": "three lines between files and layers: config/test_files.py",
    "config/settings.py": NO_CODE,
    "core/protocol/contract.py": NO_CODE,
    "core/protocol/pending_requests.py": NO_CODE,
    "core/protocol/protocol_snapshot.py": NO_CODE,
    "heartbeats/model.py": NO_CODE,
    "relay/core/limits.py": NO_CODE,
    "relay/core/question.py": NO_CODE,
    "relay/daemon.py": "needs whole processes: relay/test_processes.py",
    "sasl/gss.py": NEEDS_A_KDC,
    "sasl/gss_client.py": NEEDS_A_KDC,
    "sasl/mechanism.py": NO_CODE,
    "server/io/connection_owner.py": NO_CODE,
    "server/io/io_thread_parts.py": NO_CODE,
    "server/io/limits.py": NO_CODE,
    "server/limits.py": NO_CODE,
    "server/options.py": NO_CODE,
    "server/measurements.py": NO_CODE,
    "server/upgrade/upgradable.py": NO_CODE,
    "testing/zookeeper_client.py": "is tested with links: testing/test_zookeeper.py",
}
"""Modules without a mirror; the reason names where they are tested instead."""

BY_ROOM = {
    "doctor/": "its checks are tested by what it says of a cluster: doctor/",
    "observe/": "its parts are tested by what they show of a cluster: observe/",
}
"""Rooms in which a module need not have a mirror, though it may."""

MODULES = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)


def mirror_of(module: str) -> Path:
    """Return the file of a module's tests, such as `tests/x/test_y.py`."""
    path = Path(module)
    return TESTS / path.parent / f"test_{path.name}"


@pytest.mark.parametrize("module", MODULES)
def test_module_has_its_mirror_or_a_reason(module: str) -> None:
    """A module that gets a mirror is taken off the list."""
    mirror = mirror_of(module)
    if module in EXCEPTIONS:
        assert not mirror.exists(), f"take {module} off EXCEPTIONS"
    elif not module.startswith(tuple(BY_ROOM)):
        assert mirror.exists(), (
            f"write {mirror}, or add to EXCEPTIONS why there is none"
        )


def test_exceptions_are_modules() -> None:
    """One that was moved or removed is taken off the list."""
    assert EXCEPTIONS.keys() <= set(MODULES)


@pytest.mark.parametrize("reason", sorted({*EXCEPTIONS.values(), *BY_ROOM.values()}))
def test_reason_names_tests_that_exist(reason: str) -> None:
    """Where the reason names a file or a folder of tests, it is there."""
    named = reason.rpartition(": ")[2] if ": " in reason else ""
    assert (TESTS / named).exists()
