"""The shipped units: valid, locked down, and given the socket that they request."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.child import Child
from tests.real.daemons import ENVIRONMENT, SERVE, free_port
from tests.real.jvm import ROOT, program
from tests.wire.by_hand import Type, Wire, ack, send_pulse

pytestmark = pytest.mark.real

UNITS = ROOT / "systemd"
PAGE = ROOT / "docs" / "systemd.md"
NAMES = ("storm-pacemaker-py", "storm-pacemaker-py-relay")
INSTALLED = "/opt/storm-pacemaker-py/bin/storm-pacemaker-py"

EXPOSURE = 15
"""The most that `systemd-analyze security` may say, in tenths: up to 20 is OK."""


def _analyze(*args: str | Path) -> str:
    done = subprocess.run(
        [program("systemd-analyze"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_units_are_valid(tmp_path: Path, name: str) -> None:
    """Systemd finds nothing to complain about, where the program is installed."""
    service, socket = tmp_path / f"{name}.service", tmp_path / f"{name}.socket"
    for unit in (service, socket):
        shutil.copy(UNITS / unit.name, tmp_path)
    # Verified is, too, that the program is there: here another one is.
    service.write_text(service.read_text().replace(INSTALLED, sys.executable))
    assert not _analyze("verify", "--man=no", service, socket)


@pytest.mark.parametrize("name", NAMES)
def test_service_is_locked_down(name: str) -> None:
    """The service's exposure, as systemd rates it, stays low."""
    if "--offline=" not in _analyze("--help"):
        # Nothing is missing that could be installed, whatever REQUIRE_REAL says.
        pytest.skip("systemd-analyze rates files of units from systemd 250 on")
    service = UNITS / f"{name}.service"
    _analyze("security", "--offline=true", f"--threshold={EXPOSURE}", service)


@pytest.mark.parametrize("name", NAMES)
def test_service_has_a_folder_of_its_own_for_the_endpoint(name: str) -> None:
    """A folder that two shared would go from both when one of them stops."""
    unit = (UNITS / f"{name}.service").read_text()
    assert re.findall(r"^RuntimeDirectory=(.*)$", unit, re.M) == [name]
    assert f"=unix:/run/{name}/admin\n" in PAGE.read_text()


def test_activation_hands_over_the_port() -> None:
    """Started by the first connection, the daemon serves it on systemd's socket."""
    port = free_port()
    activate = [program("systemd-socket-activate"), f"--listen=127.0.0.1:{port}"]
    with Child([*activate, *SERVE], env=ENVIRONMENT) as child:
        child.logged("Listening on")
        pulse = send_pulse("/workerbeats/words-1-1700000000/7a4e-6700", b"beat", 1)
        with Wire(("127.0.0.1", port)) as connection:
            assert connection.ask(pulse) == ack(Type.SEND_PULSE_RESPONSE, 1)
        child.logged("using the listening socket that was handed over")
