"""The listening socket of the admin endpoint."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Final

from pacemaker.admin.address import AdminAddress
from pacemaker.errors import ListenError

# Larger than the number of connections that are served at once: a probe waits here
# while others are served, and a flood cannot fill more than this.
BACKLOG: Final = 64
# An upgrade hands the daemon's own listeners over at descriptors 3, 4, ...; this
# socket, which is kept across it as well, must not have one of these numbers.
_FIRST_FD: Final = 32
_ONLY_THIS_USER: Final = 0o600


def listen(address: AdminAddress, option: str = "--admin") -> socket.socket:
    """Open the listening socket, non-blocking.

    Args:
        address: where it listens.
        option: the option that names the address, for the error.

    Raises:
        ListenError: the address is not on this machine, or it is in use.
    """
    try:
        if address.is_unix:
            return _moved_up(_listen_unix(Path(address.path)))
        family, _, _, _, place = socket.getaddrinfo(
            address.host,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        listener = socket.create_server(place[:2], family=family, backlog=BACKLOG)
        return _moved_up(listener)
    except (OSError, UnicodeError) as exc:
        raise ListenError(f"{address} ({option})", _reason(exc, address)) from exc


def adopt_listener(fd: int) -> socket.socket:
    """Take over the listening socket from before an upgrade."""
    listener = socket.socket(fileno=fd)
    listener.set_inheritable(False)
    listener.setblocking(False)
    return listener


def release_listener(listener: socket.socket) -> None:
    """Close the socket, and remove its file if it is a Unix socket."""
    path = listener.getsockname() if is_unix(listener) else ""
    listener.close()
    if path:
        with contextlib.suppress(OSError):
            Path(path).unlink()


def is_unix(listener: socket.socket) -> bool:
    """Return whether a socket is a Unix socket."""
    return listener.family == socket.AF_UNIX


def address_of(listener: socket.socket) -> AdminAddress:
    """Return the address that a socket has, with the port that it was given."""
    name = listener.getsockname()
    if is_unix(listener):
        return AdminAddress(path=name)
    return AdminAddress(host=name[0], port=name[1])


def _reason(error: OSError | UnicodeError, address: AdminAddress) -> str:
    if isinstance(error, FileNotFoundError):
        # The system's own words do not say which part of the path is missing.
        return f"there is no folder {Path(address.path).parent}; create it first"
    return getattr(error, "strerror", None) or str(error)


def _listen_unix(path: Path) -> socket.socket:
    _remove_unused(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Nobody can connect before `listen`, so it does not matter that the file has
        # another mode for a moment.  (The umask cannot be set for this thread alone.)
        path.chmod(_ONLY_THIS_USER)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_unused(path: Path) -> None:
    """Remove a socket that a killed daemon has left; keep a file of another kind.

    Raises:
        OSError: a process listens on it.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except BlockingIOError:
            return  # Its backlog is full, so a process listens; `bind` says so.


def _moved_up(listener: socket.socket) -> socket.socket:
    with listener:
        fd = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
    moved = socket.socket(fileno=fd)
    moved.setblocking(False)
    os.set_inheritable(fd, False)
    return moved
