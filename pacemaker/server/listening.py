"""The listening socket: handed over by who keeps the port, or our own."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from pacemaker.errors import ListenError
from pacemaker.server import limits

_logger: Final = logging.getLogger(__name__)

# The first descriptor of the LISTEN_FDS protocol (sd_listen_fds(3)).
LISTEN_FDS_START: Final = 3
_HANDOVER_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")

_LINGER_RESET: Final = struct.pack("ii", 1, 0)
_LINGER_OFF: Final = struct.pack("ii", 0, 0)


def open_listener(
    bind: str | None, port: int, environ: MutableMapping[str, str] = os.environ
) -> socket.socket:
    """Return a socket that listens, not blocking, with Storm's options set.

    A socket that was handed over wins over address and port.

    Args:
        bind: the address or host name to listen on; None for every address,
            of IPv4 and IPv6.
        port: 0 for a free one.
        environ: where the handover is announced; it is taken out.

    Raises:
        ListenError: there is no such address, the port is taken, or what was
            handed over is no listening socket.
    """
    listener = _handed_over(environ) or _bind(bind, port)
    try:
        _configure(listener)
    except OSError as exc:
        address = describe(listener)
        listener.close()
        raise ListenError(address, _reason(exc)) from exc
    check_backlog()
    return listener


def is_handed_over(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a listening socket waits for this process: `open_listener` takes it."""
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    return pid == str(os.getpid()) and count.isdigit() and int(count) > 0


def describe(listener: socket.socket) -> str:
    """Return ``HOST:PORT`` of a socket, an IPv6 host in brackets."""
    host, port = listener.getsockname()[:2]
    return join_address(host, port)


def join_address(host: str, port: int) -> str:
    """Write an address as people and Storm's configuration write it.

    An IPv4 address that comes mapped into IPv6 is the IPv4 address.
    """
    host = host.removeprefix("::ffff:") if "." in host else host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def end_with_reset(connection: socket.socket, reset: bool) -> None:
    """Choose how a connection ends when it is closed, or its process dies.

    A reset brings Storm's clients back within 0.1 s, a FIN within 13 s, but
    only a FIN lets bytes that are on their way arrive.
    """
    value = _LINGER_RESET if reset else _LINGER_OFF
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)


def _handed_over(environ: MutableMapping[str, str]) -> socket.socket | None:
    is_ours, count = is_handed_over(environ), environ.get("LISTEN_FDS", "")
    for name in _HANDOVER_VARIABLES:
        environ.pop(name, None)
    if not is_ours:
        return None
    if int(count) > 1:
        _logger.warning("%s sockets were handed over; only the first is used", count)
    try:
        listener = socket.socket(fileno=LISTEN_FDS_START)
    except OSError as exc:
        raise ListenError("the handed-over descriptor 3", _reason(exc)) from exc
    if not _is_listening_stream(listener):
        listener.detach()
        raise ListenError("the handed-over descriptor 3", "it is no listening socket")
    listener.set_inheritable(False)
    return listener


def _is_listening_stream(candidate: socket.socket) -> bool:
    if candidate.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if candidate.type != socket.SOCK_STREAM:
        return False
    return bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _bind(bind: str | None, port: int) -> socket.socket:
    try:
        if bind is None:
            return _bind_every_address(port)
        return _bind_address(bind, port)
    except (OSError, UnicodeError) as exc:
        address = join_address(bind or "*", port)
        raise ListenError(address, _reason(exc)) from exc


def _bind_every_address(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        except OSError as exc:
            # A kernel that knows IPv6, on a machine where it is switched off.
            if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))


def _bind_address(bind: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(
        bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family)


def _configure(listener: socket.socket) -> None:
    """Set what the accepted connections inherit, and the backlog."""
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.SEND_BUFFER_BYTES)
    end_with_reset(listener, True)
    listener.listen(limits.LISTEN_BACKLOG)


def check_backlog(path: Path = Path("/proc/sys/net/core/somaxconn")) -> None:
    """Warn where the kernel holds fewer waiting connections than were asked for."""
    try:
        allowed = int(path.read_text())
    except (OSError, ValueError):
        return
    if allowed < limits.LISTEN_BACKLOG:
        _logger.warning(
            "net.core.somaxconn is %d: the backlog holds no more; %d lets a"
            " whole cluster wait in it",
            allowed,
            limits.LISTEN_BACKLOG,
        )


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and not isinstance(exc, socket.gaierror):
        # The exception of create_server repeats the address.
        return os.strerror(exc.errno or 0)
    return getattr(exc, "strerror", None) or str(exc)
