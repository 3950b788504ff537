"""Addresses: a network namespace with 65,000 of them, or loopback's.

The daemon counts each connection over loopback as an address of its own, so attackers
that are to be counted by address need others.  A namespace whose routes call
10.77.0.0/16 local has them, without a second interface.  If this machine allows no
namespace the addresses are loopback's, and the daemon is told to count them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_INSIDE: Final = "STORM_PACEMAKER_ISOLATION_NAMESPACE"
_SET_UP: Final = (
    'ip link set lo up && ip route add local 10.77.0.0/16 dev lo && exec "$@"'
)
_TRY_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Network:
    """Where everybody is.

    Attributes:
        prefix: the first two numbers of all addresses.
        is_namespace: whether they are in a namespace of the benchmark.
    """

    prefix: str
    is_namespace: bool

    @property
    def server(self) -> str:
        """The daemon's address."""
        return f"{self.prefix}.0.1"

    def honest(self, count: int) -> list[str]:
        """Return addresses of honest peers."""
        return [f"{self.prefix}.1.{number}" for number in range(1, count + 1)]

    def hostile(self, count: int) -> list[str]:
        """Return addresses of attackers."""
        return [f"{self.prefix}.2.{number}" for number in range(1, count + 1)]


def network() -> Network:
    """Return the network that this process is in."""
    if os.environ.get(_INSIDE):
        return Network("10.77", is_namespace=True)
    return Network("127.77", is_namespace=False)


def namespace_command(argv: Sequence[str]) -> list[str] | None:
    """Return the command that runs another in a namespace; None if it cannot be."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return None
    for options in (["--net"], ["--user", "--map-root-user", "--net"]):
        enter = ["unshare", *options, "sh", "-c", _SET_UP, "sh"]
        done = subprocess.run(
            [*enter, "true"], capture_output=True, timeout=_TRY_TIMEOUT_S, check=False
        )
        if done.returncode == 0:
            return [*enter, "env", f"{_INSIDE}=1", *argv]
    return None


def enter_namespace(module: str, arguments: Sequence[str]) -> None:
    """Run a module in a namespace, in the place of this process, if that is possible.

    Returns:
        If it is not possible, or this process is in one already.
    """
    if os.environ.get(_INSIDE):
        return
    command = namespace_command([sys.executable, "-m", module, *arguments])
    if command is not None:
        os.execvp(command[0], command)  # noqa: S606
