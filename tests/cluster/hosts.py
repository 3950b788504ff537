"""Hosts for the Pacemakers: this one, or network namespaces that can be cut off."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster.ports import Ports
from tests.real.jvm import missing

NETWORK = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for tests of networks (RFC 2544): nobody's real address."""

BACKLOG = 128
"""Of a socket that is handed over: room for the clients of a whole cluster."""

LINK_SIZE = 4
"""The addresses of one link: network, ours, the namespace's, broadcast."""


class Host:
    """Where a Pacemaker runs: an address of the loopback.

    Args:
        address: one of 127.0.0.0/8, or a name for it.

    Attributes:
        address: what clients connect to.
        prefix: the command that runs another one there.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.prefix: Sequence[str] = ()

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens there, for a Pacemaker to be handed."""
        return socket.create_server((self.address, port), backlog=BACKLOG)

    def close(self) -> None:
        """Take it down."""


class Namespace(Host):
    """A network namespace at the other end of a cable, which can be pulled.

    Attributes:
        near_address: of this host, as the namespace sees it.
    """

    def __init__(self) -> None:
        # A reserved port is a number that no other namespace has.
        self._numbers = Ports()
        (number,) = self._numbers.take()
        first = (number * LINK_SIZE) % NETWORK.num_addresses
        ours, theirs = str(NETWORK[first + 1]), str(NETWORK[first + 2])
        super().__init__(theirs)
        self.near_address = ours
        self.name = f"pacemaker-{number}"
        self._link = f"pm{number}"
        self.prefix = ("ip", "netns", "exec", self.name)
        _ip("netns", "add", self.name)
        try:
            self._connect(ours, theirs)
        except BaseException:
            self.close()
            raise

    def _connect(self, ours: str, theirs: str) -> None:
        inside = ("-n", self.name)
        far_end = ("peer", "name", "eth0", "netns", self.name)
        _ip("link", "add", self._link, "type", "veth", *far_end)
        _ip("addr", "add", f"{ours}/30", "dev", self._link)
        _ip("link", "set", self._link, "up")
        _ip(*inside, "addr", "add", f"{theirs}/30", "dev", "eth0")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "set", "eth0", "up")
        # A neighbour that is known stays so when the cable is pulled: packets
        # are lost then without a word, as behind a switch that is gone.
        mac = _ip(*inside, "-br", "link", "show", "eth0").split()[2]
        at = ("lladdr", mac, "dev", self._link, "nud", "permanent")
        _ip("neigh", "replace", theirs, *at)

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens in the namespace.

        A thread of its own enters it, and ends there: the others stay outside.
        """
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._enter_and_listen, port).result()

    def _enter_and_listen(self, port: int) -> socket.socket:
        with Path("/run/netns", self.name).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
        return super().listen(port)

    def cut_off(self) -> None:
        """Pull the cable."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def close(self) -> None:
        """Remove the namespace, and the cable with it, if the reaper has not."""
        if Path("/run/netns", self.name).exists():
            _ip("netns", "delete", self.name)
        self._numbers.close()


def namespaces_work() -> bool:
    """Tell whether this user may make network namespaces on this machine."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    probe = f"pacemaker-probe-{os.getpid()}"
    try:
        _ip("netns", "add", probe)
    except subprocess.CalledProcessError:
        return False
    _ip("netns", "delete", probe)
    return True


def _ip(*args: str) -> str:
    return subprocess.run(
        ["ip", *args], capture_output=True, text=True, check=True
    ).stdout


def cuttable(host: Host) -> Namespace:
    """Return a host that can be cut off; skip the test, or fail it, without one."""
    if not isinstance(host, Namespace):
        missing("cutting off a host needs network namespaces, and so root")
    return host
