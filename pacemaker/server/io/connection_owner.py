"""What a connection needs from the I/O thread that owns it.

`Connection` knows no more of its thread than this, and `IoThread` implements it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

_Connection = TypeVar("_Connection", contravariant=True)


class ConnectionOwner(Protocol[_Connection]):
    """What a connection needs from the I/O thread that owns it."""

    @property
    def is_memory_plentiful(self) -> bool:
        """Whether all buffers together hold little of what they may."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""

    def set_interest(self, fd: int, interest: int) -> None:
        """Change the epoll events that a connection's descriptor waits for."""

    def note_buffered_bytes(
        self, connection: _Connection, buffered_bytes: int, has_deadline: bool
    ) -> bool:
        """Record what a connection holds; return whether it must end to free that."""

    def run_sasl_step(self, connection: _Connection) -> None:
        """Run the connection's pending SASL step."""

    def forget(self, connection: _Connection) -> None:
        """Remove a connection that is about to be closed."""

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call on the owner's thread.  Any thread may call this."""

    def request_eviction(self, connection: _Connection) -> None:
        """Queue the eviction of a connection.  Any thread may call this."""

    def note_evicted(self, size_bytes: int) -> None:
        """Record how many bytes an evicted connection held."""

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call a function after a delay."""

    def yield_turn(self, connection: _Connection, has_charged: bool) -> None:
        """Let a connection continue after others have been served."""

    def note_first_bytes(self, connection: _Connection) -> None:
        """Record that a connection has sent its first bytes."""

    def note_lingering(self, connection: _Connection) -> None:
        """Record that a connection only waits for its peer's end."""
