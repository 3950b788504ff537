"""Help with sockets: options, addresses as text, bytes in the kernel, FIN or reset."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Final

from pacemaker.server.io import limits
from pacemaker.texts import host_and_port

_LINGER_RESET: Final = struct.pack("ii", 1, 0)
_LINGER_OFF: Final = struct.pack("ii", 0, 0)
# The beginning of `struct tcp_info`, up to `tcpi_last_data_recv`.
_SILENCE_MS: Final = struct.Struct("=52xI")


def unmapped(host: str) -> str:
    """Return an address; one of IPv4 that is mapped into IPv6 as that of IPv4."""
    return host.removeprefix("::ffff:") if "." in host else host


def join_address(host: str, port: int) -> str:
    """Return an address in the form that people and Storm's configuration use.

    An IPv4 address mapped into IPv6 is shown as the IPv4 address.
    """
    return host_and_port(unmapped(host), port)


def set_reset_on_close(connection: socket.socket, reset: bool) -> None:
    """Choose how a connection ends when it is closed or its process dies.

    After a reset, Storm's clients reconnect within 0.1 s; after a FIN, within 13 s.
    But only a FIN lets bytes in flight arrive.
    """
    value = _LINGER_RESET if reset else _LINGER_OFF
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)


def set_storms_options(sock: socket.socket) -> None:
    """Set Storm's socket options on a connection, and have it end with a reset.

    A connection inherits these options from its listening socket, unless it already
    waited in the backlog before the listening socket had them.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.SEND_BUFFER_BYTES)
    set_reset_on_close(sock, True)


def shrink_receive_buffer(sock: socket.socket) -> None:
    """Limit what the kernel keeps for a connection until it is read.

    This cannot be undone, and makes heartbeats of more than 64 KiB slower.
    """
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, limits.SMALL_RECEIVE_BUFFER_BYTES
    )


def unread_bytes(fd: int) -> int:
    """Ask the kernel how many received bytes have not been read (SIOCINQ)."""
    return _ask_kernel(fd, termios.FIONREAD)


def undelivered_bytes(fd: int) -> int:
    """Ask the kernel how many bytes the peer has not yet acknowledged (SIOCOUTQ)."""
    return _ask_kernel(fd, termios.TIOCOUTQ)


def silence_s(sock: socket.socket) -> float:
    """Ask the kernel for how long the peer has sent nothing (TCP_INFO)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SILENCE_MS.size)
    silence_ms: int = _SILENCE_MS.unpack(info)[0]
    return silence_ms / 1000


def _ask_kernel(fd: int, question: int) -> int:
    size_bytes: int = struct.unpack("i", fcntl.ioctl(fd, question, b"\0\0\0\0"))[0]
    return size_bytes
