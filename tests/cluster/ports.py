"""Ports that no other cluster on this machine uses until they are released."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count

FIRST, LAST = 20000, 32000
"""Below what the kernel hands out: a port stays free until its owner is up."""


class Ports:
    """Reserves ports for one cluster.

    A reservation is an abstract Unix socket with the port in its name: one
    process alone can have it, and it is gone with the process, however that ends.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._candidates: Iterator[int] = count(FIRST)
        self.taken: list[int] = []

    def take(self, number: int = 1) -> list[int]:
        """Reserve so many ports."""
        return [self._next() for _ in range(number)]

    def close(self) -> None:
        """Give all of them back."""
        for held in self._held:
            held.close()

    def _next(self) -> int:
        for port in self._candidates:
            if port > LAST:
                break
            if self._reserve(port):
                self.taken.append(port)
                return port
        raise AssertionError(f"no port is free from {FIRST} to {LAST}")

    def _reserve(self, port: int) -> bool:
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0storm-pacemaker-py-port-{port}")
        except OSError:
            held.close()
            return False
        self._held.append(held)
        return not is_listening(port) and can_bind(port)


def can_bind(port: int) -> bool:
    """Tell whether a server could listen on this port of all addresses."""
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether somebody accepts on this port."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
