"""Addresses for the peers: a network namespace with 65,000 of them, or loopback's.

The daemon counts each connection over loopback as an address of its own.  Attackers
that it has to count by address therefore need other addresses.  A namespace that routes
10.77.0.0/16 as local provides them without a second interface.  If this machine allows
no namespace, loopback addresses are used, and the daemon is told to count those.
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
    "ip link set lo up && ip route add local 10.77.0.0/16 dev lo"
    # One address may have more connections than Linux has ports for by default.
    " && { echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range || true; }"
    ' && exec "$@"'
)
_TRY_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Network:
    """The network that the daemon and all peers share.

    Attributes:
        prefix: the first two numbers of all addresses.
        is_namespace: whether it is a namespace made for the benchmark.
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
    """Return a command that runs `argv` in a namespace; None if that is impossible."""
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
    """Replace this process by a module that runs in a namespace, if that is possible.

    Returns:
        Only if it is not possible, or if this process is already in a namespace.
    """
    if os.environ.get(_INSIDE):
        return
    command = namespace_command([sys.executable, "-m", module, *arguments])
    if command is not None:
        os.execvp(command[0], command)  # noqa: S606
