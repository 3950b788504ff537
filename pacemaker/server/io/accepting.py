"""Accept connections without giving up the interpreter.

`socket.accept` and `socket.setblocking` release the GIL.  While an I/O thread has much
to do, the acceptor gets it back half a millisecond later, each time, and meanwhile a
new worker waits in the kernel's queue behind thousands of an attacker's connections.
These calls never block, so they may as well keep it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Final

# PyDLL, not CDLL: its calls keep the GIL.
_libc: Final = ctypes.PyDLL(None, use_errno=True)
_accept4: Final = _libc.accept4
# sizeof(struct sockaddr_storage)
_ADDRESS_BYTES: Final = 128
# The family in the machine's order; the port and the address in the network's.
_unpack_family: Final = struct.Struct("=H").unpack_from
_unpack_ipv4: Final = struct.Struct("!2xH4s").unpack_from
_unpack_ipv6: Final = struct.Struct("!2xH4x16s").unpack_from


def accept(listener: socket.socket) -> tuple[socket.socket, tuple[str, int]]:
    """Accept a connection; return its socket, which does not block, and its peer.

    Args:
        listener: a listening socket of IPv4 or IPv6 that does not block.

    Raises:
        BlockingIOError: none is waiting.
        OSError: as for accept(2).
    """
    address = ctypes.create_string_buffer(_ADDRESS_BYTES)
    size = ctypes.c_uint32(_ADDRESS_BYTES)
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    fd = _accept4(listener.fileno(), address, ctypes.byref(size), flags)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    (family,) = _unpack_family(address)
    unpack = _unpack_ipv4 if family == socket.AF_INET else _unpack_ipv6
    port, host = unpack(address)
    sock = socket.socket(family, socket.SOCK_STREAM, 0, fd)
    return sock, (socket.inet_ntop(family, host), port)
