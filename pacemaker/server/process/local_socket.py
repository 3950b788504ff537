"""The abstract Unix sockets by which local commands reach a running daemon.

Such a socket needs no file and no writable directory, and it can be found from within a
unit that has a private /tmp.  Its name contains the daemon's process id.
"""

from __future__ import annotations

import re
import socket
import struct
from pathlib import Path
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
_SOCKETS: Final = Path("/proc/net/unix")


def address_of(pid: int, purpose: str = "") -> str:
    """Return the address of a socket of the daemon with this process id.

    Containers may share a network and each have a process 1, so the name includes the
    number of the process namespace.
    """
    return f"\0{_prefix()}{pid}{purpose and f'/{purpose}'}"


def _prefix() -> str:
    namespace = Path("/proc/self/ns/pid").readlink()
    return f"storm-pacemaker-py/{namespace}/"


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Return the process id and user id of the peer of a Unix socket."""
    packed = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    pid, uid, _ = _CREDENTIALS.unpack(packed)
    return pid, uid


def running_daemons(purpose: str, listed: str | None = None) -> list[int]:
    """Return the process ids of the daemons that have a socket for a purpose.

    Args:
        purpose: see `address_of`.
        listed: the contents of /proc/net/unix; None to read it.
    """
    text = _listed_sockets() if listed is None else listed
    # A connection that was accepted there has the same name.
    name = re.compile(rf"@{re.escape(_prefix())}(\d+)/{re.escape(purpose)}$", re.M)
    return sorted({int(found[1]) for found in name.finditer(text)})


def _listed_sockets() -> str:
    # Other programs' names may contain any bytes; ours are ASCII.
    return _SOCKETS.read_text("utf-8", "surrogateescape")
