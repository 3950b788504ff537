"""The description of an attack: its connections, and what each of them sends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

# What one connection sends.  A talk yields bytes, which are sent completely before it
# is resumed.  If it yields b"", it is resumed with the next received bytes.  When it
# ends, the connection is silent, or is replaced by a new one if the attack churns.
Talk: TypeAlias = Generator[bytes, bytes, None]

# Begins an attack; returns a function that begins the talk of connection number N.
Start: TypeAlias = Callable[[], Callable[[int], Talk]]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: its name on the command line.
        title: what its peers send.
        connections: the number of connections over all addresses.
        start: begins what they send.
        takes_replies: whether they read the replies.
        churns: whether a connection whose talk has ended is reset and replaced.
        buffer_mib: the daemon's --buffer-budget.
        store_mib: the daemon's --store-budget.
        spare_descriptors: how many descriptors the daemon has beyond those for the
            honest peers; None for as many as this machine allows.
        hold_s: the daemon's --hold; honest peers then send reads that must be held.
        is_digest: whether the daemon requires DIGEST, and honest peers log in.
        has_relay: whether an honest relay sends pulses of 1.3 MB.
        pause_s: how long the daemon is paused (SIGSTOP).
        goes_with_all: whether it is part of the trial of all attacks together.
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
        """The sum of both budgets."""
        return (self.buffer_mib + self.store_mib) * 2**20


def repeated(data: bytes) -> Start:
    """Return an attack that sends the same bytes without end."""

    def talk(number: int) -> Talk:
        while True:
            yield data

    return lambda: talk


def once(data: bytes) -> Start:
    """Return an attack that sends some bytes once."""

    def talk(number: int) -> Talk:
        yield data

    return lambda: talk
