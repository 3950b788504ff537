"""What an attack is: connections, and what each of them says."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

Talk: TypeAlias = Generator[bytes, bytes, None]
"""What one connection says.  It yields bytes, which are sent whole before it is asked
for more; or nothing (b""), and is then resumed with what was received.  At its end
the connection is silent, or is replaced by a new one if the attack churns."""

Start: TypeAlias = Callable[[], Callable[[int], Talk]]
"""Begins an attack; what it returns begins the talk of a connection, by its number."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: for the command line.
        title: what its peers send.
        connections: how many, over all addresses.
        start: says what they send.
        takes_replies: whether they read what they are answered.
        churns: whether a connection whose talk is over is reset, and replaced.
        buffer_mib: --buffer-budget of the daemon.
        store_mib: --store-budget of the daemon.
        spare_descriptors: how many the daemon has beyond the honest peers'; None for
            as many as this machine allows.
        hold_s: --hold of the daemon, with reads that have to be held.
        is_digest: whether the daemon has DIGEST, with logins of the honest.
        has_relay: whether an honest relay sends pulses of 1.3 MB.
        pause_s: for how long the daemon stands still (SIGSTOP).
        goes_with_all: whether it is one of those that are tried all together.
    """

    name: str
    title: str
    connections: int
    start: Start
    takes_replies: bool = True
    churns: bool = False
    buffer_mib: int = 64
    store_mib: int = 64
    spare_descriptors: int | None = None
    hold_s: int = 0
    is_digest: bool = False
    has_relay: bool = False
    pause_s: float = 0.0
    goes_with_all: bool = True

    @property
    def budget_bytes(self) -> int:
        """Both budgets together."""
        return (self.buffer_mib + self.store_mib) * 2**20


def repeated(data: bytes) -> Start:
    """Return an attack that says the same without end."""

    def talk(number: int) -> Talk:
        while True:
            yield data

    return lambda: talk


def once(data: bytes) -> Start:
    """Return an attack that says something once."""

    def talk(number: int) -> Talk:
        yield data

    return lambda: talk
