"""A machine with systemd as its first process, in a container."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path

from tests.cluster.waiting import wait_until
from tests.compose.engine import docker, succeeds
from tests.compose.images import JAVA_SUITE, SYSTEMD_IMAGE, need_base
from tests.real.jvm import ROOT

CONTEXT = Path(__file__).parent / "systemd"
BOOT_TIMEOUT_S = 120

NEEDED_TO_INSTALL = (
    *("pyproject.toml", "setup.cfg", "PACKAGE.md", "CHANGELOG.md", "LICENSE"),
    *("pacemaker", "thrift", "systemd", "deploy"),
)
CLONE = "/srv/storm-pacemaker-py"

PRIVILEGED = (
    # All but one: an engine that has not got it itself can give the others.
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/tmp",
)


class Machine:
    """A container that has booted, with a clone of this repository.

    Attributes:
        address: its IP address.
    """

    def __init__(self) -> None:
        need_base(JAVA_SUITE)
        docker("build", f"--tag={SYSTEMD_IMAGE}", str(CONTEXT))
        self._container = docker("run", "--detach", *PRIVILEGED, SYSTEMD_IMAGE).strip()
        try:
            wait_until("the end of the boot", self._booted, BOOT_TIMEOUT_S)
            self.address = self._address()
            self.copy_clone()
        except BaseException:
            self.close()
            raise

    def _booted(self) -> bool:
        return succeeds(
            "docker",
            "exec",
            self._container,
            "systemctl",
            "is-active",
            "multi-user.target",
        )

    def _address(self) -> str:
        network = "{{.NetworkSettings.IPAddress}}"
        return docker("inspect", f"--format={network}", self._container).strip()

    def copy_clone(self) -> None:
        """Put this repository, as much of it as an installation needs, to `CLONE`."""
        with tempfile.TemporaryDirectory() as folder:
            clone = Path(folder) / Path(CLONE).name
            clone.mkdir()
            for name in NEEDED_TO_INSTALL:
                source = ROOT / name
                if source.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(source, clone / name, ignore=ignored)
                else:
                    shutil.copy(source, clone)
            docker("cp", str(clone), f"{self._container}:{Path(CLONE).parent}")

    def run(self, *argv: str) -> str:
        """Run a command as root and return its output."""
        return docker("exec", self._container, *argv)

    def shell(self, script: str, folder: str = "/") -> str:
        """Run a script as root, up to its first failure, and return its output."""
        return self.run("sh", "-ec", f"cd {shlex.quote(folder)}\n{script}")

    def succeeds(self, *argv: str) -> bool:
        """Tell whether a command ends with 0."""
        return succeeds("docker", "exec", self._container, *argv)

    def property(self, unit: str, name: str) -> str:
        """Return what systemd says of a unit."""
        return self.run(
            "systemctl", "show", "--value", f"--property={name}", unit
        ).strip()

    def log(self, unit: str) -> str:
        """Return a unit's log."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def close(self) -> None:
        """Remove it."""
        docker("rm", "--force", "--volumes", self._container)
